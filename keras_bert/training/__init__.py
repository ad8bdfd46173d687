"""Optimisers, schedules, losses, recipes, runs with several seeds and runs that resume."""

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
from keras_bert.training.run_checkpoints import CheckpointWarning, RunCheckpoints
from keras_bert.training.schedules import WarmupLinearDecay
from keras_bert.training.seeds import SeedRuns, over_seeds
from keras_bert.training.stop_signals import PREEMPTED, Preempted

__all__ = [
    "PREEMPTED",
    "RECIPES",
    "AdamW",
    "AdditiveMargin",
    "BestEpoch",
    "CheckpointWarning",
    "Contrastive",
    "Cosine",
    "MaskedTokens",
    "MultipleNegatives",
    "Preempted",
    "Recipe",
    "RunCheckpoints",
    "SeedRuns",
    "Triplet",
    "WarmupLinearDecay",
    "default_optimizer",
    "over_seeds",
    "recipe",
]
