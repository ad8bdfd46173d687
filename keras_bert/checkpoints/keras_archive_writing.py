"""Writing ``.keras`` files: whole models, which Keras and keras_bert open again."""

from __future__ import annotations

import os
from typing import Any

import keras_bert.models as models
from keras_bert.checkpoints.keras_archive import MODEL_FILE
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.writing import Parts

__all__ = ["model_class", "write_keras"]

#: A checkpoint's only head → the class of the model that has it.
MODELS = {
    "classifier": "BertClassifier",
    "token_classifier": "BertTokenClassifier",
    "span_labeler": "BertSpanLabeler",
    "beam_span_labeler": "BeamSpanLabeler",
    "multiple_choice": "BertMultipleChoice",
    "masked_lm": "BertMaskedLM",
}

#: Heads that one model has together.
PRETRAINING = {"masked_lm", "next_sentence", "replaced_tokens"}


def model_class(source: str, checkpoint: Any) -> type | None:
    """The class of the model that keeps all that a checkpoint holds.

    Args:
        source: The checkpoint's path, for the message.
        checkpoint: The open checkpoint.

    Returns:
        The class; None where an encoder is all that there is.

    Raises:
        CheckpointError: If no class has all its heads.
    """
    heads = set(checkpoint.sure_heads)
    if not heads:
        return None
    # BertMaskedLM has no use for a pooler.
    is_plain = heads != {"masked_lm"} or not checkpoint.config.use_pooler
    if len(heads) == 1 and is_plain and (name := MODELS.get(*heads)):
        return getattr(models, name)
    if heads <= PRETRAINING:
        return models.BertPretrainer
    raise CheckpointError(
        f"{source} has the heads {', '.join(sorted(heads))}, which no model has together. Load it "
        "as the model that you want, such as BertClassifier.from_pretrained, and save that."
    )


def write_keras(parts: Parts, place: str) -> None:
    """Writes a model as Keras saves it.

    Args:
        parts: What to write, with its ``model``; without one its encoder is written.
        place: A path that ends in ``.keras``; or an empty folder, which gets ``model.keras``.
    """
    model = parts.encoder if parts.model is None else parts.model
    if place.endswith(".keras"):
        model.save(place)
        return
    model.save(os.path.join(place, MODEL_FILE))
    # An encoder has no place for a tokenizer; the folder has.
    if parts.tokenizer is not None and model is parts.encoder:
        parts.tokenizer.save_pretrained(place)
