"""Scores of language models over the tokens that they were asked for."""

import keras
from keras import ops

__all__ = ["MaskedAccuracy", "Perplexity"]


class _MeanOverTokens(keras.metrics.Metric):
    """The mean of something over all tokens that were asked for.

    Inputs: ids (batch, predictions) int, a negative one where nothing was asked, and logits
    (batch, predictions, vocab).
    """

    def __init__(self, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def of_tokens(self, ids, logits):
        """(batch, predictions) float32."""
        raise NotImplementedError

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        ids = ops.cast(y_true, "int32")
        weights = ops.cast(ids >= 0, "float32")
        if sample_weight is not None:
            weights = weights * ops.cast(sample_weight, "float32")
        values = self.of_tokens(ops.maximum(ids, 0), ops.cast(y_pred, "float32"))
        self.total.assign_add(ops.sum(values * weights))
        self.count.assign_add(ops.sum(weights))

    def mean(self):
        """The mean so far; 0 where nothing was counted."""
        return self.total / ops.maximum(self.count, 1.0)

    def result(self):
        """The score so far, a float32 scalar."""
        return self.mean()


@keras.saving.register_keras_serializable("keras_bert")
class MaskedAccuracy(_MeanOverTokens):
    """Share of the tokens that the model puts first.

    Example:
        >>> metric = MaskedAccuracy()
        >>> metric.update_state([[1, 0, -1]], [[[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def of_tokens(self, ids, logits):
        """1 where the largest logit is the token's."""
        return ops.cast(ops.cast(ops.argmax(logits, axis=-1), "int32") == ids, "float32")


@keras.saving.register_keras_serializable("keras_bert")
class Perplexity(_MeanOverTokens):
    """``exp`` of the mean cross entropy over the tokens: 1 is best, and 0 tokens give 1 too.

    Example:
        >>> metric = Perplexity()
        >>> metric.update_state([[1, -1]], [[[0.0] * 4, [0.0] * 4]])
        >>> round(float(metric.result()), 4)
        4.0
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def of_tokens(self, ids, logits):
        """Cross entropy."""
        return keras.losses.sparse_categorical_crossentropy(ids, logits, from_logits=True)

    def result(self):
        """The score so far, a float32 scalar."""
        return ops.exp(self.mean())
