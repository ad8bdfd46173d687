"""Scores of the field."""

from keras_bert.metrics.classification import MacroF1
from keras_bert.metrics.language_model import MaskedAccuracy, Perplexity

__all__ = ["MacroF1", "MaskedAccuracy", "Perplexity"]
