"""Tensors → the JSON that TF Serving answers."""

from __future__ import annotations

import base64
import json

import numpy as np

from keras_bert.serving.errors import ServingError
from keras_bert.serving.json_documents import decimals

__all__ = ["classify_body", "error_body", "predict_body", "regress_body"]

_BYTES, _NEXT_LINE = "_bytes", ",\n"
_string = json.JSONEncoder(ensure_ascii=False).encode


def predict_body(outputs: dict[str, np.ndarray], in_rows: bool) -> bytes:
    """The answer to a predict call, in rows or in columns, as it came.

    Raises:
        ServingError: If the outputs have no common first axis, which rows need.
    """
    return (_rows_text(outputs) if in_rows else _columns_text(outputs)).encode("utf-8", "replace")


def _rows_text(outputs: dict[str, np.ndarray]) -> str:
    rows = None
    for name, value in outputs.items():
        if not value.ndim:
            raise ServingError("INVALID_ARGUMENT", f"Tensor name: {name} has no shape information ")
        if rows not in (None, len(value)):
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Tensor name: {name} has inconsistent batch size: {len(value)} expecting: {rows}",
            )
        rows = len(value)
    columns = {name: _items(name, value) for name, value in outputs.items()}
    if len(columns) == 1:
        lines = next(iter(columns.values()))
    else:
        keys = [f"{_string(name)}: " for name in columns]
        lines = [
            _braced(", ".join(map(str.__add__, keys, row)))
            for row in zip(*columns.values(), strict=True)
        ]
    return _braced(f'"predictions": {_list(lines, _NEXT_LINE)}')


def _columns_text(outputs: dict[str, np.ndarray]) -> str:
    texts = {name: _text(name, value) for name, value in outputs.items()}
    if len(texts) == 1:
        return _braced(f'"outputs": {next(iter(texts.values()))}')
    pairs = [f"{_string(name)}: {text}" for name, text in texts.items()]
    return _braced(f'"outputs": {_braced(_NEXT_LINE.join(pairs))}')


def _text(name: str, value: np.ndarray) -> str:
    return _list(_items(name, value)) if value.ndim else _values(name, value)[0]


def _items(name: str, value: np.ndarray) -> list[str]:
    """Each element of a tensor's first axis, written."""
    texts, sizes = _values(name, value), list(value.shape[1:])
    if 0 in sizes:  # Nothing is left to count the outer axes by.
        axis = sizes.index(0)
        texts = ["[]"] * int(np.prod(value.shape[: axis + 1]))
        sizes = sizes[:axis]
    for size in reversed(sizes):
        starts = range(0, len(texts), size)
        texts = [_list(texts[start : start + size]) for start in starts]
    return texts


def _values(name: str, value: np.ndarray) -> list[str]:
    """Every value of a tensor, written."""
    if value.dtype == object:
        flat = value.reshape(-1)
        if name.endswith(_BYTES):
            return [_braced(f'"b64": "{base64.b64encode(item).decode()}"') for item in flat]
        return [_string(item.decode("utf-8", "replace")) for item in flat]
    if value.dtype.kind == "f" and value.dtype.itemsize >= 4:
        return decimals(value)
    if value.dtype.kind in "iu":
        return list(map(str, value.reshape(-1).tolist()))
    if value.dtype.kind == "b":
        return ["true" if item else "false" for item in value.reshape(-1)]
    raise ServingError(
        "INVALID_ARGUMENT", f"Failed to write JSON value for tensor type: {value.dtype.name}"
    )


def _list(texts: list[str], between: str = ", ") -> str:
    return f"[{between.join(texts)}]"


def _braced(text: str) -> str:
    return f"{{{text}}}"


def classify_body(results: list[list[tuple[str, float]]]) -> bytes:
    """The answer to a classify call: classes with scores for each example."""
    rows = []
    for result in results:
        scores = decimals(np.array([score for _, score in result], np.float32))
        pairs = zip(result, scores, strict=True)
        rows.append(_list([f"[{_string(name)}, {score}]" for (name, _), score in pairs]))
    return _braced(f'"results": {_list(rows, _NEXT_LINE)}').encode()


def regress_body(results: list[float]) -> bytes:
    """The answer to a regress call: a number for each example."""
    return _braced(f'"results": {_list(decimals(np.array(results, np.float32)))}').encode()


def error_body(message: str) -> bytes:
    """What stands in the place of an answer."""
    return json.dumps({"error": message}, ensure_ascii=False).encode("utf-8", "replace")
