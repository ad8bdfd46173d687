"""What a classifier's outputs stand for: one label, any number of labels, or a number."""

from __future__ import annotations

import math
import numbers

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_bert.metrics.classification import MacroF1, MatthewsCorrelation
from keras_bert.metrics.multi_label import (
    MultiLabelMacroF1,
    MultiLabelMicroF1,
    SubsetAccuracy,
    chosen,
)
from keras_bert.metrics.regression import PearsonCorrelation, spearman
from keras_bert.models.labels import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
    checked_labels,
    numbered_labels,
)

__all__ = [
    "MultiLabel",
    "MultiLabelCrossentropy",
    "Problem",
    "Regression",
    "SingleLabel",
    "make_problem",
]

#: What stands between names of labels in one string, where no name has it.
SEPARATOR = "|"

#: What is larger is infinite in float32.
_LARGEST = float(np.finfo(np.float32).max)


def make_problem(labels, num_labels, multi_label, threshold) -> Problem:
    """Makes the problem that a classifier's arguments describe; see ``BertClassifier``.

    Raises:
        TypeError: If ``labels`` is one string.
        ValueError: If labels and their number do not go together, or as ``checked_labels``.
    """
    if not _is_number(threshold) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r}. Expected a probability, from 0 to 1.")
    named = isinstance(labels, str | bytes) or len(labels) > 0
    if num_labels is not None and not named:
        labels = numbered_labels(num_labels)
        if num_labels == 1 and not multi_label:
            return Regression()
    labels = checked_labels(labels, least=1 if multi_label else 2)
    if num_labels not in (None, len(labels)):
        raise ValueError(f"num_labels={num_labels}, and there are {len(labels)} labels: {labels}.")
    return MultiLabel(labels, float(threshold)) if multi_label else SingleLabel(labels)


class Problem:
    """What a classifier's outputs stand for.

    Args:
        labels: Names of the labels, in the order of the outputs.
    """

    #: The field ``problem_type`` in a config of ``transformers``.
    problem_type: str

    def __init__(self, labels):
        self.labels = labels
        self._numbers = {name: number for number, name in enumerate(labels)}

    @property
    def outputs(self) -> int:
        """How many outputs the head has."""
        return len(self.labels)

    def targets(self, labels) -> np.ndarray:
        """Labels as users write them → the numbers that the loss takes; first axis the texts."""
        raise NotImplementedError

    def graph_targets(self, labels):
        """``targets`` of tensors, in a ``tf.data`` pipeline."""
        raise NotImplementedError

    def answers(self, outputs) -> dict[str, tf.Tensor]:
        """Outputs (batch, outputs) → named tensors, first axis the batch."""
        raise NotImplementedError

    def read_answer(self, answer) -> dict:
        """One text's answer, as NumPy values → Python values."""
        raise NotImplementedError

    def loss(self):
        """A loss of targets and outputs."""
        raise NotImplementedError

    def metrics(self) -> list:
        """New metrics of targets and outputs."""
        raise NotImplementedError

    def scores(self, labels, answers) -> dict[str, float]:
        """Scores of whole answers."""
        return {}

    def class_weights(self, asked, targets) -> np.ndarray:
        """The weight of every label.

        Args:
            asked: Name or number of a label → weight, 1 for the others; or "balanced".
            targets: A function that returns the targets of all texts.
        """
        if isinstance(asked, str) and asked == "balanced":
            return self.balanced_weights(targets())
        if not isinstance(asked, dict):
            raise ValueError(
                f"class_weight={asked!r}. Expected a dict of weights by name of label, or "
                '"balanced".'
            )
        weights = np.ones(self.outputs, np.float32)
        for label, weight in asked.items():
            number = self._number_of(label)
            if number is None:
                raise ValueError(f"class_weight has the label {label!r}; {self._known()}.")
            if not _is_number(weight) or not 0 <= weight < math.inf:
                raise ValueError(
                    f"class_weight[{label!r}] is {weight!r}; expected a number of 0 or more."
                )
            weights[number] = weight
        return weights

    def balanced_weights(self, targets) -> np.ndarray:
        """Weights under which rare labels count as much as frequent ones."""
        raise NotImplementedError

    def sample_weights(self, targets, class_weights) -> tf.Tensor:
        """Weights of every label → weights for the loss of these targets, in the graph."""
        raise NotImplementedError

    def _number_of(self, label):
        """A label's number by its name or by itself; None where it has none."""
        name = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
        number = self._numbers.get(name if isinstance(name, str) else str(name))
        if number is None and _is_whole(name) and 0 <= name < self.outputs:
            number = int(name)
        return number

    def _known(self):
        more = ", ..." if len(self.labels) > 8 else ""
        return f"the model knows {', '.join(self.labels[:8])}{more}"

    def _graph_numbers(self, labels):
        """A tensor of names → their numbers, -1 for others."""
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(self.labels), tf.range(len(self.labels))
            ),
            default_value=-1,
        )
        return table.lookup(labels)


class SingleLabel(Problem):
    """Each text has one of several labels."""

    problem_type = SINGLE_LABEL

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
        return _asserted(number, known, message, labels)

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


class MultiLabel(Problem):
    """Each text has any number of labels, none included.

    Args:
        labels: Names of the labels.
        threshold: Least probability of a label that is answered.
    """

    problem_type = MULTI_LABEL

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
        # Whole numbers are labels; 0.0, 1.0, False and True say of each label whether it is there.
        marks = [float(mark) for mark in found if isinstance(mark, bool | float | np.floating)]
        if len(marks) == len(found) == self.outputs and set(marks) <= {0.0, 1.0}:
            return marks
        row = np.zeros(self.outputs, np.float32)
        for label in found:
            number = self._number_of(label)
            if number is None:
                raise ValueError(f"Example {i} has the unknown label {label!r}; {self._known()}.")
            if row[number]:
                raise ValueError(
                    f"Example {i} has the label {label!r} twice: {found!r}. Marks of 0 and 1 for "
                    "all labels are written as floats or as bools."
                )
            row[number] = 1.0
        return row

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
            return _asserted(tf.ensure_shape(marks, (None, self.outputs)), fits, message, labels)
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
        return _asserted(tf.cast(counts > 0, tf.float32), known, message, found.values)

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

    def balanced_weights(self, targets):
        """Texts without the label ÷ texts with it; 1 for a label that no text has.

        Source: ``pos_weight`` in the documentation of PyTorch's ``BCEWithLogitsLoss``.
        """
        positives = np.asarray(targets).sum(axis=0)
        return np.where(positives, (len(targets) - positives) / np.maximum(positives, 1), 1.0)

    def sample_weights(self, targets, class_weights):
        """(batch, labels): a label's weight where the text has it, 1 where it has not."""
        return 1.0 + targets * (tf.constant(class_weights, tf.float32) - 1.0)


class Regression(Problem):
    """Each text has a number."""

    problem_type = REGRESSION

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
        return _asserted(number, finite, "A label is no finite number.", labels)

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

    def class_weights(self, asked, targets):
        """There are none.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"class_weight={asked!r}, and this model answers with numbers: there are no classes. "
            "Give weights of texts as the third part of a tf.data.Dataset."
        )


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


def _asserted(value, condition, message, shown):
    """A tensor, once a condition holds."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [message, shown])]):
        return tf.identity(value)


def _parts_of(names, separated):
    """Dense names → ragged ones without those that are empty."""
    if names.shape.rank == 1:
        whole = tf.RaggedTensor.from_row_lengths(names, tf.ones_like(names, tf.int64))
        names = tf.strings.split(names, SEPARATOR) if separated else whole
    else:
        names = tf.RaggedTensor.from_tensor(names)
    names = names.with_values(tf.strings.strip(names.values)) if separated else names
    return tf.ragged.boolean_mask(names, names.with_values(names.values != ""))


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


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _is_whole(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
