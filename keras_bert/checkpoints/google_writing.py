"""Writing checkpoints as Google's TensorFlow 1 code does: the way back of google.py."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from typing import Any

from keras_bert.checkpoints import mobile_bert
from keras_bert.checkpoints.folder import CONFIG_FIELDS
from keras_bert.checkpoints.google_names import (
    ALBERT,
    BERT,
    ELECTRA,
    MOBILE_BERT,
    MOBILE_BERT_LAYER_NORM,
    Family,
    is_transposed,
)
from keras_bert.checkpoints.loading import part_tables
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_variables import save_variables
from keras_bert.checkpoints.writing import Parts, check_heads, different_fields, entries
from keras_bert.config import ACTIVATIONS, EncoderConfig

__all__ = ["write_google"]


def write_google(parts: Parts, folder: str) -> EncoderConfig | None:
    """Writes ``bert_model.ckpt.*``, a config and a vocabulary, as Google's repositories do.

    Google's BERT and ALBERT compute the tanh form of GELU only. A model with the erf form is
    written all the same, for its weights are wanted, with a warning.

    Args:
        parts: What to write.
        folder: An empty folder.

    Returns:
        The config with the tanh form, if that is another than the encoder's.

    Raises:
        CheckpointError: If Google's code does not compute what the encoder or a head does.
    """
    if not isinstance(parts.encoder.config, EncoderConfig):
        raise CheckpointError(
            f"Google's code computes no {type(parts.encoder).__name__}. Write it in the format "
            "'huggingface'."
        )
    family, fields = _family_of(parts.encoder.config)
    check_heads(f"Google's {family.name}", parts.heads, family.heads)
    if parts.encoder.config.type_vocab_size == 0:
        raise CheckpointError("Google's code always has segment types; type_vocab_size is 0.")
    with open(os.path.join(folder, f"{family.name}_config.json"), "w", encoding="utf-8") as file:
        json.dump(fields, file, indent=2)
        file.write("\n")
    written = entries(part_tables(parts.encoder, parts.heads, family), is_transposed)
    save_variables(os.path.join(folder, "bert_model.ckpt"), written)
    if parts.tokenizer is not None:
        parts.tokenizer.save_pretrained(folder, model_max_length=parts.seq_length)
    computed = family.activations[fields["hidden_act"]]
    if computed == ACTIVATIONS[parts.encoder.config.hidden_activation]:
        return None
    return dataclasses.replace(parts.encoder.config, hidden_activation=computed)


def _family_of(config: EncoderConfig) -> tuple[Family, dict[str, Any]]:
    """The code base that computes what a config asks for, and what it has in its config file."""
    differences = {}
    for family in (BERT, ALBERT, ELECTRA, MOBILE_BERT, MOBILE_BERT_LAYER_NORM):
        names = {meaning: name for name, meaning in family.activations.items()}
        activation = ACTIVATIONS[config.hidden_activation]
        said = {ours: getattr(config, ours) for ours in CONFIG_FIELDS}
        said["hidden_activation"] = activation
        if config.embedding_size is not None:
            said["embedding_size"] = config.embedding_size
        if family is ALBERT:
            said |= {"num_layer_groups": config.num_layer_groups, "group_size": config.group_size}
        if family.name == "mobilebert":
            said |= {ours: getattr(config, ours) for ours in mobile_bert.FIELDS}
            said |= mobile_bert.structure(mobile_bert.structure_fields(config), {})
        again = EncoderConfig(**said | dict(family.always), use_pooler=config.use_pooler)
        different = different_fields(config, again)
        if activation not in names and activation != "gelu":
            different.append(f"hidden_activation={config.hidden_activation!r}")
        differences[family.name] = different
        if not different:
            return family, _fields(config, family, names)
    nearest = min(differences, key=lambda name: len(differences[name]))
    raise CheckpointError(
        f"None of Google's codes computes what this config asks for. The nearest is {nearest}'s, "
        f"which has no words for {', '.join(differences[nearest])}."
    )


def _fields(config, family, names):
    activation = ACTIVATIONS[config.hidden_activation]
    if activation not in names:
        warnings.warn(
            "Google's code computes another form of GELU (tanh) than this model (erf): the weights "
            "are written as they are, but outputs will differ by about 1e-3.",
            stacklevel=7,
        )
    fields = {theirs: getattr(config, ours) for ours, theirs in CONFIG_FIELDS.items()}
    fields["hidden_act"] = names.get(activation, "gelu")
    if config.embedding_size is not None:
        fields["embedding_size"] = config.embedding_size
    if family is ALBERT:
        fields["num_hidden_groups"] = config.num_layer_groups
        fields["inner_group_num"] = config.group_size
    if family.name == "mobilebert":
        own = {theirs: getattr(config, ours) for ours, theirs in mobile_bert.FIELDS.items()}
        own |= mobile_bert.structure_fields(config)
        fields |= {name: value for name, value in own.items() if value is not None}
    return fields
