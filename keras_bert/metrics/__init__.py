"""Scores of the field."""

from keras_bert.metrics.classification import BinaryF1, MacroF1, MatthewsCorrelation, MicroF1
from keras_bert.metrics.entities import entity_scores
from keras_bert.metrics.glue import GLUE, glue_scores, glue_task
from keras_bert.metrics.language_model import MaskedAccuracy, Perplexity
from keras_bert.metrics.multi_label import MultiLabelMacroF1, MultiLabelMicroF1, SubsetAccuracy
from keras_bert.metrics.regression import PearsonCorrelation, pearson, spearman
from keras_bert.metrics.squad import cmrc_scores, squad2_scores, squad_scores
from keras_bert.metrics.tokens import TokenAccuracy

__all__ = [
    "GLUE",
    "BinaryF1",
    "MacroF1",
    "MaskedAccuracy",
    "MatthewsCorrelation",
    "MicroF1",
    "MultiLabelMacroF1",
    "MultiLabelMicroF1",
    "PearsonCorrelation",
    "Perplexity",
    "SubsetAccuracy",
    "TokenAccuracy",
    "cmrc_scores",
    "entity_scores",
    "glue_scores",
    "glue_task",
    "pearson",
    "spearman",
    "squad2_scores",
    "squad_scores",
]
