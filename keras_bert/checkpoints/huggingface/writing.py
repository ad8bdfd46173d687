"""Writing a folder that ``transformers`` reads."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

import numpy as np

from keras_bert.checkpoints.huggingface.config import family_of, write_config
from keras_bert.checkpoints.huggingface.families import ARCHITECTURES, CLASSES
from keras_bert.checkpoints.huggingface.family import Family
from keras_bert.checkpoints.loading import Table, encoder_table, head_table
from keras_bert.checkpoints.safetensors import write_tensors
from keras_bert.checkpoints.writing import Entry, Parts, check_heads, entries

__all__ = ["write_huggingface"]


def write_huggingface(parts: Parts, folder: str) -> None:
    """Writes ``config.json``, ``model.safetensors`` and the tokenizer's files.

    Args:
        parts: What to write.
        folder: An empty folder.

    Raises:
        CheckpointError: If no family of ``transformers`` computes what the encoder or a head does.
    """
    model_type, family = family_of(parts.encoder.config)
    if model_type == "roberta" and type(parts.tokenizer).__name__ == "SentencePieceTokenizer":
        model_type = "xlm-roberta"
    check_heads(f"transformers' {model_type}", parts.heads, family.heads)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(_config(parts, model_type, family), file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_tensors(os.path.join(folder, "model.safetensors"), _entries(parts, family))
    if parts.tokenizer is not None:
        most = parts.seq_length or parts.encoder.config.max_seq_length
        has_types = parts.encoder.config.type_vocab_size > 1  # of one type no id is given
        parts.tokenizer.save_pretrained(folder, model_max_length=most, segment_types=has_types)


def _config(parts: Parts, model_type: str, family: Family) -> dict[str, Any]:
    ending = _ending(parts)
    fields = {
        "architectures": [CLASSES[model_type] + family.class_endings.get(ending, ending)],
        "model_type": model_type,
        **write_config(parts.encoder.config, family),
        "dtype": "float32",
    }
    if parts.labels is not None:
        fields["id2label"] = {str(i): name for i, name in enumerate(parts.labels)}
        fields["label2id"] = {name: i for i, name in enumerate(parts.labels)}
    return fields


def _ending(parts: Parts) -> str:
    """What the class of ``transformers`` that has these heads is called behind its family."""
    if not parts.heads:
        return "Model"
    # The first that has all heads, or else one of them: it passes over the others.
    endings = [e for e, kinds in ARCHITECTURES.items() if set(parts.heads) <= set(kinds)]
    endings += [e for e, kinds in ARCHITECTURES.items() if set(parts.heads) & set(kinds)]
    return endings[0]


def _entries(parts: Parts, family: Family) -> list:
    encoder = parts.encoder
    pooler = family.pooler if encoder.pooler is not None else {}
    table = encoder_table(encoder, family.embeddings, family.block, family.block_prefix, pooler)
    pairs = [(encoder, table)]
    pairs += [(head, _head_table(family.heads[kind], head)) for kind, head in parts.heads.items()]
    found = entries(pairs, lambda variable, _: variable.name == "kernel")
    # So that transformers does not tell of tensors that are missing.
    for name, shape in family.idle(encoder.config, parts.heads).items():
        found.append(Entry(name, shape, functools.partial(np.zeros, shape, np.float32)))
    if not parts.heads:
        return found
    # In a model with a head, what belongs to the encoder is one level down.
    roots = {name.split(".")[0] for name in _all_names(family)}
    return [
        type(entry)(family.prefix + entry.name, entry.shape, entry.read)
        if entry.name.split(".")[0] in roots
        else entry
        for entry in found
    ]


def _head_table(table: Table, head: Any) -> Table:
    table = dict(head_table(table, head))
    if "kernel" in table and "bias" in table:
        # Beside a matrix of its own it has a bias of its own; see HuggingFaceCheckpoint.
        table["bias"] = table["kernel"].removesuffix("weight") + "bias"
    return table


def _all_names(family):
    """One name of each part of an encoder, the pooler that heads may have of their own included."""
    return [*family.embeddings.values(), family.block_prefix, "pooler.", *family.pooler.values()]
