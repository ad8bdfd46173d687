"""One of several labels per text."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert.metrics.classification import MacroF1, MatthewsCorrelation
from keras_bert.metrics.report import classification_sections
from keras_bert.models.labels import SINGLE_LABEL
from keras_bert.models.problems.problem import Problem, asserted

__all__ = ["SingleLabel"]


class SingleLabel(Problem):
    """Each text has one of several labels."""

    problem_type = SINGLE_LABEL
    main_metric = "accuracy"

    def targets(self, labels):
        """Label names, or numbers from 0, → (texts,) int32.

        Raises:
            ValueError: On an unknown label; the message names it and its place.
        """
        targets = np.empty(len(labels), np.int32)
        for i, label in enumerate(labels):
            number = self._number_of(label)
            if number is None:
                raise ValueError(f"Example {i} has the unknown label {label!r}; {self._known()}.")
            targets[i] = number
        return targets

    def graph_targets(self, labels):
        """The same of names (batch,) string or of numbers (batch,)."""
        if labels.dtype == tf.string:
            number, message = self._graph_numbers(labels), "A label is unknown to the model."
        else:
            number = tf.cast(labels, tf.int32)
            message = f"A label is outside 0 to {self.outputs - 1}."
        known = tf.reduce_all((number >= 0) & (number < self.outputs))
        return asserted(number, known, message, labels)

    def answers(self, outputs):
        """``label`` and its ``probability`` (batch,), ``probabilities`` (batch, labels)."""
        probabilities = tf.nn.softmax(tf.cast(outputs, tf.float32))
        best = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        return {
            "label": tf.gather(tf.constant(self.labels), best),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "probabilities": probabilities,
        }

    def read_answer(self, answer):
        """The label as str, its probability as float."""
        return {
            "label": answer["label"].decode("utf-8"),
            "probability": float(answer["probability"]),
            "probabilities": answer["probabilities"],
        }

    def loss(self):
        """Cross entropy over the logits."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self):
        """Accuracy, macro-F1 and Matthews' correlation."""
        return [
            keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
            MacroF1(self.outputs),
            MatthewsCorrelation(self.outputs),
        ]

    def balanced_weights(self, targets):
        """Texts ÷ (labels · texts with the label); 1 for a label that no text has.

        Source: ``sklearn.utils.class_weight.compute_class_weight``.
        """
        counts = np.bincount(np.asarray(targets).reshape(-1), minlength=self.outputs)
        return np.where(counts, counts.sum() / (self.outputs * np.maximum(counts, 1)), 1.0)

    def sample_weights(self, targets, class_weights):
        """(batch,): the weight of each text's label."""
        return tf.gather(tf.constant(class_weights, tf.float32), targets)

    def report_sections(self, texts, labels, answers):
        """Scores, confusions, labels, worst errors, curves, calibration, lengths."""
        names = [self.labels[number] for number in self.targets(labels)]
        probabilities = [answer["probabilities"] for answer in answers]
        return classification_sections(texts, names, probabilities, self.labels)
