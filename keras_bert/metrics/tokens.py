"""Scores of what is said of every token."""

import keras
from keras import ops

__all__ = ["TokenAccuracy"]


@keras.saving.register_keras_serializable("keras_bert")
class TokenAccuracy(keras.metrics.Metric):
    """The share of tokens whose label is right, among those that have one.

    Args:
        ignored: The label of tokens that count for nothing.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: labels (batch, seq) int, logits or probabilities (batch, seq, labels).

    Example:
        >>> metric = TokenAccuracy()
        >>> metric.update_state([[-1, 0, 1]], [[[0.2, 0.8], [0.9, 0.1], [0.9, 0.1]]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, ignored=-1, name="token_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.ignored = ignored
        self.hits = self.add_weight(shape=(), initializer="zeros", name="hits")
        self.labelled = self.add_weight(shape=(), initializer="zeros", name="labelled")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        true = ops.cast(y_true, "int32")
        counts = ops.cast(true != self.ignored, self.dtype)
        if sample_weight is not None:
            weight = ops.cast(sample_weight, self.dtype)
            missing = len(counts.shape) - len(weight.shape)
            counts *= ops.reshape(weight, (*ops.shape(weight), *(1,) * missing))
        right = ops.cast(true == ops.cast(ops.argmax(y_pred, axis=-1), "int32"), self.dtype)
        self.hits.assign_add(ops.sum(right * counts))
        self.labelled.assign_add(ops.sum(counts))

    def result(self):
        """The score so far, a float32 scalar; 0 where nothing was counted."""
        return self.hits / ops.maximum(self.labelled, 1e-12)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "ignored": self.ignored}
