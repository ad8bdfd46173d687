"""JSON requests → ``tf.Example`` records, for Classify and Regress."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_bert.serving.errors import ServingError
from keras_bert.serving.json_documents import encoded, kind_of, parse, shown
from keras_bert.serving.json_requests import from_base64, is_base64, signature_name

__all__ = ["ExamplesRequest", "read_examples"]


def _refused(message: str) -> ServingError:
    return ServingError("INVALID_ARGUMENT", message)


@dataclasses.dataclass(frozen=True)
class ExamplesRequest:
    """A classify or regress call: serialised records, each with the common context."""

    signature_name: str | None
    examples: list[bytes]


def read_examples(body: bytes) -> ExamplesRequest:
    """Reads a classify or regress call.

    Raises:
        ServingError: If it is not formed as they are.
    """
    document = parse(body)
    name = signature_name(document)
    context = _example(document["context"]) if "context" in document else b""
    if "examples" not in document:
        raise _refused(
            f"JSON Value: {shown(document)} When method is classify, key 'examples' is expected "
            "and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise _refused(
            f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise _refused(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    # Two messages written one behind the other are read as one, with the features of both.
    return ExamplesRequest(name, [context + _example(example) for example in examples])


def _example(value) -> bytes:
    if not isinstance(value, dict):
        raise _refused(f"Example must be JSON object but got JSON {kind_of(value)}")
    example = tf.train.Example()
    for name, content in value.items():
        try:
            feature = example.features.feature[name]
        except UnicodeEncodeError:
            raise _refused(f"Feature name is not UTF-8: {shown(name)}") from None
        for item in content if isinstance(content, list) else [content]:
            _add_to_feature(feature, name, item)
    return example.SerializeToString()


def _add_to_feature(feature, name: str, item) -> None:
    if isinstance(item, str):
        kind, item = "bytes_list", encoded(item)
    elif is_base64(item):
        kind, item = "bytes_list", from_base64(item)
    elif isinstance(item, float):
        kind = "float_list"
    elif isinstance(item, int):
        kind, item = "int64_list", _int64(int(item), name)
    else:
        raise _refused(f"Feature: {name} has element with unexpected JSON type: {kind_of(item)}")
    present = feature.WhichOneof("kind")
    if present not in (None, kind):
        raise _refused(
            f"Unexpected element type in feature: {name} expecting type: "
            f"{present.removesuffix('_list')}"
        )
    getattr(feature, kind).value.append(item)


def _int64(number: int, name: str) -> int:
    if not -(2**63) <= number < 2**63:
        raise _refused(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return number
