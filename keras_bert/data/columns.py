"""Which column holds the text, the second text and the label: as asked for, or by usual names."""

import dataclasses
from collections.abc import Collection, Sequence

from keras_bert.data.examples import Column, SourceError, counted, listed, shown

# Names looked for when no text column is given, as (text, second text). The first line of which
# the file has every column is taken, so pairs stand above the single names they begin with.
TEXT_COLUMNS = (
    ("text", "text_pair"),
    ("text", "text_b"),
    ("text", "text2"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("sentence", "sentence2"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("#1 string", "#2 string"),
    ("text", None),
    ("question", "sentence"),
    ("sentence", None),
    ("review", None),
    ("question", None),
    ("query", None),
    ("utterance", None),
    ("content", None),
    ("comment", None),
    ("message", None),
    ("tweet", None),
    ("body", None),
    ("text_a", None),
    ("text1", None),
    ("sentence1", None),
)
LABEL_COLUMNS = (
    "label",
    "category",
    "intent",
    "class",
    "gold_label",
    "label_text",
    "sentiment",
    "target",
    "topic",
    "tag",
    "quality",
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The columns a caller asks for.

    Attributes:
        text: name of the column, its number (from 1) in a table without header, or None: find it.
        text_pair: the same for the second text. It is looked for only where ``text`` is, too.
        label: the same for the label.
        with_labels: True: a file without label column is an error; False: no label is read;
            None: labels are read where there are any.
    """

    text: Column | None = None
    text_pair: Column | None = None
    label: Column | None = None
    with_labels: bool | None = None

    def __post_init__(self):
        for role in ("text", "text_pair", "label"):
            column = getattr(self, role)
            is_column = isinstance(column, str | int) and not isinstance(column, bool)
            if column is not None and not is_column:
                raise TypeError(
                    f"{role}_column is {shown(column)}, a {type(column).__name__}; expected the "
                    "column's name, its number (from 1), or None"
                )

    @property
    def given(self) -> dict[str, Column]:
        """The columns that were given, by role."""
        roles = {"text": self.text, "text_pair": self.text_pair, "label": self.label}
        if self.with_labels is False:
            roles.pop("label")
        return {role: column for role, column in roles.items() if column is not None}


def named_columns(path: str, names: Sequence[str], wanted: Wanted) -> dict[str, int]:
    """Places in ``names`` of the columns that are wanted.

    Args:
        path: the file, for messages.
        names: its columns.
        wanted: what the caller asks for.

    Returns:
        Index into ``names`` per role: ``"text"``, and where there are any ``"text_pair"`` and
        ``"label"``, in this order.

    Raises:
        SourceError: a column is missing, is there twice, or would have two roles.
    """
    places = {role: _place_of(path, names, column) for role, column in wanted.given.items()}
    usual = {name.casefold(): place for place, name in reversed(list(enumerate(names)))}
    if "text" not in places:
        places = _usual_texts(usual, places) | places
        if "text" not in places:
            usual_names = [text for text, pair in TEXT_COLUMNS if pair is None]
            raise SourceError(path, None, _missing("text", usual_names, names))
    if "label" not in places and wanted.with_labels is not False:
        free = [usual[name] for name in LABEL_COLUMNS if name in usual]
        free = [place for place in free if place not in places.values()]
        if free:
            places["label"] = free[0]
        elif wanted.with_labels:
            raise SourceError(path, None, _missing("label", LABEL_COLUMNS, names))
    _require_different(path, places, names)
    for place in places.values():
        if names.count(names[place]) > 1:
            raise SourceError(path, None, f"more than one column is called {shown(names[place])}")
    return _in_order(places)


def numbered_columns(path: str, first: Sequence[str], wanted: Wanted) -> dict[str, int] | None:
    """Places of columns given by number, or None where none is.

    Args:
        path: the file, for messages.
        first: the cells of its first row. Where every column given is one of them, they are names.
        wanted: what the caller asks for.

    Returns:
        Index into a row per role, as ``named_columns``.

    Raises:
        SourceError: a number is out of range, numbers and names are mixed, or the first row is
            a header after all.
    """
    given = wanted.given
    numbers = [column for column in given.values() if _is_number(column)]
    if not numbers or all(column in first for column in given.values()):
        return None
    if len(numbers) < len(given):
        mixed = listed(given.values())
        raise SourceError(path, None, f"give every column by name or every one by number: {mixed}")
    places = {role: int(number) - 1 for role, number in given.items()}
    for place in places.values():
        if not 0 <= place < len(first):
            width = counted(len(first), "column")
            reason = f"there is no column {place + 1}: the row has {width}, counted from 1"
            raise SourceError(path, 1, reason)
    if "text" not in places:
        raise SourceError(path, None, "the number of the text column is missing")
    if "label" not in places and wanted.with_labels:
        raise SourceError(path, None, "the number of the label column is missing")
    _require_different(path, places, range(1, len(first) + 1))
    _require_no_header(path, first, places)
    return _in_order(places)


def columns_without_header(
    first: Sequence[str], following: Sequence[Sequence[str]], wanted: Wanted
) -> dict[str, int] | None:
    """Places of text and label in a table of two columns that seems to have no header.

    A header's second cell names a column, so no row has it as its label. A first row whose label
    occurs again in ``following`` is therefore a row.

    Args:
        first: the cells of the first row.
        following: rows below it.
        wanted: what the caller asks for; a file in which columns were named has a header.

    Returns:
        The places, or None where there may be a header.
    """
    if wanted.given or len(first) != 2 or not first[1].strip():
        return None
    if not any(len(cells) == 2 and cells[1] == first[1] for cells in following):
        return None
    return {"text": 0} if wanted.with_labels is False else {"text": 0, "label": 1}


def _usual_texts(usual: dict[str, int], places: dict[str, int]) -> dict[str, int]:
    """Places of the first line of TEXT_COLUMNS that is there and free, or nothing."""
    free = {name: place for name, place in usual.items() if place not in places.values()}
    for text, pair in TEXT_COLUMNS:
        if text in free and (pair is None or "text_pair" in places):
            return {"text": free[text]}
        if text in free and pair in free:
            return {"text": free[text], "text_pair": free[pair]}
    return {}


def _place_of(path: str, names: Sequence[str], column: Column) -> int:
    if column in names:
        return names.index(column)
    alike = [place for place, name in enumerate(names) if name.casefold() == str(column).casefold()]
    if len(alike) == 1:
        return alike[0]
    raise SourceError(
        path, None, f"there is no column {shown(column)}; the columns are {listed(names)}"
    )


def _is_number(column: Column) -> bool:
    return isinstance(column, int) or (column.isascii() and column.isdigit())


def _require_different(path: str, places: dict[str, int], names: Sequence[Column]) -> None:
    roles: dict[int, str] = {}
    for role, place in places.items():
        if place in roles:
            both = f"{roles[place]} and {role}".replace("_", " ")
            raise SourceError(path, None, f"column {shown(names[place])} is given as {both}")
        roles[place] = role


def _require_no_header(path: str, first: Sequence[str], places: dict[str, int]) -> None:
    names = {role: first[place].strip().casefold() for role, place in places.items()}
    if names["text"] in dict(TEXT_COLUMNS) and names.get("label", "label") in LABEL_COLUMNS:
        raise SourceError(
            path,
            1,
            f"this is a header line ({listed(first)}), and column numbers are for files without "
            "one; give the columns by name",
        )


def _in_order(places: dict[str, int]) -> dict[str, int]:
    return {role: places[role] for role in ("text", "text_pair", "label") if role in places}


def _missing(role: str, looked_for: Collection[str], names: Sequence[str]) -> str:
    reason = (
        f"no {role} column found among {listed(names)} (looked for "
        f"{', '.join(list(looked_for)[:5])}, …). Name it: {role}_column= in Python, "
        f"--{role}-column on the command line; where the file has no header line that is a "
        "number, 1 for the first column"
    )
    mark = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and mark:
        reason += f". Its fields seem to be separated by {mark!r}; .csv has commas, .tsv has tabs"
    return reason
