"""Scores for classification with one label per text."""

import keras
from keras import ops

__all__ = ["MacroF1"]


@keras.saving.register_keras_serializable("keras_bert")
class MacroF1(keras.metrics.Metric):
    """Unweighted mean of the F1 of every class.

    Classes that appear neither among the labels nor among the predictions are left out, as
    scikit-learn does; ``keras.metrics.F1Score`` counts them as 0.

    Args:
        num_classes: Number of classes.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: labels (batch,) int, logits or probabilities (batch, classes).

    Source: ``sklearn.metrics.f1_score(average="macro")``.

    Example:
        >>> metric = MacroF1(2)
        >>> metric.update_state([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    def __init__(self, num_classes, name="macro_f1", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        for counter in ("hits", "labelled", "predicted"):
            variable = self.add_weight(shape=(num_classes,), initializer="zeros", name=counter)
            setattr(self, counter, variable)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        true = ops.one_hot(
            ops.cast(ops.reshape(y_true, (-1,)), "int32"), self.num_classes, dtype=self.dtype
        )
        guess = ops.one_hot(ops.argmax(y_pred, axis=-1), self.num_classes, dtype=self.dtype)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
            true, guess = true * weight, guess * ops.cast(weight > 0, self.dtype)
            hits = ops.sum(true * guess, axis=0)
            predicted = ops.sum(guess * weight, axis=0)
        else:
            hits, predicted = ops.sum(true * guess, axis=0), ops.sum(guess, axis=0)
        self.hits.assign_add(hits)
        self.labelled.assign_add(ops.sum(true, axis=0))
        self.predicted.assign_add(predicted)

    def result(self):
        """The score so far, a float32 scalar; 0 where nothing was counted."""
        # 2·hits/(labelled + predicted) is 2PR/(P+R) without its divisions by zero.
        total = self.labelled + self.predicted
        seen = ops.cast(total > 0, self.dtype)
        scores = 2.0 * self.hits / ops.maximum(total, 1e-12)
        return ops.sum(scores * seen) / ops.maximum(ops.sum(seen), 1.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}
