"""Requests that TF Serving sends itself when it loads a version, before anybody else may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from keras_bert.export.requests import Request

__all__ = ["WARMUP_FILE", "warmup_requests", "write_warmup"]

#: Where TF Serving looks for them.
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
#: What TF Serving reads of them.
MOST_RECORDS = 1000
_SMALL_AND_LARGE = (1, 32)


def warmup_requests(
    requests: Sequence[Request], sizes: Sequence[int] = _SMALL_AND_LARGE
) -> list[Request]:
    """Every signature with small and large batches, of the texts that an export is verified with.

    Args:
        requests: As ``make_requests`` gives them.
        sizes: Texts per request. A signature's first request is made in all of them, later ones, of
            which some are long, in the first alone: a server takes the model only after the last.

    Example:
        >>> [len(r.inputs["text"]) for r in warmup_requests([request], sizes=[1, 32])]
        [1, 32]
    """
    found, seen = [], set()
    for request in requests:
        rows = len(next(iter(request.inputs.values())))
        chosen = sizes[:1] if request.signature in seen else sizes
        seen.add(request.signature)
        for size in chosen if rows else ():
            turns = -(-size // rows)
            inputs = {name: (list(v) * turns)[:size] for name, v in request.inputs.items()}
            found.append(Request(request.signature, inputs))
    return found[:MOST_RECORDS]


def write_warmup(path: Path, model_name: str, requests: Sequence[Request], specs: Mapping) -> None:
    """Writes requests as the ``PredictionLog`` records that TF Serving replays.

    Args:
        path: The file.
        model_name: What the server calls the model.
        requests: Whatever the signatures take.
        specs: Signature → input → ``tf.TensorSpec``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            writer.write(_prediction_log(model_name, request, specs[request.signature]))


# The messages are written field by field: the package that has them, tensorflow-serving-api,
# brings gRPC and binds the version of protobuf, for a dozen bytes. Numbers of the fields are from
# tensorflow_serving/apis/{prediction_log,predict,classification,regression,input,model}.proto.


def _prediction_log(model_name: str, request: Request, specs: Mapping) -> bytes:
    model = _field(1, model_name.encode()) + _field(3, request.signature.encode())
    if request.signature == "classify":
        return _field(2, _field(1, _field(1, model) + _field(2, _input(request))))
    if request.signature == "regress":
        return _field(3, _field(1, _field(1, model) + _field(2, _input(request))))
    inputs = b""
    for name, values in request.inputs.items():
        tensor = tf.make_tensor_proto(values, specs[name].dtype).SerializeToString()
        inputs += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, _field(1, model) + inputs))


def _input(request: Request) -> bytes:
    """An ``Input`` with a list of examples."""
    return _field(1, b"".join(_field(1, example) for example in request.inputs["inputs"]))


def _field(number: int, content: bytes) -> bytes:
    """A field of a message that is a message, a string or bytes."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
