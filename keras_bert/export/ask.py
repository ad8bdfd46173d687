#!/usr/bin/env python
"""Asks an exported model. Needs tensorflow and tensorflow_text; knows nothing of keras_bert.

Copy this file anywhere; it stands alone:

    python ask.py saved_models/banking77 "My card has not arrived" "Is Apple Pay free?"
    0.987  card_arrival              My card has not arrived
    0.961  apple_pay_or_google_pay   Is Apple Pay free?

or from Python:

    exported = load("saved_models/banking77")
    ask(exported, ["My card has not arrived"])
    [{'label': 'card_arrival', 'probability': 0.987, 'probabilities': array([...])}]
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["ExportedModel", "ask", "call", "find_version", "load", "main"]

#: Written into every version's folder by the export.
METADATA = "keras_bert.json"


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A loaded export.

    Attributes:
        path: The version's folder.
        loaded: What ``tf.saved_model.load`` returned; it owns the variables.
        text_inputs: Names of ``serving_default``'s inputs, in order: one for single texts, two
            for pairs, for questions and contexts, or for prompts and their choices.
        metadata: What the export says about itself: labels, versions, checks passed; ``{}`` if
            it has no ``keras_bert.json``.
    """

    path: str
    loaded: Any
    text_inputs: tuple[str, ...]
    metadata: Mapping[str, Any]

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The functions it offers, by name."""
        return self.loaded.signatures


def find_version(path: str) -> str:
    """Returns the version's folder: ``path`` itself, or the highest number below it.

    Raises:
        FileNotFoundError: If there is no SavedModel at either place.

    Example:
        >>> find_version("saved_models/banking77")
        'saved_models/banking77/2'
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        raise FileNotFoundError(f"There is no folder {path!r}.")
    if os.path.isfile(os.path.join(path, "saved_model.pb")):
        return path
    numbers = [name for name in os.listdir(path) if name.isascii() and name.isdecimal()]
    for name in sorted(numbers, key=int, reverse=True):
        if os.path.isfile(os.path.join(path, name, "saved_model.pb")):
            return os.path.join(path, name)
    raise FileNotFoundError(
        f"{path!r} is no exported model: neither it nor a numbered folder in it has a "
        "saved_model.pb."
    )


def load(path: str) -> ExportedModel:
    """Loads ``NAME/VERSION``, or the highest version of ``NAME``.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        ImportError: If tensorflow or tensorflow_text is missing.
        ValueError: If the SavedModel cannot be loaded or has no ``serving_default``.

    Example:
        >>> load("saved_models/banking77").text_inputs
        ('text',)
    """
    folder = find_version(path)
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  Registers the tokenizer's ops.

    try:
        loaded = tf.saved_model.load(folder)
    except (tf.errors.OpError, OSError, RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"Cannot load {folder!r}: {error}") from error
    if "serving_default" not in loaded.signatures:
        raise ValueError(
            f"{folder!r} has no signature serving_default; it has {list(loaded.signatures)}."
        )
    metadata = _read_metadata(folder)
    specs = loaded.signatures["serving_default"].structured_input_signature[1]
    inputs = tuple(metadata.get("inputs", sorted(specs)))
    return ExportedModel(folder, loaded, inputs, metadata)


def _read_metadata(folder: str) -> dict:
    try:
        with open(os.path.join(folder, METADATA), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def call(exported: ExportedModel, inputs: Mapping[str, Any], signature: str = "serving_default"):
    """Calls one signature with one batch.

    Args:
        exported: From ``load``.
        inputs: For each input of the signature a list or array, batch first. Lists of lists of
            texts may be of different lengths; they are padded with "".
        signature: Name of the signature.

    Returns:
        Dict of numpy arrays, batch first; strings as bytes in object arrays.

    Raises:
        ValueError: If the signature or one of its inputs is unknown, or one is missing.

    Example:
        >>> call(exported, {"text": [b"My card has not arrived"]})["label"]
        array([b'card_arrival'], dtype=object)
    """
    import tensorflow as tf

    if signature not in exported.signatures:
        raise ValueError(f"No signature {signature!r}; there are {sorted(exported.signatures)}.")
    function = exported.signatures[signature]
    specs = function.structured_input_signature[1]
    if set(specs) != set(inputs):
        raise ValueError(
            f"Signature {signature!r} takes {sorted(specs)}; received {sorted(inputs)}."
        )
    tensors = {}
    for name, value in inputs.items():
        spec = specs[name]
        value = _column(value) if spec.dtype == tf.string else value
        tensors[name] = tf.reshape(tf.constant(value, spec.dtype), _shape(value, spec))
    return {name: tensor.numpy() for name, tensor in function(**tensors).items()}


def _column(values) -> list:
    """Texts as bytes; lists of texts padded with empty ones to the longest of them."""
    if not any(isinstance(value, tuple | list | np.ndarray) for value in values):
        return [_to_bytes(value) for value in values]
    most = max(map(len, values))
    return [_column([*value, *[b""] * (most - len(value))]) for value in values]


def _shape(value, spec) -> tuple[int, ...]:
    """Shape of a value; an empty list has lost all axes but the first."""
    shape = np.shape(value)
    return shape + (0,) * (spec.shape.rank - len(shape)) if 0 in shape else shape


def ask(exported: ExportedModel, texts: Sequence, batch_size: int = 32) -> list[dict]:
    """Answers a list of texts or of pairs of texts.

    Args:
        exported: From ``load``.
        texts: str or bytes each, or pairs of them where the model takes pairs; a list of them in
            the place of an input that is several texts, such as the choices of a prompt.
        batch_size: Texts per call.

    Returns:
        One dict per text, in the order given. Strings come as str, single numbers as Python
        numbers, everything else as numpy arrays. Where a text has fewer of something than others
        of its batch, the array is padded: strings with "", whole numbers with -1, floats with 0.

    Raises:
        TypeError: If an item is no text, or no pair where pairs are wanted; it is named.

    Example:
        >>> ask(exported, ["My card has not arrived"])[0]["label"]
        'card_arrival'
    """
    if isinstance(texts, str | bytes):
        raise TypeError("texts must be a list of texts; received a single one.")
    specs = exported.signatures["serving_default"].structured_input_signature[1]
    names = {name: specs[name].shape.rank == 2 for name in exported.text_inputs}
    rows = [_as_bytes(text, i, names) for i, text in enumerate(texts)]
    # A batch is padded to its longest text, so texts of like length go together.
    order = sorted(range(len(rows)), key=lambda i: sum(map(len, rows[i])))
    answers: list = [None] * len(rows)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        columns = zip(*(rows[i] for i in chosen), strict=True)
        outputs = call(exported, dict(zip(exported.text_inputs, columns, strict=True)))
        for row, i in enumerate(chosen):
            answers[i] = {name: _plain(values[row]) for name, values in outputs.items()}
    return answers


def _as_bytes(text, position: int, names: Mapping[str, bool]) -> tuple:
    """Turns one text, or one pair, into a tuple with the bytes of each input.

    ``names`` are the inputs', each with whether it is several texts.
    """
    parts = (text,) if len(names) == 1 else text
    is_sequence = isinstance(parts, tuple | list) and len(parts) == len(names)
    if not is_sequence or not all(map(_is_input, parts, names.values())):
        wanted = "a text" if len(names) == 1 else f"{len(names)} texts ({', '.join(names)})"
        raise TypeError(f"texts[{position}] must be {wanted}; received {text!r:.80}.")
    return tuple(_to_bytes(p) if isinstance(p, str | bytes) else _column(p) for p in parts)


def _is_input(value, several: bool) -> bool:
    if several:
        return isinstance(value, tuple | list) and all(_is_input(text, False) for text in value)
    return isinstance(value, str | bytes)


def _to_bytes(text: str | bytes) -> bytes:
    # Command line arguments that are not UTF-8 arrive with their bytes escaped as surrogates.
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def _plain(value):
    """Turns an element of a numpy array into what a reader expects."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            return value
        strings = [_plain(item) for item in value.ravel()]
        return np.array(strings, object).reshape(value.shape)
    return value.item()


def answer_requests(exported: ExportedModel, requests: Sequence[Mapping]) -> dict:
    """Answers requests in the form of TF Serving's REST API, with nothing lost to rounding.

    Args:
        exported: From ``load``.
        requests: ``{"signature_name": ..., "inputs": {name: column}}`` each; bytes are written
            ``{"b64": ...}``.

    Returns:
        ``{"answers": [{name: {"dtype", "shape", "values"}}], "modules": [...]}``: JSON-able, with
        values in a flat list and the top-level modules that this process has imported.
    """
    answers = []
    for request in requests:
        inputs = {name: _decode(column) for name, column in request["inputs"].items()}
        outputs = call(exported, inputs, request["signature_name"])
        answers.append({name: _encode(array) for name, array in outputs.items()})
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    return {"answers": answers, "modules": modules}


def _decode(value):
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _encode(array: np.ndarray) -> dict:
    values = array.ravel().tolist()  # float32 to Python's float and to its repr: both exact.
    if array.dtype == object:
        values = [{"b64": base64.b64encode(value).decode()} for value in values]
    return {"dtype": str(array.dtype), "shape": list(array.shape), "values": values}


def _lines(texts: Sequence, answers: Sequence[Mapping]) -> list[str]:
    """One line per text: probability, label, text; other answers as JSON."""
    width = max((len(answer.get("label", "")) for answer in answers), default=0)
    lines = []
    for text, answer in zip(texts, answers, strict=True):
        if "label" in answer and "probability" in answer:
            shown = f"{answer['probability']:.3f}  {answer['label']:<{width}}"
        else:
            shown = json.dumps(answer, ensure_ascii=False, default=_listed)
        lines.append(f"{shown}   {_one_line(text)}".rstrip())
    return lines


def _one_line(text) -> str:
    """A text or pair as the start of one line, without what would move a terminal's cursor."""
    line = " ".join((text if isinstance(text, str) else " | ".join(text)).split())
    line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return line if len(line) <= 80 else line[:79] + "…"


def _listed(value):
    return value.tolist()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Asks an exported model, with nothing but tensorflow and tensorflow_text.",
        epilog='Example: python ask.py saved_models/banking77 "My card has not arrived"',
    )
    parser.add_argument("model", help="NAME/VERSION, or NAME for its highest version")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts; default: lines of stdin")
    parser.add_argument(
        "--pair", nargs=2, action="append", metavar=("A", "B"), help="a pair; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per text")
    parser.add_argument(
        "--requests",
        nargs=2,
        metavar=("IN", "OUT"),
        help="answer the JSON list of TF Serving predict requests in IN; write exact values to OUT",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    # Intermixed: plain parse_args takes no TEXT after an option that follows MODEL.
    arguments = _parser().parse_intermixed_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        if arguments.requests:
            _run_requests(arguments.model, *arguments.requests)
        else:
            _run_texts(arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run_texts(arguments: argparse.Namespace) -> None:
    texts = [*arguments.texts, *map(tuple, arguments.pair or ())]
    if not texts:
        texts = [line.rstrip("\r\n") for line in sys.stdin]
    exported = load(arguments.model)
    answers = ask(exported, texts)
    if arguments.json:
        for answer in answers:
            print(json.dumps(answer, default=_listed))
    else:
        print("\n".join(_lines(texts, answers)))


def _run_requests(model: str, source: str, target: str) -> None:
    with open(source, encoding="utf-8") as file:
        requests = json.load(file)
    answers = answer_requests(load(model), requests)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    sys.exit(main())
