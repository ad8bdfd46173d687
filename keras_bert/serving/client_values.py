"""Texts as they are given to a client → tensors; and arrays → what a reader expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_bert.serving.transport import TensorInfo

__all__ = ["input_order", "length_of", "plain", "row_of", "tensor_of"]

#: Inputs of the exports whose order is not the alphabet's: servers do not tell it.
_ORDERS = (("question", "context"), ("prompt", "choices"))


def input_order(known: Mapping[str, TensorInfo], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The inputs in the order in which a tuple of texts gives them."""
    if wanted is not None:
        if sorted(wanted) != sorted(known):
            raise ValueError(f"The inputs are {sorted(known)}; received {list(wanted)}.")
        return tuple(wanted)
    usual = next((names for names in _ORDERS if set(names) == set(known)), None)
    return usual or tuple(sorted(known))


def row_of(text, position: int, names: tuple[str, ...]) -> tuple:
    """One text's value for each input."""
    if isinstance(text, Mapping):
        if set(text) != set(names):
            raise TypeError(
                f"texts[{position}] must have {sorted(names)}; received {sorted(text)}."
            )
        return tuple(text[name] for name in names)
    if len(names) == 1:
        return (text,)
    if isinstance(text, tuple | list) and len(text) == len(names):
        return tuple(text)
    raise TypeError(
        f"texts[{position}] must be {len(names)} texts ({', '.join(names)}); received {text!r:.80}."
    )


def length_of(value) -> int:
    """How long the texts of an input are together."""
    if isinstance(value, str | bytes):
        return len(value)
    return sum(map(length_of, value)) if isinstance(value, Sequence | np.ndarray) else 1


def tensor_of(values, info: TensorInfo) -> np.ndarray:
    """A batch for one input."""
    if info.dtype != "object":
        return np.asarray(values, info.dtype)
    flat: list[bytes] = []
    several = info.shape is not None and len(info.shape) == 2
    rows = [_strings(value, several) for value in values]
    most = max((len(row) for row in rows), default=0) if several else 1
    for row in rows:
        flat += row + [b""] * (most - len(row))
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape((len(rows), most) if several else len(rows))


def _strings(value, several: bool) -> list[bytes]:
    values = list(value) if several and not isinstance(value, str | bytes) else [value]
    for item in values:
        if not isinstance(item, str | bytes):
            raise TypeError(f"Expected a text, str or bytes; received {item!r:.80}.")
    # Command line arguments that are not UTF-8 arrive with their bytes escaped as surrogates.
    return [v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values]


def plain(value):
    """Turns an element of a numpy array into what a reader expects."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            return value
        strings = [plain(item) for item in value.reshape(-1)]
        return np.array(strings, object).reshape(value.shape)
    return value.item()
