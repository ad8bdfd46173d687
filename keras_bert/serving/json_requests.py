"""JSON requests → tensors, with TF Serving's checks and messages."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert.serving.errors import ServingError
from keras_bert.serving.json_documents import encoded, kind_of, shown
from keras_bert.serving.servable import TensorSpec

__all__ = ["PredictRequest", "from_base64", "is_base64", "read_predict", "signature_name"]

#: Whole numbers that a type takes from JSON (json_tensor.cc: smaller ones go through int32).
_INT32 = (-(2**31), 2**31 - 1)
_RANGES = {
    tf.int8: _INT32,
    tf.uint8: _INT32,
    tf.int16: _INT32,
    tf.int32: _INT32,
    tf.int64: (-(2**63), 2**63 - 1),
    tf.uint32: (0, 2**32 - 1),
    tf.uint64: (0, 2**64 - 1),
}
_FLOATS = (tf.float32, tf.float64)
_MOST_AXES = 32


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """A predict call: its tensors, and whether it came in rows ("instances")."""

    inputs: dict[str, np.ndarray]
    in_rows: bool


def _refused(message: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", message)


def signature_name(document: dict) -> str | None:
    """The signature that a request asks for; None for the default one."""
    name = document.get("signature_name")
    if "signature_name" in document and not isinstance(name, str):
        raise _refused(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be "
            "a string value."
        )
    return name


def read_predict(document: dict, specs: dict[str, TensorSpec]) -> PredictRequest:
    """Reads the tensors of a predict call.

    Args:
        document: The request.
        specs: The signature's inputs.

    Raises:
        ServingError: If they are not what the signature takes.
    """
    in_rows, in_columns = "instances" in document, "inputs" in document
    if in_rows and in_columns:
        raise _refused(
            f"JSON Value: {shown(document)} Not formatted correctly expecting only one of 'inputs' "
            "or 'instances' keys to exist "
        )
    if in_rows:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise _refused(
                f"JSON Value: {shown(document)} Expecting 'instances' to be an list/array"
            )
        if not instances:
            raise _refused(f"JSON Value: {shown(document)} No values in 'instances' array")
        return PredictRequest(_rows(instances, specs), True)
    if in_columns:
        return PredictRequest(_columns(document["inputs"], specs), False)
    raise _refused("Missing 'inputs' or 'instances' key")


def _rows(instances: list, specs: dict[str, TensorSpec]) -> dict[str, np.ndarray]:
    named = _is_named(instances[0])
    if len(specs) > 1 and not isinstance(instances[0], dict):
        raise _refused(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    columns: dict[str, _Column] = {name: _Column(spec.dtype) for name, spec in specs.items()}
    for position, instance in enumerate(instances):
        if named:
            _add_named(columns, instance, position)
        elif _is_named(instance):
            raise _refused(f"Expecting value/list but got object at item {position} of input list")
        else:
            _add(columns[next(iter(specs))], instance, position, "")
    return {name: column.tensor() for name, column in columns.items()}


def _add_named(columns, instance, position: int) -> None:
    if not _is_named(instance):
        raise _refused(f"Expecting object but got list at item {position} of input list")
    for name, value in instance.items():
        if name not in columns:
            raise _element_error(
                position, f" key: {name}", f"JSON object: does not have named input: {name}"
            )
        _add(columns[name], value, position, f" key: {name}")
    if len(instance) != len(columns):
        raise _refused(
            f"Failed to process element: {position} of 'instances' list. JSON object: "
            f"{shown(instance)} keys must be equal to: {','.join(columns)}"
        )


def _add(column: _Column, value, position: int, key: str) -> None:
    try:
        column.add(value)
    except ServingError as error:
        raise _element_error(position, key, error.message) from None


def _element_error(position: int, key: str, message: str) -> ServingError:
    return _refused(
        f"Failed to process element: {position}{key} of 'instances' list. Error: "
        f"INVALID_ARGUMENT: {message}"
    )


class _Column:
    """Values of one input, a row after the other, all of one shape."""

    def __init__(self, dtype: tf.DType):
        self.dtype = dtype
        self.values: list = []
        self.rows, self.shape = 0, None

    def add(self, value) -> None:
        shape, before = _shape(value), len(self.values)
        _fill(value, shape, 0, self.dtype, self.values)
        if self.shape is None:
            self.shape = shape
        elif self.shape != shape:
            size, wanted = len(self.values) - before, int(np.prod(self.shape))
            if size != wanted:
                raise _refused(f"Expecting tensor size: {wanted} but got: {size}")
            raise _refused(f"Expecting shape {_listed(self.shape)} but got: {_listed(shape)}")
        self.rows += 1

    def tensor(self) -> np.ndarray:
        return _tensor(self.values, (self.rows, *self.shape), self.dtype)


def _columns(inputs: Any, specs: dict[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not _is_named(inputs):
        if len(specs) > 1:
            raise _refused(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        inputs = {next(iter(specs)): inputs}
    tensors = {}
    for name, spec in specs.items():
        if name not in inputs:
            raise _refused(f"Missing named input: {name} in 'inputs' object.")
        shape, values = _shape(inputs[name]), []
        _fill(inputs[name], shape, 0, spec.dtype, values)
        if 0 in shape and spec.shape is not None:  # An empty list says nothing of inner axes.
            shape += (0,) * (len(spec.shape) - len(shape))
        tensors[name] = _tensor(values, shape, spec.dtype)
    return tensors


def _is_named(value) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def is_base64(value) -> bool:
    """Whether a value is bytes as REST writes them: ``{"b64": TEXT}`` and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _shape(value) -> tuple[int, ...]:
    """Shape of a nested list, by the first element of each level."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) > _MOST_AXES:
        raise _refused(f"Encountered lists in {len(shape)} levels; expected <= {_MOST_AXES}")
    return tuple(shape)


def _fill(value, shape: tuple[int, ...], level: int, dtype: tf.DType, values: list) -> None:
    """Appends a nested list's values, which must be of the shape and type."""
    if not isinstance(value, list):
        if level != len(shape):
            raise _refused(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        values.append(_value(value, dtype))
        return
    if level >= len(shape):
        raise _refused(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _refused(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    if level == len(shape) - 1 and _fill_at_once(value, dtype, values):
        return
    for item in value:
        _fill(item, shape, level + 1, dtype, values)


def _fill_at_once(items: list, dtype: tf.DType, values: list) -> bool:
    """Appends the values of a flat list, if all of them are plainly right."""
    kinds = set(map(type, items))
    if dtype in _FLOATS:
        if not kinds <= {float, int}:
            return False
        values.extend(map(_as_float, items))
    elif dtype in _RANGES:
        low, high = _RANGES[dtype]
        if kinds != {int} or min(items) < low or max(items) > high:
            return False
        values.extend(items)
    elif dtype == tf.string and kinds == {str}:
        values.extend(map(encoded, items))
    else:
        return False
    return True


def _value(value, dtype: tf.DType):
    if dtype == tf.string:
        if isinstance(value, str):
            return encoded(value)
        if isinstance(value, dict):
            return from_base64(value)
    elif dtype == tf.bool:
        if isinstance(value, bool):
            return value
    elif dtype in _FLOATS:
        if type(value) in (float, int):
            return _as_float(value)
    elif dtype in _RANGES:
        low, high = _RANGES[dtype]
        if type(value) is int and low <= value <= high:
            return value
    else:
        raise ServingError(
            "UNIMPLEMENTED", f"Conversion of JSON Value: {shown(value)} to type: {dtype.name}"
        )
    raise _refused(
        f"JSON Value: {shown(value)} Type: {kind_of(value)} is not of expected type: {_name(dtype)}"
    )


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _refused("JSON Parse error: Number too big to be stored in double.") from None


def _name(dtype: tf.DType) -> str:
    return {tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)


_NOT_BASE64 = re.compile(r"\s+")


def from_base64(value: dict) -> bytes:
    """The bytes of such a value; ``ServingError`` where they are none."""
    if not is_base64(value):
        raise _refused(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
    text = _NOT_BASE64.sub("", value["b64"])
    try:
        # Padding may be left out, as absl's reader allows.
        text = text.rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _refused("Unable to base64 decode") from None


def _tensor(values: list, shape: tuple[int, ...], dtype: tf.DType) -> np.ndarray:
    if dtype == tf.string:
        array = np.empty(len(values), object)
        array[:] = values
    elif dtype in (tf.int8, tf.uint8, tf.int16):
        array = np.array(values, np.int32).astype(dtype.as_numpy_dtype)
    else:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype.as_numpy_dtype)
    return array.reshape(shape)


def _listed(shape) -> str:
    return f"[{','.join(map(str, shape))}]"
