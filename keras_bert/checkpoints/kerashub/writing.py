"""Writing a preset folder that KerasHub's ``from_preset`` reads."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import time
import warnings
from typing import Any

import h5py
import keras
import numpy as np

from keras_bert.checkpoints.kerashub.families import FAMILIES, TASK, Family, heads_axis
from keras_bert.checkpoints.loading import part_tables
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.writing import Entry, Parts, different_fields, entries
from keras_bert.config import ACTIVATIONS, EncoderConfig

__all__ = ["write_kerashub"]

#: The version whose files these are.
VERSION = "0.32.0"

#: Kind of head → what its task's class is called behind the family's name.
TASKS = {"classifier": "TextClassifier", "masked_lm": "MaskedLM"}

#: Fields that change no number of a trained model, or that have no place in a backbone.
UNSAID = {"initializer_range", "attention_dropout_rate", "classifier_dropout", "pad_token_id"}
#: Fields for which the weights are changed so that the same is computed; see `_same_network`.
CHANGED = {
    "use_pooler",
    "positions_skip_padding",
    "max_position_embeddings",
    "type_vocab_size",
}
#: What `MaskedLMPreprocessor` is made with beside the tokenizer and the length.
MASKING = {
    "mask_selection_rate": 0.15,
    "mask_selection_length": 96,
    "mask_token_rate": 0.8,
    "random_token_rate": 0.1,
}


def write_kerashub(parts: Parts, folder: str) -> EncoderConfig | None:
    """Writes ``config.json``, ``model.weights.h5``, a task and the tokenizer's files.

    Where KerasHub's network is another one that computes the same with other weights, these are
    written: its RoBERTa has no rows for padding in the position table and no table of segment types
    (the only row of one is added to all positions); its BERT always has segment types (rows of
    zeros) and a pooler (zeros, with a warning).

    Its BERT, ALBERT and ELECTRA compute the tanh form of GELU only. A model with the erf form is
    written all the same, for its weights are wanted, with a warning.

    Args:
        parts: What to write.
        folder: An empty folder.

    Returns:
        The config with the tanh form, if that is another than the encoder's.

    Raises:
        CheckpointError: If no backbone of KerasHub computes what the encoder, a head or the
            tokenizer does.
    """
    if not isinstance(parts.encoder.config, EncoderConfig):
        raise CheckpointError(
            f"No backbone of KerasHub is written for a {type(parts.encoder).__name__}. Write it in "
            "the format 'huggingface'."
        )
    family, config = _family_of(parts)
    if len(parts.heads) > 1:
        raise CheckpointError(
            f"A preset of KerasHub has one task; this model has the heads {', '.join(parts.heads)}."
        )
    backbone = _backbone(parts.encoder.config, family)
    found = _entries(parts, family.of(parts.encoder.config))
    sizes = {TASK: [e for e in found if e.name.startswith(TASK)]}
    sizes[""] = [entry for entry in found if entry not in sizes[TASK]]
    heads = parts.encoder.config.num_attention_heads
    _write_weights(os.path.join(folder, "model.weights.h5"), sizes[""], "", heads)
    _write_json(folder, "config.json", backbone)
    _write_json(folder, "metadata.json", _metadata(sizes[""], family))
    preprocessor = None
    if parts.tokenizer is not None:
        preprocessor = _write_texts(parts, family, folder)
    for kind, head in parts.heads.items():
        _write_json(folder, "task.json", _task(kind, head, family, backbone, preprocessor))
        _write_weights(os.path.join(folder, "task.weights.h5"), sizes[TASK], TASK, heads)
    if config is parts.encoder.config:
        return None
    warnings.warn(
        f"KerasHub's {family.name}Backbone computes another form of GELU (tanh) than this model "
        "(erf): the weights are written as they are, but outputs will differ by about 1e-3.",
        stacklevel=5,
    )
    return config


# --- the family ----------------------------------------------------------------------------------


def _family_of(parts: Parts) -> tuple[Family, EncoderConfig]:
    """The family whose backbone computes what an encoder does, and whose task what its head does.

    Of two, the one that has the classifier, whether there is one or not; and before one that has
    another form of GELU, one that does not. Beside it the config that is computed.
    """
    differences = {}
    kinds_of_heads = ({"classifier", *parts.heads}, {*parts.heads})
    for config, kinds in itertools.product(_nearly(parts.encoder.config), kinds_of_heads):
        for name, family in FAMILIES.items():
            if name in _NAMED_BY_TOKENIZER and _has_pieces(parts) != _NAMED_BY_TOKENIZER[name]:
                continue
            lacks = [f"the head {kind}" for kind in parts.heads if kind not in family.heads]
            found = lacks + _differences(config, family, kinds)
            if not found:
                return family, config
            differences[name] = min(found, differences.get(name, found), key=len)
    # One without the head is not near.
    heads_there = {name: FAMILIES[name].heads.keys() >= parts.heads.keys() for name in differences}
    nearest = min(differences, key=lambda n: (not heads_there[n], len(differences[n])))
    raise CheckpointError(
        "No backbone of KerasHub computes what this config asks for. The nearest is "
        f"{nearest}, which has no words for {', '.join(differences[nearest])}."
    )


def _nearly(config):
    """A config, and the same with the tanh form of GELU in place of the erf form."""
    if ACTIVATIONS[config.hidden_activation] != "gelu":
        return [config]
    # But for the head, which says what its activation is.
    head = config.masked_lm_activation or config.hidden_activation
    changes = {"hidden_activation": "gelu_tanh", "masked_lm_activation": head}
    return [config, dataclasses.replace(config, **changes)]


#: Two that compute the same → whether the tokenizer is of SentencePiece.
_NAMED_BY_TOKENIZER = {"RobertaBackbone": False, "XLMRobertaBackbone": True}


def _has_pieces(parts):
    return type(parts.tokenizer).__name__ == "SentencePieceTokenizer"


def _differences(config: EncoderConfig, family: Family, kinds: set[str]) -> list[str]:
    """What a config asks for that a family does not compute."""
    ours = {name: getattr(config, name) for name in family.fields}
    again = EncoderConfig(**{**ours, **family.computes(kinds)}, use_pooler=config.use_pooler)
    found = [
        difference
        for difference in different_fields(config, again, kinds)
        if difference.split("=")[0] not in UNSAID | CHANGED
    ]
    impossible = {
        "type_vocab_size": config.type_vocab_size > 1 and "type_vocab_size" not in family.fields,
        "num_layer_groups": config.num_layers % (config.num_layer_groups or 1) > 0
        or (config.num_layer_groups is None and "num_layer_groups" in family.fields),
        "embedding_size": "embedding_size" in family.fields
        and config.embedding_size == (None if family.projects else config.hidden_size),
    }
    found += [f"{name}={getattr(config, name)!r}" for name, is_so in impossible.items() if is_so]
    return found


# --- weights -------------------------------------------------------------------------------------


def _entries(parts: Parts, family: Family) -> list[Entry]:
    tables = part_tables(parts.encoder, parts.heads, family)
    return _same_network(parts.encoder, family, entries(tables, lambda variable, name: False))


def _same_network(encoder: Any, family: Family, found: list[Entry]) -> list[Entry]:
    """Entries of the network that KerasHub has, where it is not the same by the same weights."""
    positions = family.embeddings["embeddings.position_embeddings"]
    found = [_position_table(encoder, family, e) if e.name == positions else e for e in found]
    return [*found, *_type_table(encoder.config, family), *_pooler(encoder, family)]


def _position_table(encoder, family, entry):
    """The position table without padding's rows, and with the segment type that has no table."""
    config = encoder.config
    skipped = config.max_position_embeddings - config.max_seq_length
    untyped = "type_vocab_size" not in family.fields and config.type_vocab_size > 0

    def read():
        rows = entry.read()[skipped:]
        return rows + _first_row(encoder.embeddings.type_embeddings) if untyped else rows

    return Entry(entry.name, (entry.shape[0] - skipped, entry.shape[1]), read)


def _first_row(table):
    return np.asarray(table.value, np.float32)[:1]


def _type_table(config, family):
    """The table of segment types of an encoder that knows none."""
    if "type_vocab_size" not in family.fields or config.type_vocab_size:
        return []
    shape = (_num_segments(config), config.embedding_width)
    return [_zeros(family.embeddings["embeddings.type_embeddings"], shape)]


def _pooler(encoder, family):
    """The pooler of an encoder that has none."""
    if bool(family.pooler) == (encoder.pooler is not None):
        return []
    if not family.pooler:
        warnings.warn(
            f"KerasHub's {family.name}Backbone has no pooler: this encoder's is left out.",
            stacklevel=8,
        )
        return []
    warnings.warn(
        f"KerasHub's {family.name}Backbone has a pooler and this encoder none: its pooled output "
        "will be zeros.",
        stacklevel=8,
    )
    width = encoder.config.hidden_size
    shapes = {"pooler.kernel": (width, width), "pooler.bias": (width,)}
    return [_zeros(family.pooler[path], shape) for path, shape in shapes.items()]


def _zeros(name, shape):
    return Entry(name, shape, functools.partial(np.zeros, shape, np.float32))


def _num_segments(config):
    # Two where there are none: their preprocessor tells the segments of a pair apart.
    return config.type_vocab_size or 2


def _write_weights(path: str, found: list[Entry], prefix: str, num_heads: int) -> None:
    with h5py.File(path, "w") as file:
        for entry in found:
            value = entry.read()
            axis = heads_axis(entry.name)
            if axis is not None:
                shape = value.shape
                split = (num_heads, shape[axis] // num_heads)
                value = value.reshape(*shape[:axis], *split, *shape[axis + 1 :])
            file.create_dataset(entry.name.removeprefix(prefix), data=value)


# --- descriptions --------------------------------------------------------------------------------


def _object(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """What Keras needs to build an object."""
    return {
        "module": f"keras_hub.src.models.{module}",
        "class_name": name,
        "config": config,
        "registered_name": f"keras_hub>{name}",
    }


def _layer(name: str, fields: dict[str, Any], dtype: str = "float32") -> dict[str, Any]:
    """A layer's config: what all have, and its own."""
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": dtype}}
    return {"name": name, "trainable": True, "dtype": {**policy, "registered_name": None}, **fields}


def _backbone(config: EncoderConfig, family: Family) -> dict[str, Any]:
    if config.attention_dropout_rate != config.dropout_rate:
        warnings.warn(
            "KerasHub has one dropout rate: attention_dropout_rate="
            f"{config.attention_dropout_rate} becomes {config.dropout_rate}.",
            stacklevel=6,
        )
    values = {
        **config.to_dict(),
        "attention_dropout_rate": config.dropout_rate,
        "max_position_embeddings": config.max_seq_length,
        "type_vocab_size": _num_segments(config),
        "embedding_size": config.embedding_width,
    }
    fields = {theirs: values[ours] for ours, theirs in family.fields.items()}
    name = f"{family.module}_backbone"
    return _object(f"{family.module}.{name}", f"{family.name}Backbone", _layer(name, fields))


def _write_texts(parts: Parts, family: Family, folder: str) -> dict[str, Any] | None:
    """Writes tokenizer and preprocessor; returns the preprocessor, if the family has one."""
    from keras_bert.text.pretrained.kerashub import save_assets

    name = f"{family.module}_tokenizer"
    class_name = f"{family.name}Tokenizer"
    try:
        fields = save_assets(parts.tokenizer, folder, class_name)
    except ValueError as error:
        raise CheckpointError(
            f"{error} Without its tokenizer the encoder can be written: "
            "kb.checkpoints.save(model.encoder, ...)."
        ) from None
    fields = {"config_file": "tokenizer.json", **fields}
    tokenizer = _object(f"{family.module}.{name}", class_name, _layer(name, fields, "int32"))
    _write_json(folder, "tokenizer.json", tokenizer)
    preprocessor = _preprocessor(parts, family, tokenizer)
    if preprocessor is not None:
        _write_json(folder, "preprocessor.json", preprocessor)
    return preprocessor


def _preprocessor(parts: Parts, family: Family, tokenizer: dict[str, Any]) -> dict[str, Any] | None:
    if not family.heads:
        return None
    kind = next(iter(parts.heads), "classifier")
    name = f"{family.module}_{_snake(TASKS[kind])}_preprocessor"
    fields = {
        "tokenizer": tokenizer,
        "config_file": "preprocessor.json",
        "sequence_length": parts.seq_length or parts.encoder.config.max_seq_length,
        "truncate": "round_robin",
        **(MASKING if kind == "masked_lm" else {}),
    }
    class_name = f"{family.name}{TASKS[kind]}Preprocessor"
    return _object(f"{family.module}.{name}", class_name, _layer(name, fields))


def _task(kind, head, family, backbone, preprocessor) -> dict[str, Any]:
    name = f"{family.module}_{_snake(TASKS[kind])}"
    fields = {"backbone": backbone, "preprocessor": preprocessor, "name": name}
    if kind == "classifier":
        fields |= {"num_classes": head.num_classes, "activation": "linear"}
        fields["dropout"] = head.dropout_rate
        if "dense.kernel" in family.heads[kind]:
            fields["hidden_dim"] = backbone["config"]["hidden_dim"]
    return _object(f"{family.module}.{name}", family.name + TASKS[kind], fields)


def _snake(name):
    return {"TextClassifier": "text_classifier", "MaskedLM": "masked_lm"}[name]


def _metadata(found: list[Entry], family: Family) -> dict[str, Any]:
    return {
        "keras_version": keras.__version__,
        "keras_hub_version": VERSION,
        "parameter_count": int(sum(np.prod(entry.shape) for entry in found)),
        "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S"),
        "tasks": sorted(TASKS[kind] for kind in family.heads),
    }


def _write_json(folder: str, name: str, content: dict[str, Any]) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=4)
