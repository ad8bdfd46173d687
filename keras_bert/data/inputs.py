"""What users hand to ``fit``, ``evaluate`` and ``predict``: telling it apart and checking it."""

from __future__ import annotations

import collections.abc
import numbers

import numpy as np
import tensorflow as tf

from keras_bert.data.examples import Examples, shown
from keras_bert.data.objects import holds_texts, is_table, read_table
from keras_bert.data.tf_elements import has_texts
from keras_bert.data.wanted import AS_GIVEN, Wanted

__all__ = ["as_examples", "as_list", "is_texts", "labelled_texts", "read_texts_argument"]

FORMS = (
    "Expected texts (a list of strings, or of (text, text) pairs) with their labels, a list of "
    "(text, label) or ((text, text), label), Examples, a tf.data.Dataset of (text, label), or a "
    "table with columns for text and label: datasets.Dataset, DataFrame, dict of columns."
)


def is_texts(x) -> bool:
    """Whether ``x`` holds strings for the Preprocessor, rather than ids for the encoder."""
    if isinstance(x, tf.data.Dataset):
        return has_texts(x)
    if isinstance(x, tf.Tensor):
        return x.dtype == tf.string
    if isinstance(x, np.ndarray):
        return x.dtype.kind in "OSU"
    if isinstance(x, str | bytes | list | tuple | Examples) or _is_column(x):
        return True
    return is_table(x) and holds_texts(x)


def labelled_texts(x, y=None) -> tuple[list, list]:
    """Returns texts and labels of the accepted forms.

    Args:
        x: Texts, with their labels in ``y``; or items of (text, label); or ``Examples``; or a
            table (see ``read_table``) with usual names of columns, whose labels stay as they are
            but for the numbers of named classes.
        y: Labels.

    Raises:
        TypeError: If something is no text; the message names its place.
        ValueError: If there is nothing, or not one label per text.
    """
    examples = as_examples(x, with_labels=True) if y is None else None
    if examples is not None:
        texts, labels = examples.texts, examples.labels
    elif y is not None:
        texts, labels = read_texts_argument(x), as_list(y)
    else:
        texts, labels = _split_items(as_list(x))
    if len(texts) != len(labels):
        raise ValueError(f"Received {len(texts)} texts and {len(labels)} labels.")
    return read_texts_argument(texts), labels


def as_examples(x, with_labels: bool | None, label_kind: str = AS_GIVEN) -> Examples | None:
    """The examples in a table, or ``Examples`` as they are; None for anything else.

    Args:
        x: What users hand to ``fit``, ``evaluate`` or ``predict``.
        with_labels: Whether labels must be there (True) or are not read (False); None: they are
            read where there are any.
        label_kind: What the labels of a table are, see ``Examples``; by default they stay as they
            are, but for the numbers of named classes.

    Raises:
        SourceError: If a table has no such columns, or a row of it is broken.
        ValueError: If there are no labels.
    """
    if isinstance(x, Examples):
        if with_labels and x.labels is None:
            raise ValueError(f"{x.path} has no label column.")
        return x
    if is_table(x):
        return read_table(x, Wanted(with_labels=with_labels, label_kind=label_kind))
    return None


def read_texts_argument(texts) -> list:
    """Checks texts or pairs: all of one kind, all strings. Returns them as a list.

    Raises:
        TypeError: If an item is no text; the message names its place and what it is.
        ValueError: If there is no text at all.
    """
    if isinstance(texts, str | bytes):
        raise TypeError(
            f"Expected a list of texts; received one text, {shown(texts)}. Write [text]."
        )
    examples = as_examples(texts, with_labels=False)
    texts = as_list(texts) if examples is None else examples.texts
    if not texts:
        raise ValueError("Received no texts.")
    pairs = _is_pair(texts[0])
    for i, item in enumerate(texts):
        if _is_pair(item) != pairs:
            raise TypeError(f"texts[{i}] is {_kind(item)}, while texts[0] is {_kind(texts[0])}.")
        for part in item if pairs else (item,):
            if not isinstance(part, str | bytes):
                raise TypeError(
                    f"texts[{i}] is {shown(item)} of type {type(item).__name__}; expected a "
                    "string, or a (text, text) pair."
                )
    return texts


def _split_items(items):
    for i, item in enumerate(items):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError(f"Item {i} is {shown(item)}, no (text, label). {FORMS}")
    return [text for text, _ in items], [label for _, label in items]


def as_list(values) -> list:
    """The items of a list, tuple, array, tensor or pandas column.

    Raises:
        TypeError: If it is none of these.
    """
    if isinstance(values, tf.Tensor):
        values = values.numpy()
    if hasattr(values, "tolist"):
        return values.tolist()
    if isinstance(values, list | tuple) or _is_column(values):
        return list(values)
    raise TypeError(f"Received {type(values).__name__}. {FORMS}")


def _is_column(x):
    """A pandas column or anything that looks like one, or a column of a ``datasets.Dataset``."""
    if hasattr(x, "tolist") and hasattr(x, "iloc"):
        return True
    return isinstance(x, collections.abc.Sequence) and not isinstance(x, str | bytes)


def _is_pair(item):
    return isinstance(item, tuple | list) and len(item) == 2


def _kind(item):
    if _is_pair(item):
        return "a pair"
    if isinstance(item, numbers.Number) or item is None:
        return f"{item!r}, no text"
    return "a single text" if isinstance(item, str | bytes) else f"a {type(item).__name__}"
