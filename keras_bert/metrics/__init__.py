"""Scores of the field."""

from keras_bert.metrics.classification import MacroF1
from keras_bert.metrics.squad import cmrc_scores, squad2_scores, squad_scores

__all__ = ["MacroF1", "cmrc_scores", "squad2_scores", "squad_scores"]
