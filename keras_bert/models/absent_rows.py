"""Rows that only fill a batch up to a fixed shape: how losses and scores leave them out.

Which rows these are, the input ``example_present`` says; see ``keras_bert.data.fixed_shapes``.
"""

from __future__ import annotations

import keras
from keras import ops

from keras_bert.data.fixed_shapes import PRESENT

__all__ = [
    "loss_weights",
    "present_rows",
    "row_count",
    "tells_by_targets",
    "update_metrics",
    "without_mark",
]


def without_mark(inputs):
    """Inputs as models take them."""
    if not isinstance(inputs, dict) or PRESENT not in inputs:
        return inputs
    return {name: value for name, value in inputs.items() if name != PRESENT}


def present_rows(inputs):
    """Which rows are there, (batch,) bool; None where all are."""
    return inputs.get(PRESENT) if isinstance(inputs, dict) else None


def row_count(inputs):
    """How many rows of a batch are there, a float32 scalar."""
    present = present_rows(inputs)
    if present is None:
        return ops.cast(ops.shape(keras.tree.flatten(inputs)[0])[0], "float32")
    return ops.sum(ops.cast(present, "float32"))


def tells_by_targets(loss) -> bool:
    """Whether a loss leaves out what targets say is not there, without being given weights."""
    losses = keras.tree.flatten(loss)
    return all(
        getattr(one, "ignore_class", None) is not None or getattr(one, "skips_absent", False)
        for one in losses
    )


def loss_weights(present, sample_weight=None):
    """Weights under which Keras' mean over a batch is the mean over the rows that are there.

    Args:
        present: (batch,) bool.
        sample_weight: Weights of the rows, (batch,) or (batch, ...); None: 1.

    Returns:
        As the weights, float32: 0 for what is not there, for others more by as much as there are
        more rows in the batch. All are 0 where nothing is there.

    Example:
        >>> loss_weights(keras.ops.convert_to_tensor([True, True, False])).numpy().tolist()
        [1.5, 1.5, 0.0]
    """
    mask = ops.cast(present, "float32")
    scale = ops.cast(ops.shape(mask)[0], "float32") / ops.maximum(ops.sum(mask), 1.0)
    return metric_weights(present, sample_weight) * scale


def metric_weights(present, sample_weight=None):
    """Weights of rows, 0 for those that are not there."""
    mask = ops.cast(present, "float32")
    if sample_weight is None:
        return mask
    weights = ops.cast(sample_weight, "float32")
    return weights * ops.reshape(mask, (-1,) + (1,) * (len(weights.shape) - 1))


def update_metrics(compiled, y, y_pred, present, sample_weight=None):
    """Counts the rows that are there, by all metrics that a model is compiled with.

    Args:
        compiled: Keras' ``CompileMetrics``, or None.
        y: Targets.
        y_pred: Outputs.
        present: (batch,) bool.
        sample_weight: Weights of the rows, for ``weighted_metrics``.
    """
    if compiled is None:
        return
    if not compiled.built:
        compiled.build(y, y_pred)
    # Private, as Keras gives weights to ``weighted_metrics`` alone, and rows that are not there
    # have to be left out by the others too.
    kinds = (
        (compiled._flat_metrics, metric_weights(present)),
        (compiled._flat_weighted_metrics, metric_weights(present, sample_weight)),
    )
    for metrics, weights in kinds:
        parts = zip(metrics, compiled._flatten_y(y), compiled._flatten_y(y_pred), strict=True)
        for metric, true, predicted in parts:
            if metric:
                metric.update_state(true, predicted, weights)
