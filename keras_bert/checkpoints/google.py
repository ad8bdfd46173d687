"""Checkpoints of Google's TensorFlow 1 code: ``bert_config.json``, ``bert_model.ckpt.*``.

BERT, ALBERT and ELECTRA as google-research/bert, google-research/albert and google-research/electra
write them, MobileBERT as google-research/google-research does, and Chinese ALBERT as
brightmart/albert_zh does. google_names.py has their variables' names, google_writing.py the way
back.

Source: ``modeling.py`` of these repositories.
"""

from __future__ import annotations

import functools
import os
import re
from typing import Any

from keras_bert.checkpoints import mobile_bert
from keras_bert.checkpoints.folder import CONFIG_FIELDS, FolderCheckpoint, read_json
from keras_bert.checkpoints.google_names import (
    ALBERT,
    ALBERT_ZH,
    BERT,
    ELECTRA,
    ELECTRA_DISCRIMINATOR,
    ELECTRA_GENERATOR,
    ELECTRA_UNTIED_GENERATOR,
    IGNORED,
    IGNORED_BY_GENERATOR,
    MOBILE_BERT,
    MOBILE_BERT_DEFAULTS,
    MOBILE_BERT_LAYER_NORM,
    THEIR_ACTIVATIONS,
    Family,
    is_transposed,
)
from keras_bert.checkpoints.loading import Table, check_sizes
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_variables import Variables, find_prefix, is_object_based, prefixes
from keras_bert.config import EncoderConfig

__all__ = ["GENERATOR", "GeneratorCheckpoint", "GoogleCheckpoint"]

#: Without these there is no model; the others have BERT's own defaults.
REQUIRED = ("hidden_size", "num_layers", "num_attention_heads", "intermediate_size")
#: Files that may hold the config.
CONFIG_FILES = (
    "bert_config.json",
    "albert_config.json",
    "electra_config.json",
    "mobilebert_config.json",
)
#: Name behind a folder that stands for the generator in it.
GENERATOR = "generator"
#: Width of a head in every published ELECTRA, where no config tells their number.
ELECTRA_HEAD_SIZE = 64
#: What the shapes do not tell, in every published MobileBERT and in its teacher.
MOBILE_BERT_GUESSES = {
    "no_norm": {
        "normalization": "no_norm",
        "num_attention_heads": 4,
        "hidden_activation": "relu",
        "dropout_rate": 0.0,
    },
    "layer_norm": {"num_attention_heads": 4},
}
#: Families whose releases come without a config.
WITHOUT_CONFIG = ("electra", "mobilebert")

#: In albert_zh the word table times this one is a BERT's word table.
WORD_FACTOR = "bert/embeddings/word_embeddings_2"
#: Where one of these is there, BERT's own code did not write the checkpoint.
MOBILE_BERT_SIGNS = (
    "bert/embeddings/FakeLayerNorm/gamma",
    "bert/embeddings/embedding_transformation/kernel",
    "bert/encoder/layer_0/bottleneck/input/dense/kernel",
    "bert/encoder/layer_0/ffn_layer_0/intermediate/dense/kernel",
)


class GoogleCheckpoint(FolderCheckpoint):
    """A folder with one TensorFlow 1 checkpoint.

    Args:
        folder: The folder: ``*.ckpt.index`` and ``*.ckpt.data-...``, a config and a vocabulary.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """

    format = "Google TensorFlow 1"
    ignored = IGNORED

    def __init__(self, folder: str):
        super().__init__(folder)
        self._tensors = _Variables(find_prefix(folder), WORD_FACTOR)

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a folder holds a TensorFlow checkpoint that is not TensorFlow 2's."""
        return bool(prefixes(folder)) and not is_object_based(folder)

    @functools.cached_property
    def _family(self) -> Family:
        is_named = os.path.isfile(os.path.join(self.folder, "mobilebert_config.json"))
        if is_named or any(name in self._tensors for name in MOBILE_BERT_SIGNS):
            return MOBILE_BERT if MOBILE_BERT_SIGNS[0] in self._tensors else MOBILE_BERT_LAYER_NORM
        for family in (ELECTRA, ALBERT, ALBERT_ZH, BERT):
            first = family.block_prefix.format(block=0, group=0, place=0)
            if first + family.block["intermediate.kernel"] in self._tensors:
                has_generator = family is ELECTRA and _first(ELECTRA_GENERATOR) in self._tensors
                return ELECTRA_DISCRIMINATOR if has_generator else family
        names = ", ".join(sorted(self._tensors)[:4])
        raise CheckpointError(
            f"{self._tensors.prefix} is no checkpoint of Google's BERT, ALBERT, ELECTRA or "
            f"MobileBERT: it holds {names}, ..."
        )

    @property
    def family(self) -> str:
        """Whose code wrote the checkpoint."""
        return self._family.name

    @functools.cached_property
    def config(self) -> EncoderConfig:
        """The encoder's config: what the config file says, and what the variables' shapes tell."""
        family, path = self._family, self._config_path
        said = self._said() if path else self._sizes()
        activation = said.get("hidden_activation", "gelu") or "linear"
        if not isinstance(activation, str) or activation.lower() not in family.activations:
            raise CheckpointError(
                f"{path} says hidden_act={activation!r}; known are {', '.join(THEIR_ACTIVATIONS)}."
            )
        said["hidden_activation"] = family.activations[activation.lower()]
        projection = family.embeddings["embeddings.projection.kernel"]
        if family.name == "mobilebert":
            said |= self._check_mobile_bert(said)
        elif projection in self._tensors:
            said["embedding_size"] = self._tensors.shape(projection)[0]
        if family is ALBERT:
            said |= self._groups()
        has_pooler = not said.get("pooler_dense", True)
        has_pooler |= family.pooler.get("pooler.kernel") in self._tensors
        try:
            config = EncoderConfig(**{**said, **family.always}, use_pooler=has_pooler)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path or self.folder}: {error}") from None
        tables = {**family.embeddings, **family.block}
        check_sizes(self.folder, config, self._tensors, tables, family.block_prefix, family.shapes)
        return config

    @functools.cached_property
    def _config_path(self) -> str | None:
        for name in CONFIG_FILES:
            if os.path.isfile(os.path.join(self.folder, name)):
                return os.path.join(self.folder, name)
        if self._family.name not in WITHOUT_CONFIG:
            raise CheckpointError(
                f"{self.folder} holds a TensorFlow checkpoint, but no "
                f"{' or '.join(CONFIG_FILES[:2])}."
            )
        return None

    def _said(self) -> dict[str, Any]:
        fields = read_json(self._config_path)
        found = {ours: fields[name] for ours, name in CONFIG_FIELDS.items() if name in fields}
        if fields.get("ln_type", "postln") != "postln":
            raise CheckpointError(
                f"{self._config_path} says ln_type={fields['ln_type']!r}; only 'postln' can be "
                "loaded."
            )
        missing = [CONFIG_FIELDS[name] for name in REQUIRED if name not in found]
        if missing:
            raise CheckpointError(f"{self._config_path} does not say {', '.join(missing)}.")
        if self._family.name == "mobilebert":
            found |= {o: fields[name] for o, name in mobile_bert.FIELDS.items() if name in fields}
            found |= mobile_bert.structure(fields, MOBILE_BERT_DEFAULTS)
        # Not in all files: the table tells.
        return {"vocab_size": self._rows("word_embeddings")} | found

    def _sizes(self) -> dict[str, Any]:
        if self._family.name == "mobilebert":
            tables = self._family.embeddings, self._family.block
            shapes = mobile_bert.sizes(self._tensors, self._tensors.prefix, *tables)
            return {**shapes, **MOBILE_BERT_GUESSES[self._family.always["normalization"]]}
        family, count = self._family, 0
        first = family.block["intermediate.kernel"]
        while family.block_prefix.format(block=count) + first in self._tensors:
            count += 1
        shape = self._tensors.shape(family.block_prefix.format(block=0) + first)
        if len(shape) != 2:
            raise CheckpointError(f"{self._tensors.prefix}: {first} has shape {list(shape)}.")
        hidden, intermediate = shape
        return {
            "vocab_size": self._rows("word_embeddings"),
            "hidden_size": hidden,
            "num_layers": count,
            "num_attention_heads": max(1, hidden // ELECTRA_HEAD_SIZE),
            "intermediate_size": intermediate,
            "max_position_embeddings": self._rows("position_embeddings"),
            "type_vocab_size": self._rows("type_embeddings"),
        }

    def _check_mobile_bert(self, said: dict[str, Any]) -> dict[str, Any]:
        """The width of the words, if another than the encoder's; an error on another norm."""
        normalization = said.get("normalization", "layer_norm")
        if normalization != self._family.always["normalization"]:
            raise CheckpointError(
                f"{self._config_path} says normalization_type={normalization!r}; the variables of "
                f"{self._tensors.prefix} are for {self._family.always['normalization']!r}."
            )
        shape = self._tensors.shape(self._family.embeddings["embeddings.word_embeddings"])
        return {"embedding_size": None if shape[-1] == said["hidden_size"] else shape[-1]}

    def _rows(self, table: str) -> int:
        name = self._family.embeddings[f"embeddings.{table}"]
        if name not in self._tensors:
            raise CheckpointError(f"{self._tensors.prefix} lacks {name}.")
        return self._tensors.shape(name)[0]

    def _groups(self) -> dict[str, int]:
        numbers = [re.search(r"/group_(\d+)/inner_group_(\d+)/", name) for name in self._tensors]
        found = {tuple(map(int, match.groups())) for match in numbers if match}
        groups, places = (max(numbers) + 1 for numbers in zip(*found, strict=True))
        if len(found) != groups * places:
            raise CheckpointError(
                f"{self._tensors.prefix} lacks some of {groups} groups of {places} layers."
            )
        return {"num_layer_groups": groups, "group_size": places}

    def _head_names(self, kind: str) -> Table:
        """Without MobileBERT's columns where its head has none."""
        extra = self.config.masked_lm_extra_size
        table = super()._head_names(kind)
        return {ours: name for ours, name in table.items() if extra or ours != "extra"}

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of its variable."""
        return is_transposed(variable, name)


class GeneratorCheckpoint(GoogleCheckpoint):
    """ELECTRA's generator, which stands beside the discriminator in a folder.

    Args:
        folder: The folder, as `GoogleCheckpoint` takes it, with ``/generator`` behind it.

    Raises:
        FileNotFoundError: If there is no generator.
        CheckpointError: If a file is missing or damaged.
    """

    ignored = IGNORED_BY_GENERATOR

    def __init__(self, folder: str):
        super().__init__(os.path.dirname(folder.rstrip(os.sep)))
        if _first(ELECTRA_GENERATOR) not in self._tensors:
            raise FileNotFoundError(f"There is no generator of an ELECTRA in {self.folder}.")

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a path that does not exist could be that of a generator."""
        parent, name = os.path.split(folder.rstrip(os.sep))
        return name == GENERATOR and GoogleCheckpoint.is_there(parent)

    @functools.cached_property
    def _family(self) -> Family:
        words = ELECTRA_UNTIED_GENERATOR.embeddings["embeddings.word_embeddings"]
        return ELECTRA_UNTIED_GENERATOR if words in self._tensors else ELECTRA_GENERATOR

    def _said(self) -> dict[str, Any]:
        # The file is about the discriminator, but for what both have in common.
        return {**super()._said(), **self._sizes()}


def _first(family):
    """A variable that every checkpoint of a family has."""
    return family.block_prefix.format(block=0) + family.block["intermediate.kernel"]


class _Variables(Variables):
    """The variables, with the word table of albert_zh put together.

    Where there is one called `factor`, the one called so without its last two characters is handed
    out multiplied by it.
    """

    def __init__(self, prefix, factor):
        super().__init__(prefix)
        self._factors = {}
        product = factor.removesuffix("_2")
        if factor in self and product in self:
            rows, width = self.shape(product)[:1], self.shape(factor)[1:]
            self._factors[product] = factor
            self._shapes = {**self._shapes, product: [*rows, *width]}

    def read(self, name):
        value = super().read(name)
        return value @ super().read(self._factors[name]) if name in self._factors else value
