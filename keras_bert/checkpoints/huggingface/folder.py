"""Reading a folder that ``transformers`` wrote; what things are called there is in families.py."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

from keras_bert.checkpoints.folder import FolderCheckpoint, read_json
from keras_bert.checkpoints.huggingface.config import read_config
from keras_bert.checkpoints.huggingface.families import ARCHITECTURES, FAMILIES, IGNORED
from keras_bert.checkpoints.huggingface.tensorflow_weights import (
    COUNTED_PADDING,
    TensorFlowWeights,
)
from keras_bert.checkpoints.huggingface.tensors import open_tensors
from keras_bert.checkpoints.loading import Table, Tensors, check_sizes
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.config import EncoderConfig, ModernBertConfig, XLNetConfig
from keras_bert.models.labels import MULTI_LABEL, REGRESSION, SINGLE_LABEL

__all__ = ["HuggingFaceCheckpoint"]

#: Fields of ``config.json`` that are no fields of an ``EncoderConfig``, and what they are.
FIELD_TYPES = {"architectures": list, "id2label": dict}

#: What a classifier's outputs may stand for.
PROBLEM_TYPES = (None, SINGLE_LABEL, MULTI_LABEL, REGRESSION)

#: Checkpoints converted before 2019 carry TensorFlow's names for what a LayerNorm holds.
OLD_NAMES = {"gamma": "weight", "beta": "bias"}


class HuggingFaceCheckpoint(FolderCheckpoint):
    """One folder written by ``transformers`` for a model of a BERT family.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: If the folder or its ``config.json`` is missing.
        CheckpointError: If a file is damaged or asks for another network.
    """

    format = "Hugging Face"
    ignored = IGNORED

    def __init__(self, folder: str):
        super().__init__(folder)
        self._fields = read_json(os.path.join(folder, "config.json"))
        for name, kind in FIELD_TYPES.items():
            if not isinstance(self._fields.get(name) or kind(), kind):
                raise CheckpointError(
                    f"{folder}/config.json says {name}={self._fields[name]!r}; expected a "
                    f"{kind.__name__}."
                )
        self.family = self._fields.get("model_type", _family_of(self._fields.get("architectures")))
        if not isinstance(self.family, str) or self.family not in FAMILIES:
            raise CheckpointError(
                f"{folder}/config.json says model_type={self.family!r}; what can be loaded is "
                f"{', '.join(FAMILIES)}."
            )
        self._family = FAMILIES[self.family]

    @functools.cached_property
    def _files(self):
        return open_tensors(self.folder)

    @functools.cached_property
    def _tensors(self):
        return _PlainNames(self._files, self._family.prefix)

    @functools.cached_property
    def config(self) -> EncoderConfig | ModernBertConfig | XLNetConfig:
        """The encoder's config; ``use_pooler`` says whether the checkpoint has a pooler."""
        path, family = os.path.join(self.folder, "config.json"), self._family
        has_pooler = family.pooler.get("pooler.kernel") in self._tensors
        counts, fields = family.always.get("positions_skip_padding"), self._fields
        if counts and isinstance(self._files, TensorFlowWeights):
            fields = {**fields, family.fields["pad_token_id"]: COUNTED_PADDING}
        if self._has_own_decoder:
            fields = {**fields, "tie_word_embeddings": False}
        config = read_config(path, fields, family, has_pooler)
        tables = {**family.embeddings, **family.block}
        check_sizes(self.folder, config, self._tensors, tables, family.block_prefix, family.shapes)
        # A pooler without weights is always there.
        if getattr(config, "pooler_dense", True):
            return config
        return dataclasses.replace(config, use_pooler=True)

    @property
    def _has_own_decoder(self) -> bool:
        """Whether a TensorFlow class saved a matrix beside the word embeddings.

        None that ties the two does; MobileBERT's does not, whatever the config says.
        """
        kernel = self._family.heads.get("masked_lm", {}).get("kernel")
        return isinstance(self._files, TensorFlowWeights) and kernel in self._tensors

    @functools.cached_property
    def heads(self) -> dict[str, int]:
        """Kind of head → its number of outputs.

        Heads of several tasks may have the same names. `architectures` tells which is meant; where
        it does not, all of them are in here.
        """
        meant = {
            kind
            for name in self._fields.get("architectures") or []
            for ending, kinds in ARCHITECTURES.items()
            if str(name).endswith(ending)
            for kind in kinds
        }
        return {
            kind: count
            for kind, count in self._heads_with_weights().items()
            if (kind in meant or not meant) and not self._is_refused(kind)
        }

    def _is_refused(self, kind: str) -> bool:
        """Whether the config asks for another head of a kind than the one that is computed."""
        refused = self._family.heads_refused.get(kind, {}).items()
        return any(self._fields.get(name, only) != only for name, only in refused)

    def _head_names(self, kind: str) -> Table:
        """A head's tensors: a tied one has no matrix, an untied one a bias beside its matrix."""
        options = self._family.head_options
        table = {
            ours: theirs
            for ours, theirs in super()._head_names(kind).items()
            if ours not in options or getattr(self.config, options[ours])
        }
        if "kernel" not in table or self.config.tie_word_embeddings:
            return {ours: theirs for ours, theirs in table.items() if ours != "kernel"}
        beside = table["kernel"].removesuffix("weight") + "bias"
        has_bias = "bias" in table and beside in self._tensors
        return {**table, "bias": beside} if has_bias else table

    def _head_table(self, kind: str, layer: Any) -> Table:
        return self._head_names(kind)

    @property
    def problem_type(self) -> str | None:
        """What a classifier's outputs stand for, where `config.json` says it."""
        found = self._fields.get("problem_type")
        if found not in PROBLEM_TYPES:
            expected = ", ".join(map(repr, filter(None, PROBLEM_TYPES)))
            raise CheckpointError(
                f"{self.folder}/config.json says problem_type={found!r}; expected {expected}."
            )
        return found

    def label_names(self, count: int) -> list[str]:
        """Names of a head's labels, as `config.json` has them."""
        names = self._fields.get("id2label") or {}
        labels = [str(names.get(str(i), f"LABEL_{i}")) for i in range(count)]
        return labels if len(set(labels)) == count else [f"LABEL_{i}" for i in range(count)]

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether PyTorch keeps a variable transposed, as (units, features): kernels."""
        return variable.name == "kernel"


def _family_of(architectures):
    """The family of a config from before there was `model_type`: what its class is called after."""
    name = str((architectures or [""])[0]).lower().removeprefix("tf")
    families = sorted(FAMILIES, key=len, reverse=True)
    return next((f for f in families if name.startswith(f.replace("-", ""))), "bert")


class _PlainNames(Tensors):
    """Tensor files under today's names, without the prefix of models with a head."""

    def __init__(self, files, prefix):
        self._files = files
        self._names = {}
        for name in files:
            plain = self._plain(name, prefix)
            if plain in self._names:
                raise CheckpointError(
                    f"The tensors {self._names[plain]!r} and {name!r} are the same one; expected "
                    "only one of them."
                )
            self._names[plain] = name

    @staticmethod
    def _plain(name, prefix):
        owner, dot, last = name.removeprefix(prefix).rpartition(".")
        return owner + dot + OLD_NAMES.get(last, last)

    def __iter__(self):
        return iter(self._names)

    def __contains__(self, name):
        return name in self._names

    def shape(self, name):
        return self._files.shape(self._names[name])

    def is_floating(self, name):
        return self._files.is_floating(self._names[name])

    def read(self, name):
        return self._files.read(self._names[name])

    def read_into(self, name, out):
        self._files.read_into(self._names[name], out)
