"""What the labels of a token classifier mean: entities, or a name for each word."""

from __future__ import annotations

import numpy as np

from keras_bert.data.examples import listed, shown
from keras_bert.data.tags import (
    OUTSIDE,
    are_entity_tags,
    normal_tags,
    tag_parts,
    tags_of_spans,
)

__all__ = ["TagLabels"]


class TagLabels:
    """A token classifier's labels as tables, with one row per label.

    Args:
        labels: Their names, in the order of the logits.

    Attributes:
        names: The names.
        of_entities: Whether the labels mark entities: ``B-PER``, ``I-PER``, ``O``.
        scheme: The scheme that tags are brought to: IOB2, or IOE2, IOBES or BILOU if the labels
            are such; None where they mark no entities.
        outside: The number of ``"O"``, -1 where there is none.
        types: Names of what is found: types of entities, or the labels themselves.
        type_of: (labels,) int32: the number of each label's type; -1 for ``"O"``.
        opens: (labels,) bool: whether the label begins an entity wherever it stands.
        closes: (labels,) bool: whether the next word is of another entity.
        continued: (labels,) int32: the label of the later pieces of a word of this label; -1 where
            there is none: inner pieces of the one word of IOBES' ``S-PER`` would be none of it.

    Example:
        >>> labels = TagLabels(["O", "B-PER", "I-PER"])
        >>> labels.scheme, labels.types, labels.continued.tolist()
        ('IOB2', ['PER'], [0, 2, 2])
        >>> labels.numbers(["I-PER", "I-PER", "O"])
        [1, 2, 0]
    """

    def __init__(self, labels):
        self.names = list(labels)
        self.of_entities = are_entity_tags(self.names)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self.outside = self._numbers.get(OUTSIDE, -1)
        # A name without a letter among tags of entities is one of a word.
        parts = [(self.of_entities and tag_parts(name)) or ("S", name) for name in self.names]
        parts = [
            (OUTSIDE, "") if name == OUTSIDE else part
            for name, part in zip(self.names, parts, strict=True)
        ]
        self.scheme = _scheme({letter for letter, _ in parts}) if self.of_entities else None
        self.types = list(dict.fromkeys(kind for letter, kind in parts if letter != OUTSIDE))
        self.type_of = np.array(
            [-1 if letter == OUTSIDE else self.types.index(kind) for letter, kind in parts],
            np.int32,
        )
        self.opens = np.array([letter in "BSU" for letter, _ in parts])
        self.closes = np.array([letter in "ESLU" for letter, _ in parts])
        self.continued = np.array([self._continued(name) for name in self.names], np.int32)

    def numbers(self, tags) -> list[int]:
        """Tags as numbers of labels, once they are written in the labels' scheme.

        Args:
            tags: One per word: names, of any scheme, or numbers from 0.

        Raises:
            KeyError: With the place of a tag that no label is for.
        """
        names = [self._name(place, tag) for place, tag in enumerate(tags)]
        if self.scheme is not None:
            written = normal_tags(names, self.scheme)
            pairs = zip(names, written, strict=True)
            names = [name if tag_parts(name) is None else tag for name, tag in pairs]
        return [self._number(place, name) for place, name in enumerate(names)]

    def numbers_of_spans(self, spans, words: int) -> list[int]:
        """Entities ``(type, start, end)``, in words, as a number of a label per word.

        Raises:
            KeyError: With the place of a word that no label is for.
        """
        if self.scheme is not None:
            return self.numbers(tags_of_spans(spans, words, self.scheme))
        tags = [OUTSIDE] * words
        for kind, start, end in spans:
            tags[start:end] = [kind] * (end - start)
        return self.numbers(tags)

    def problem(self, place: int, tag, where: str) -> ValueError:
        """The error for a tag without a label."""
        return ValueError(
            f"{where} has the unknown tag {shown(tag)}; the model knows {listed(self.names)}."
        )

    def _name(self, place, tag):
        number = isinstance(tag, int | np.integer) and not isinstance(tag, bool)
        if number and str(tag) not in self._numbers:
            if not 0 <= tag < len(self.names):
                raise KeyError(place)
            return self.names[tag]
        name = str(tag)
        if name not in self._numbers and (self.scheme is None or tag_parts(name) is None):
            raise KeyError(place)
        return name

    def _number(self, place, name):
        number = self._numbers.get(name)
        if number is None and name.startswith("B"):
            number = self._numbers.get("I" + name[1:])  # labels without any B
        if number is None:
            raise KeyError(place)
        return number

    def _continued(self, name):
        parts = tag_parts(name)
        if not self.of_entities or parts is None or parts[0] in "IO":
            return self._numbers[name]
        return self._numbers.get("I" + name[1:], -1) if parts[0] == "B" else -1


def _scheme(letters):
    if letters & set("LU"):
        return "BILOU"
    if letters & set("ES"):
        return "IOBES" if "B" in letters else "IOE2"
    return "IOB2"
