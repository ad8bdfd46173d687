"""Writing TF Model Garden's checkpoints: the objects of its models, without its models."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from typing import Any

import tensorflow as tf

from keras_bert.checkpoints.folder import CONFIG_FIELDS
from keras_bert.checkpoints.garden.names import ACTIVATIONS, BERT, HEAD_PLACES, unfolded
from keras_bert.checkpoints.loading import Table, names_of, part_tables
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.writing import Parts, check_heads, different_fields, entries
from keras_bert.config import ACTIVATIONS as OURS
from keras_bert.config import EncoderConfig

__all__ = ["add_objects", "check_config", "find_object", "places", "tables", "write_garden"]

_ACTIVATIONS = ("hidden_activation", "masked_lm_activation")

#: Further ways to an object, by which the Garden's models and its trainer look for it.
ALIASES = {
    "model/encoder_network": "encoder",  # BertPretrainerV2
    "model/_network": "encoder",  # BertClassifier, BertTokenClassifier, BertSpanLabeler
    "model/encoder": "encoder",  # BertPretrainer
    "model/classification/layer_with_weights-0": "model/classification_heads/0/out_proj",
    # ``checkpoint_items`` of BertPretrainerV2.
    "masked_lm": "model/masked_lm",
    "next_sentence.pooler_dense": "model/classification_heads/0/dense",
}


def write_garden(parts: Parts, folder: str) -> EncoderConfig | None:
    """Writes ``bert_model.ckpt.*``, ``bert_config.json`` and a vocabulary.

    In the Garden ``tf.train.Checkpoint(encoder=...)`` reads them into a ``BertEncoder`` or a
    ``BertEncoderV2``, and ``tf.train.Checkpoint(model=...)`` into that or, where there is a head,
    into the model with that head. The Garden's names have the tanh form of GELU only. A model with
    the erf form is written all the same, for its weights are wanted, with a warning.

    Args:
        parts: What to write.
        folder: An empty folder.

    Returns:
        The config with the tanh form, if that is another than the encoder's.

    Raises:
        CheckpointError: If the Garden's BERT does not compute what the encoder or a head does.
    """
    check_config("TF Model Garden", parts)
    with open(os.path.join(folder, "bert_config.json"), "w", encoding="utf-8") as file:
        json.dump(_fields(parts.encoder.config), file, indent=2)
        file.write("\n")
    root = tf.train.Checkpoint()
    add_objects(root, parts)
    # Their ``restore`` asks for it.
    _ = root.save_counter
    root.write(os.path.join(folder, "bert_model.ckpt"))
    if parts.tokenizer is not None:
        parts.tokenizer.save_pretrained(folder, model_max_length=parts.seq_length)
    config = parts.encoder.config
    read = {name: ACTIVATIONS[_name(getattr(config, name) or "gelu_tanh")] for name in _ACTIVATIONS}
    computed = {name: read[name] for name in read if getattr(config, name) is not None}
    if all(OURS[getattr(config, name)] == found for name, found in computed.items()):
        return None
    warnings.warn(
        "TF Model Garden computes another form of GELU (tanh) than this model (erf): the weights "
        "are written as they are, but outputs will differ by about 1e-3.",
        stacklevel=6,
    )
    return dataclasses.replace(config, **computed)


def check_config(format: str, parts: Parts) -> None:
    """Raises CheckpointError unless the Garden's BERT computes what these parts do."""
    check_heads(format, parts.heads, BERT.heads)
    config = parts.encoder.config
    said = {ours: getattr(config, ours) for ours in (*CONFIG_FIELDS, "embedding_size")}
    masked_lm = config.masked_lm_activation
    again = EncoderConfig(**said, use_pooler=config.use_pooler, masked_lm_activation=masked_lm)
    different = different_fields(config, again)
    names = set(ACTIVATIONS.values())
    different += [
        f"{name}={getattr(config, name)!r}"
        for name in _ACTIVATIONS
        if OURS.get(getattr(config, name), "gelu") not in {*names, "gelu"}
    ]
    if config.type_vocab_size == 0:
        different.append("type_vocab_size=0")
    if config.embedding_size == config.hidden_size:
        # There, nothing is projected then.
        different.append(f"embedding_size={config.embedding_size}")
    if different:
        raise CheckpointError(
            f"{format}'s BERT does not compute what this config asks for: it has no words for "
            f"{', '.join(different)}."
        )


def add_objects(root: Any, parts: Parts) -> None:
    """Makes the variables of a model of the Garden's, as parts of objects called as there.

    Args:
        root: Gets the parts; anything that ``tf.train.Checkpoint`` takes.
        parts: What they hold; their numbers are copied.
    """
    where = places(parts)
    for entry in entries(tables(parts), lambda *_: False):
        shape = unfolded(entry.name, entry.shape, parts.encoder.config.num_attention_heads)
        variable = tf.Variable(entry.read().reshape(shape), name=entry.name)
        _put(root, where[entry.name], variable)
    for alias, place in ALIASES.items():
        part = find_object(root, place)
        if part is not None and (parts.heads or not alias.startswith("model/")):
            _put(root, alias, part)
    if not parts.heads:
        root.model = root.encoder


def tables(parts: Parts) -> list[tuple[Any, Table]]:
    """Encoder and heads, each with its table."""
    pairs = part_tables(parts.encoder, parts.heads, BERT)
    if "next_sentence" in parts.heads:
        # A layer of the head's own there, which reads the first token as the pooler does.
        pairs.append((parts.encoder, BERT.head_poolers["next_sentence"]))
    return pairs


def places(parts: Parts) -> dict[str, str]:
    """Name of each variable in our tables → where `add_objects` puts it."""
    names = (
        name for _, table in tables(parts) for names in table.values() for name in names_of(names)
    )
    return {
        name: f"model/{HEAD_PLACES[name][0]}" if name in HEAD_PLACES else name for name in names
    }


def find_object(root: Any, place: str) -> Any:
    """The part of an object at a place such as ``encoder/_pooler_layer``; None without it."""
    for name in place.split("/"):
        root = getattr(root, name, None)
    return root


def _put(root, place, part):
    *above, last = place.split("/")
    for name in above:
        if not hasattr(root, name):
            setattr(root, name, tf.Module())
        root = getattr(root, name)
    setattr(root, last, part)


def _fields(config: EncoderConfig) -> dict[str, Any]:
    fields = {theirs: getattr(config, ours) for ours, theirs in CONFIG_FIELDS.items()}
    fields["hidden_act"] = _name(config.hidden_activation)
    if config.embedding_size is not None:
        fields["embedding_size"] = config.embedding_size
    if config.masked_lm_activation is not None:
        fields["mlm_activation"] = _name(config.masked_lm_activation)
    return fields


def _name(activation):
    """The Garden's name of an activation; that of its gelu for the form that it does not have."""
    names = {meaning: name for name, meaning in reversed(ACTIVATIONS.items())}
    return names.get(OURS[activation], "gelu")
