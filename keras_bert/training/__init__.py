"""Optimisers, schedules and losses."""

from keras_bert.training.embedding_losses import (
    AdditiveMargin,
    Contrastive,
    Cosine,
    MultipleNegatives,
    Triplet,
)
from keras_bert.training.losses import MaskedTokens
from keras_bert.training.optimizers import AdamW
from keras_bert.training.schedules import WarmupLinearDecay

__all__ = [
    "AdamW",
    "AdditiveMargin",
    "Contrastive",
    "Cosine",
    "MaskedTokens",
    "MultipleNegatives",
    "Triplet",
    "WarmupLinearDecay",
]
