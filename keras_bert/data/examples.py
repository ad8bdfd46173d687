"""Examples as they were read, each with the line it came from, and the error that names a line."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

Text = str | tuple[str, str]
Column = str | int


class SourceError(ValueError):
    """A data file that cannot be read as examples.

    Attributes:
        path: the file.
        row: the line (from 1) where the broken row starts; None where the whole file is meant.
        reason: what is wrong, in words.
    """

    def __init__(self, path: str | os.PathLike, row: int | None, reason: str):
        super().__init__(path, row, reason)
        self.path, self.row, self.reason = str(path), row, reason

    def __str__(self) -> str:
        place = self.path if self.row is None else f"{self.path}, line {self.row}"
        return f"{place}: {self.reason}"


@dataclasses.dataclass
class Examples:
    """The examples of one file.

    Attributes:
        texts: one string per example, or one ``(text, second text)`` tuple.
        labels: one label name per example; None where the file has no label column.
        rows: the line (from 1) of the file where each example starts.
        skipped: ``(line, reason)`` of each row left out because of ``skip_bad_rows``.
        columns: the columns read: ``"text"``, and where they exist ``"text_pair"`` and
            ``"label"``, each with its name, or its number (from 1) in a file without header.
        path: the file.
    """

    texts: list[Text]
    labels: list[str] | None
    rows: list[int]
    skipped: list[tuple[int, str]]
    columns: dict[str, Column]
    path: str

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def label_names(self) -> list[str]:
        """The different labels, sorted."""
        return sorted(set(self.labels or ()))

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
        if names.issuperset(self.labels or ()):
            return self
        kept, skipped = [], list(self.skipped)
        for index, (row, label) in enumerate(zip(self.rows, self.labels, strict=True)):
            if label in names:
                kept.append(index)
                continue
            reason = f"unknown label {shown(label)}; the model knows {listed(known)}"
            if not skip_bad_rows:
                raise SourceError(self.path, row, reason)
            skipped.append((row, reason))
        examples = dataclasses.replace(
            self,
            texts=[self.texts[index] for index in kept],
            labels=[self.labels[index] for index in kept],
            rows=[self.rows[index] for index in kept],
            skipped=sorted(skipped),
        )
        examples.require_some()
        return examples

    def require_some(self) -> None:
        """Raises a SourceError where no example is left, with the first reason why."""
        if self.texts:
            return
        if not self.skipped:
            raise SourceError(self.path, None, "the file holds no rows")
        row, reason = self.skipped[0]
        skipped = counted(len(self.skipped), "row")
        raise SourceError(
            self.path, None, f"no row could be used, {skipped} skipped; line {row}: {reason}"
        )

    def describe(self) -> str:
        """What was found, in one line: rows, columns, labels and how many rows were left out."""
        parts = [f"{self.path}: {counted(len(self), 'row')}"]
        for role, column in self.columns.items():
            parts.append(f"{role.replace('_', ' ')} in column {shown(column)}")
        if self.labels is not None:
            parts.append(counted(len(self.label_names), "label"))
        if self.skipped:
            parts.append(f"{counted(len(self.skipped), 'bad row')} skipped")
        return ", ".join(parts)


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
