"""Reading a folder with a TensorFlow 2 checkpoint of TF Model Garden."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.folder import CONFIG_FIELDS, FolderCheckpoint, read_json
from keras_bert.checkpoints.garden.names import ACTIVATIONS, BERT, IGNORED
from keras_bert.checkpoints.garden.params import read_encoder_params
from keras_bert.checkpoints.garden.tensors import GardenTensors
from keras_bert.checkpoints.loading import Table
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_variables import Variables, find_prefix, is_object_based
from keras_bert.config import EncoderConfig

__all__ = ["GardenCheckpoint"]

#: What the Garden takes where nothing is said.
DEFAULT_ACTIVATION = "gelu"

_MORE_FIELDS = {"embedding_size": "embedding_size", "masked_lm_activation": "mlm_activation"}
#: Config file → its reader, and our config field ← the file's.
CONFIG_FILES = {
    "bert_config.json": (read_json, {**CONFIG_FIELDS, **_MORE_FIELDS}),
    "params.yaml": (
        read_encoder_params,
        {**{ours: ours for ours in CONFIG_FIELDS}, **_MORE_FIELDS},
    ),
}
#: Fields of these files that ask for another network, and the only value that is computed.
REFUSED = {"norm_first": False, "output_range": None}


class GardenCheckpoint(FolderCheckpoint):
    """A folder with a TensorFlow 2 checkpoint of TF Model Garden's BERT.

    Sizes come from the shapes of the variables, the number of heads too; ``bert_config.json`` or
    ``params.yaml`` beside them tells the activation and the dropout rates.

    Args:
        folder: The folder: ``*.index`` and ``*.data-...``, and a vocabulary.

    Raises:
        CheckpointError: If a file is missing or damaged, or there is no BERT encoder in it.
    """

    format = "TF Model Garden"
    family = "bert"
    ignored = IGNORED
    _family = BERT

    def __init__(self, folder: str):
        super().__init__(folder)
        self._tensors = GardenTensors(Variables(self.find(folder)))

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a folder holds a TensorFlow 2 checkpoint."""
        return is_object_based(folder)

    @staticmethod
    def find(folder: str) -> str:
        """Path of the folder's checkpoint without ``.index``."""
        return find_prefix(folder)

    @functools.cached_property
    def config(self) -> EncoderConfig:
        """The encoder's config: sizes as the variables' shapes tell, the rest as the file says."""
        (path, said), sizes = self._said(), self._tensors.sizes()
        # Said or not: where it is the hidden size nothing is projected.
        if said.get("embedding_size") in (None, sizes["hidden_size"], sizes["embedding_size"]):
            said.pop("embedding_size", None)
        wrong = [
            f"{name}={said[name]!r}, where the weights have {sizes[name]!r}"
            for name in sizes
            if said.get(name, sizes[name]) != sizes[name]
        ]
        if wrong:
            raise CheckpointError(f"{path} says {'; '.join(wrong)}.")
        has_pooler = self._family.pooler["pooler.kernel"] in self._tensors
        try:
            return EncoderConfig(**{**said, **sizes}, use_pooler=has_pooler)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: {error}") from None

    @property
    def _config_path(self) -> str | None:
        paths = (os.path.join(self.folder, name) for name in CONFIG_FILES)
        return next((path for path in paths if os.path.isfile(path)), None)

    def _said(self) -> tuple[str, dict[str, Any]]:
        """Path of the config file, and what it says, under the names of our fields."""
        path = self._config_path
        if path is None:
            warnings.warn(
                f"{self.folder} has neither {' nor '.join(CONFIG_FILES)}. Its activation is taken "
                "to be the Garden's default, gelu in its tanh form.",
                stacklevel=2,
            )
            return self.folder, {"hidden_activation": ACTIVATIONS[DEFAULT_ACTIVATION]}
        read, names = CONFIG_FILES[os.path.basename(path)]
        fields = read(path)
        for name, only in REFUSED.items():
            if fields.get(name, only) not in (only, None):
                raise CheckpointError(
                    f"{path} says {name}={fields[name]!r}; only {only!r} can be loaded."
                )
        said = {ours: fields[name] for ours, name in names.items() if name in fields}
        said["hidden_activation"] = _activation(
            path, said.get("hidden_activation", DEFAULT_ACTIVATION)
        )
        if said.get("masked_lm_activation") is not None:
            said["masked_lm_activation"] = _activation(path, said["masked_lm_activation"])
        return path, said

    def pooler_table(self, heads: Mapping[str, Any]) -> Table:
        """The encoder's pooler, or the one that a head of these has of its own."""
        tables = (self._family.head_poolers.get(kind, {}) for kind in heads)
        own = [table for table in tables if table.get("pooler.kernel") in self._tensors]
        return own[0] if own else self._family.pooler

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of its variable: none is."""
        return False


def _activation(path, name):
    name = name or "linear"
    if not isinstance(name, str) or name.lower() not in ACTIVATIONS:
        raise CheckpointError(
            f"{path} says that the activation is {name!r}; known are {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[name.lower()]
