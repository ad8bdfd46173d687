"""Writing checkpoints as XLNet's own TensorFlow 1 code does: the way back of google_xlnet.py."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_bert.checkpoints.google_xlnet import (
    ACTIVATIONS,
    CONFIG_FILE,
    FIELDS,
    STACKED,
    TRANSFORMER,
    family,
    is_transposed,
)
from keras_bert.checkpoints.loading import part_tables
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_variables import save_variables
from keras_bert.checkpoints.writing import Entry, Parts, check_heads, different_fields, entries
from keras_bert.config import ACTIVATIONS as MEANINGS
from keras_bert.config import XLNetConfig

__all__ = ["write_xlnet"]

#: Fields that their code is told on every run, or that concern the making of batches alone. Source:
#: ``RunConfig`` in zihangdai/xlnet ``xlnet.py``.
TOLD_ON_RUNS = (
    *("dropout_rate", "attention_dropout_rate", "memory_length", "memory_per_batch"),
    *("max_position_embeddings", "pad_token_id"),
)
#: Scope of a classification head: their code has the task's name behind the underscore.
CLASSIFIER = "model/classification_task"


def write_xlnet(parts: Parts, folder: str) -> XLNetConfig | None:
    """Writes ``xlnet_model.ckpt.*``, ``xlnet_config.json`` and a vocabulary.

    Their code computes the tanh form of GELU only. A model with the erf form is written all the
    same, for its weights are wanted, with a warning.

    Args:
        parts: What to write.
        folder: An empty folder.

    Returns:
        The config with the tanh form, if that is another than the encoder's.

    Raises:
        CheckpointError: If their code does not compute what the encoder or a head does.
    """
    config = parts.encoder.config
    names = family(CLASSIFIER)
    check_heads("XLNet's own code", parts.heads, names.heads)
    fields, computed = _fields(config, parts.heads)
    with open(os.path.join(folder, CONFIG_FILE), "w", encoding="utf-8") as file:
        json.dump(fields, file, indent=4, sort_keys=True)
        file.write("\n")
    written = entries(part_tables(parts.encoder, parts.heads, names), is_transposed)
    prefix = os.path.join(folder, "xlnet_model.ckpt")
    save_variables(prefix, _stacked(written, config.num_layers))
    if parts.tokenizer is not None:
        parts.tokenizer.save_pretrained(folder, model_max_length=parts.seq_length)
    return computed


def _fields(config: XLNetConfig, heads: Iterable[str]) -> tuple[dict[str, Any], XLNetConfig | None]:
    """What the config file says; and the config that it means, if that is another one."""
    meaning = MEANINGS[config.hidden_activation]
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    computed = None
    if meaning == "gelu":
        warnings.warn(
            "XLNet's own code computes another form of GELU (tanh) than this model (erf): the "
            "weights are written as they are, but outputs will differ by about 1e-3.",
            stacklevel=6,
        )
        meaning = ACTIVATIONS["gelu"]
        computed = config = dataclasses.replace(config, hidden_activation=meaning)
    kept = TOLD_ON_RUNS if "classifier" in heads else (*TOLD_ON_RUNS, "classifier_pooling")
    said = {name: getattr(config, name) for name in (*FIELDS, *kept, "tie_word_embeddings")}
    different = different_fields(config, XLNetConfig(**said), heads)
    if meaning not in names:
        different.append(f"hidden_activation={config.hidden_activation!r}")
    if different:
        raise CheckpointError(f"XLNet's own code has no words for {', '.join(different)}.")
    fields = {theirs: said[ours] for ours, theirs in FIELDS.items()}
    activation = {"ff_activation": names[meaning]}
    return {**fields, **activation, "d_head": config.head_size, "untie_r": True}, computed


def _stacked(written: list[Entry], num_layers: int) -> list[Entry]:
    """Entries, those that their code keeps for all layers together joined to one."""
    found = {entry.name: entry for entry in written}
    for name in STACKED:
        layers = [found.pop(f"{TRANSFORMER}layer_{i}/{name}") for i in range(num_layers)]
        whole, shape = TRANSFORMER + name, (num_layers, *layers[0].shape)
        found[whole] = Entry(whole, shape, lambda parts=layers: np.stack([p.read() for p in parts]))
    return list(found.values())
