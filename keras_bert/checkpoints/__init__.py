"""Foreign formats in and out. One file per format; recognised from the files that are there."""

from __future__ import annotations

import os

from keras_bert.checkpoints.conversion import FORMATS, convert, save
from keras_bert.checkpoints.huggingface import HuggingFaceCheckpoint
from keras_bert.checkpoints.inspection import Inspection, inspect
from keras_bert.checkpoints.keras_archive import MODEL_FILE, KerasCheckpoint
from keras_bert.checkpoints.kerashub import KerasHubCheckpoint
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.sentence_transformers import encoder_folder
from keras_bert.checkpoints.sources import resolve

__all__ = [
    "FORMATS",
    "CheckpointError",
    "Inspection",
    "LoadReport",
    "convert",
    "inspect",
    "load_encoder",
    "open_checkpoint",
    "read_config",
    "save",
]


def open_checkpoint(source: str):
    """Opens a checkpoint of any known format, without reading its weights yet.

    Args:
        source: A folder, a ``.keras`` file or ``hf://ORGANISATION/NAME``; or, for the generator
            that Google's code saved beside an ELECTRA, the folder with ``/generator`` behind it.

    Raises:
        FileNotFoundError: If there is nothing, or no file that tells the format.
        CheckpointError: If the checkpoint is damaged or of an unknown kind.
    """
    path = resolve(source)
    if not os.path.exists(path):
        from keras_bert.checkpoints.google import GeneratorCheckpoint

        return GeneratorCheckpoint(path)
    if os.path.isfile(path):
        if path.endswith(".keras"):
            return KerasCheckpoint(path)
        raise CheckpointError(f"{path} is a file; expected a folder or a '.keras' file.")
    path = encoder_folder(path)
    if os.path.isfile(os.path.join(path, MODEL_FILE)):
        return KerasCheckpoint(os.path.join(path, MODEL_FILE))
    if KerasHubCheckpoint.is_there(path):
        return KerasHubCheckpoint(path)
    if os.path.isfile(os.path.join(path, "config.json")):
        return HuggingFaceCheckpoint(path)
    # Here, for it needs TensorFlow, which encoders on another backend do without.
    from keras_bert.checkpoints.garden import GardenCheckpoint
    from keras_bert.checkpoints.google import GoogleCheckpoint
    from keras_bert.checkpoints.google_xlnet import XLNetCheckpoint
    from keras_bert.checkpoints.tf_hub import TfHubCheckpoint

    for checkpoint in (TfHubCheckpoint, GardenCheckpoint, XLNetCheckpoint, GoogleCheckpoint):
        if checkpoint.is_there(path):
            return checkpoint(path)
    raise FileNotFoundError(
        f"{path} is no checkpoint folder: it holds neither config.json (Hugging Face, KerasHub), "
        "nor model.keras (keras_bert), nor saved_model.pb (TF Hub), nor a TensorFlow checkpoint "
        "(Google's BERT, TF Model Garden)."
    )


def read_config(source: str):
    """Returns the encoder's config of a checkpoint; see ``open_checkpoint``."""
    return open_checkpoint(source).config


def load_encoder(source: str, verify: bool = False, **kwargs):
    """Returns an encoder with the weights of a checkpoint.

    Args:
        source: See ``open_checkpoint``.
        verify: Whether to compare with the numbers that stand beside a checkpoint which keras_bert
            wrote.
        **kwargs: Passed to the encoder.

    Raises:
        FileNotFoundError: If there is no checkpoint, or nothing to verify with.
        CheckpointError: If it cannot be loaded, or computes something else.
    """
    checkpoint = open_checkpoint(source)
    encoder = checkpoint.make_encoder(**kwargs)
    checkpoint.load(encoder, {}, verify=verify)
    return encoder
