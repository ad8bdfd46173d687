"""Curves of scores against truth: ROC, precision and recall, reliability of probabilities."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = [
    "PrecisionRecallCurve",
    "Reliability",
    "RocCurve",
    "precision_recall_curve",
    "reliability",
    "roc_curve",
]


@dataclasses.dataclass(frozen=True)
class RocCurve:
    """What part of the false and of the true examples is found, from the highest score downwards.

    Attributes:
        false_positive_rate: (points,) float64, rising from 0 to 1; NaN where all are true.
        true_positive_rate: (points,) float64, rising from 0 to 1; NaN where none is true.
        thresholds: (points,) float64, falling: what scores at least this counts as found. The
            first is infinite: nothing is found.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray

    @property
    def area(self) -> float:
        """Chance that a true example scores higher than a false one; ties count half."""
        heights = self.true_positive_rate[1:] + self.true_positive_rate[:-1]
        return float(np.sum(np.diff(self.false_positive_rate) * heights) / 2)


@dataclasses.dataclass(frozen=True)
class PrecisionRecallCurve:
    """How much of what is found is true, and how much of what is true is found.

    Attributes:
        recall: (points,) float64, rising from 0 to 1; NaN where no example is true.
        precision: (points,) float64. The first is 1: nothing is found, so nothing is false.
        thresholds: (points,) float64, falling, as in ``RocCurve``.
    """

    recall: np.ndarray
    precision: np.ndarray
    thresholds: np.ndarray

    @property
    def average_precision(self) -> float:
        """Mean of the precisions, each weighted with the recall that its threshold adds."""
        return float(np.sum(np.diff(self.recall) * self.precision[1:]))


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How often the answers of each confidence are right.

    Attributes:
        edges: (bins + 1,) float64, from 0 to 1. A bin has its upper edge, the first both.
        counts: (bins,) int64, answers in each bin.
        confidence: (bins,) float64, their mean confidence; NaN in an empty bin.
        accuracy: (bins,) float64, the share of them that is right; NaN in an empty bin.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean gap of confidence and accuracy over all answers."""
        return float(np.sum(np.nan_to_num(self._gaps) * self.counts) / np.sum(self.counts))

    @property
    def largest_error(self) -> float:
        """Maximum calibration error: the largest gap of any bin."""
        return float(np.nanmax(self._gaps))

    @property
    def _gaps(self):
        return np.abs(self.accuracy - self.confidence)


def roc_curve(truth, scores) -> RocCurve:
    """Follows the rates of true and false finds as the threshold falls.

    Args:
        truth: (n,) bool or 0 and 1.
        scores: (n,) float, higher where an example is held for true. Equal scores are one point.

    Raises:
        ValueError: If there is nothing, the lengths differ, or a number is not finite.

    Source: Fawcett 2006, "An introduction to ROC analysis", algorithms 1 and 3.

    Example:
        >>> roc_curve([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]).area
        0.875
    """
    true, false, thresholds = _found(truth, scores)
    return RocCurve(_share(false), _share(true), np.append(np.inf, thresholds))


def precision_recall_curve(truth, scores) -> PrecisionRecallCurve:
    """Follows precision and recall as the threshold falls.

    Args:
        truth: (n,) bool or 0 and 1.
        scores: (n,) float, higher where an example is held for true. Equal scores are one point.

    Raises:
        ValueError: If there is nothing, the lengths differ, or a number is not finite.

    Source: Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves";
    for average precision, without their interpolation, Zhu 2004, "Recall, precision and average
    precision".

    Example:
        >>> round(precision_recall_curve([0, 1, 1], [0.5, 0.4, 0.8]).average_precision, 4)
        0.8333
    """
    true, false, thresholds = _found(truth, scores)
    precision = np.append(1.0, true[1:] / (true[1:] + false[1:]))
    return PrecisionRecallCurve(_share(true), precision, np.append(np.inf, thresholds))


def reliability(confidence, right, bins: int = 15) -> Reliability:
    """Sorts answers by their confidence into bins of equal width.

    Args:
        confidence: (n,) float from 0 to 1.
        right: (n,) bool or 0 and 1: whether the answer is right.
        bins: Number of bins.

    Raises:
        ValueError: If there is nothing, the lengths differ, or a confidence is not in [0, 1].

    Source: Guo et al. 2017 (arXiv:1706.04599), section 2.

    Example:
        >>> found = reliability([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0], bins=10)
        >>> round(found.expected_error, 4)
        0.1
    """
    right, confidence = _checked(right, confidence)
    # A float32 softmax may end a hair above 1.
    if confidence.min() < 0 or confidence.max() > 1 + 1e-6:
        raise ValueError(
            "Expected confidences from 0 to 1; received values from "
            f"{confidence.min():g} to {confidence.max():g}."
        )
    edges = np.linspace(0.0, 1.0, bins + 1)
    places = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = (
            np.bincount(places, weights=values, minlength=bins) / counts
            for values in (confidence, right)
        )
        return Reliability(edges, counts, *means)


def _found(truth, scores):
    """True and false examples found by each threshold, from none on, and the thresholds."""
    truth, scores = _checked(truth, scores)
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.cumsum(truth)[last]
    return np.append(0, true), np.append(0, last + 1 - true), scores[last]


def _share(counts):
    """Running counts as shares of the last one; NaN where that is 0."""
    return counts / counts[-1] if counts[-1] else np.full(len(counts), np.nan)


def _checked(truth, scores):
    truth, scores = np.asarray(truth), np.asarray(scores, np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape or not truth.size:
        raise ValueError(
            "Expected truths and scores of the same length, one at least; received shapes "
            f"{truth.shape} and {scores.shape}."
        )
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("Expected truths that are 0 or 1; received other values.")
    if not np.isfinite(scores).all():
        raise ValueError("Expected finite scores; received NaN or infinity.")
    return truth.astype(bool), scores
