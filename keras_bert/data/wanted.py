"""What a caller asks for of a source: its columns, by name or number, and what its labels are."""

import dataclasses
from collections.abc import Sequence

from keras_bert.data.examples import Column, shown

#: What a label can be, see ``Examples.label_kind``.
LABEL_KINDS = ("class", "value", "labels", "choice")
#: Labels as the source has them, for models that check them themselves.
AS_GIVEN = "as given"

# The roles of columns, in the order in which they are told.
ROLES = ("text", "text_pair", "negative", "choices", "label")
# Those that may be spread over several columns.
_SPREAD = ("choices", "label")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The columns a caller asks for.

    Attributes:
        text: name of the column, its number (from 1) in a table without header, or None: find it.
        text_pair: the same for the second text. It is looked for only where ``text`` is, too. In
            multiple choice it is the text that each choice begins with.
        label: the same for the label; several columns of 0 and 1, one per label, for ``"labels"``.
        with_labels: True: a source without label column is an error; False: no label is read;
            None: labels are read where there are any.
        negative: the same for the third text of triplets, which the first is not like.
        choices: the same for the choices: a column with a list of them, or several columns.
        label_kind: one of ``LABEL_KINDS``; None: find it.
        label_separator: what stands between the labels of one cell; None: find it.
    """

    text: Column | None = None
    text_pair: Column | None = None
    label: Column | Sequence[Column] | None = None
    with_labels: bool | None = None
    negative: Column | None = None
    choices: Column | Sequence[Column] | None = None
    label_kind: str | None = None
    label_separator: str | None = None

    def __post_init__(self):
        for role in ROLES:
            column = getattr(self, role)
            if role in _SPREAD and isinstance(column, list | tuple) and len(column) > 1:
                object.__setattr__(self, role, tuple(column))
                sound = all(map(_is_column, column))
            else:
                sound = column is None or _is_column(column)
            if not sound:
                raise TypeError(
                    f"{role}_column is {shown(column)}, a {type(column).__name__}; expected the "
                    "column's name, its number (from 1), or None"
                    + (", or two or more of them" if role in _SPREAD else "")
                )
        if self.label_kind not in (*LABEL_KINDS, AS_GIVEN, None):
            raise ValueError(
                f"label_kind is {shown(self.label_kind)}; expected one of {', '.join(LABEL_KINDS)}, "
                "or None: find out"
            )
        if self.label_separator is not None and (
            not isinstance(self.label_separator, str) or not self.label_separator
        ):
            raise TypeError(
                f"label_separator is {shown(self.label_separator)}; expected a string such as '|'"
            )

    @property
    def given(self) -> dict[str, Column | tuple[Column, ...]]:
        """The columns that were given, by role."""
        roles = {role: getattr(self, role) for role in ROLES}
        if self.with_labels is False:
            roles.pop("label")
        return {role: column for role, column in roles.items() if column is not None}

    @property
    def given_columns(self) -> list[Column]:
        """The columns that were given, one by one."""
        return [column for columns in self.given.values() for column in as_tuple(columns)]


def as_tuple(columns) -> tuple:
    """One column or several, as a tuple."""
    return columns if isinstance(columns, tuple) else (columns,)


def _is_column(column) -> bool:
    return isinstance(column, str | int) and not isinstance(column, bool)
