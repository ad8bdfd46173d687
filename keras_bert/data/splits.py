"""Splits of data sets: what they are called, which files they are in, parts of them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from keras_bert.data.examples import Examples, SourceError, listed, shown

#: Names that mean the same split; the first is TensorFlow Datasets'.
SAME_SPLITS = (
    ("train", "training"),
    ("validation", "dev", "val", "valid", "eval"),
    ("test", "testing"),
    ("validation_matched", "dev_matched", "validation", "dev", "val", "valid"),
    ("validation_mismatched", "dev_mismatched"),
    ("test_matched", "test", "testing"),
)
_SPLIT = re.compile(r"(?P<name>[^\[\]+]+)(?:\[(?P<start>-?\d*%?):(?P<end>-?\d*%?)\])?")
_WORDS = re.compile(r"[^a-z]+")


class Split(NamedTuple):
    """A split, and the part of it that is asked for; None: from its start, to its end."""

    name: str | None
    start: str | None = None
    end: str | None = None

    def part_of(self, examples: Examples) -> Examples:
        """The examples of the part.

        Raises:
            SourceError: the part is empty.
        """
        if not self.start and not self.end:
            return examples
        total = len(examples)
        indices = range(total)[_index(self.start, total) : _index(self.end, total)]
        if not indices:
            part = f"[{self.start or ''}:{self.end or ''}]"
            raise SourceError(examples.path, None, f"{part} of {total:,} rows holds none")
        return examples.select(indices)


def parse_split(split: str | None) -> Split:
    """Reads ``"train"``, ``"train[:100]"``, ``"train[10%:20%]"``, ``"[:100]"``, or None.

    Raises:
        TypeError: it is no string.
        ValueError: it is written otherwise.

    Example:
        >>> parse_split("train[:10%]")
        Split(name='train', start=None, end='10%')
    """
    if split is None:
        return Split(None)
    if not isinstance(split, str):
        raise TypeError(
            f"split is {shown(split)}; expected a name such as 'train' or 'train[:100]'"
        )
    found = _SPLIT.fullmatch(split if not split.startswith("[") else f" {split}")
    if not found:
        raise ValueError(
            f"split is {shown(split)}; expected a name such as 'train', or a part of one such as "
            "'train[:100]' or 'train[10%:20%]'"
        )
    return Split(found["name"].strip() or None, found["start"] or None, found["end"] or None)


def choose_split(path: str, split: str | None, names: Iterable[str]) -> str:
    """The one of ``names`` that is meant by ``split``.

    Args:
        path: the source, for messages.
        split: what was asked for; ``"dev"`` stands for ``"validation"``, too. None: the only one.
        names: the splits that there are.

    Raises:
        SourceError: there is no such split, or none was asked for and there are several.
    """
    names = list(names)
    if split is None:
        if len(names) == 1:
            return names[0]
        raise SourceError(path, None, f"there are several splits: split= one of {listed(names)}")
    for wanted in (split, *_same_as(split)):
        for name in names:
            if name.casefold() == wanted.casefold():
                return name
    raise SourceError(path, None, f"there is no split {shown(split)}; there are {listed(names)}")


def files_of_splits(folder: Path, suffixes: Sequence[str]) -> dict[str, list[Path]]:
    """The data files of a folder, by the split that their names tell.

    ``train.csv``, ``msr-para-train.tsv`` and ``train-00000-of-00002.parquet`` are of the split
    ``train``, a file without such a word is of the split ``""``.

    Args:
        folder: the folder; its subfolder ``data`` is looked at, too.
        suffixes: what data files end in.
    """
    found: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        files = sorted(place.iterdir()) if place.is_dir() else []
        for file in files:
            if file.is_file() and file.suffix.lower() in suffixes:
                found.setdefault(_split_of(file.stem), []).append(file)
    if len(found) > 1:
        found.pop("", None)
    return found


def _same_as(split: str) -> list[str]:
    """Other names of a split, likeliest first."""
    groups = [names for names in SAME_SPLITS if split.casefold() in names]
    return [name for names in groups for name in names]


def _split_of(stem: str) -> str:
    words = [word for word in _WORDS.split(stem.casefold()) if word]
    for position, word in enumerate(words):
        for names in SAME_SPLITS[:3]:
            if word in names:
                matched = [w for w in words[position + 1 :] if w in ("matched", "mismatched")]
                return "_".join([names[0], *matched])
    return ""


def _index(bound: str | None, total: int) -> int | None:
    if not bound:
        return None
    # Per cent are rounded to the nearest row, as TensorFlow Datasets does.
    return round(total * int(bound[:-1]) / 100) if bound.endswith("%") else int(bound)
