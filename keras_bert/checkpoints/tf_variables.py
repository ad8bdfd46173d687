"""The files of a TensorFlow checkpoint: variables by name, read one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.writing import Entry

__all__ = [
    "OBJECT_GRAPH",
    "Variables",
    "find_prefix",
    "is_object_based",
    "prefixes",
    "save_variables",
]

#: A TensorFlow 2 checkpoint's description of its objects, stored like a variable. TensorFlow 1's
#: has none. Source: ``OBJECT_GRAPH_PROTO_KEY`` in tensorflow/python/trackable/base.py.
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

#: What TensorFlow's reader raises, depending on the status that it meets.
_UNREADABLE = (tf.errors.OpError, ValueError, RuntimeError, LookupError)


class Variables(Tensors):
    """The variables of a checkpoint, read one at a time.

    Args:
        prefix: Path of the checkpoint without ``.index``.

    Raises:
        CheckpointError: If it cannot be read.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix
        try:
            self._reader = tf.train.load_checkpoint(prefix)
        except _UNREADABLE as error:
            raise CheckpointError(f"{prefix} cannot be read: {_first_line(error)}") from None
        self._shapes = self._reader.get_variable_to_shape_map()
        self._dtypes = self._reader.get_variable_to_dtype_map()

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a variable, without reading it."""
        return tuple(self._shapes[name])

    def is_floating(self, name: str) -> bool:
        """Whether a variable holds floating numbers."""
        return self._dtypes[name].is_floating

    def read(self, name: str) -> np.ndarray:
        """Reads one variable; floating types come back as float32."""
        value = self.stored(name)
        return value.astype(np.float32, copy=False) if self.is_floating(name) else value

    def stored(self, name: str):
        """What is stored under a name, as it is: an array, or bytes."""
        try:
            return self._reader.get_tensor(name)
        except _UNREADABLE as error:
            raise CheckpointError(
                f"{self.prefix}: {name} cannot be read: {_first_line(error)}"
            ) from None


def save_variables(prefix: str, entries: Iterable[Entry]) -> None:
    """Writes a TensorFlow 1 checkpoint.

    Args:
        prefix: Path of the checkpoint without ``.index``.
        entries: The variables.
    """
    entries = list(entries)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=[entry.name for entry in entries],
        shape_and_slices=[""] * len(entries),
        tensors=[entry.read() for entry in entries],
    )


def prefixes(folder: str) -> list[str]:
    """Names of a folder's TensorFlow checkpoints, without the endings of their files."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [name.removesuffix(".index") for name in names if name.endswith(".index")]


def find_prefix(folder: str) -> str:
    """The path of a folder's one checkpoint, without the endings of its files.

    Raises:
        CheckpointError: If there are several, and nothing says which.
    """
    names = prefixes(folder)
    latest = tf.train.latest_checkpoint(folder) if len(names) > 1 else None
    if len(names) == 1:
        return os.path.join(folder, names[0])
    # The file named "checkpoint" is data: it may say anything.
    if latest is not None and os.path.basename(latest) in names:
        return os.path.join(folder, os.path.basename(latest))
    if "bert_model.ckpt" in names:
        return os.path.join(folder, "bert_model.ckpt")
    raise CheckpointError(
        f"{folder} holds {len(names)} checkpoints: {', '.join(names)}. Leave one, or a file "
        "'checkpoint' that tells which."
    )


def is_object_based(folder: str) -> bool:
    """Whether the first of a folder's checkpoints that can be opened is one of TensorFlow 2."""
    for name in prefixes(folder):
        try:
            return OBJECT_GRAPH in Variables(os.path.join(folder, name))
        except CheckpointError:
            continue  # Whoever reads it says what is wrong with it.
    return False


def _first_line(error):
    return (str(error).strip().splitlines() or [repr(error)])[0]
