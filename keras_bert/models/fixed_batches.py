"""Batches of fixed shapes: how task models make them, and what of them they count."""

from __future__ import annotations

import contextlib
import dataclasses

import tensorflow as tf

from keras_bert.data.fixed_shapes import default_pad_to, fixed_shapes, rows_in
from keras_bert.data.inputs import is_texts
from keras_bert.data.passes import Position, moving_on
from keras_bert.models.absent_rows import (
    loss_weights,
    present_rows,
    row_count,
    tells_by_targets,
    update_metrics,
    without_mark,
)

__all__ = ["FixedBatches"]


class FixedBatches:
    """What ``fit`` and ``evaluate`` do with ``pad_to``, for a ``TaskModel``, which see.

    Rows that fill the last batch up to its shape are left out of the loss and of metrics, so that
    both are what they would be without padding.
    """

    #: Shapes that batches are asked to have, while they are made; see ``_padding``.
    _shapes_asked = None
    #: Whether a step of Keras' own is running, which counts all rows of a batch.
    _keras_counts = False

    def training_dataset(self, x, y=None, *, batch_size=None, pad_to=None, drop_remainder=False):
        """The batches that ``fit`` of the same arguments trains on.

        Args:
            x: As in ``fit``.
            y: As in ``fit``.
            batch_size: As in ``fit``.
            pad_to: As in ``fit``.
            drop_remainder: As in ``fit``.

        Returns:
            A ``tf.data.Dataset`` of (ids, targets), or (ids, targets, weights); other batches in
            every pass. With ``pad_to``, ``example_present`` among the ids says which rows are
            examples; losses other than ``compute_loss`` have to leave the others out themselves.

        Example:
            >>> dataset = model.training_dataset(texts, labels, pad_to=128)    # doctest: +SKIP
            >>> dataset.element_spec[0]["input_word_ids"].shape                # doctest: +SKIP
            TensorShape([32, 128])
        """
        # Upwards on purpose: see Fitting.compile.
        from keras_bert.training import recipe

        # Of its own, also while a run is going on.
        before, position = (self.data_position, self._batch_plan), Position()
        self.data_position = position
        try:
            with self._padding(pad_to, drop_remainder):
                dataset = self._training_dataset(x, y, batch_size or recipe(self).batch_size)
        finally:
            self.data_position, self._batch_plan = before
        return moving_on(dataset, position)

    def train_step(self, data):
        """Keras' step, with the loss of the rows that are there."""
        return self._counting_rows(super().train_step, data)

    def test_step(self, data):
        """Keras' step, with the loss of the rows that are there."""
        return self._counting_rows(super().test_step, data)

    def __call__(self, inputs, *args, **kwargs):
        """Calls the model, which need not know which rows are there."""
        return super().__call__(without_mark(inputs), *args, **kwargs)

    def loss_of(self, x, y):
        """The loss, or nest of losses, of such examples."""
        return self.loss

    def mean_loss(self, x, y, y_pred, sample_weight, training):
        """The compiled loss of a batch, its mean with such weights."""
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean over the rows that are there; of a fixed shape some may not be."""
        present = present_rows(x)
        if present is None:
            return self.mean_loss(x, y, y_pred, sample_weight, training)
        if not tells_by_targets(self.loss_of(x, y)):
            sample_weight = loss_weights(present, sample_weight)
        loss = self.mean_loss(x, y, y_pred, sample_weight, training)
        if self._keras_counts:
            # Keras' step will count all rows of the batch: less those that are not there.
            absent = row_count(x) - tf.cast(tf.size(present), tf.float32)
            self._loss_tracker.update_state(loss, sample_weight=absent)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Counts the rows that are there."""
        present = present_rows(x)
        if present is None or tells_by_targets(self.loss_of(x, y)):
            return super().compute_metrics(x, y, y_pred, sample_weight)
        update_metrics(self._compile_metrics, y, y_pred, present, sample_weight)
        return self.get_metrics_result()

    def _counting_rows(self, step, data):
        self._keras_counts = True
        try:
            return step(data)
        finally:
            self._keras_counts = False

    @contextlib.contextmanager
    def _padding(self, pad_to, drop_remainder=False):
        """Within it batches that are made of texts have the shapes asked for."""
        if pad_to is None:
            pad_to = default_pad_to(self.distribute_strategy)
        if pad_to is None and drop_remainder:
            raise ValueError("drop_remainder goes with pad_to, the length of all rows.")
        self._shapes_asked = None if pad_to is None else (pad_to, drop_remainder)
        try:
            yield
        finally:
            self._shapes_asked = None

    def _check_padded(self, x, pad_to):
        """Raises where what was asked to be padded is no text."""
        if pad_to is not None and not is_texts(x):
            raise ValueError(
                f"pad_to={pad_to!r} pads texts; this is {type(x).__name__} without any, which goes "
                "to Keras as it is. Pad the ids: kb.Preprocessor(tokenizer, pad_to=...)."
            )

    def _shapes_of(self, batch_size):
        """``FixedShapes`` that batches are to have; None: any."""
        if self._shapes_asked is None:
            return None
        replicas = self.distribute_strategy.num_replicas_in_sync
        if batch_size % replicas:
            raise ValueError(
                f"batch_size={batch_size} cannot be cut into equal parts for {replicas} replicas, "
                "which batches of fixed shape have to be. Give a multiple of their number, of "
                "validation data by validation_batch_size."
            )
        return fixed_shapes(self.text_preprocessor(), batch_size, *self._shapes_asked)

    def _fixed_dataset(self, dataset, batch_size):
        """Batches of a user's dataset in the shapes asked for."""
        shapes = self._shapes_of(batch_size or 32)
        if shapes is None:
            return dataset
        ids = dataset.element_spec[0]
        if "window_source" in ids:
            raise ValueError(
                "A preprocessor with a stride makes any number of rows of a dataset's batch, which "
                "cannot be padded to one shape. Give the texts as a list."
            )
        known = tf.nest.flatten(ids)[0].shape[0]
        if known is not None:
            shapes = dataclasses.replace(shapes, batch_size=known)
        if shapes.drop_remainder:
            dataset = dataset.filter(lambda ids, *_: rows_in(ids) == shapes.batch_size)
        return dataset.map(lambda *batch: self.fixed_batch(shapes, *batch))

    def fixed_batch(self, shapes, ids, targets, *weights):
        """A batch of a user's dataset, as ``FixedShapes`` say.

        Args:
            shapes: ``FixedShapes``.
            ids: What a preprocessor made.
            targets: What ``graph_targets`` made.
            *weights: Weights of the rows, if any.
        """
        return shapes.filled(shapes.ids(ids), targets, *weights)
