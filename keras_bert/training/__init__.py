"""Optimisers, schedules, losses, recipes, and runs with several seeds."""

from keras_bert.training.callbacks import BestEpoch
from keras_bert.training.clusters import Cluster, PeerLost, cluster_of, lost_peers, wait
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
from keras_bert.training.strategies import strategy

__all__ = [
    "RECIPES",
    "AdamW",
    "AdditiveMargin",
    "BestEpoch",
    "Cluster",
    "Contrastive",
    "Cosine",
    "MaskedTokens",
    "MultipleNegatives",
    "PeerLost",
    "Recipe",
    "SeedRuns",
    "Triplet",
    "WarmupLinearDecay",
    "cluster_of",
    "default_optimizer",
    "lost_peers",
    "over_seeds",
    "recipe",
    "strategy",
    "wait",
]
