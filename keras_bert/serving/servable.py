"""A version of a model in memory: its signatures, run as TF Serving runs them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from keras_bert.serving.errors import ServingError

__all__ = ["Servable", "Signature", "TensorSpec"]

DEFAULT_SIGNATURE = "serving_default"
# As keras_bert.export.ask has it, whose package would bring all models along.
_RECORD = "keras_bert.json"
_MOST_RECORD = 2**22


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or output of a signature.

    Attributes:
        dtype: Its ``tf.DType``.
        shape: Sizes of its axes, None for any; None as a whole where even their number is free.
        tensor: Name of the tensor in the graph.
    """

    dtype: tf.DType
    shape: tuple[int | None, ...] | None
    tensor: str

    @classmethod
    def of(cls, info, has_shapes: bool = True) -> TensorSpec:
        """Reads a ``TensorInfo``, whose shape may mean nothing."""
        shape = None
        if has_shapes and not info.tensor_shape.unknown_rank:
            shape = tuple(None if d.size < 0 else d.size for d in info.tensor_shape.dim)
        return cls(tf.dtypes.as_dtype(info.dtype), shape, info.name)

    @property
    def is_batched(self) -> bool:
        """Whether the first axis is one of any size."""
        return self.shape is not None and self.shape[:1] == (None,)

    def check(self, name: str, value: np.ndarray) -> None:
        """Raises ``ServingError`` where a value is of another type or shape.

        Not all kernels look at what they are given: TF.Text's reads of a scalar as of a vector, and
        ends the process.
        """
        is_string = value.dtype.kind in "OSU"
        if is_string != (self.dtype == tf.string) or (
            not is_string and value.dtype != self.dtype.as_numpy_dtype
        ):
            received = "string" if is_string else value.dtype.name
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Expects {name} to be {self.dtype.name} but {received} is provided",
            )
        if self.shape is None:
            return
        if len(self.shape) != value.ndim or any(
            wanted not in (None, size) for wanted, size in zip(self.shape, value.shape, strict=True)
        ):
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Expects {name} to be of shape {_written(self.shape)} but "
                f"{_written(value.shape)} is provided",
            )


def _written(shape) -> str:
    return f"[{','.join('?' if size is None else str(size) for size in shape)}]"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of a model: named tensors in, named tensors out."""

    name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    defaults: dict[str, np.ndarray]

    @property
    def is_batched(self) -> bool:
        """Whether rows of several requests can go through it together, as far as its shapes say."""
        specs = (*self.inputs.values(), *self.outputs.values())
        return bool(self.inputs) and all(spec.is_batched for spec in specs)


class Servable:
    """A SavedModel in a session of its own, which is how TF Serving holds it.

    A session's outputs are those of ``tf.saved_model.load`` bit for bit, a call of it takes less of
    Python's time, and closing it frees the weights at once.

    Args:
        path: The version's folder.
        config: ``tf.compat.v1.ConfigProto``, or None.

    Attributes:
        name: The model's name, for messages and metrics.
        version: Number of the version.
        signatures: By name.
        signature_defs: As the SavedModel has them: what metadata requests show.
        record: What an export of keras_bert says of itself; empty for other SavedModels.

    Raises:
        ServingError: If there is no SavedModel for serving or it cannot be loaded.
    """

    def __init__(self, path: str, name: str = "", version: int = 0, config=None):
        self.path, self.name, self.version = path, name, version
        self._lock = threading.Lock()
        self._users, self._retired, self._calls = 0, False, {}
        self.record = _record(path)
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default(), _without_notices():
                meta = tf.compat.v1.saved_model.load(self._session, ["serve"], path)
            self.signature_defs = dict(meta.signature_def)
            # TensorFlow 1 let exporters write what they liked; its own runtime did not look.
            has_shapes = meta.HasField("object_graph_def")
            self.signatures = {
                name: _signature(name, definition, has_shapes)
                for name, definition in self.signature_defs.items()
                if not name.startswith("__saved_model")
            }
            self._calls = {name: self._callable(s) for name, s in self.signatures.items()}
        except Exception as error:
            self._close()
            raise _loading_error(path, error) from error

    def _callable(self, signature: Signature):
        options = config_pb2.CallableOptions(
            feed=[spec.tensor for spec in signature.inputs.values()],
            fetch=[spec.tensor for spec in signature.outputs.values()],
        )
        # The public make_callable goes through Session.run, which takes longer and refuses what TF
        # Serving takes of models of TensorFlow 1: inputs of other shapes than the graph's.
        return self._session._make_callable_from_options(options)

    def signature(self, name: str | None) -> Signature | None:
        """The signature of a name, ``serving_default`` for none; None if there is none such."""
        return self.signatures.get(name or DEFAULT_SIGNATURE)

    def run(self, signature: Signature, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Computes a signature's outputs.

        Args:
            signature: One of ``signatures``.
            inputs: A value for each input, checked.

        Returns:
            A value for each output; strings are bytes in object arrays.

        Raises:
            ServingError: If TensorFlow cannot compute them.
        """
        call = self._calls[signature.name]
        try:
            values = call(*(inputs[name] for name in signature.inputs))
        except tf.errors.OpError as error:
            code = _CODES.get(error.error_code, "UNKNOWN")
            raise ServingError(code, str(error.message)) from error
        return dict(zip(signature.outputs, map(np.asarray, values), strict=True))

    # A version goes when nobody uses it any more.

    def acquire(self) -> bool:
        """Keeps the model in memory until ``release``; False if it is gone already.

        A retired one is there as long as somebody uses it: what has begun may take it once more.
        """
        with self._lock:
            if self._retired and not self._users:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Ends what ``acquire`` began."""
        with self._lock:
            self._users -= 1
            last = self._retired and not self._users
        if last:
            self._close()

    def retire(self, timeout: float = 600.0) -> None:
        """Frees the model once its last request is answered; waits for that."""
        with self._lock:
            self._retired = True
            idle = not self._users
        if idle:
            self._close()
        end = time.monotonic() + timeout
        while self._session is not None and time.monotonic() < end:
            time.sleep(0.005)

    def _close(self) -> None:
        session, self._session, self._calls = self._session, None, {}
        if session is not None:
            session.close()


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps TensorFlow from advising another loader and from telling every restored file."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        logger.setLevel(level)


def _record(path: str) -> dict:
    try:
        with open(os.path.join(path, _RECORD), encoding="utf-8") as file:
            record = json.loads(file.read(_MOST_RECORD))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _signature(name: str, definition, has_shapes: bool) -> Signature:
    inputs, outputs = (
        {alias: TensorSpec.of(info, has_shapes) for alias, info in sorted(infos.items())}
        for infos in (definition.inputs, definition.outputs)
    )
    defaults = {
        alias: tf.make_ndarray(proto)
        for alias, proto in sorted(getattr(definition, "defaults", {}).items())
    }
    return Signature(name, inputs, outputs, defaults)


#: Number → name of TensorFlow's error codes, which are gRPC's.
_CODES = {
    getattr(tf.errors, name): name
    for name in dir(tf.errors)
    if name.isupper() and isinstance(getattr(tf.errors, name), int)
}


def _loading_error(path: str, error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    code = _CODES.get(getattr(error, "error_code", None), "INTERNAL")
    if isinstance(error, OSError):
        code = "NOT_FOUND"
    lines = " ".join(str(error).split())
    return ServingError(code, f"Cannot load {path!r}: {lines:.1000}")
