"""What a classifier's outputs stand for: one label, any number of labels, or a number."""

from keras_bert.models.problems.making import make_problem
from keras_bert.models.problems.multi_label import MultiLabel, MultiLabelCrossentropy
from keras_bert.models.problems.problem import Problem
from keras_bert.models.problems.regression import Regression
from keras_bert.models.problems.single_label import SingleLabel

__all__ = [
    "MultiLabel",
    "MultiLabelCrossentropy",
    "Problem",
    "Regression",
    "SingleLabel",
    "make_problem",
]
