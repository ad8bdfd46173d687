"""Weights that the TensorFlow classes of ``transformers`` saved, as PyTorch's classes name them.

Up to version 4 there were TensorFlow classes beside PyTorch's. A weight of theirs is named by the
Keras layers around it, which in turn are named so that one name can be made of the other::

    tf_bert_for_pre_training/bert/encoder/layer_._0/attention/self/query/kernel:0
                             bert.encoder.layer.0.attention.self.query.weight

The file says it with more in front or with less:

- ``tf_model.h5``: the layer of the model that saved it. A weight that several layers use, such as
  the word embeddings under a masked-language-model head, is there once for each.
- ``tf_model-*-of-*.h5`` and ``model.safetensors``: not even the class.
- An index of such shards: the whole name.

Source: ``save_pretrained`` in ``modeling_tf_utils.py`` and
``convert_tf_weight_name_to_pt_weight_name`` in ``modeling_tf_pytorch_utils.py`` of transformers
4.49.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError, some_of

__all__ = ["COUNTED_PADDING", "TensorFlowWeights", "is_weight", "pytorch_name"]

#: What stands at the end of a weight's name: TensorFlow's numbering of outputs.
SUFFIX = ":0"

#: Last part of a name here → there.
LAST = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}

#: ``TFRobertaEmbeddings`` takes this id for padding when it counts positions, whatever the config
#: says; so what its weights compute is what they compute with this one.
COUNTED_PADDING = 1

#: ALBERT's classes have two biases over the vocabulary. PyTorch's are one and the same;
#: TensorFlow's are not, and the one that is added goes by the other's name.
SWAPPED = {
    "predictions.bias": "predictions.decoder.bias",
    "predictions.decoder.bias": "predictions.bias",
}


class TensorFlowWeights(Tensors):
    """Tensors of a TensorFlow class, under the names and in the shapes of PyTorch's.

    Args:
        files: The tensors as they are in the files.
        outer: Parts of a name that come before the encoder's or the head's.

    Raises:
        CheckpointError: If a name is none that ``transformers`` writes, or two weights are one.
    """

    def __init__(self, files: Tensors, outer: int):
        self._files = files
        self._places: dict[str, list[str]] = {}
        strange = [name for name in files if not is_weight(name, outer)]
        if strange:
            raise CheckpointError(
                f"The names of {some_of(strange)} are none that transformers gives to the weights "
                "of its TensorFlow classes."
            )
        for name in files:
            self._places.setdefault(pytorch_name(name, outer), []).append(name)
        for name, places in self._places.items():
            # What comes behind the layer that saved it is the weight's own name.
            weights = {place.split("/", 1)[-1] if outer > 1 else place for place in places}
            if len(weights) > 1:
                raise CheckpointError(
                    f"The weights {some_of(sorted(weights))} are the same one, {name}; expected "
                    "only one of them."
                )
            shapes = {files.shape(place) for place in places}
            if len(shapes) > 1:
                raise CheckpointError(
                    f"The weight {weights.pop()!r} is there more than once, in different shapes: "
                    f"{some_of(sorted(shapes))}."
                )

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor as PyTorch has it, without reading it."""
        place = self._places[name][0]
        shape = self._files.shape(place)
        return shape[::-1] if _is_kernel(place) else shape

    def is_floating(self, name: str) -> bool:
        """Whether a tensor holds floating numbers."""
        return all(self._files.is_floating(place) for place in self._places[name])

    def read(self, name: str) -> np.ndarray:
        """A tensor as PyTorch has it; floating ones as float32.

        Raises:
            CheckpointError: If it is there more than once with different numbers.
        """
        place, *others = self._places[name]
        tensor = self._files.read(place)
        for other in others:
            if not np.array_equal(tensor, self._files.read(other), equal_nan=True):
                raise CheckpointError(f"{place!r} and {other!r} are one weight, but differ.")
        return tensor.T if _is_kernel(place) else tensor


def is_weight(name: str, outer: int) -> bool:
    """Whether a name is one of TensorFlow's; PyTorch's have no such end."""
    return name.endswith(SUFFIX) and name.count("/") >= outer


def pytorch_name(name: str, outer: int) -> str:
    """What PyTorch's class calls a weight.

    Args:
        name: Its name in TensorFlow.
        outer: Parts in front that are dropped.

    Example:
        >>> pytorch_name("tf_bert_for_masked_lm/mlm___cls/predictions/transform/dense/kernel:0", 1)
        'cls.predictions.transform.dense.weight'
    """
    parts = name.removesuffix(SUFFIX).split("/")[outer:]
    # What stands before three lines tells two layers apart that PyTorch has in one.
    *parts, last = [part.rpartition("___")[2] for part in parts]
    # An item of a list.
    inner = ".".join([*parts, LAST.get(last, last)]).replace("_._", ".")
    return SWAPPED.get(inner, inner)


def _is_kernel(name):
    return name.endswith(f"/kernel{SUFFIX}")
