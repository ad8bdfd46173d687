"""Scores for classification with any number of labels per text."""

import keras
from keras import ops

from keras_bert.metrics.classification import CountedClasses, f1_of_counts

__all__ = ["MultiLabelMacroF1", "MultiLabelMicroF1", "SubsetAccuracy", "chosen"]


def chosen(logits, threshold):
    """Which labels a text gets: those with a probability of ``threshold`` at least, as bool."""
    # Of float32 in any case: half precision would round what is next to the threshold.
    return ops.sigmoid(ops.cast(logits, "float32")) >= threshold


class _CountedLabels(CountedClasses):
    """Counts labels that each text has or has not.

    Args:
        num_classes: Number of labels.
        threshold: Least probability of a label that is predicted.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: (batch, labels) of 0 and 1; logits (batch, labels).
    """

    def __init__(self, num_classes, threshold=0.5, name=None, **kwargs):
        super().__init__(num_classes, name=name, **kwargs)
        self.threshold = threshold

    def marks(self, y_true, y_pred):
        """What is true and what was predicted, each (batch, labels) of 0 and 1."""
        return (
            ops.cast(ops.cast(y_true, "float32") > 0.5, self.dtype),
            ops.cast(chosen(y_pred, self.threshold), self.dtype),
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable("keras_bert")
class MultiLabelMicroF1(_CountedLabels):
    """F1 of all labels of all texts counted together.

    Args:
        num_classes: Number of labels.
        threshold: Least probability of a label that is predicted.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: labels (batch, labels) of 0 and 1; logits (batch, labels). Where nothing is labelled
    and nothing predicted the score is 0, as in scikit-learn.

    Source: ``sklearn.metrics.f1_score(average="micro")`` of indicator matrices.

    Example:
        >>> metric = MultiLabelMicroF1(3)
        >>> metric.update_state([[1, 0, 1], [0, 0, 1]], [[2.0, -1.0, -1.0], [-3.0, -1.0, 1.0]])
        >>> round(float(metric.result()), 4)
        0.8
    """

    def __init__(self, num_classes, threshold=0.5, name="micro_f1", **kwargs):
        super().__init__(num_classes, threshold, name=name, **kwargs)

    def result(self):
        """The score so far, a float32 scalar."""
        return f1_of_counts(*map(ops.sum, (self.hits, self.labelled, self.predicted)))


@keras.saving.register_keras_serializable("keras_bert")
class MultiLabelMacroF1(_CountedLabels):
    """Unweighted mean of the F1 of every label.

    A label that no text has and that is never predicted counts as 0: of indicator matrices
    scikit-learn scores every column.

    Args, inputs: as ``MultiLabelMicroF1``.

    Source: ``sklearn.metrics.f1_score(average="macro")`` of indicator matrices.

    Example:
        >>> metric = MultiLabelMacroF1(2)
        >>> metric.update_state([[1, 0], [1, 1]], [[2.0, -1.0], [3.0, -1.0]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, num_classes, threshold=0.5, name="macro_f1", **kwargs):
        super().__init__(num_classes, threshold, name=name, **kwargs)

    def result(self):
        """The score so far, a float32 scalar."""
        return ops.mean(f1_of_counts(self.hits, self.labelled, self.predicted))


@keras.saving.register_keras_serializable("keras_bert")
class SubsetAccuracy(keras.metrics.Mean):
    """Share of the texts whose labels are predicted without one too many or too few.

    Args:
        threshold: Least probability of a label that is predicted.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Mean``.

    Inputs: as ``MultiLabelMicroF1``.

    Source: ``sklearn.metrics.accuracy_score`` of indicator matrices.

    Example:
        >>> metric = SubsetAccuracy()
        >>> metric.update_state([[1, 0], [1, 1]], [[2.0, -1.0], [3.0, -1.0]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, threshold=0.5, name="subset_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        true = ops.cast(y_true, "float32") > 0.5
        right = ops.all(true == chosen(y_pred, self.threshold), axis=-1)
        super().update_state(ops.cast(right, self.dtype), sample_weight)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "threshold": self.threshold}
