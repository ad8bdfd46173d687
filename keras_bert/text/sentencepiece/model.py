"""SentencePiece model files (`spiece.model`, `sentencepiece.bpe.model`): reading and writing.

A model is one Protocol Buffers message. Its few fields that matter here are declared below, by
their numbers in sentencepiece's `sentencepiece_model.proto` (Apache 2.0), so that no generated code
and no further dependency is needed: TensorFlow brings `protobuf`. Fields that are not declared are
kept as they are when a message is read and written again.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

__all__ = ["BYTE", "CONTROL", "NORMAL", "UNKNOWN", "UNUSED", "USER_DEFINED", "model_proto"]
__all__ += ["CHAR", "UNIGRAM", "parse_model", "read_model"]

# Kinds of pieces (`ModelProto.SentencePiece.Type`).
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# Kinds of models (`TrainerSpec.ModelType`).
UNIGRAM, BPE, WORD, CHAR = 1, 2, 3, 4

# message -> (field, number, type), `[]` for repeated ones. Defaults are those of the proto file.
_FIELDS = {
    "Piece": [("piece", 1, "string"), ("score", 2, "float"), ("type", 3, "int32", "1")],
    "TrainerSpec": [
        ("model_type", 3, "int32", "1"),
        ("vocab_size", 4, "int32", "8000"),
        ("treat_whitespace_as_suffix", 24, "bool", "false"),
        ("byte_fallback", 35, "bool", "false"),
        ("unk_id", 40, "int32", "0"),
        ("bos_id", 41, "int32", "1"),
        ("eos_id", 42, "int32", "2"),
        ("pad_id", 43, "int32", "-1"),
        ("unk_surface", 44, "string", " \u2047 "),
        ("unk_piece", 45, "string", "<unk>"),
    ],
    "NormalizerSpec": [
        ("name", 1, "string"),
        ("precompiled_charsmap", 2, "bytes"),
        ("add_dummy_prefix", 3, "bool", "true"),
        ("remove_extra_whitespaces", 4, "bool", "true"),
        ("escape_whitespaces", 5, "bool", "true"),
    ],
    "ModelProto": [
        ("pieces", 1, "Piece[]"),
        ("trainer_spec", 2, "TrainerSpec"),
        ("normalizer_spec", 3, "NormalizerSpec"),
        ("denormalizer_spec", 5, "NormalizerSpec"),
    ],
}


def model_proto():
    """A new, empty `ModelProto` message.

    Example:
        >>> model = model_proto()
        >>> _ = model.pieces.add(piece="<unk>", type=UNKNOWN)
        >>> model.trainer_spec.model_type = BPE
        >>> len(model.SerializeToString()) > 0
        True
    """
    return _message_class()()


def read_model(path: str | os.PathLike):
    """Reads a model file.

    Returns:
        A `ModelProto` message: `pieces` (each `piece`, `score`, `type`), `trainer_spec`,
        `normalizer_spec`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a SentencePiece model, or one without pieces.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No SentencePiece model at {str(path)!r}.")
    return parse_model(path.read_bytes(), repr(str(path)))


def parse_model(content: bytes, name: str = "The content"):
    """Reads a model from the content of its file; errors call it `name`.

    Raises:
        ValueError: it is not a SentencePiece model, or one without pieces.
    """
    from google.protobuf.message import DecodeError

    model = model_proto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(f"{name} is not a SentencePiece model ({error}). Get it again.") from None
    if not model.pieces:
        raise ValueError(f"{name} holds no pieces. Expected a trained SentencePiece model.")
    return model


@functools.cache
def _message_class():
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    # A package and a pool of its own: the `sentencepiece` package registers the real one.
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_bert/sentencepiece_model.proto", package="keras_bert.sentencepiece"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, *default in fields:
            repeated, kind = kind.endswith("[]"), kind.removesuffix("[]")
            added = message.field.add(name=field, number=number)
            added.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _FIELDS:
                added.type = kinds.TYPE_MESSAGE
                added.type_name = f".{file.package}.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
            if default:
                added.default_value = default[0]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    described = pool.FindMessageTypeByName(f"{file.package}.ModelProto")
    return message_factory.GetMessageClass(described)
