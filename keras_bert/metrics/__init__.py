"""Scores of the field."""

from keras_bert.metrics.classification import BinaryF1, MacroF1, MatthewsCorrelation, MicroF1
from keras_bert.metrics.glue import GLUE, glue_scores, glue_task
from keras_bert.metrics.multi_label import MultiLabelMacroF1, MultiLabelMicroF1, SubsetAccuracy
from keras_bert.metrics.regression import PearsonCorrelation, pearson, spearman

__all__ = [
    "GLUE",
    "BinaryF1",
    "MacroF1",
    "MatthewsCorrelation",
    "MicroF1",
    "MultiLabelMacroF1",
    "MultiLabelMicroF1",
    "PearsonCorrelation",
    "SubsetAccuracy",
    "glue_scores",
    "glue_task",
    "pearson",
    "spearman",
]
