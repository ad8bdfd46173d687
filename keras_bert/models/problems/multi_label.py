"""Any number of labels per text."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_bert.metrics.multi_label import (
    MultiLabelMacroF1,
    MultiLabelMicroF1,
    SubsetAccuracy,
    chosen,
)
from keras_bert.metrics.report import multi_label_sections
from keras_bert.models.labels import MULTI_LABEL
from keras_bert.models.problems.problem import Problem, asserted

__all__ = ["MultiLabel", "MultiLabelCrossentropy"]

#: What stands between names of labels in one string, where no name has it.
SEPARATOR = "|"


class MultiLabel(Problem):
    """Each text has any number of labels, none included.

    Args:
        labels: Names of the labels.
        threshold: Least probability of a label that is answered.
    """

    problem_type = MULTI_LABEL
    main_metric = "micro_f1"

    def __init__(self, labels, threshold):
        super().__init__(labels)
        self.threshold = threshold
        self._separated = not any(SEPARATOR in name for name in labels)

    def targets(self, labels):
        """Sets of names, or of numbers from 0, → (texts, labels) float32 of 0 and 1.

        Raises:
            ValueError: On an unknown label, or what is no set of them; the message names it and
                its place.
        """
        targets = np.zeros((len(labels), self.outputs), np.float32)
        for i, found in enumerate(labels):
            targets[i] = self._marks(i, found)
        return targets

    def _marks(self, i, found):
        if isinstance(found, str | bytes):
            found = self._split(found)
        if isinstance(found, np.ndarray):
            found = found.tolist()
        if not isinstance(found, list | tuple | set | frozenset):
            raise ValueError(
                f"Example {i} has the labels {found!r}. Expected a list or set of names, empty "
                f'where the text has none, or one string with "{SEPARATOR}" between them.'
            )
        if self._are_marks(found):
            return np.array(found, np.float32)
        row = np.zeros(self.outputs, np.float32)
        for label in found:
            number = self._number_of(label)
            if number is None:
                raise ValueError(f"Example {i} has the unknown label {label!r}; {self._known()}.")
            if row[number]:
                raise ValueError(f"Example {i} has the label {label!r} twice: {found!r}.")
            row[number] = 1.0
        return row

    def _are_marks(self, found):
        """Whether these say of each label if it is there, rather than which are."""
        kinds = (bool, float, np.floating)
        # Of two labels [0, 1] names both, as numbers; of more no set has 0 or 1 twice.
        kinds += (int, np.integer) if self.outputs > 2 else ()
        in_order = isinstance(found, list | tuple) and len(found) == self.outputs
        return in_order and all(isinstance(m, kinds) for m in found) and {*found} <= {0, 1}

    def _split(self, text):
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        parts = [part.strip() for part in text.split(SEPARATOR)] if self._separated else [text]
        return [part for part in parts if part]

    def graph_targets(self, labels):
        """The same of ragged names or numbers (batch, labels of the text).

        Also of dense names: (batch,), with "|" between them, or (batch, most), padded with "";
        and of dense marks of 0 and 1 (batch, labels).
        """
        if isinstance(labels, tf.Tensor) and labels.dtype != tf.string:
            marks = tf.cast(labels, tf.float32)
            fits = tf.reduce_all((marks == 0.0) | (marks == 1.0))
            fits &= tf.shape(marks)[-1] == self.outputs
            message = f"Expected 0 or 1 for each of {self.outputs} labels."
            return asserted(tf.ensure_shape(marks, (None, self.outputs)), fits, message, labels)
        found = labels
        if isinstance(found, tf.Tensor):
            found = _parts_of(found, self._separated)
        number = found.values
        if number.dtype == tf.string:
            number = self._graph_numbers(number)
        number = tf.cast(number, tf.int32)
        counts = tf.math.unsorted_segment_sum(
            tf.one_hot(number, self.outputs), found.value_rowids(), found.nrows()
        )
        known = tf.reduce_all((number >= 0) & (number < self.outputs))
        message = "A label is unknown to the model."
        return asserted(tf.cast(counts > 0, tf.float32), known, message, found.values)

    def answers(self, outputs):
        """``labels`` ragged (batch, those of the text), ``probabilities`` (batch, labels)."""
        outputs = tf.cast(outputs, tf.float32)
        names = tf.broadcast_to(tf.constant(self.labels), tf.shape(outputs))
        return {
            "labels": tf.ragged.boolean_mask(names, chosen(outputs, self.threshold)),
            "probabilities": tf.sigmoid(outputs),
        }

    def read_answer(self, answer):
        """The labels as a list of str."""
        return {
            "labels": [label.decode("utf-8") for label in answer["labels"]],
            "probabilities": answer["probabilities"],
        }

    def loss(self):
        """Binary cross entropy of every label."""
        return MultiLabelCrossentropy()

    def metrics(self):
        """Micro-F1, macro-F1 and the share of texts whose labels are all right."""
        return [
            MultiLabelMicroF1(self.outputs, self.threshold),
            MultiLabelMacroF1(self.outputs, self.threshold),
            SubsetAccuracy(self.threshold),
        ]

    def report_sections(self, texts, labels, answers):
        """Scores, a line per label, worst errors."""
        gold = [{self.labels[j] for j in np.flatnonzero(row)} for row in self.targets(labels)]
        probabilities = [answer["probabilities"] for answer in answers]
        predicted = [answer["labels"] for answer in answers]
        return multi_label_sections(texts, gold, probabilities, self.labels, predicted)

    def balanced_weights(self, targets):
        """Texts without the label ÷ texts with it; 1 for a label that no text has.

        Source: ``pos_weight`` in the documentation of PyTorch's ``BCEWithLogitsLoss``.
        """
        positives = np.asarray(targets).sum(axis=0)
        return np.where(positives, (len(targets) - positives) / np.maximum(positives, 1), 1.0)

    def sample_weights(self, targets, class_weights):
        """(batch, labels): a label's weight where the text has it, 1 where it has not."""
        return 1.0 + targets * (tf.constant(class_weights, tf.float32) - 1.0)


@keras.saving.register_keras_serializable("keras_bert")
class MultiLabelCrossentropy(keras.losses.Loss):
    """Binary cross entropy of every label of every text, and their mean.

    ``keras.losses.BinaryCrossentropy`` takes the mean over a text's labels before weights come in;
    here weights are (batch,), of texts, or (batch, labels), of each label of each text.

    Args:
        name: Name of the loss.
        **kwargs: Passed to ``keras.losses.Loss``.

    Inputs: (batch, labels) of 0 and 1; logits (batch, labels).

    Source: ``torch.nn.BCEWithLogitsLoss``.

    Example:
        >>> round(float(MultiLabelCrossentropy()([[1.0, 0.0]], [[0.0, 0.0]])), 4)
        0.6931
    """

    def __init__(self, name="multi_label_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss; Keras would take weights of texts for weights of labels."""
        if sample_weight is not None and len(ops.shape(sample_weight)) == 1:
            sample_weight = ops.expand_dims(sample_weight, -1)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        """The cross entropy of each label of each text, (batch, labels)."""
        return ops.binary_crossentropy(y_true, y_pred, from_logits=True)


def _parts_of(names, separated):
    """Dense names → ragged ones without those that are empty."""
    if names.shape.rank == 1:
        whole = tf.RaggedTensor.from_row_lengths(names, tf.ones_like(names, tf.int64))
        names = tf.strings.split(names, SEPARATOR) if separated else whole
    else:
        names = tf.RaggedTensor.from_tensor(names)
    names = names.with_values(tf.strings.strip(names.values)) if separated else names
    return tf.ragged.boolean_mask(names, names.with_values(names.values != ""))
