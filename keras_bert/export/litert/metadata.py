"""What a LiteRT file says about itself: files zipped onto its end, where TFLite's metadata are.

A reader of the model stops before them, and every reader of zip archives finds them:
``unzip -p model.tflite keras_bert.json``, or ``zipfile.ZipFile("model.tflite")`` in Python.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence

from keras_bert.export.ask_litert import METADATA

__all__ = ["described_signatures", "tokenizer_facts", "with_files", "with_metadata"]

#: Labels and vocabulary under the names that TFLite's task libraries know.
LABELS, VOCABULARY = "labels.txt", "vocab.txt"


def with_metadata(content: bytes, record: Mapping, labels: Sequence, vocabulary: Sequence) -> bytes:
    """A model with its record, its labels and its vocabulary.

    Args:
        content: The model.
        record: What is JSON-able.
        labels: Names in the order of the logits; none: no such file.
        vocabulary: Tokens in the order of their ids; none: no such file.
    """
    files = {METADATA: json.dumps(record, indent=2, ensure_ascii=False) + "\n"}
    for name, lines in ((LABELS, labels), (VOCABULARY, vocabulary)):
        if lines:
            files[name] = "".join(f"{line}\n" for line in lines)
    return with_files(content, files)


def with_files(content: bytes, files: Mapping[str, str]) -> bytes:
    """A model with files zipped onto its end.

    Example:
        >>> zipfile.ZipFile(io.BytesIO(with_files(content, {"labels.txt": "a"}))).namelist()
        ['labels.txt']
    """
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            # A time of its own: the same model gives the same file.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text.encode("utf-8", "surrogatepass"))
    return stream.getvalue()


def described_signatures(signatures: Mapping) -> dict:
    """Names, types and shapes of what signatures take and give; null for any size.

    Args:
        signatures: Name → concrete function.
    """
    return {
        name: {
            "inputs": _described(function.structured_input_signature[0]),
            "outputs": _described(function.structured_outputs),
        }
        for name, function in signatures.items()
    }


def _described(specs) -> dict:
    named = specs if isinstance(specs, Mapping) else {spec.name: spec for spec in specs}
    return {
        name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
        for name, spec in sorted(named.items())
    }


def tokenizer_facts(tokenizer) -> dict:
    """What one needs to know of a tokenizer to make ids elsewhere."""
    names = ("lower_case", "strip_accents", "tokenize_chinese_chars", "special_tokens_in_text")
    ids = ("cls_id", "sep_id", "pad_id", "unk_id", "mask_id")
    return {
        "kind": type(tokenizer).__name__,
        "vocabulary_size": tokenizer.vocabulary_size,
        **{name: getattr(tokenizer, name) for name in (*names, *ids) if hasattr(tokenizer, name)},
    }
