"""TF Model Garden's TensorFlow 2 checkpoints of BERT."""

from keras_bert.checkpoints.garden.folder import GardenCheckpoint

__all__ = ["GardenCheckpoint"]
