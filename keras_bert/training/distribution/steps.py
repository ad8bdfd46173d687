"""What one step does on every replica, so that all together do what one device would."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert.training.distribution.loss_shares import loss_share, on_whole_batch, whole_batch
from keras_bert.training.distribution.replicated import apply_reduced, summed_over_replicas
from keras_bert.training.distribution.sharing import check_parts

__all__ = ["Rounds", "build_metrics", "make_test_function", "make_train_function"]


def make_train_function(model):
    """The function that ``fit`` calls: takes an iterator, trains on its next batches.

    In place of Keras' own, which under several replicas clips each one's gradients before they are
    summed, cannot accumulate them, fails with ``steps_per_execution`` or XLA, takes a last step
    without data, and does not run at all on several workers.

    A step sums the gradients of all replicas once and then does what one device does with them.
    XLA compiles what a replica does by itself, not what they do together.

    Source: measured of Keras 3.15; Keras' issues 19246 and 20585.
    """
    gradients = _jitted(model, _gradients_function(model))

    def step(data):
        return _train(model, gradients, data)

    return _loop(model, step, "train")


def make_test_function(model):
    """As ``make_train_function``, for ``evaluate``: scores of all replicas' examples."""

    def step(data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        share = loss_share(model, x, y, sample_weight)
        y_pred = model(x, training=False)
        loss = _loss(model, x, y, y_pred, sample_weight, share.of_loss, training=False)
        return _note(model, share, loss, x, y, y_pred, sample_weight)

    return _loop(model, step, "test")


class Rounds(keras.callbacks.Callback):
    """Tells how many batches are left, so that the last of several steps at a time are fewer.

    Args:
        train: Batches of an epoch; None: not known.
        test: Batches of the validation data, or of what is evaluated.
    """

    def __init__(self, train, test):
        super().__init__()
        self._train, self._test = train, test

    def on_train_batch_begin(self, batch, logs=None):
        """Those from this one on are left of the epoch."""
        self.model.batches_left["train"] = self._train and self._train - batch

    def on_test_batch_begin(self, batch, logs=None):
        """Those from this one on are left of the data."""
        self.model.batches_left["test"] = self._test and self._test - batch


def build_metrics(model, batch_spec):
    """Creates the variables of loss and metrics, which cannot be created within a step.

    Args:
        model: A compiled task model.
        batch_spec: What a replica's batch is: a nest of ``tf.TypeSpec``, or of what a distributed
            dataset says of its elements.

    Raises:
        ValueError: As ``check_parts``.
    """

    check_parts(batch_spec, model.distribute_strategy.num_replicas_in_sync)

    def symbol(spec):
        spec = _of_one_replica(spec)
        return keras.KerasTensor([size or 1 for size in spec.shape], spec.dtype.name)

    data = tf.nest.map_structure(symbol, batch_spec)
    with model.distribute_strategy.scope():
        # Keras' own function, given what it would have had to draw a batch for.
        model._symbolic_build(data_batch=data)


def _of_one_replica(spec):
    """A ``PerReplicaSpec`` has one for each replica of this worker, all alike."""
    replicas = getattr(spec, "_value_specs", None)
    return replicas[0] if replicas else spec


def _loop(model, step, mode):
    """Runs a step on all replicas, ``steps_per_execution`` times; returns loss and metrics."""
    strategy = model.distribute_strategy

    def step_on(data):
        # Nothing of the step may run where there was no batch.
        parts = [part for part in tf.nest.flatten(data) if tf.is_tensor(part)]
        with tf.control_dependencies(parts):
            return step(data)

    def run(iterator, steps):
        loss = tf.zeros(())
        for _ in tf.range(steps):
            losses = strategy.run(step_on, args=(next(iterator),))
            loss = strategy.experimental_local_results(losses)[0]
        # Read outside of the replicas, they are those of all examples of all workers.
        return model.get_metrics_result(), loss

    if not model.run_eagerly:
        run = tf.function(run, reduce_retracing=True)

    def function(iterator):
        left, steps = model.batches_left.get(mode), model.steps_per_execution
        if left is not None:
            steps = max(min(steps, left), 1)
        logs, loss = run(iterator, tf.constant(steps))
        if mode == "train":
            model.last_step.note(loss=loss)
        return logs

    return function


def _train(model, gradients, data):
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    share = loss_share(model, x, y, sample_weight)
    found, loss, y_pred = gradients(x, y, sample_weight, share.of_gradients, share.of_loss)
    part = _note(model, share, loss, x, y, y_pred, sample_weight)
    if model.distribute_strategy.num_replicas_in_sync > 1:
        *found, part = summed_over_replicas([*found, part])
    apply_reduced(model.optimizer, found, model.trainable_variables)
    return part


def _gradients_function(model):
    def gradients(x, y, sample_weight, share, share_of_loss):
        """A replica's part of the gradients of the loss over all examples; loss, outputs."""
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = _loss(model, x, y, y_pred, sample_weight, share_of_loss, training=True)
            scaled = model.optimizer.scale_loss(loss * tf.cast(share, loss.dtype))
        return tape.gradient(scaled, model.trainable_variables), loss, y_pred

    return gradients


def _loss(model, x, y, y_pred, sample_weight, share, training):
    """The loss of a replica's examples, as Keras gives it; losses of single outputs are noted."""
    if on_whole_batch(model, x, y):
        y, y_pred = whole_batch(y, y_pred)
    # Private: where Keras notes the losses of several outputs, of one replica's examples as if of
    # all, and as often as there are replicas.
    means = model._compile_loss.metrics
    before = [(mean.total + 0.0, mean.count + 0.0) for mean in means]
    loss = model.compute_loss(x, y, y_pred, sample_weight, training=training)
    replicas = model.distribute_strategy.num_replicas_in_sync
    for mean, (total, count) in zip(means, before, strict=True):
        part = (mean.total - total) * share
        mean.total.assign(total + tf.where(share > 0, part, 0.0) / replicas)
        mean.count.assign(count + (mean.count - count) / replicas)
    return loss


def _note(model, share, loss, x, y, y_pred, sample_weight):
    """Adds a batch to the running loss and metrics; returns this replica's part of the loss."""
    rows = share.rows
    # A replica without examples has the mean of nothing.
    part = tf.where(rows > 0, tf.cast(loss, tf.float32) * share.of_loss, 0.0)
    # Summed over the replicas: the loss of all examples, as often as there are examples.
    mean = tf.math.divide_no_nan(part * share.all_rows, rows)
    model._loss_tracker.update_state(mean, sample_weight=rows)
    model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
    return part


def _jitted(model, function):
    if not model.jit_compile:
        return function
    return tf.function(function, jit_compile=True, reduce_retracing=True)
