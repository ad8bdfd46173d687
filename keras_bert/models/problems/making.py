"""Which problem a classifier's arguments describe."""

from __future__ import annotations

from keras_bert.models.labels import checked_labels, numbered_labels
from keras_bert.models.problems.multi_label import MultiLabel
from keras_bert.models.problems.problem import Problem, is_number
from keras_bert.models.problems.regression import Regression
from keras_bert.models.problems.single_label import SingleLabel

__all__ = ["make_problem"]


def make_problem(labels, num_labels, multi_label, threshold) -> Problem:
    """Makes the problem that a classifier's arguments describe; see ``BertClassifier``.

    Raises:
        TypeError: If ``labels`` is one string.
        ValueError: If labels and their number do not go together, or as ``checked_labels``.
    """
    if not is_number(threshold) or not 0 <= threshold <= 1:
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
