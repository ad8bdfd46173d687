"""How much of the loss of all examples a replica's part of them makes."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from keras_bert.models.absent_rows import row_count

__all__ = ["Share", "loss_share", "on_whole_batch", "whole_batch"]


@dataclasses.dataclass(frozen=True)
class Share:
    """A replica's share of a batch; all are scalar float32 tensors.

    Attributes:
        of_gradients: What a replica's loss is multiplied by, so that the sum of all replicas'
            gradients is the gradient of the loss of all examples.
        of_loss: What it is multiplied by so that the sum of all replicas' is that loss.
        rows: Examples of this replica.
        all_rows: Examples of all replicas.
    """

    of_gradients: tf.Tensor
    of_loss: tf.Tensor
    rows: tf.Tensor
    all_rows: tf.Tensor


def loss_share(model, x, y, sample_weight) -> Share:
    """The share of this replica's part of a batch; called within a replica.

    A mean over all examples is not the mean of the replicas' means where these have more or fewer
    examples, or tokens that count.

    Raises:
        ValueError: If the model's outputs have losses that are means over different things.
    """
    rows = row_count(x)
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas == 1:
        return Share(tf.ones(()), tf.ones(()), rows, rows)
    kind, weight = _weight_of(model, x, y, sample_weight, rows)
    context = tf.distribute.get_replica_context()
    totals = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stack([weight, rows]))
    part = tf.math.divide_no_nan(weight, totals[0])
    # Keras divides means by the number of replicas, as if all had the same number of examples.
    keras_divides = float(replicas) if kind.keras_mean else 1.0
    if kind.whole:
        return Share(tf.constant(keras_divides), tf.ones(()), rows, totals[1])
    if kind.sum:
        return Share(tf.ones(()), tf.ones(()), rows, totals[1])
    return Share(part * keras_divides, part * keras_divides, rows, totals[1])


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What a loss makes of the examples' losses."""

    keras_mean: bool = True
    sum: bool = False
    whole: bool = False


def _weight_of(model, x, y, sample_weight, rows):
    """What kind of loss the model has, and the number that this replica's is a mean over."""
    found = [_of_one(loss, part, sample_weight, rows) for loss, part in _losses(model, x, y)]
    kinds = {(kind, name) for kind, name, _ in found}
    if len(kinds) > 1:
        raise ValueError(
            "Under a strategy of several replicas all losses of a model have to be means over the "
            f"same things; received {', '.join(sorted(name for _, name in kinds))}."
        )
    kind, _, weight = found[0]
    return kind, weight


def _losses(model, x, y):
    """Each loss of a model, with its targets."""
    loss = model.loss_of(x, y)
    if isinstance(loss, dict):
        return [(keras.losses.get(loss[name]), y[name]) for name in loss]
    if isinstance(loss, list | tuple):
        return [(keras.losses.get(one), part) for one, part in zip(loss, y, strict=True)]
    return [(keras.losses.get(loss), y)]


def _of_one(loss, y, sample_weight, rows):
    if getattr(loss, "of_whole_batch", False):
        return _Kind(whole=True), "whole batches", rows
    if hasattr(loss, "weight_of"):
        return _Kind(keras_mean=False), "what it counts itself", loss.weight_of(y)
    reduction = getattr(loss, "reduction", "sum_over_batch_size")
    if reduction == "sum":
        return _Kind(keras_mean=False, sum=True), "nothing (a sum)", rows
    ignored = getattr(loss, "ignore_class", None)
    if ignored is not None:
        counted = tf.reduce_sum(tf.cast(tf.not_equal(y, tf.cast(ignored, y.dtype)), tf.float32))
        return _Kind(), "targets that are not ignored", counted
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return _Kind(), "weights", tf.reduce_sum(tf.cast(sample_weight, tf.float32))
    return _Kind(), "examples", rows


def on_whole_batch(model, x, y) -> bool:
    """Whether an example's loss depends on the others of its batch, on whatever replica."""
    replicas = model.distribute_strategy.num_replicas_in_sync
    return replicas > 1 and any(
        getattr(loss, "of_whole_batch", False) for loss, _ in _losses(model, x, y)
    )


def whole_batch(y, y_pred):
    """Targets and outputs of all replicas' examples, in order; called within a replica.

    Gradients flow through this replica's own outputs alone, so that their sum over the replicas is
    the gradient of the whole.
    """
    context = tf.distribute.get_replica_context()
    rows = tf.shape(y_pred)[:1]
    counts = context.all_gather(rows, axis=0)
    start = tf.reduce_sum(counts[: context.replica_id_in_sync_group])
    gathered = context.all_gather(tf.stop_gradient(y_pred), axis=0)
    whole = tf.concat([gathered[:start], y_pred, gathered[start + rows[0] :]], axis=0)
    return context.all_gather(y, axis=0), tf.ensure_shape(whole, y_pred.shape)
