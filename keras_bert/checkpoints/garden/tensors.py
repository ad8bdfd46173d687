"""The variables of a checkpoint by what they are to an encoder and its heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_bert.checkpoints.garden.names import BERT, FORMER, HEAD_PLACES, UNNAMED, folded
from keras_bert.checkpoints.garden.object_graph import ROOT, ObjectGraph
from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError, some_of
from keras_bert.checkpoints.tf_variables import OBJECT_GRAPH, Variables

__all__ = ["GardenTensors"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class GardenTensors(Tensors):
    """The variables of a checkpoint under the names of names.py.

    The encoder's are called ``encoder/...`` wherever it is, a head's after the head, all others
    as they are stored. Those of attention have two axes, as here.

    Args:
        variables: The checkpoint.

    Raises:
        CheckpointError: If there is no BERT encoder in it, or more than one.
    """

    def __init__(self, variables: Variables):
        self._variables, self._graph = variables, ObjectGraph(variables)
        self.prefix = variables.prefix
        self._encoder = self._find_encoder()
        places = self._places()
        self.num_blocks = sum(name.startswith("_transformer_layers/") for name in places)
        self._keys = {}
        for place, number in places.items():
            self._add(f"encoder/{place}", number, _ENCODER.get(place, _BLOCK))
        for name, paths in HEAD_PLACES.items():
            self._add_of_head(name, paths)
        self._add_others()

    def _find_encoder(self) -> int:
        graph, found = self._graph, self._graph.nearest(self._is_encoder)
        if len(found) > 1 and graph.follow(ROOT, "encoder") in found:
            found = [graph.follow(ROOT, "encoder")]
        if len(found) != 1:
            names = sorted(name.removesuffix(_VALUE) for name in self._variables)
            raise CheckpointError(
                f"{self.prefix} holds {'several encoders' if found else 'no encoder'} of TF Model "
                f"Garden's BERT: it holds {some_of(names, 3)}."
            )
        return found[0]

    def _is_encoder(self, number):
        parts = self._graph.parts(number)
        if "_embedding_layer" in parts:
            return "_transformer_layers" in parts
        words = self._graph.follow(number, f"{UNNAMED['_embedding_layer']}/embeddings")
        return self._graph.key(words) is not None and bool(self._unnamed(number))

    def _places(self) -> dict[str, int]:
        """The encoder's parts, blocks as ``_transformer_layers/0``, by today's names."""
        parts = self._graph.parts(self._encoder)
        if "_embedding_layer" not in parts:
            return self._unnamed(self._encoder)
        blocks = self._graph.parts(parts["_transformer_layers"])
        names = [name for name in _ENCODER if name in parts]
        return {
            **{name: parts[name] for name in names},
            **{f"_transformer_layers/{i}": blocks[str(i)] for i in _count(blocks, "{}")},
        }

    def _unnamed(self, number: int) -> dict[str, int]:
        """The same for an encoder that tells only the order of its layers; {} where it is none."""
        parts = self._graph.parts(number)
        layers = [parts[f"layer_with_weights-{i}"] for i in _count(parts, "layer_with_weights-{}")]
        is_block = ["_attention_layer" in self._graph.parts(layer) for layer in layers]
        if True not in is_block:
            return {}
        first, last = is_block.index(True), len(layers) - is_block[::-1].index(True)
        found = {name: parts[former] for name, former in UNNAMED.items() if former in parts}
        if first > len(UNNAMED):
            found["_embedding_projection"] = layers[len(UNNAMED)]
        blocks = enumerate(layers[first:last])
        found |= {f"_transformer_layers/{i}": layer for i, layer in blocks}
        return {**found, **({"_pooler_layer": layers[last]} if last < len(layers) else {})}

    def _add(self, name, number, paths):
        for path in paths:
            key = self._graph.key(self._graph.follow(number, path))
            for now, then in FORMER.items():
                if key is None and path.startswith(now):
                    key = self._graph.key(self._graph.follow(number, path.replace(now, then)))
            if key in self._variables:
                self._keys[f"{name}/{path}"] = key

    def _add_of_head(self, name, paths):
        for path in paths:
            for number in self._graph.nearest_ends(path):
                key = self._graph.key(number)
                if key in self._variables:
                    self._keys.setdefault(name, key)

    def _add_others(self):
        """All that is in no table: a reader says whether that may be."""
        taken = {*self._keys.values(), OBJECT_GRAPH}
        for path, number in self._graph.below(self._encoder):
            key = self._graph.key(number)
            if key in self._variables and key not in taken:
                taken.add(key)
                self._keys[f"encoder/{path}"] = key
        others = (key for key in self._variables if key not in taken)
        self._keys |= {key.removesuffix(_VALUE): key for key in others}

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a variable, without reading it."""
        return folded(name, self._variables.shape(self._keys[name]))

    def is_floating(self, name: str) -> bool:
        """Whether a variable holds floating numbers."""
        return self._variables.is_floating(self._keys[name])

    def read(self, name: str) -> np.ndarray:
        """A variable; floating ones as float32."""
        return self._variables.read(self._keys[name]).reshape(self.shape(name))

    def stored(self, name: str) -> Any:
        """A variable as it is, whatever it holds; None without it."""
        return self._variables.stored(self._keys[name]) if name in self else None

    def sizes(self) -> dict[str, Any]:
        """The fields of a config that the shapes of the encoder's variables tell.

        Raises:
            CheckpointError: If a variable that tells one is missing, or of another kind.
        """
        words = self._axes("encoder/_embedding_layer/embeddings", 2)
        block = BERT.block_prefix.format(block=0)
        hidden, intermediate = self._axes(f"{block}_intermediate_dense/kernel", 2)
        return {
            "vocab_size": words[0],
            "hidden_size": hidden,
            "num_layers": self.num_blocks,
            "num_attention_heads": self._heads(),
            "intermediate_size": intermediate,
            "max_position_embeddings": self._axes(
                "encoder/_position_embedding_layer/embeddings", 2
            )[0],
            "type_vocab_size": self._axes("encoder/_type_embedding_layer/embeddings", 2)[0],
            "embedding_size": (
                words[1] if "encoder/_embedding_projection/kernel" in self else None
            ),
        }

    def _heads(self):
        names = [
            BERT.block_prefix.format(block=i) + "_attention_layer/_query_dense/kernel"
            for i in range(self.num_blocks)
        ]
        found = {self._axes(name, 3)[1] for name in names}
        if len(found) != 1:
            raise CheckpointError(f"{self.prefix}: layers have {sorted(found)} heads.")
        return found.pop()

    def _axes(self, name, count):
        if name not in self:
            raise CheckpointError(f"{self.prefix}: missing tensor {name}.")
        shape = self._variables.shape(self._keys[name])
        if len(shape) != count:
            raise CheckpointError(f"{self.prefix}: {name} has shape {list(shape)}.")
        return shape


def _count(parts, form):
    """0, 1, 2, ... for as long as there is a part of that name."""
    number = 0
    while form.format(number) in parts:
        yield number
        number += 1


def _names(*tables):
    names = (name for table in tables for name in table.values())
    return [n for name in names for n in ((name,) if isinstance(name, str) else name)]


_BLOCK = _names(BERT.block)
#: Part of an encoder → its variables.
_ENCODER: dict[str, list[str]] = {}
for _name in _names(BERT.embeddings, BERT.pooler):
    _, _part, _variable = _name.split("/")
    _ENCODER.setdefault(_part, []).append(_variable)
