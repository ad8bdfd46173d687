#!/usr/bin/env python
"""Asks a LiteRT file. Needs ai-edge-litert and numpy, and tensorflow_text for texts.

Copy this file anywhere; it stands alone and knows nothing of keras_bert:

    python ask_litert.py model.tflite "My card has not arrived" "Is Apple Pay free?"
    0.987  card_arrival              My card has not arrived
    0.961  apple_pay_or_google_pay   Is Apple Pay free?

or from Python:

    model = load("model.tflite")
    ask(model, ["My card has not arrived"])
    [{'label': 'card_arrival', 'probability': 0.987, 'probabilities': array([...])}]
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import dataclasses
import importlib.util
import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["LoadedModel", "ask", "call", "load", "main", "read_metadata"]

#: What the export says about itself; zipped onto the end of the model, as TFLite's metadata are.
METADATA = "keras_bert.json"
_TEXTS = "serving_default"


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A loaded LiteRT file.

    Attributes:
        path: The file.
        interpreter: LiteRT's interpreter.
        runners: What calls each signature, by its name.
        inputs: What each signature takes: name → LiteRT's details of it, before any call.
        metadata: What the file says of itself: labels, signatures, versions, checks passed.
    """

    path: str
    interpreter: Any
    runners: Mapping[str, Any]
    inputs: Mapping[str, Mapping]
    metadata: Mapping[str, Any]

    @property
    def text_inputs(self) -> tuple[str, ...]:
        """Names of the inputs of ``serving_default``, in order; none where only ids are taken."""
        return tuple(self.metadata.get("text_inputs", ())) if _TEXTS in self.runners else ()


def read_metadata(path: str) -> dict:
    """Returns what a file says about itself; ``{}`` if it says nothing.

    Raises:
        OSError: If there is no such file.

    Example:
        >>> read_metadata("model.tflite")["labels"]
        ['complaint', 'praise', 'question']
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder; expected a .tflite file.")
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return json.loads(archive.read(METADATA))
        except (zipfile.BadZipFile, KeyError):
            return {}


def load(path: str, threads: int = 1) -> LoadedModel:
    """Loads a LiteRT file.

    Args:
        path: The file.
        threads: Threads of the interpreter.

    Raises:
        OSError: If there is no such file.
        ImportError: If ai-edge-litert is missing, or tensorflow_text where the file takes texts.
        ValueError: If the file is no LiteRT model, or takes operations that are not registered.

    Example:
        >>> sorted(load("model.tflite").runners)
        ['serving_default', 'tokenize', 'tokens']
    """
    metadata = read_metadata(path)
    try:
        from ai_edge_litert.interpreter import InterpreterWithCustomOps
    except ImportError as error:
        raise ImportError(
            "Running a LiteRT file takes ai-edge-litert: pip install ai-edge-litert"
        ) from error
    registerers = _text_kernels() if metadata.get("custom_ops", True) else []
    try:
        interpreter = InterpreterWithCustomOps(
            model_path=os.fspath(path), custom_op_registerers=registerers, num_threads=threads
        )
        names = interpreter.get_signature_list()
        runners = {name: interpreter.get_signature_runner(name) for name in names}
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"Cannot load {path!r}: {error}") from error
    # At once: a call changes the sizes that they tell.
    inputs = {name: runner.get_input_details() for name, runner in runners.items()}
    return LoadedModel(os.fspath(path), interpreter, runners, inputs, metadata)


def _text_kernels() -> list:
    """What registers tf.text's kernels with an interpreter; without importing TensorFlow.

    tensorflow_text imports all of TensorFlow, some seconds, of which only one library is needed.
    """
    if "tensorflow_text" not in sys.modules:
        try:
            return _registered_by(_load_registrar())
        except (AttributeError, ImportError, OSError):
            pass  # Installed in another way than pip does: then the long way.
    import tensorflow_text

    return _registered_by(tensorflow_text.tflite_registrar)


def _load_registrar():
    tensorflow = importlib.util.find_spec("tensorflow")
    text = importlib.util.find_spec("tensorflow_text")
    if tensorflow is None or text is None:
        raise ImportError("tensorflow and tensorflow_text are not both installed")
    suffix = "2.dylib" if sys.platform == "darwin" else "so.2"
    library = os.path.join(os.path.dirname(tensorflow.origin), f"libtensorflow_framework.{suffix}")
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    path = os.path.join(os.path.dirname(text.origin), "core", "pybinds", "tflite_registrar.so")
    spec = importlib.util.spec_from_file_location("tflite_registrar", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _registered_by(registrar) -> list:
    names = ("ByteSplit", "ByteSplitByOffsets", "FastBertNormalize", "FastSentencepieceTokenize")
    names += ("FastWordpieceTokenize", "RaggedTensorToTensor")
    return [getattr(registrar, name) for name in (f"Add{name}" for name in names)]


def call(model: LoadedModel, inputs: Mapping, signature: str = _TEXTS) -> dict[str, np.ndarray]:
    """Calls one signature.

    Args:
        model: From ``load``.
        inputs: Name → column: strings for texts, rows of whole numbers for ids.
        signature: Name of the signature.

    Returns:
        Name → array, strings as bytes.

    Raises:
        ValueError: If there is no such signature, an input is missing, unknown or of another shape,
            or there is no row in it: LiteRT has no empty batches.

    Example:
        >>> call(load("model.tflite"), {"text": ["My card"]})["label"]
        array([b'card_arrival'], dtype=object)
    """
    if signature not in model.runners:
        raise ValueError(f"There is no signature {signature!r}; there are {sorted(model.runners)}.")
    details = model.inputs[signature]
    if set(inputs) != set(details):
        raise ValueError(f"{signature} takes {sorted(details)}; received {sorted(inputs)}.")
    arrays = {n: _as_array(n, inputs[n], details[n]) for n in details}
    sizes = {len(array) for array in arrays.values()}
    if len(sizes) != 1 or 0 in sizes:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ValueError(f"All inputs need the same number of rows, one at least; got {shapes}.")
    try:
        return model.runners[signature](**arrays)
    except RuntimeError as error:
        raise ValueError(f"{signature} failed: {error}") from error


def _as_array(name: str, values, details: Mapping) -> np.ndarray:
    if details["dtype"] not in (np.object_, np.bytes_, np.str_):
        array = np.asarray(values)
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{name} takes whole numbers; received {array.dtype}.")
        array = array.astype(details["dtype"])
    else:
        array = np.array(_all_bytes(values), object)
    wanted = [None if size == -1 else int(size) for size in details["shape_signature"]]
    if array.ndim != len(wanted) or any(
        size not in (None, found) for size, found in zip(wanted, array.shape, strict=True)
    ):
        raise ValueError(f"{name} takes the shape {tuple(wanted)}; received {array.shape}.")
    return array


def _all_bytes(value):
    if isinstance(value, str | bytes):
        # Command line arguments that are not UTF-8 arrive with their bytes escaped as surrogates.
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if isinstance(value, Sequence | np.ndarray):
        return [_all_bytes(item) for item in value]
    raise ValueError(f"Expected texts; received {value!r:.80}.")


def ask(model: LoadedModel, texts: Sequence) -> list[dict[str, Any]]:
    """Answers texts, one at a time, as a phone does.

    Args:
        model: From ``load``.
        texts: Texts; or tuples of them, where the model takes several.

    Returns:
        One dict per text. Strings are str, single numbers Python's, all else arrays.

    Raises:
        TypeError: If ``texts`` is a single text, or an item is no text or tuple of texts.
        ValueError: If the file takes ids only; it says why.

    Example:
        >>> ask(load("model.tflite"), ["My card has not arrived"])[0]["label"]
        'card_arrival'
    """
    if isinstance(texts, str | bytes):
        raise TypeError("texts must be a list of texts; received a single one.")
    names = model.text_inputs
    if not names:
        reason = model.metadata.get("no_strings") or "it has no signature serving_default"
        raise ValueError(f"{model.path!r} takes ids only: {reason}.")
    answers = []
    for i, text in enumerate(texts):
        parts = (text,) if len(names) == 1 else text
        if not _are_inputs(model, names, parts):
            wanted = "a text" if len(names) == 1 else f"{len(names)} texts ({', '.join(names)})"
            raise TypeError(f"texts[{i}] must be {wanted}; received {text!r:.80}.")
        inputs = {name: [part] for name, part in zip(names, parts, strict=True)}
        outputs = call(model, inputs)
        answers.append({name: _plain(values[0]) for name, values in outputs.items()})
    return answers


def _are_inputs(model: LoadedModel, names: Sequence[str], parts) -> bool:
    """Whether these are one text, or list of texts, for each input."""
    if not isinstance(parts, tuple | list) or len(parts) != len(names):
        return False
    details = model.inputs[_TEXTS]
    several = [len(details[name]["shape_signature"]) == 2 for name in names]
    return all(
        isinstance(part, tuple | list if is_list else str | bytes)
        for part, is_list in zip(parts, several, strict=True)
    )


def _plain(value):
    """Turns an element of a numpy array into what a reader expects."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return np.array([_plain(x) for x in value], object) if value.dtype == object else value
    return value.item()


def answer_requests(model: LoadedModel, requests: Sequence[Mapping]) -> dict:
    """Answers requests in the form of TF Serving's REST API, with nothing lost to rounding.

    Args:
        model: From ``load``.
        requests: ``{"signature_name": ..., "inputs": {name: column}}`` each; bytes are written
            ``{"b64": ...}``.

    Returns:
        ``{"answers": [{name: {"dtype", "shape", "values"}}], "modules": [...]}``: JSON-able, with
        values in a flat list and the top-level modules that this process has imported.
    """
    answers = []
    for request in requests:
        inputs = {name: _decode(column) for name, column in request["inputs"].items()}
        outputs = call(model, inputs, request["signature_name"])
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


def _line(text, answer: Mapping) -> str:
    if "label" in answer and isinstance(answer.get("probability"), float):
        shown = f"{answer['probability']:.3f}  {answer['label']}"
    else:
        shown = json.dumps(answer, ensure_ascii=False, default=lambda array: array.tolist())
    line = " ".join((text if isinstance(text, str) else " | ".join(map(str, text))).split())
    line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return f"{shown}   {line if len(line) <= 80 else line[:79] + '…'}".rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Asks a LiteRT file, with nothing but ai-edge-litert and tensorflow_text.",
        epilog='Example: python ask_litert.py model.tflite "My card has not arrived"',
    )
    parser.add_argument("model", help="the .tflite file")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts; default: lines of stdin")
    parser.add_argument(
        "--pair", nargs=2, action="append", metavar=("A", "B"), help="a pair; may be repeated"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads (1)")
    parser.add_argument(
        "--metadata", action="store_true", help="print what the file says of itself"
    )
    parser.add_argument(
        "--requests",
        nargs=2,
        metavar=("IN", "OUT"),
        help="answer the JSON list of TF Serving predict requests in IN; write exact values to OUT",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        if arguments.metadata:
            print(json.dumps(read_metadata(arguments.model), indent=2, ensure_ascii=False))
        elif arguments.requests:
            _run_requests(load(arguments.model, arguments.threads), *arguments.requests)
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
    model = load(arguments.model, arguments.threads)
    for text, answer in zip(texts, ask(model, texts), strict=True):
        print(_line(text, answer))


def _run_requests(model: LoadedModel, source: str, target: str) -> None:
    with open(source, encoding="utf-8") as file:
        requests = json.load(file)
    answers = answer_requests(model, requests)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    sys.exit(main())
