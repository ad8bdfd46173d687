"""Folders of sentence-transformers: where in them the encoder is."""

from __future__ import annotations

import json
import os

from keras_bert.checkpoints.report import CheckpointError

__all__ = ["encoder_folder"]


def encoder_folder(folder: str) -> str:
    """Returns the folder of a model's encoder: a subfolder where ``modules.json`` says so.

    ``modules.json`` lists what a sentence goes through; the first is the encoder. Versions before
    2.0 saved it to ``0_Transformer``, beside a ``config.json`` that holds their own version.

    Args:
        folder: Any folder.

    Raises:
        CheckpointError: If ``modules.json`` is damaged or points outside the folder.

    Source: ``SentenceTransformer.save`` in sentence-transformers 1.0 and 2.0.
    """
    path = os.path.join(folder, "modules.json")
    if not os.path.isfile(path):
        return folder
    try:
        with open(path, encoding="utf-8") as file:
            place = json.load(file)[0]["path"]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: no readable first module ({error!r}).") from None
    if not isinstance(place, str) or os.path.basename(place) != place or place == "..":
        raise CheckpointError(f"{path} names the module {place!r}, outside its own folder.")
    return os.path.join(folder, place) if place else folder
