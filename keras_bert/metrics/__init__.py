"""Scores of the field."""

from keras_bert.metrics.classification import MacroF1
from keras_bert.metrics.entities import entity_scores
from keras_bert.metrics.tokens import TokenAccuracy

__all__ = ["MacroF1", "TokenAccuracy", "entity_scores"]
