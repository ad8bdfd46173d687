"""Optimisers, schedules, losses, recipes, runs with several seeds and runs that resume."""

from keras_bert.training.callbacks import BestEpoch
from keras_bert.training.distribution.clusters import (
    Cluster,
    PeerLost,
    cluster_of,
    lost_peers,
    wait,
)
from keras_bert.training.distribution.replicated import apply_reduced
from keras_bert.training.distribution.strategies import strategy
from keras_bert.training.embedding_losses import (
    AdditiveMargin,
    Contrastive,
    Cosine,
    MultipleNegatives,
    Triplet,
)
from keras_bert.training.lamb import LAMB
from keras_bert.training.losses import MaskedTokens
from keras_bert.training.memory import MemoryPlan, largest_batch, plan_memory
from keras_bert.training.optimizers import AdamW
from keras_bert.training.recipes import RECIPES, Recipe, default_optimizer, recipe
from keras_bert.training.runs.progress import ProgressBar
from keras_bert.training.runs.run_checkpoints import CheckpointWarning, RunCheckpoints
from keras_bert.training.runs.run_log import RunLog, read_run_log
from keras_bert.training.runs.stop_signals import Preempted
from keras_bert.training.runs.watch import StopOnBadLoss, TrainingDiverged
from keras_bert.training.schedules import (
    WarmupConstant,
    WarmupCosineDecay,
    WarmupLinearDecay,
    WarmupPolynomialDecay,
)
from keras_bert.training.seeds import SeedRuns, over_seeds
from keras_bert.training.xla_check import check_tpu_ready

__all__ = [
    "LAMB",
    "RECIPES",
    "AdamW",
    "AdditiveMargin",
    "BestEpoch",
    "CheckpointWarning",
    "Cluster",
    "Contrastive",
    "Cosine",
    "MaskedTokens",
    "MemoryPlan",
    "MultipleNegatives",
    "PeerLost",
    "Preempted",
    "ProgressBar",
    "Recipe",
    "RunCheckpoints",
    "RunLog",
    "SeedRuns",
    "StopOnBadLoss",
    "TrainingDiverged",
    "Triplet",
    "WarmupConstant",
    "WarmupCosineDecay",
    "WarmupLinearDecay",
    "WarmupPolynomialDecay",
    "apply_reduced",
    "check_tpu_ready",
    "cluster_of",
    "default_optimizer",
    "largest_batch",
    "lost_peers",
    "over_seeds",
    "plan_memory",
    "read_run_log",
    "recipe",
    "strategy",
    "wait",
]
