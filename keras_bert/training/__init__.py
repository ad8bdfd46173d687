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
from keras_bert.training.memory import MemoryPlan, largest_batch, plan_memory
from keras_bert.training.optimizers import AdamW
from keras_bert.training.recipes import RECIPES, Recipe, default_optimizer, recipe
from keras_bert.training.schedules import WarmupLinearDecay
from keras_bert.training.seeds import SeedRuns, over_seeds

__all__ = [
    "RECIPES",
    "AdamW",
    "AdditiveMargin",
    "BestEpoch",
    "Contrastive",
    "Cosine",
    "MaskedTokens",
    "MemoryPlan",
    "MultipleNegatives",
    "Recipe",
    "SeedRuns",
    "Triplet",
    "WarmupLinearDecay",
    "default_optimizer",
    "largest_batch",
    "over_seeds",
    "plan_memory",
    "recipe",
]
