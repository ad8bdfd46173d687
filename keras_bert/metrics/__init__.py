"""Scores of the field."""

from keras_bert.metrics.classification import MacroF1

__all__ = ["MacroF1"]
