"""What all problems of a classifier have in common."""

from __future__ import annotations

import math
import numbers

import numpy as np
import tensorflow as tf

__all__ = ["Problem", "asserted", "is_number"]


class Problem:
    """What a classifier's outputs stand for.

    Args:
        labels: Names of the labels, in the order of the outputs.
    """

    #: The field ``problem_type`` in a config of ``transformers``.
    problem_type: str
    #: Name of the score by which the best epoch is found.
    main_metric: str

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

    def report_sections(self, texts, labels, answers) -> list:
        """What a report shows of it, see ``keras_bert.metrics.report``."""
        raise NotImplementedError

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
            if not is_number(weight) or not 0 <= weight < math.inf:
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


def asserted(value, condition, message, shown):
    """A tensor, once a condition holds."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [message, shown])]):
        return tf.identity(value)


def is_number(value) -> bool:
    """Whether a value is a number, which True is not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _is_whole(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
