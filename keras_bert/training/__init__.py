"""Optimisers and schedules."""

from keras_bert.training.optimizers import AdamW
from keras_bert.training.schedules import WarmupLinearDecay

__all__ = ["AdamW", "WarmupLinearDecay"]
