"""Optimisers, schedules, losses, recipes, and runs with several seeds."""

from keras_bert.training.callbacks import BestEpoch
from keras_bert.training.embedding_losses import (
    AdditiveMargin,
    Contrastive,
    Cosine,
    MultipleNegatives,
    Triplet,
)
from keras_bert.training.losses import MaskedTokens
from keras_bert.training.optimizers import AdamW
from keras_bert.training.recipes import RECIPES, Recipe, default_optimizer, recipe
from keras_bert.training.schedules import WarmupLinearDecay
from keras_bert.training.seeds import SeedRuns, over_seeds
from keras_bert.training.xla_check import check_tpu_ready

__all__ = [
    "RECIPES",
    "AdamW",
    "AdditiveMargin",
    "BestEpoch",
    "Contrastive",
    "Cosine",
    "MaskedTokens",
    "MultipleNegatives",
    "Recipe",
    "SeedRuns",
    "Triplet",
    "WarmupLinearDecay",
    "check_tpu_ready",
    "default_optimizer",
    "over_seeds",
    "recipe",
]
