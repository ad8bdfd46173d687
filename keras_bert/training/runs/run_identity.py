"""What a run was started with, so that another one does not go on with its checkpoints."""

from __future__ import annotations

import hashlib
import json

import keras
import numpy as np
import tensorflow as tf

__all__ = ["data_identity", "differences", "run_identity"]

#: A list or text longer than this is compared, and not told.
LONGEST = 60

#: Of configurations what says nothing about the computation: Keras numbers names as they come, and
#: what a first step has changed.
_MEANINGLESS = ("name", "build_config", "head_is_fresh", "shared_object_id")

#: Examples of which a digest is computed at once.
_CHUNK = 1_000


def run_identity(model, **options) -> dict:
    """What a run's weights depend on, other than its data, as names with values that JSON has.

    Args:
        model: A compiled task model.
        **options: Of ``fit``; None is left out.

    Example:
        >>> run_identity(model, epochs=3)["epochs"]                        # doctest: +SKIP
        3
    """
    config = {
        "model": {"class": type(model).__name__, **_config(model.get_config)},
        "precision": model.dtype_policy.name,
        "optimizer": _serialized(model.optimizer),
        "loss": _serialized(model.loss),
        "trainable weights": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        **{name: value for name, value in options.items() if value is not None},
    }
    return _flat(config)


def data_identity(data, in_order: bool = True) -> dict:
    """What tells data from other data.

    Args:
        data: (texts, labels), or a nest of arrays, or a ``tf.data.Dataset``.
        in_order: Whether the order counts; of a dataset the first batch is then read.

    Returns:
        Number of rows or batches, and digests.
    """
    if isinstance(data, tf.data.Dataset):
        found = {"elements": str(data.element_spec), "batches": int(data.cardinality())}
        return found | ({"first": _digest_of_arrays(next(iter(data), ()))} if in_order else {})
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], list):
        texts, labels = data
        return {"rows": len(texts), "texts": _digest(texts), "labels": _digest(labels)}
    arrays = tf.nest.flatten(data, expand_composites=True)
    return {"rows": len(arrays[0]), "values": _digest_of_arrays(data)}


def differences(before: dict, now: dict) -> dict[str, str]:
    """Name → what it was and what it is now, of what is not the same."""
    found = {}
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if old != new:
            found[name] = f"{name} was {_shown(old)} and is {_shown(new)}"
    return found


def _shown(value):
    return "not given" if value is None else repr(value)


def _config(get_config):
    try:
        return get_config()
    except (NotImplementedError, TypeError, ValueError):
        return {}  # of a class of a user's that has none


def _serialized(part):
    """A loss or an optimiser as its configuration, or by its name where it has none."""
    if part is None or isinstance(part, str):
        return part
    try:
        return keras.saving.serialize_keras_object(part)
    except (NotImplementedError, TypeError, ValueError):
        return getattr(part, "__name__", type(part).__name__)


def _flat(value, name="") -> dict:
    """Nested values by the path to each; what is long as a digest."""
    if isinstance(value, dict):
        parts = {k: v for k, v in value.items() if k not in _MEANINGLESS}
        # Keras packs what matters into "config".
        paths = {k: name if k == "config" else f"{name}.{k}".strip(".") for k in parts}
        return {p: v for k in parts for p, v in _flat(parts[k], paths[k]).items()}
    if isinstance(value, list | tuple | np.ndarray) and len(str(value)) <= LONGEST:
        return {name: str(list(value))}
    if isinstance(value, bool | int | float) or value is None:
        return {} if value is None else {name: value}
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return {name: text if len(text) <= LONGEST else f"digest {_hash(text)}"}


def _digest(values) -> str:
    """Digest of a list of texts, labels or other examples."""
    if values is None:
        return "none"
    if isinstance(values, np.ndarray | tf.Tensor):
        return _digest_of_arrays(values)
    digest = hashlib.sha256()
    for start in range(0, len(values), _CHUNK):
        part = json.dumps(values[start : start + _CHUNK], default=_as_text)
        digest.update(part.encode())
    return digest.hexdigest()[:16]


def _as_text(value):
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))  # whose order is another in each process
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else repr(value)


def _digest_of_arrays(nest) -> str:
    digest = hashlib.sha256()
    for part in tf.nest.flatten(nest, expand_composites=True):
        array = np.asarray(part)
        digest.update(f"{array.dtype} {array.shape}".encode())
        # Of strings the bytes of an array are addresses.
        whole = array.dtype.hasobject
        digest.update(repr(array.tolist()).encode() if whole else array.tobytes())
    return digest.hexdigest()[:16]


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]
