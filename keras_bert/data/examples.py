"""Examples as they were read, each with the line it came from, and the error that names a line."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

#: A text; a pair; or anchor, positive and negative.
Texts = str | tuple[str, str] | tuple[str, str, str]
#: The same; or a prompt, a text or pair, with its choices.
Text = Texts | tuple[str | tuple[str, str], tuple[str, ...]]
Column = str | int
Label = str | float | tuple[str, ...] | int

#: How messages name a place, by what a source is counted in.
_PLACES = {"line": "{path}, line {row}", "row": "{path}, row {row}", "index": "{path}[{row}]"}


class SourceError(ValueError):
    """A data file, or any other source, that cannot be read as examples.

    Attributes:
        path: the file; or what another source is called.
        row: where the broken row starts: the line (from 1) of a text file; None where the whole
            source is meant.
        reason: what is wrong, in words.
        unit: what ``row`` counts: ``"line"``; ``"row"``, from 1, where a file has no lines;
            ``"index"``, from 0, into an object in memory.
    """

    def __init__(self, path, row: int | None, reason: str, unit: str = "line"):
        super().__init__(path, row, reason, unit)
        self.path, self.row, self.reason, self.unit = str(path), row, reason, unit

    def __str__(self) -> str:
        return f"{place_of(self.path, self.row, self.unit)}: {self.reason}"


def place_of(path: str, row: int | None, unit: str = "line") -> str:
    """Names a row of a source: ``data.csv, line 3``; ``data.parquet, row 3``; ``Dataset[2]``."""
    return path if row is None else _PLACES[unit].format(path=path, row=row)


@dataclasses.dataclass
class Examples:
    """The examples of one source.

    Attributes:
        texts: one item per example, all of one form: a string; a ``(text, second text)`` tuple;
            ``(anchor, positive, negative)``; or ``(prompt, (choice, choice, …))``, where the prompt
            is a string or a tuple of a string and what each choice goes on from.
        labels: one label per example, as ``label_kind`` says; None where there are none.
        rows: where each example starts: the line (from 1) of a text file, or as ``unit`` says.
        skipped: ``(row, reason)`` of each row left out because of ``skip_bad_rows``.
        columns: the columns read, by role: ``"text"``, and where they exist ``"text_pair"``,
            ``"negative"``, ``"choices"`` and ``"label"``. Each is a name, or a number (from 1) in a
            file without header, or a tuple of them.
        path: the file, or what else they come from.
        label_kind: what a label is. ``"class"``: a name; ``"value"``: a float; ``"labels"``: a
            tuple of names, none too; ``"choice"``: the number of the right choice, from 0.
        classes: the names of the classes, in the order of the source; None where it does not say.
        unlabelled: rows left out because the source says that they have no gold label.
        unit: what ``rows`` count, see ``SourceError``.
    """

    texts: list[Text]
    labels: list[Label] | None
    rows: list[int]
    skipped: list[tuple[int, str]]
    columns: dict[str, Column | tuple[Column, ...]]
    path: str
    _: dataclasses.KW_ONLY
    label_kind: str = "class"
    classes: list[str] | None = None
    unlabelled: list[int] = dataclasses.field(default_factory=list)
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def label_names(self) -> list[str]:
        """The names of the labels: as the source orders them, or else those found, sorted."""
        if self.labels is None or self.label_kind not in ("class", "labels"):
            return []
        if self.classes is not None:
            return list(self.classes)
        return sorted(set(self._named()))

    #: What messages call a label.
    noun = "label"

    def _named(self) -> Iterable[str]:
        """Every name in ``labels``."""
        return (name for label in self.labels or () for name in self._names_in(label))

    def _names_in(self, label: Label) -> Iterable[str]:
        """The names in one label."""
        return _as_names(label)

    def select(self, indices: Iterable[int]) -> "Examples":
        """Some of these examples, by their index from 0."""
        indices = list(indices)
        return dataclasses.replace(
            self,
            texts=[self.texts[index] for index in indices],
            labels=None if self.labels is None else [self.labels[index] for index in indices],
            rows=[self.rows[index] for index in indices],
        )

    def with_known_labels(self, known: Sequence[str], skip_bad_rows: bool = False) -> "Examples":
        """These examples, once every label is known to be one of ``known``.

        Args:
            known: the labels a model has.
            skip_bad_rows: leave rows with other labels out and list them in ``skipped``.

        Returns:
            ``self``, or new Examples where rows were left out.

        Raises:
            SourceError: a label is not in ``known``, or no example is left.
        """
        names = set(known)
        if self.label_kind not in ("class", "labels") or names.issuperset(self._named()):
            return self
        kept, skipped = [], list(self.skipped)
        for index, (row, label) in enumerate(zip(self.rows, self.labels, strict=True)):
            unknown = [name for name in self._names_in(label) if name not in names]
            if not unknown:
                kept.append(index)
                continue
            reason = f"unknown {self.noun} {shown(unknown[0])}; the model knows {listed(known)}"
            if not skip_bad_rows:
                raise SourceError(self.path, row, reason, self.unit)
            skipped.append((row, reason))
        examples = self.select(kept)
        examples.skipped = sorted(skipped)
        examples.require_some()
        return examples

    def require_some(self) -> None:
        """Raises a SourceError where no example is left, with the first reason why."""
        if self.texts:
            return
        if not self.skipped and self.unlabelled:
            rows = counted(len(self.unlabelled), "row")
            raise SourceError(self.path, None, f"none of {rows} has a gold label; test data?")
        if not self.skipped:
            raise SourceError(self.path, None, "the file holds no rows")
        row, reason = self.skipped[0]
        skipped = counted(len(self.skipped), "row")
        first = f"[{row}]" if self.unit == "index" else f"{self.unit} {row}"
        raise SourceError(
            self.path, None, f"no row could be used, {skipped} skipped; {first}: {reason}"
        )

    def describe(self) -> str:
        """What was found, in one line: rows, columns, labels and how many rows were left out."""
        parts = [f"{self.path}: {counted(len(self), 'row')}"]
        for role, column in self.columns.items():
            if isinstance(column, tuple):
                parts.append(f"{role.replace('_', ' ')} in columns {listed(column)}")
            else:
                parts.append(f"{role.replace('_', ' ')} in column {shown(column)}")
        if self.labels is not None:
            parts.append(_DESCRIPTIONS[self.label_kind](self))
        if self.unlabelled:
            rows = counted(len(self.unlabelled), "row")
            parts.append(f"{rows} without gold label left out")
        if self.skipped:
            parts.append(f"{counted(len(self.skipped), 'bad row')} skipped")
        return ", ".join(parts)


def _as_names(label: Label) -> Sequence[str]:
    return label if isinstance(label, tuple) else (label,)


def _describe_values(examples: Examples) -> str:
    numbers = [label for label in examples.labels if math.isfinite(label)]
    return f"numbers from {min(numbers):g} to {max(numbers):g}" if numbers else "no numbers"


def _describe_choices(examples: Examples) -> str:
    most = [len(choices) for _, choices in examples.texts]
    few, many = min(most), max(most)
    return f"{few} choices each" if few == many else f"{few} to {many} choices each"


def _describe_label_lists(examples: Examples) -> str:
    most = max(map(len, examples.labels), default=0)
    return f"{counted(len(examples.label_names), 'label')}, up to {most} each"


#: What is said of labels, by their kind.
_DESCRIPTIONS = {
    "class": lambda examples: counted(len(examples.label_names), "label"),
    "value": _describe_values,
    "labels": _describe_label_lists,
    "choice": _describe_choices,
}


def shown(value: Any, longest: int = 40) -> str:
    """A value quoted for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def listed(values: Iterable[Any], most: int = 8) -> str:
    """Values quoted for a message, the first ``most`` of them."""
    values = list(values)
    few = ", ".join(shown(value) for value in values[:most])
    return few if len(values) <= most else f"{few}, … ({len(values)} in all)"


def counted(number: int, noun: str) -> str:
    """``1 row``, ``2 rows``, ``1,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
