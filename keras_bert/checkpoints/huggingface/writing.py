"""Writing a folder that ``transformers`` reads."""

from __future__ import annotations

import functools
import json
import os
import warnings
from typing import Any

import numpy as np

from keras_bert.checkpoints.huggingface.config import family_of, write_config
from keras_bert.checkpoints.huggingface.families import ARCHITECTURES, CLASSES
from keras_bert.checkpoints.huggingface.family import Family
from keras_bert.checkpoints.loading import Table, head_table, part_tables
from keras_bert.checkpoints.safetensors import write_tensors
from keras_bert.checkpoints.writing import Entry, Parts, check_heads, entries
from keras_bert.config import EncoderConfig
from keras_bert.models.labels import numbered_labels

__all__ = ["write_huggingface"]


def write_huggingface(parts: Parts, folder: str) -> None:
    """Writes ``config.json``, ``model.safetensors`` and the tokenizer's files.

    Args:
        parts: What to write.
        folder: An empty folder.

    Raises:
        CheckpointError: If no family of ``transformers`` computes what the encoder or a head does.
    """
    model_type, family, config = family_of(parts.encoder.config, parts.heads)
    if model_type == "roberta" and type(parts.tokenizer).__name__ == "SentencePieceTokenizer":
        model_type = "xlm-roberta"
    check_heads(f"transformers' {model_type}", parts.heads, family.heads)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        fields = _fields(parts, model_type, family, config)
        json.dump(fields, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_tensors(os.path.join(folder, "model.safetensors"), _entries(parts, family, config))
    if parts.tokenizer is not None:
        most = parts.seq_length or parts.encoder.config.max_seq_length
        has_types = parts.encoder.config.type_vocab_size > 1  # of one type no id is given
        parts.tokenizer.save_pretrained(folder, model_max_length=most, segment_types=has_types)


def _fields(parts: Parts, model_type: str, family: Family, config: Any) -> dict[str, Any]:
    fields = {
        "architectures": [CLASSES[model_type] + _ending(parts, family)],
        "model_type": model_type,
        **write_config(config, family),
        "dtype": "float32",
    }
    labels = parts.labels
    if parts.problem_type is not None:
        fields["problem_type"] = parts.problem_type
        # It has no labels; transformers counts its outputs by them.
        labels = labels or numbered_labels(1)
    if labels is not None:
        fields["id2label"] = {str(i): name for i, name in enumerate(labels)}
        fields["label2id"] = {name: i for i, name in enumerate(labels)}
    return fields


def _ending(parts: Parts, family: Family) -> str:
    """What the class of ``transformers`` that has these heads is called behind its family."""
    if not parts.heads:
        return "Model"
    if len(parts.heads) == 1 and (own := family.class_endings.get(*parts.heads)):
        return own
    # The first that has all heads, or else one of them: it passes over the others.
    endings = [e for e, kinds in ARCHITECTURES.items() if set(parts.heads) <= set(kinds)]
    endings += [e for e, kinds in ARCHITECTURES.items() if set(parts.heads) & set(kinds)]
    return endings[0]


def _entries(parts: Parts, family: Family, config: Any) -> list[Entry]:
    encoder = parts.encoder
    if encoder.pooler is not None and not family.pooler:
        warnings.warn(
            "This family of transformers has no pooler: this encoder's is left out.", stacklevel=6
        )
    names_of_head = functools.partial(_head_table, family)
    tables = part_tables(encoder, parts.heads, family, names_of_head=names_of_head)
    found = entries(tables, lambda variable, _: variable.name == "kernel")
    if config != encoder.config:
        found = _with_more_rows(found, family, encoder.config, config)
    # So that transformers does not tell of tensors that are missing.
    found += [_zeros(*item) for item in family.idle(config, parts.heads).items()]
    if not parts.heads:
        return found
    # In a model with a head, what belongs to the encoder is one level down.
    roots = {name.split(".")[0] for name in _all_names(family)}
    return [
        Entry(family.prefix + entry.name, entry.shape, entry.read)
        if entry.name.split(".")[0] in roots
        else entry
        for entry in found
    ]


def _with_more_rows(
    found: list[Entry], family: Family, was: EncoderConfig, config: EncoderConfig
) -> list[Entry]:
    """Tables with as many rows as a config asks for: see ``family_of``."""
    more = config.max_position_embeddings - was.max_position_embeddings
    if more:
        warnings.warn(
            "This family of transformers counts as positions only tokens that are not padding, "
            "this encoder all: the same is computed of text padded on the right, not on the left.",
            stacklevel=6,
        )
        table = family.embeddings["embeddings.position_embeddings"]
        found = [_behind_zeros(entry, more) if entry.name == table else entry for entry in found]
    if was.type_vocab_size:
        return found
    shape = (config.type_vocab_size, config.embedding_width)
    return [*found, _zeros(family.embeddings["embeddings.type_embeddings"], shape)]


def _behind_zeros(entry, count):
    rows, width = entry.shape
    above = ((count, 0), (0, 0))
    return Entry(entry.name, (count + rows, width), lambda: np.pad(entry.read(), above))


def _zeros(name, shape):
    return Entry(name, shape, functools.partial(np.zeros, shape, np.float32))


def _head_table(family: Family, kind: str, head: Any) -> Table:
    table = head_table(family.heads[kind], head)
    if "kernel" in table and "bias" in table:
        # Beside a matrix of its own it has a bias of its own; see HuggingFaceCheckpoint.
        table["bias"] = table["kernel"].removesuffix("weight") + "bias"
    return table


def _all_names(family):
    """One name of each part of an encoder, the pooler that heads may have of their own included."""
    return [*family.embeddings.values(), family.block_prefix, "pooler.", *family.pooler.values()]
