"""Optimisers, schedules, recipes, and runs with several seeds."""

from keras_bert.training.callbacks import BestEpoch
from keras_bert.training.optimizers import AdamW
from keras_bert.training.recipes import RECIPES, Recipe, default_optimizer, recipe
from keras_bert.training.schedules import WarmupLinearDecay
from keras_bert.training.seeds import SeedRuns, over_seeds

__all__ = [
    "RECIPES",
    "AdamW",
    "BestEpoch",
    "Recipe",
    "SeedRuns",
    "WarmupLinearDecay",
    "default_optimizer",
    "over_seeds",
    "recipe",
]
