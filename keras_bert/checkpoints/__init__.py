"""Foreign formats in and out. One file per format; recognised from the files that are there."""

from __future__ import annotations

import os

from keras_bert.checkpoints.huggingface import HuggingFaceCheckpoint
from keras_bert.checkpoints.inspection import Inspection, inspect
from keras_bert.checkpoints.keras_archive import KerasCheckpoint
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.sources import resolve

__all__ = [
    "CheckpointError",
    "Inspection",
    "LoadReport",
    "inspect",
    "load_encoder",
    "open_checkpoint",
    "read_config",
]


def open_checkpoint(source: str):
    """Opens a checkpoint of any known format, without reading its weights yet.

    Args:
        source: A folder, a ``.keras`` file or ``hf://ORGANISATION/NAME``.

    Raises:
        FileNotFoundError: If there is nothing, or no file that tells the format.
        CheckpointError: If the checkpoint is damaged or of an unknown kind.
    """
    path = resolve(source)
    if os.path.isfile(path):
        if path.endswith(".keras"):
            return KerasCheckpoint(path)
        raise CheckpointError(f"{path} is a file; expected a folder or a '.keras' file.")
    if os.path.isfile(os.path.join(path, "model.keras")):
        return KerasCheckpoint(os.path.join(path, "model.keras"))
    if os.path.isfile(os.path.join(path, "config.json")):
        return HuggingFaceCheckpoint(path)
    # Here, for it needs TensorFlow, which encoders on another backend do without.
    from keras_bert.checkpoints.google import GoogleCheckpoint

    if GoogleCheckpoint.is_there(path):
        return GoogleCheckpoint(path)
    raise FileNotFoundError(
        f"{path} is no checkpoint folder: it holds neither config.json (Hugging Face), nor "
        "model.keras (keras_bert), nor a TensorFlow checkpoint (Google's BERT)."
    )


def read_config(source: str):
    """Returns the ``EncoderConfig`` of a checkpoint; see ``open_checkpoint``."""
    return open_checkpoint(source).config


def load_encoder(source: str, **kwargs):
    """Returns a ``BertEncoder`` with the weights of a checkpoint; see ``open_checkpoint``."""
    checkpoint = open_checkpoint(source)
    encoder = checkpoint.make_encoder(**kwargs)
    checkpoint.load(encoder, {})
    return encoder
