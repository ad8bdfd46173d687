"""Examples of texts that are compared: pairs, triplets, and pairs with how similar they are."""

from __future__ import annotations

import math
import numbers

import numpy as np
import tensorflow as tf

from keras_bert.data.examples import shown
from keras_bert.data.inputs import as_examples, as_list

__all__ = ["comparison_tensors", "read_comparisons"]

FORMS = (
    "Expected texts that belong together, (text, text) or (text, text, negative, ...), with no "
    "label; or pairs with a score, ((text, text), score) or (text, text, score)."
)


def read_comparisons(x, y=None) -> tuple[list[tuple[str, ...]], np.ndarray | None]:
    """Reads examples of texts that are compared.

    Args:
        x: A list of (text, text), of (anchor, positive, negative, ...), of ((text, text), score) or
            of (text, text, score); or pairs whose scores are ``y``; or ``Examples`` of pairs,
            or a table.
        y: Numbers that say how similar the texts are.

    Returns:
        The texts, a tuple for each example, all of one size; and the scores (examples,) float32, or
        None where there are none.

    Raises:
        TypeError: If an item is something else; the message names its place.
        ValueError: If there is nothing, if the items are not all of one kind and size, or if a
            score is no number.

    Example:
        >>> read_comparisons([(("It rains.", "Bad weather."), 0.8)])
        ([('It rains.', 'Bad weather.')], array([0.8], dtype=float32))
    """
    examples = as_examples(x, with_labels=None)
    if examples is not None:
        x, y = examples.texts, examples.labels if y is None else y
    items = as_list(x)
    if not items:
        raise ValueError("Received no texts.")
    groups, scores = zip(*map(_split, range(len(items)), items), strict=True)
    if y is not None:
        if any(score is not None for score in scores):
            raise ValueError("Scores stand both beside the texts and in y. Expected one of them.")
        scores = as_list(y)
        if len(scores) != len(groups):
            raise ValueError(f"Received {len(groups)} groups of texts and {len(scores)} scores.")
    _check_alike(groups, scores)
    if scores[0] is None:
        return list(groups), None
    return list(groups), np.array([_number(i, s) for i, s in enumerate(scores)], np.float32)


def _split(place, item):
    """An item's texts, and its score or None."""
    if isinstance(item, np.ndarray):
        item = item.tolist()
    if not isinstance(item, tuple | list) or len(item) < 2:
        raise TypeError(f"Item {place} is {shown(item)}. {FORMS}")
    *texts, last = item
    if len(texts) == 1 and isinstance(texts[0], tuple | list):
        texts, score = texts[0], last
    elif isinstance(last, numbers.Number):
        score = last
    else:
        texts, score = item, None
    if len(texts) < 2 or not all(isinstance(text, str | bytes) for text in texts):
        raise TypeError(f"Item {place} is {shown(item)}. {FORMS}")
    return tuple(texts), score


def _check_alike(groups, scores):
    for place, (texts, score) in enumerate(zip(groups, scores, strict=True)):
        if len(texts) != len(groups[0]):
            raise ValueError(
                f"Item {place} has {len(texts)} texts, while item 0 has {len(groups[0])}."
            )
        if (score is None) != (scores[0] is None):
            has = ("a score", "none")
            raise ValueError(
                f"Item {place} has {has[score is None]}, while item 0 has {has[scores[0] is None]}."
            )


def _number(place, score) -> float:
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"The score of item {place} is {shown(score)}; expected a number.")
    return number


def comparison_tensors(element) -> tuple[list[tf.Tensor], tf.Tensor | None]:
    """The same of an element of a ``tf.data.Dataset``: string tensors, and the scores' or None.

    Args:
        element: A nest of two string tensors or more, and last a tensor of numbers, or none.

    Raises:
        ValueError: If it is something else.
    """
    *texts, last = tf.nest.flatten(element)
    scores = None
    if last.dtype == tf.string:
        texts.append(last)
    else:
        scores = last
    if len(texts) < 2 or any(text.dtype != tf.string for text in texts):
        raise ValueError(f"Received a tf.data.Dataset with elements {element}. {FORMS}")
    return texts, scores
