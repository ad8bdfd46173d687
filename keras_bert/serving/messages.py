"""Messages of tensorflow-serving-api ↔ NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from keras_bert.serving.errors import ServingError

__all__ = ["examples_of", "message_of", "require_messages", "tensors_of"]


def require_messages() -> None:
    """Raises ``ImportError`` with what to do where tensorflow-serving-api is missing."""
    try:
        import tensorflow_serving.apis  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Serving needs tensorflow-serving-api, starlette, uvicorn and grpcio: "
            "pip install 'keras-bert-garden[serving]'."
        ) from error


def tensors_of(messages: Mapping[str, tensor_pb2.TensorProto]) -> dict[str, np.ndarray]:
    """The values of named ``TensorProto`` messages; strings are bytes in object arrays.

    Raises:
        ServingError: If a message contradicts itself.
    """
    return {name: _tensor(name, message) for name, message in messages.items()}


def _tensor(name: str, message) -> np.ndarray:
    try:
        _check_size(message)
        value = tf.make_ndarray(message)
    except (TypeError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise ServingError("INVALID_ARGUMENT", f"tensor parsing error: {name}: {error}") from error
    return value


# A shape of a few bytes may stand for more than any memory, with one value for all of it.
_MOST_ELEMENTS = 2**26


def _check_size(message) -> None:
    shape = message.tensor_shape
    if shape.unknown_rank or any(dim.size < 0 for dim in shape.dim):
        raise ValueError("its shape is not whole")
    elements = 1
    for dim in shape.dim:
        elements *= dim.size
    if elements > _MOST_ELEMENTS:
        raise ValueError(f"{elements} elements are more than the {_MOST_ELEMENTS} allowed")
    if message.dtype == tf.string.as_datatype_enum and elements:
        values = len(message.string_val)
        if values not in (1, elements) and not message.tensor_content:
            raise ValueError(f"{values} strings for {elements} elements")


def message_of(value: np.ndarray) -> tensor_pb2.TensorProto:
    """A ``TensorProto`` with a value."""
    return tf.make_tensor_proto(value)


def examples_of(message) -> list[bytes]:
    """The serialised ``tf.Example`` records of an ``Input``, each with the common context."""
    kind = message.WhichOneof("kind")
    if kind == "example_list":
        return [example.SerializeToString() for example in message.example_list.examples]
    if kind == "example_list_with_context":
        inner = message.example_list_with_context
        context = inner.context.SerializeToString()
        return [context + example.SerializeToString() for example in inner.examples]
    return []
