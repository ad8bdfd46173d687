"""Scores for classification with one label per text."""

import keras
import numpy as np
from keras import ops

__all__ = [
    "BinaryF1",
    "MacroF1",
    "MatthewsCorrelation",
    "MicroF1",
    "accuracy",
    "f1",
    "f1_of_counts",
    "matthews_correlation",
]


class CountedClasses(keras.metrics.Metric):
    """Counts, for every class, its texts, its predictions, and where the two agree.

    Args:
        num_classes: Number of classes.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: labels (batch,) int; logits or probabilities (batch, classes). A sample weight says how
    often a text counts.
    """

    def __init__(self, num_classes, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        for counter in ("hits", "labelled", "predicted"):
            variable = self.add_weight(shape=(num_classes,), initializer="zeros", name=counter)
            setattr(self, counter, variable)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch."""
        true, guess = self.marks(y_true, y_pred)
        weight = 1.0
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        self.hits.assign_add(ops.sum(true * guess * weight, axis=0))
        self.labelled.assign_add(ops.sum(true * weight, axis=0))
        self.predicted.assign_add(ops.sum(guess * weight, axis=0))

    def marks(self, y_true, y_pred):
        """What is true and what was predicted, each (batch, classes) of 0 and 1."""
        true = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        guess = ops.argmax(y_pred, axis=-1)
        return (ops.one_hot(labels, self.num_classes, dtype=self.dtype) for labels in (true, guess))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}


def f1_of_counts(hits, labelled, predicted):
    """F1 of counts of any shape; 0 where a class is neither among labels nor among predictions."""
    # 2·hits/(labelled + predicted) is 2PR/(P+R) without its divisions by zero.
    total = labelled + predicted
    return 2.0 * hits / ops.where(total > 0, total, ops.ones_like(total))


@keras.saving.register_keras_serializable("keras_bert")
class MacroF1(CountedClasses):
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
        super().__init__(num_classes, name=name, **kwargs)

    def result(self):
        """The score so far, a float32 scalar; 0 where nothing was counted."""
        seen = ops.cast(self.labelled + self.predicted > 0, self.dtype)
        scores = f1_of_counts(self.hits, self.labelled, self.predicted)
        return ops.sum(scores * seen) / ops.maximum(ops.sum(seen), 1.0)


@keras.saving.register_keras_serializable("keras_bert")
class MicroF1(CountedClasses):
    """F1 of all classes counted together; with one label per text that is the accuracy.

    Args, inputs: as ``MacroF1``.

    Source: ``sklearn.metrics.f1_score(average="micro")``.

    Example:
        >>> metric = MicroF1(2)
        >>> metric.update_state([0, 1, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.2, 0.8]])
        >>> float(metric.result())
        0.75
    """

    def __init__(self, num_classes, name="micro_f1", **kwargs):
        super().__init__(num_classes, name=name, **kwargs)

    def result(self):
        """The score so far, a float32 scalar; 0 where nothing was counted."""
        return f1_of_counts(*map(ops.sum, (self.hits, self.labelled, self.predicted)))


@keras.saving.register_keras_serializable("keras_bert")
class BinaryF1(CountedClasses):
    """F1 of one class, the positive one: GLUE's score for MRPC and QQP.

    Args:
        positive: Number of the positive class.
        num_classes: Number of classes.
        name: Name of the score.
        **kwargs: Passed to ``keras.metrics.Metric``.

    Inputs: as ``MacroF1``. Where the class is neither among the labels nor among the predictions
    the score is 0, as in scikit-learn.

    Source: ``sklearn.metrics.f1_score(pos_label=positive)``; section 3 of Wang et al. 2018 (GLUE).

    Example:
        >>> metric = BinaryF1()
        >>> metric.update_state([1, 1, 0], [[0.1, 0.9], [0.7, 0.3], [0.8, 0.2]])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    def __init__(self, positive=1, num_classes=2, name="f1", **kwargs):
        super().__init__(num_classes, name=name, **kwargs)
        self.positive = positive

    def result(self):
        """The score so far, a float32 scalar."""
        counts = (self.hits, self.labelled, self.predicted)
        return f1_of_counts(*(count[self.positive] for count in counts))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "positive": self.positive}


@keras.saving.register_keras_serializable("keras_bert")
class MatthewsCorrelation(CountedClasses):
    """Matthews' correlation of labels and predictions, of two classes or more: CoLA's score.

    It is 1 where all agree, about 0 where predictions are chance, and 0 where all labels or all
    predictions are one class, as in scikit-learn.

    Args, inputs: as ``MacroF1``.

    Source: equation 8 of Gorodkin 2004, "Comparing two K-category assignments by a K-category
    correlation coefficient"; ``sklearn.metrics.matthews_corrcoef``.

    Example:
        >>> metric = MatthewsCorrelation(2)
        >>> metric.update_state([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, num_classes, name="matthews_correlation", **kwargs):
        super().__init__(num_classes, name=name, **kwargs)

    def result(self):
        """The score so far, a float32 scalar; 0 where nothing was counted."""
        # As shares of all texts, whose squares stay small.
        count = ops.maximum(ops.sum(self.labelled), 1e-12)
        true, guess = self.labelled / count, self.predicted / count
        together = ops.sum(self.hits) / count - ops.sum(true * guess)
        # 1 - Σp² without the difference of two numbers near 1.
        spread = ops.sum(true * (1.0 - true)) * ops.sum(guess * (1.0 - guess))
        defined = spread > 0
        return ops.where(defined, together / ops.sqrt(ops.where(defined, spread, 1.0)), 0.0)


# --- of whole sets --------------------------------------------------------------------------------


def accuracy(labels, predictions) -> float:
    """Share of the texts whose prediction is their label.

    Args:
        labels: (texts,) numbers or names.
        predictions: (texts,) of the same kind.

    Raises:
        ValueError: If there is nothing, or not one prediction per label.

    Example:
        >>> accuracy([0, 1, 1, 0], [0, 1, 0, 0])
        0.75
    """
    labels, predictions = _pairs(labels, predictions)
    return float(np.mean(labels == predictions))


def f1(labels, predictions, positive=1) -> float:
    """F1 of one class; 0 where it is neither among the labels nor among the predictions.

    Args and errors: as ``accuracy``; ``positive`` is that class.

    Source: ``sklearn.metrics.f1_score(pos_label=positive)``.

    Example:
        >>> f1([0, 1, 1, 1], [1, 1, 0, 1])
        0.6666666666666666
    """
    labels, predictions = _pairs(labels, predictions)
    true, guess = labels == positive, predictions == positive
    return float(2 * np.sum(true & guess) / max(np.sum(true) + np.sum(guess), 1))


def matthews_correlation(labels, predictions) -> float:
    """Matthews' correlation; 0 where all labels or all predictions are one class.

    Args and errors: as ``accuracy``.

    Source: as ``MatthewsCorrelation``.

    Example:
        >>> matthews_correlation([0, 1, 1], [0, 1, 0])
        0.5
    """
    labels, predictions = _pairs(labels, predictions)
    classes, numbers = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    count = len(labels)
    true = np.bincount(numbers[:count], minlength=len(classes)).astype(float)
    guess = np.bincount(numbers[count:], minlength=len(classes)).astype(float)
    together = np.sum(labels == predictions) * count - true @ guess
    spread = (count**2 - true @ true) * (count**2 - guess @ guess)
    return float(together / np.sqrt(spread)) if spread > 0 else 0.0


def _pairs(labels, predictions):
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"Received labels of shape {labels.shape} and predictions of shape "
            f"{predictions.shape}. Expected one prediction per label, and one label at least."
        )
    return labels, predictions
