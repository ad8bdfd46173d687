"""Texts with tags or entities, as users hand them over: told apart and checked.

An example is a list of words with a tag for each, or a text with entities: dicts of ``label``,
``start`` and ``end``, in characters of the text. Bytes are decoded; halves of surrogate pairs,
which are no characters, become U+FFFD, so that places in a text stay as Python counts them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_bert.data.examples import Examples, shown
from keras_bert.data.objects import is_table, read_columns

__all__ = ["byte_places", "labels_of_examples", "read_tagged", "read_tagged_texts", "word_bytes"]

FORMS = (
    "Expected a list of (words, tags), or of (text, entities) where an entity is a dict of label, "
    "start and end; or texts, or lists of words, with their labels as a second argument; or what "
    "read_conll returns."
)

#: What columns of a table are usually called: those of CoNLL 2003 and of Universal Dependencies.
TABLE_COLUMNS = {
    "words": ("tokens", "words", "form"),
    "tags": ("ner_tags", "tags", "labels", "upos", "pos_tags"),
}

Words = tuple[str, ...]
Entity = tuple[str, int, int]


def read_tagged_texts(texts: Any) -> list[str] | list[Words]:
    """Checks texts: all strings, or all lists of words.

    Returns:
        A list of str, or of tuples of str.

    Raises:
        TypeError: Something is neither; the message names its place.
        ValueError: There is no text at all, or some are words and others not.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(
            f"Expected a list of texts, or of lists of words; received one text, {shown(texts)}. "
            "Write [text]."
        )
    texts = _as_list(texts.texts if isinstance(texts, Examples) else texts)
    if not texts:
        raise ValueError("Received no texts.")
    read = [_read_text(place, text) for place, text in enumerate(texts)]
    for place, text in enumerate(read):
        if type(text) is not type(read[0]):
            kinds = ["a text" if isinstance(t, str) else "a list of words" for t in (text, read[0])]
            raise ValueError(
                f"texts[{place}] is {kinds[0]}, while texts[0] is {kinds[1]}. Expected one kind."
            )
    return read


def read_tagged(x: Any, y: Any = None) -> tuple[list, list]:
    """Checks labelled examples of the accepted forms.

    Args:
        x: Items of (words, tags) or (text, entities); or texts, with their labels in ``y``; or
            ``TaggedExamples``; or a table with columns such as ``tokens`` and ``ner_tags``.
        y: Tags or entities of each text.

    Returns:
        The texts as ``read_tagged_texts`` returns them. For words, a list of as many tags each,
        names or numbers; for strings, a list of ``(label, start, end)`` in rising order, without
        blanks at their ends.

    Raises:
        TypeError, ValueError: Something is of no such form, or does not fit its text: as many tags
            as words, entities inside of the text that do not overlap. The message names its place.
    """
    if isinstance(x, Examples):
        if x.labels is None:
            raise ValueError(f"{x.path} has no column of tags.")
        texts, labels = x.texts, x.labels
    elif y is None and is_table(x):
        columns = read_columns(x, TABLE_COLUMNS)
        texts, labels = columns["words"], columns["tags"]
    elif y is not None:
        texts, labels = _as_list(x), _as_list(y)
    else:
        texts, labels = _split_items(_as_list(x))
    if len(texts) != len(labels):
        raise ValueError(f"Received {len(texts)} texts and the labels of {len(labels)}.")
    texts = read_tagged_texts(texts)
    read = _read_entities if isinstance(texts[0], str) else _read_tags
    pairs = enumerate(zip(texts, labels, strict=True))
    return texts, [read(place, text, label) for place, (text, label) in pairs]


def labels_of_examples(x: Any, y: Any = None) -> tuple[set[str], bool]:
    """The tags of all words; or the labels of all entities, and True."""
    texts, labels = read_tagged(x, y)
    if isinstance(texts[0], str):
        return {label for entities in labels for label, _, _ in entities}, True
    return {str(tag) for tags in labels for tag in tags}, False


def _split_items(items):
    for place, item in enumerate(items):
        pair = isinstance(item, tuple | list) and len(item) == 2
        if not pair or isinstance(item[1], str | bytes):
            raise TypeError(f"Item {place} is {shown(item)}. {FORMS}")
    return [text for text, _ in items], [label for _, label in items]


def _as_list(values):
    if hasattr(values, "numpy"):
        values = values.numpy()
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, list | tuple):
        return list(values)
    raise TypeError(f"Received {type(values).__name__}. {FORMS}")


def _read_text(place, text):
    if isinstance(text, str | bytes):
        return _characters(text)
    if isinstance(text, Mapping) or not isinstance(text, Iterable):
        raise TypeError(
            f"texts[{place}] is {shown(text)} of type {type(text).__name__}; expected a string, or "
            "a list of words."
        )
    words = _as_list(text)
    for number, word in enumerate(words):
        if not isinstance(word, str | bytes):
            raise TypeError(
                f"texts[{place}][{number}] is {shown(word)} of type {type(word).__name__}; "
                "expected a word, a string."
            )
    return tuple(map(_characters, words))


def _characters(text):
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    if text.isascii():
        return text
    # Halves that stand beside each other are one character in UTF-16, and two in a str.
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def _read_tags(place, words, tags):
    if isinstance(tags, str | bytes | Mapping):
        raise TypeError(f"The tags of example {place} are {shown(tags)}; expected a list of them.")
    tags = [tag.decode("utf-8") if isinstance(tag, bytes) else tag for tag in _as_list(tags)]
    if len(tags) != len(words):
        raise ValueError(
            f"Example {place} has {len(words)} words and {len(tags)} tags; expected as many. It "
            f"begins {shown(' '.join(words[:8]))}."
        )
    return tags


def _read_entities(place, text, entities):
    read = sorted(
        (_read_entity(place, text, entity) for entity in _as_list(entities)), key=lambda e: e[1:]
    )
    for one, other in itertools.pairwise(read):
        if other[1] < one[2]:
            raise ValueError(
                f"Example {place} has entities that overlap, {shown(one)} and {shown(other)}; a "
                "word has one tag. Leave one of them out."
            )
    return read


def _read_entity(place, text, entity: Any) -> Entity:
    if not isinstance(entity, Mapping) or not {"label", "start", "end"} <= set(entity):
        raise TypeError(
            f"Example {place} has the entity {shown(entity)}; expected a dict of label, start and "
            "end."
        )
    label, start, end = (entity[name] for name in ("label", "start", "end"))
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in (start, end))
    part = text[start:end] if whole and 0 <= start < end <= len(text) else ""
    if not part.strip():
        raise ValueError(
            f"Example {place} has an entity {shown(label)} from {start!r} to {end!r}, where its "
            f"text of {len(text)} characters has no word."
        )
    if _says_otherwise(entity.get("text"), part):
        raise ValueError(
            f"Example {place} has an entity with the text {shown(entity['text'])} from {start} to "
            f"{end}, where its text has {shown(part)}."
        )
    start, end = int(start), int(end)
    left, right = len(part) - len(part.lstrip()), len(part) - len(part.rstrip())
    return str(label), start + left, end - right


def _says_otherwise(said: Any, part: str) -> bool:
    return isinstance(said, str | bytes) and _characters(said) != part


def byte_places(text: str) -> np.ndarray:
    """Where the bytes of each character begin in UTF-8, int64 (characters + 1,).

    Example:
        >>> byte_places("Où?").tolist()
        [0, 1, 3, 4]
    """
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    widths = np.ones(len(codes) + 1, np.int64)
    for first in (0x80, 0x800, 0x10000):
        widths[1:] += codes >= first
    widths[0] = 0
    return np.cumsum(widths)


def word_bytes(spans: Sequence[tuple[int, int]], text: str) -> np.ndarray:
    """Spans in characters of a text as spans in its bytes, int32 (spans, 2)."""
    places = np.asarray(spans, np.int64).reshape(-1, 2)
    return (places if text.isascii() else byte_places(text)[places]).astype(np.int32)
