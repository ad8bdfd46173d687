"""Precision, recall and F1 of labels, and the order in which a table shows them."""

from __future__ import annotations

import numpy as np

__all__ = ["f1_scores", "label_scores", "order_of_labels", "order_told"]

#: With more labels than these, the ones with the lowest scores come first.
FEW_LABELS = 12


def label_scores(hits, gold, predicted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each label; NaN where one is not defined.

    Args:
        hits: (labels,) int, texts that have the label and got it.
        gold: (labels,) int, texts that have it.
        predicted: (labels,) int, texts that got it.
    """
    hits, gold, predicted = (np.asarray(counts) for counts in (hits, gold, predicted))
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / predicted, hits / gold, 2 * hits / (gold + predicted)


def f1_scores(hits, gold, predicted) -> np.ndarray:
    """F1 of each label; NaN where it is neither in the gold labels nor in the predicted ones."""
    return label_scores(hits, gold, predicted)[2]


def order_of_labels(f1) -> np.ndarray:
    """Places of labels in a table: as they are where they are few, else the lowest F1 first."""
    if len(f1) <= FEW_LABELS:
        return np.arange(len(f1))
    return np.argsort(np.nan_to_num(f1, nan=2.0), kind="stable")


def order_told(f1) -> str:
    """What is said above a table of labels."""
    dash = "A dash stands where a score is not defined: the label is in no text, or never given."
    return f"The lowest F1 comes first. {dash}" if len(f1) > FEW_LABELS else dash
