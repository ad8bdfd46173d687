"""Hugging Face folders: ``config.json``, ``model.safetensors`` and tokenizer files.

Names on the left of each table are attribute paths of our models; names on the right are those
of ``transformers``' ``BertModel`` and its heads.
"""

from __future__ import annotations

import functools
import json
import os
import re
import warnings

import numpy as np

from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.safetensors import open_tensors
from keras_bert.config import EncoderConfig

__all__ = ["HuggingFaceCheckpoint"]

#: Our config field ← theirs, for every field that changes the mathematics.
CONFIG_FIELDS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "hidden_activation": "hidden_act",
    "dropout_rate": "hidden_dropout_prob",
    "attention_dropout_rate": "attention_probs_dropout_prob",
    "max_position_embeddings": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "initializer_range": "initializer_range",
    "layer_norm_epsilon": "layer_norm_eps",
    "pad_token_id": "pad_token_id",
    "classifier_dropout": "classifier_dropout",
}
#: Without these there is no model; the others have BERT's own defaults.
REQUIRED_FIELDS = ("vocab_size", "hidden_size", "num_layers", "num_attention_heads",
                   "intermediate_size")  # fmt: skip

#: Fields that ask for another network than this encoder, and the only value it computes.
REFUSED_FIELDS = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}

EMBEDDINGS = {
    "embeddings.word_embeddings": "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings": "embeddings.position_embeddings.weight",
    "embeddings.type_embeddings": "embeddings.token_type_embeddings.weight",
    "embeddings.layer_norm.gamma": "embeddings.LayerNorm.weight",
    "embeddings.layer_norm.beta": "embeddings.LayerNorm.bias",
}
#: Prefixes ``blocks[i].`` ← ``encoder.layer.i.``; three sources are joined along the last axis.
BLOCK = {
    "attention.query_key_value.kernel": (
        "attention.self.query.weight",
        "attention.self.key.weight",
        "attention.self.value.weight",
    ),
    "attention.query_key_value.bias": (
        "attention.self.query.bias",
        "attention.self.key.bias",
        "attention.self.value.bias",
    ),
    "attention.output_linear.kernel": "attention.output.dense.weight",
    "attention.output_linear.bias": "attention.output.dense.bias",
    "attention_norm.gamma": "attention.output.LayerNorm.weight",
    "attention_norm.beta": "attention.output.LayerNorm.bias",
    "intermediate.kernel": "intermediate.dense.weight",
    "intermediate.bias": "intermediate.dense.bias",
    "output_linear.kernel": "output.dense.weight",
    "output_linear.bias": "output.dense.bias",
    "output_norm.gamma": "output.LayerNorm.weight",
    "output_norm.beta": "output.LayerNorm.bias",
}
POOLER = {"pooler.kernel": "pooler.dense.weight", "pooler.bias": "pooler.dense.bias"}
CLASSIFIER = {"logits.kernel": "classifier.weight", "logits.bias": "classifier.bias"}

#: Tensors that belong to no part of an encoder or classifier, and why they are left out.
IGNORED = {
    r"embeddings\.position_ids": "the numbers 0, 1, 2, ..., not a weight",
    r"classifier\..*": "head of another task or with other labels",
    r"qa_outputs\..*": "question-answering head",
    r"cls\.predictions\..*": "masked-language-model head",
    r"cls\.seq_relationship\..*": "next-sentence head",
    r"pooler\..*": "pooler, which this model has no use for",
}


class HuggingFaceCheckpoint:
    """One folder written by ``transformers`` for a BERT model.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: If the folder or its ``config.json`` is missing.
        CheckpointError: If a file is damaged or asks for something else than BERT.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self._fields = _read_json(os.path.join(folder, "config.json"))
        family = self._fields.get("model_type", "bert")
        if family != "bert":
            raise CheckpointError(
                f"{folder}/config.json says model_type={family!r}; only 'bert' can be loaded."
            )

    @functools.cached_property
    def _tensors(self):
        return _PlainNames(open_tensors(self.folder))

    @functools.cached_property
    def config(self) -> EncoderConfig:
        """The encoder's config; ``use_pooler`` says whether the checkpoint has a pooler."""
        path = os.path.join(self.folder, "config.json")
        for name, only in REFUSED_FIELDS.items():
            if self._fields.get(name, only) not in (only, None):
                raise CheckpointError(
                    f"{path} says {name}={self._fields[name]!r}; only {only!r} can be loaded."
                )
        fields = {
            ours: self._fields[theirs]
            for ours, theirs in CONFIG_FIELDS.items()
            if self._fields.get(theirs) is not None
        }
        missing = [CONFIG_FIELDS[name] for name in REQUIRED_FIELDS if name not in fields]
        if missing:
            raise CheckpointError(f"{path} does not say {', '.join(missing)}.")
        try:
            return EncoderConfig(**fields, use_pooler="pooler.dense.weight" in self._tensors)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None

    @property
    def labels(self) -> list[str] | None:
        """Label names of the classification head in id order; None without such a head."""
        # Token classification keeps its head under the same name, and has no pooler.
        others = [name for name in self._fields.get("architectures") or [] if "Token" in name]
        if CLASSIFIER["logits.kernel"] not in self._tensors or others or not self.config.use_pooler:
            return None
        count = self._tensors.shape(CLASSIFIER["logits.kernel"])[0]
        names = self._fields.get("id2label") or {}
        labels = [str(names.get(str(i), f"LABEL_{i}")) for i in range(count)]
        return labels if len(set(labels)) == count else [f"LABEL_{i}" for i in range(count)]

    @property
    def seq_length(self) -> int:
        """Longest input in tokens: what both the positions and the tokenizer allow."""
        most = self.config.max_position_embeddings
        return min(most, self._tokenizer.model_max_length or most)

    def tokenizer(self):
        """The tokenizer of the folder's tokenizer files."""
        return self._tokenizer

    @functools.cached_property
    def _tokenizer(self):
        from keras_bert.text import Tokenizer

        return Tokenizer.from_pretrained(self.folder)

    def load_encoder(self, encoder) -> LoadReport:
        """Fills an encoder of this checkpoint's config."""
        return self.load_classifier(encoder)

    def load_classifier(self, encoder, head=None) -> LoadReport:
        """Fills an encoder and, if given, a classification head."""
        parts = {"encoder": (encoder, self._encoder_table(encoder))}
        if head is not None:
            parts["head"] = (head, CLASSIFIER)
        return self.load(parts)

    def _encoder_table(self, encoder):
        table = dict(EMBEDDINGS)
        for i in range(encoder.config.num_layers):
            for ours, theirs in BLOCK.items():
                theirs = (theirs,) if isinstance(theirs, str) else theirs
                table[f"blocks.{i}.{ours}"] = tuple(f"encoder.layer.{i}.{n}" for n in theirs)
        if encoder.pooler is not None and self.config.use_pooler:
            table.update(POOLER)
        return table

    def load(self, parts) -> LoadReport:
        """Fills models from the checkpoint; nothing is changed unless all of it fits.

        Args:
            parts: Name → (model or layer, table of attribute path → source name or names).

        Raises:
            CheckpointError: Naming all tensors that are missing, unknown or of another shape.
        """
        plan = [
            (_find(model, path), (names,) if isinstance(names, str) else names)
            for model, table in parts.values()
            for path, names in table.items()
        ]
        used = {name for _, names in plan for name in names}
        ignored = self._ignored(used)
        self._check(plan, sorted(set(self._tensors) - used - set(ignored)))
        for variable, names in plan:
            variable.assign(self._value(variable, names))
        report = LoadReport(self.folder, sorted(used), ignored)
        encoder = parts["encoder"][0]
        if encoder.pooler is not None and not self.config.use_pooler:
            report.fresh.append("pooler")
        return report

    def _ignored(self, used):
        ignored = {}
        for name in self._tensors:
            for pattern, reason in IGNORED.items():
                if name not in used and re.fullmatch(pattern, name):
                    ignored[name] = reason
                    break
        return ignored

    def _check(self, plan, unknown):
        problems = [f"unknown tensor {name}" for name in unknown]
        for variable, names in plan:
            missing = [name for name in names if name not in self._tensors]
            problems += [f"missing tensor {name}" for name in missing]
            if missing:
                continue
            for name in names:
                expected = (*variable.shape[:-1], variable.shape[-1] // len(names))
                expected = expected[::-1] if _is_kernel(variable) else expected
                if self._tensors.shape(name) != expected:
                    problems.append(
                        f"{name} has shape {list(self._tensors.shape(name))}, config.json asks "
                        f"for {list(expected)}"
                    )
        if problems:
            most = 8
            more = f"; and {len(problems) - most} more" if len(problems) > most else ""
            raise CheckpointError(
                f"{self.folder} does not fit its config.json: {'; '.join(problems[:most])}{more}."
            )

    def _value(self, variable, names):
        tensors = [self._tensors.read(name) for name in names]
        for name, tensor in zip(names, tensors, strict=True):
            if not np.isfinite(tensor).all():
                warnings.warn(f"{self.folder}: {name} holds NaN or infinity.", stacklevel=6)
        if _is_kernel(variable):
            tensors = [tensor.T for tensor in tensors]
        return tensors[0] if len(tensors) == 1 else np.concatenate(tensors, axis=-1)


class _PlainNames:
    """Tensor files under today's names, without the ``bert.`` of models with a head."""

    def __init__(self, files):
        self._files = files
        self._names = {self._plain(name): name for name in files}

    @staticmethod
    def _plain(name):
        # Checkpoints converted before 2019 carry TensorFlow's names for LayerNorm.
        name = name.removeprefix("bert.")
        return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
            "LayerNorm.beta", "LayerNorm.bias"
        )

    def __iter__(self):
        return iter(self._names)

    def __contains__(self, name):
        return name in self._names

    def shape(self, name):
        return self._files.shape(self._names[name])

    def read(self, name):
        return self._files.read(self._names[name])


def _is_kernel(variable):
    """Whether PyTorch keeps this variable transposed, as (units, features)."""
    return variable.name == "kernel"


def _find(model, path):
    """Follows an attribute path; numbers index into lists."""
    for step in path.split("."):
        model = model[int(step)] if step.isdigit() else getattr(model, step)
    return model


def _read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
    except ValueError as error:
        raise CheckpointError(f"{path} is no valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} holds no JSON object.")
    return fields
