"""A number per text."""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from keras_bert.metrics.regression import PearsonCorrelation, spearman
from keras_bert.metrics.report import regression_sections
from keras_bert.models.labels import REGRESSION
from keras_bert.models.problems.problem import Problem, asserted

__all__ = ["Regression"]

#: What is larger is infinite in float32.
_LARGEST = float(np.finfo(np.float32).max)


class Regression(Problem):
    """Each text has a number."""

    problem_type = REGRESSION
    main_metric = "spearman"

    def __init__(self):
        super().__init__([])

    @property
    def outputs(self):
        """One."""
        return 1

    def targets(self, labels):
        """Numbers, also as text → (texts,) float32.

        Raises:
            ValueError: On what is no finite number; the message names it and its place.
        """
        return np.array([_read_number(i, label) for i, label in enumerate(labels)], np.float32)

    def graph_targets(self, labels):
        """The same of (batch,) numbers or strings."""
        if labels.dtype == tf.string:
            number = tf.strings.to_number(labels, tf.float32)
        else:
            number = tf.cast(labels, tf.float32)
        finite = tf.reduce_all(tf.math.is_finite(number))
        return asserted(number, finite, "A label is no finite number.", labels)

    def answers(self, outputs):
        """``value`` float32 (batch,)."""
        return {"value": tf.cast(outputs, tf.float32)[:, 0]}

    def read_answer(self, answer):
        """The value as float."""
        return {"value": float(answer["value"])}

    def loss(self):
        """Mean squared error."""
        return keras.losses.MeanSquaredError()

    def metrics(self):
        """Pearson's correlation and the mean squared error."""
        return [PearsonCorrelation(), keras.metrics.MeanSquaredError(name="mse")]

    def scores(self, labels, answers):
        """Spearman's correlation, for which all values have to be there at once."""
        values = [answer["value"] for answer in answers]
        return {"spearman": spearman(self.targets(labels), values)}

    def report_sections(self, texts, labels, answers):
        """Values said over values meant, residuals, the largest errors."""
        values = [answer["value"] for answer in answers]
        return regression_sections(
            texts, self.targets(labels), values, self.scores(labels, answers)
        )

    def class_weights(self, asked, targets):
        """There are none.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"class_weight={asked!r}, and this model answers with numbers: there are no classes. "
            "Give weights of texts as the third part of a tf.data.Dataset."
        )


def _read_number(i, label):
    text = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
    try:
        # True is 1.0 for Python; as a score it is a mistake.
        number = math.nan if isinstance(text, bool | np.bool_) else float(text)
    except (TypeError, ValueError):
        number = math.nan
    # So that NaN does not pass.
    if not abs(number) <= _LARGEST:
        raise ValueError(f"Example {i} has the label {label!r}; expected a finite number.")
    return number
