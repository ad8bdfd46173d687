"""Scores for regression: how two series of numbers go together."""

import functools

import keras
import numpy as np
from keras import ops

__all__ = ["PearsonCorrelation", "mean_squared_error", "pearson", "spearman"]

#: A series whose standard deviation is a smaller share of its mean than this is constant: what is
#: left of it is rounding. Source: ``scipy.stats.pearsonr``, which warns from there on.
_CONSTANT = 1e-13


@keras.saving.register_keras_serializable("keras_bert")
class PearsonCorrelation(keras.metrics.Metric):
    """Pearson's correlation of labels and predictions, batch by batch: STS-B's score.

    Means and sums of squared differences from them are kept in float64 and merged, so that numbers
    far from 0 lose nothing. Where labels or predictions are constant, or fewer than two, the
    correlation is not defined and the score is NaN, as in SciPy.

    Args:
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: labels and predictions of as many numbers, of any shape. A sample weight says how often
    a pair counts.

    Source: Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing
    sample variances", equation 2.1; ``scipy.stats.pearsonr``.

    Example:
        >>> metric = PearsonCorrelation()
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
        >>> round(float(metric.result()), 6)
        0.5
    """

    def __init__(self, name="pearson", **kwargs):
        super().__init__(name=name, **kwargs)
        # A place for each replica of a strategy: these add up what their replicas have counted,
        # which puts it side by side here.
        self._places, self._place = _replicas()
        self.count = self._float64((self._places,), "count")
        self.means = self._float64((self._places, 2), "means")
        self.products = self._float64((self._places, 2, 2), "products")

    def _float64(self, shape, name):
        return self.add_weight(shape=shape, initializer="zeros", dtype="float64", name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Merges a batch with what was seen before."""
        pairs = ops.stack([ops.reshape(ops.cast(y, "float64"), (-1,)) for y in (y_true, y_pred)])
        weight = ops.ones_like(pairs[0])
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, "float64"), (-1,))
        batch = ops.sum(weight)
        means = ops.sum(pairs * weight, axis=1) / _or_one(batch)
        apart = pairs - ops.expand_dims(means, 1)
        products = ops.matmul(apart * weight, ops.transpose(apart))
        mine = ops.one_hot(self._place(), self._places, dtype="float64")
        seen = self.count, self.means, self.products
        before = [ops.tensordot(mine, x, axes=1) for x in seen]
        after = _merged(before, [batch, means, products])
        for variable, old, new in zip(seen, before, after, strict=True):
            change = ops.reshape(mine, (-1,) + (1,) * len(new.shape)) * (new - old)
            variable.assign_add(change)

    def result(self):
        """The score so far, a scalar between -1 and 1, or NaN."""
        parts = [
            [x[place] for x in (self.count, self.means, self.products)]
            for place in range(self._places)
        ]
        count, means, products = functools.reduce(_merged, parts)
        spread = ops.diagonal(products)
        rounding = count * ops.square(_CONSTANT * means)
        defined = ops.all(spread > rounding)
        divisor = ops.sqrt(ops.where(defined, spread[0] * spread[1], 1.0))
        score = ops.clip(products[0, 1] / divisor, -1.0, 1.0)
        return ops.cast(ops.where(defined, score, float("nan")), self.dtype)


def _merged(first, second):
    """Count, means and sums of products of differences from them, of two sets together."""
    count, batch = first[0], second[0]
    total = count + batch
    moved = second[1] - first[1]
    between = ops.outer(moved, moved) * count * batch / _or_one(total)
    means = first[1] + moved * batch / _or_one(total)
    return total, means, first[2] + second[2] + between


def _replicas():
    """How many replicas there are, and a function that says in a step which one this is."""
    if keras.backend.backend() != "tensorflow":
        return 1, lambda: 0
    import tensorflow as tf

    def place():
        context = tf.distribute.get_replica_context()
        return context.replica_id_in_sync_group if context is not None else 0

    return tf.distribute.get_strategy().num_replicas_in_sync, place


def _or_one(number):
    return ops.where(number > 0, number, ops.ones_like(number))


# --- of whole sets --------------------------------------------------------------------------------


def pearson(labels, predictions) -> float:
    """Pearson's correlation; NaN where one of the two is constant or there are fewer than two.

    Args:
        labels: (texts,) numbers.
        predictions: (texts,) numbers.

    Raises:
        ValueError: If there are not as many of one as of the other.

    Source: ``scipy.stats.pearsonr``.

    Example:
        >>> round(pearson([1, 2, 3], [1, 3, 2]), 6)
        0.5
    """
    labels, predictions = _pairs(labels, predictions)
    if min(map(_distinct, (labels, predictions))) < 2:
        return float("nan")
    apart = [series - series.mean() for series in (labels, predictions)]
    # Scaled first: squares of very large or very small numbers would leave float64.
    apart = [series / np.abs(series).max() for series in apart]
    apart = [series / np.linalg.norm(series) for series in apart]
    return float(np.clip(apart[0] @ apart[1], -1.0, 1.0))


def spearman(labels, predictions) -> float:
    """Spearman's rank correlation; equal numbers share the mean of their ranks.

    Args, result and errors: as ``pearson``.

    Source: ``scipy.stats.spearmanr``.

    Example:
        >>> round(spearman([1, 2, 3, 4], [1, 20, 10, 300]), 6)
        0.8
    """
    return pearson(*map(_ranks, _pairs(labels, predictions)))


def mean_squared_error(labels, predictions) -> float:
    """Mean of the squared differences; NaN of nothing.

    Args and errors: as ``pearson``.

    Example:
        >>> mean_squared_error([1, 2], [1, 4])
        2.0
    """
    labels, predictions = _pairs(labels, predictions)
    return float(np.mean((labels - predictions) ** 2)) if len(labels) else float("nan")


def _pairs(labels, predictions):
    labels, predictions = (np.asarray(x, np.float64) for x in (labels, predictions))
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            f"Received labels of shape {labels.shape} and predictions of shape "
            f"{predictions.shape}. Expected one prediction per label."
        )
    return labels, predictions


def _distinct(series):
    """How many numbers are different; 1 where one is NaN, of which nothing can be said."""
    return 1 if np.isnan(series).any() else len(np.unique(series))


def _ranks(series):
    """Ranks from 1; of equal numbers the mean of theirs. NaN stays NaN."""
    if np.isnan(series).any():
        return np.full_like(series, np.nan)
    _, numbers, counts = np.unique(series, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[numbers]
