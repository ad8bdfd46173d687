"""Presets of KerasHub (KerasNLP): ``config.json``, ``model.weights.h5``, ``task.json``, ..."""

from keras_bert.checkpoints.kerashub.folder import KerasHubCheckpoint

__all__ = ["KerasHubCheckpoint"]
