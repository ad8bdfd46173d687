"""Reading a preset folder of KerasHub; what things are called there is in families.py.

Its JSON files describe Python objects, which Keras would build. Here they are read for their
numbers alone: no class that they name is looked up.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from typing import Any

from keras_bert.checkpoints.folder import FolderCheckpoint, read_json
from keras_bert.checkpoints.hdf5 import HDF5Tensors
from keras_bert.checkpoints.kerashub.families import FAMILIES, IGNORED, TASK, heads_axis
from keras_bert.checkpoints.loading import Tensors, check_sizes
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.config import EncoderConfig

__all__ = ["KerasHubCheckpoint"]

#: What objects are registered under, today and when the package was called KerasNLP.
PACKAGES = ("keras_hub>", "keras_nlp>")

#: Kind of head → what the names of its tasks end in, and what is behind the family's name.
TASKS = {"classifier": ("TextClassifier", "Classifier"), "masked_lm": ("MaskedLM",)}

#: Kinds of numbers in which weights are stored as they are; quantised ones are stored otherwise.
DTYPES = {"float64", "float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"}

_WEIGHTS, _INDEX, _TASK_WEIGHTS = "model.weights.h5", "model.weights.json", "task.weights.h5"


class KerasHubCheckpoint(FolderCheckpoint):
    """One preset folder, with a backbone and maybe a task, of a BERT family.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: If the folder or its ``config.json`` is missing.
        CheckpointError: If a file is damaged or describes another network.
    """

    format = "KerasHub"
    ignored = IGNORED

    def __init__(self, folder: str):
        super().__init__(folder)
        self._path = os.path.join(folder, "config.json")
        self.family, self._fields = _read_object(self._path)
        if self.family not in FAMILIES:
            raise CheckpointError(
                f"{self._path} describes a {self.family}; what can be loaded is "
                f"{', '.join(FAMILIES)}."
            )

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a folder's ``config.json`` is one of KerasHub's."""
        path = os.path.join(folder, "config.json")
        if not os.path.isfile(path):
            return False
        return str(read_json(path).get("registered_name")).startswith(PACKAGES)

    @functools.cached_property
    def _family(self):
        return FAMILIES[self.family].of(self.config)

    @functools.cached_property
    def config(self) -> EncoderConfig:
        """The encoder's config, and what its task says of the head."""
        family, path = FAMILIES[self.family], self._path
        said = {**family.defaults, **self._fields}
        missing = [theirs for theirs in family.fields.values() if said.get(theirs) is None]
        if missing:
            raise CheckpointError(f"{path} does not say {', '.join(missing)}.")
        dtype = _name_of_dtype(said.get("dtype"))
        if dtype not in DTYPES:
            raise CheckpointError(f"{path} says dtype={dtype!r}; only floating weights are read.")
        fields = {ours: said[theirs] for ours, theirs in family.fields.items()}
        if not family.projects and fields.get("embedding_size") == fields["hidden_size"]:
            del fields["embedding_size"]
        fields |= family.computes({"classifier", *self._task})
        fields["use_pooler"] = bool(family.pooler)
        if "classifier" in self._task:
            fields["classifier_dropout"] = self._task["classifier"].get("dropout")
        try:
            config = EncoderConfig(**fields)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: {error}") from None
        if config.num_layers % (config.num_layer_groups or 1):
            raise CheckpointError(
                f"{path} says num_layers={config.num_layers}, no multiple of num_groups="
                f"{config.num_layer_groups}."
            )
        tables = {**family.embeddings, **family.block}
        check_sizes(self.folder, config, self._tensors, tables, family.block_prefix)
        return config

    @functools.cached_property
    def _task(self) -> dict[str, dict[str, Any]]:
        """Kind of head → its config; {} without one, or with another kind of task."""
        path = os.path.join(self.folder, "task.json")
        if not os.path.isfile(path):
            return {}
        name, fields = _read_object(path)
        prefix = FAMILIES[self.family].name
        kinds = [k for k, ends in TASKS.items() if name in [prefix + end for end in ends]]
        if not kinds or kinds[0] not in FAMILIES[self.family].heads:
            return {}
        self._check_task(path, fields)
        return {kinds[0]: fields}

    def _check_task(self, path, fields):
        backbone = fields.get("backbone")
        backbone = backbone.get("config") if isinstance(backbone, dict) else None
        if isinstance(backbone, dict):
            names = FAMILIES[self.family].fields.values()
            other = [n for n in names if n in backbone and backbone[n] != self._fields.get(n)]
            if other:
                raise CheckpointError(
                    f"{path} and {self._path} contradict each other about {', '.join(other)}."
                )
        if fields.get("activation") not in (None, "linear"):
            raise CheckpointError(
                f"{path} says activation={fields['activation']!r}: such a model answers with "
                "something else than logits. Only 'linear' can be loaded."
            )
        if fields.get("hidden_dim") not in (None, self._fields.get("hidden_dim")):
            raise CheckpointError(
                f"{path} says hidden_dim={fields['hidden_dim']!r} for the head; only a head as "
                f"wide as the backbone, {self._fields.get('hidden_dim')!r}, can be loaded."
            )

    @property
    def heads(self) -> dict[str, int]:
        """Kind → number of outputs of the head in ``task.weights.h5``; {} without one."""
        if not os.path.isfile(os.path.join(self.folder, _TASK_WEIGHTS)):
            return {}
        counts = {}
        for kind, fields in self._task.items():
            counts[kind] = self.config.vocab_size
            if kind == "classifier":
                counts[kind] = fields.get("num_classes")
            if type(counts[kind]) is not int or counts[kind] < 1:
                raise CheckpointError(
                    f"{self.folder}/task.json says num_classes={counts[kind]!r}; expected a "
                    "positive whole number."
                )
            self._check_outputs(kind, counts[kind])
        return counts

    def _check_outputs(self, kind, count):
        """Compares with the head's bias before a head of that size is made."""
        table = self._family.heads[kind]
        name = table.get("logits.bias") or table["bias"]
        if name in self._tensors and self._tensors.shape(name) != (count,):
            raise CheckpointError(
                f"{self.folder} does not fit its task: {name} has shape "
                f"{list(self._tensors.shape(name))}, task.json asks for {[count]}."
            )

    @functools.cached_property
    def _tensors(self):
        task = os.path.join(self.folder, _TASK_WEIGHTS)
        parts = {"": HDF5Tensors(_weight_files(self.folder))}
        if self._task and os.path.isfile(task):
            parts[TASK] = HDF5Tensors([task])
        # Of the file, not of the config, which is compared with these tensors.
        return _Flattened(parts, self._fields.get("num_heads"))

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of its variable: none is."""
        return False


def _read_object(path):
    """What a JSON file says of an object: its class's name and arguments."""
    fields = read_json(path)
    name, config = fields.get("class_name"), fields.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise CheckpointError(f"{path} has no class_name or no config; expected KerasHub's own.")
    return name, config


def _name_of_dtype(said):
    """The name of a policy, whether it is written as a name or as an object."""
    if isinstance(said, dict):
        inner = said.get("config")
        named = inner.get("name") if isinstance(inner, dict) else None
        return named if said.get("class_name") == "DTypePolicy" else said.get("class_name")
    return "float32" if said is None else said


def _weight_files(folder):
    """The file with the backbone's weights, or the shards that an index names."""
    path, index = os.path.join(folder, _WEIGHTS), os.path.join(folder, _INDEX)
    if os.path.isfile(path):
        return [path]
    if not os.path.isfile(index):
        raise FileNotFoundError(f"{folder} holds neither {_WEIGHTS} nor {_INDEX}.")
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} is damaged: no readable weight_map.")
    lists = [name if isinstance(name, list) else [name] for name in weight_map.values()]
    names = list(dict.fromkeys(str(name) for names in lists for name in names))
    for name in names:
        if name != os.path.basename(name) or name in ("", ".."):
            raise CheckpointError(f"{index} names the shard {name!r}, outside its own folder.")
        if not os.path.isfile(os.path.join(folder, name)):
            raise CheckpointError(f"{index} names the shard {name}, which is not in {folder}.")
    return [os.path.join(folder, name) for name in names]


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a tensor is: the reader, and the name and shape there."""

    files: HDF5Tensors
    name: str
    shape: tuple[int, ...]


class _Flattened(Tensors):
    """Tensors under today's names, those of attention without an axis for the heads."""

    def __init__(self, parts, num_heads):
        self._heads, self._places = num_heads, {}
        for prefix, files in parts.items():
            for name in files:
                plain = prefix + _plain(name)
                if plain in self._places:
                    raise CheckpointError(
                        f"The tensors {self._places[plain].name!r} and {name!r} are the same one; "
                        "expected only one of them."
                    )
                shape = self._flat(plain, files.shape(name))
                self._places[plain] = _Place(files, name, shape)

    def _flat(self, name, shape):
        axis = heads_axis(name)
        # Of another shape than that it stays as it is, and is complained of by whoever needs it.
        if axis is None or len(shape) <= axis + 1 or shape[axis] != self._heads:
            return shape
        return (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])

    def __iter__(self):
        return iter(self._places)

    def __contains__(self, name):
        return name in self._places

    def shape(self, name):
        return self._places[name].shape

    def is_floating(self, name):
        place = self._places[name]
        return place.files.is_floating(place.name)

    def read(self, name):
        place = self._places[name]
        return place.files.read(place.name).reshape(place.shape)

    def read_into(self, name, out):
        place = self._places[name]
        if place.files.shape(place.name) == place.shape:
            place.files.read_into(place.name, out)
        else:
            super().read_into(name, out)


def _plain(name):
    # Earlier versions of Keras called the list of layers otherwise, and attention's layers by
    # their private names; today's still reads such files.
    name = re.sub(r"^_layer_checkpoint_dependencies/", "layers/", name)
    return re.sub(r"(_self_attention_layer/)_(\w+_dense/)", r"\1\2", name)
