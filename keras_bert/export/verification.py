"""Whether what was written answers as the Keras model does, asked in a process of its own."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert.export.answers import dense_answers, dense_text_answers
from keras_bert.export.errors import ExportError

__all__ = ["TOLERANCE", "Request", "compare", "make_requests", "verify"]

#: Largest absolute difference allowed between a float of the export and of the Keras model.
TOLERANCE = 1e-5
#: Texts per request: enough for rows of different lengths to share a batch.
_BATCH = 32
#: Loading takes seconds; a large model on a busy machine may take minutes.
_TIMEOUT_SECONDS = 600

_SAMPLE = (
    "My card has not arrived",
    "",
    "Crème brûlée à la façade, ÅNGSTRÖM und Straße",
    "我的卡还没有到。",
    "Где моя карта? Η κάρτα ΜΟΥ; مرحبا",
    "thanks 🙂👍🏽 👩‍👩‍👧",
    "tab\tnew line\nand a word thatisverylongbutwithoutanyspace, [MASK]!",
    b"ill-formed \xff\xc3 bytes",
)

Answers = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Request:
    """One call of one signature.

    Attributes:
        signature: Its name.
        inputs: For each of its inputs a column: a list of bytes, or of lists of them of one
            length, or rows of ids.
    """

    signature: str
    inputs: Mapping[str, Sequence]

    def to_json(self) -> dict:
        """Returns the request as TF Serving's REST API would take it."""
        inputs = {name: list(map(_jsonable, column)) for name, column in self.inputs.items()}
        return {"signature_name": self.signature, "inputs": inputs}


def _jsonable(item):
    if isinstance(item, list):
        return list(map(_jsonable, item))
    return {"b64": base64.b64encode(item).decode()} if isinstance(item, bytes) else item


def make_requests(model, text_inputs: Sequence[str], sample: Sequence | None) -> list[Request]:
    """Makes the requests that an export has to answer as the model does.

    Args:
        model: The task model.
        text_inputs: Names of ``serving_default``'s inputs.
        sample: The user's texts or pairs, or None for a small set of difficult ones: empty, longer
            than the model reads, accents, other scripts, emoji, bytes that are not UTF-8.

    Returns:
        Requests for ``serving_default``, among them one with no text at all, and for ``tokens``
        where there is that signature.

    Raises:
        TypeError: If an item of the sample is no text, or no pair where the model takes pairs.
        ValueError: If the sample is empty.
    """
    several = {spec.name for spec in model.text_specs() if spec.shape.rank == 2}
    kinds = [name in several for name in text_inputs]
    if sample is None:
        batches = _difficult(model.preprocessor.seq_length, kinds)
    else:
        rows = [_as_row(item, i, text_inputs, kinds) for i, item in enumerate(_listed(sample))]
        batches = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
    requests = [_text_request(text_inputs, rows) for rows in [*batches, []]]
    if not model.one_row_per_text:
        return requests
    ids = {name: ids.numpy().tolist() for name, ids in _token_ids(model, requests[0]).items()}
    return [*requests, Request("tokens", ids)]


def _difficult(seq_length: int, kinds: Sequence[bool]) -> list[list[tuple]]:
    """The built-in sample: one batch of short rows, one of rows longer than the model reads.

    Args:
        seq_length: Most tokens of a row.
        kinds: For each input whether it is several texts per example.
    """
    # Apart, because a batch is as wide as its longest row and the short ones need no width.
    long = "card " * (seq_length + 8)
    columns = []
    for place, several in enumerate(kinds):
        turned = [_SAMPLE[3 * more :] + _SAMPLE[: 3 * more] for more in (place, place + 1)]
        columns.append(list(map(list, zip(*turned, strict=True))) if several else turned[0])
    long_rows = [
        tuple(
            [text, "other"] if several else text
            for part, several in enumerate(kinds)
            for text in [long if part == place else "short"]
        )
        for place in range(len(kinds))
    ]
    return [list(zip(*columns, strict=True)), long_rows]


def _listed(sample: Sequence) -> list:
    if isinstance(sample, str | bytes):
        raise TypeError(f"sample must be a list of texts; received the single text {sample!r:.60}.")
    rows = list(sample)
    if not rows:
        raise ValueError("sample is empty; give some texts, or None for the built-in ones.")
    return rows


def _as_row(item, position: int, text_inputs: Sequence[str], kinds: Sequence[bool]) -> tuple:
    row = (item,) if len(text_inputs) == 1 else item
    fits = isinstance(row, tuple | list) and len(row) == len(text_inputs)
    if not fits or not all(map(_is_input, row, kinds)):
        names = ", ".join(text_inputs)
        wanted = {1: "a text", 2: f"a pair ({names})"}.get(len(text_inputs), f"texts ({names})")
        raise TypeError(f"sample[{position}] must be {wanted}; received {item!r:.80}.")
    return tuple(row)


def _is_input(value, several: bool) -> bool:
    """Whether a value is a text; or, where an input is several texts, a list of them."""
    if several:
        return isinstance(value, tuple | list) and all(_is_input(text, False) for text in value)
    return isinstance(value, str | bytes)


def _text_request(text_inputs: Sequence[str], rows: Sequence[tuple]) -> Request:
    columns = list(zip(*rows, strict=True)) or [()] * len(text_inputs)
    return Request(
        "serving_default",
        {name: _as_column(column) for name, column in zip(text_inputs, columns, strict=True)},
    )


def _as_column(values: Sequence) -> list:
    """Texts as bytes; lists of texts padded with empty ones to the longest of them."""
    if not any(isinstance(value, tuple | list) for value in values):
        return [value.encode() if isinstance(value, str) else value for value in values]
    most = max(map(len, values))
    return [_as_column([*value, *[b""] * (most - len(value))]) for value in values]


def _token_ids(model, request: Request) -> dict[str, tf.Tensor]:
    if request.signature == "tokens":
        return {name: tf.constant(rows, tf.int32) for name, rows in request.inputs.items()}
    columns = [tf.constant(column, tf.string) for column in request.inputs.values()]
    return model.preprocessor(tuple(columns) if len(columns) > 1 else columns[0])


def verify(model, folder: Path, requests: Sequence[Request]) -> dict:
    """Compares the SavedModel in ``folder`` with the model it was made from.

    The SavedModel is loaded by a Python of its own that runs ``ask.py`` by its path and imports
    nothing but tensorflow and tensorflow_text. Both sides compute on the CPU: the GPU's memory
    belongs to this process, and its products may be rounded to fewer bits.

    Args:
        model: The task model.
        folder: The SavedModel.
        requests: From ``make_requests``.

    Returns:
        The check as it goes into the export's record, with the largest difference found.

    Raises:
        ExportError: If the fresh process fails, or an answer differs: floats by more than
            ``TOLERANCE``, everything else at all. A label alone may differ where the two
            largest probabilities are within ``TOLERANCE`` of each other.
    """
    with _fresh_process(folder, requests) as wait_for_answers:
        expected = _keras_answers(model, requests)  # Meanwhile the other process starts.
        answers = wait_for_answers()
    differences = [
        compare(request, *both) for request, *both in zip(requests, expected, answers, strict=True)
    ]
    return {
        "check": "answers of a fresh process equal the Keras model's",
        "requests": len(requests),
        "texts": sum(len(next(iter(request.inputs.values()))) for request in requests),
        "max_difference": max(differences),
        "tolerance": TOLERANCE,
    }


def _keras_answers(model, requests: Sequence[Request]) -> list[Answers]:
    """The model's own answers, through a function of its own and the preprocessor as it is."""
    answer = _row_answers(model) if model.one_row_per_text else _text_answers(model)
    with tf.device("/CPU:0"):
        return [{n: t.numpy() for n, t in answer(request).items()} for request in requests]


def _row_answers(model):
    """A function of a request that answers rows of ids."""
    names = ("input_word_ids", "input_mask", "input_type_ids")
    spec = {name: tf.TensorSpec((None, None), tf.int32, name) for name in names}
    # Not eagerly: TensorFlow fuses operations in functions, which changes the last bits.
    answer = tf.function(
        lambda ids: dense_answers(model.answers(model(ids, training=False))),
        input_signature=[spec],
        autograph=False,
    )
    return lambda request: answer(_token_ids(model, request))


def _text_answers(model):
    """A function of a request that answers texts, each of any number of rows."""
    specs = model.text_specs()
    answer = tf.function(
        lambda *texts: dense_text_answers(model, *texts), input_signature=specs, autograph=False
    )

    def answer_request(request):
        columns = [(request.inputs[spec.name], spec.shape.rank) for spec in specs]
        # An empty list has lost its other axis.
        return answer(
            *(tf.constant(c, tf.string, shape=None if c else (0,) * rank) for c, rank in columns)
        )

    return answer_request


@contextlib.contextmanager
def _fresh_process(folder: Path, requests: Sequence[Request]) -> Iterator:
    """Starts ``ask.py`` on the requests; gives a function that waits for its answers."""
    if not sys.executable:
        raise ExportError(
            "Cannot verify the export: Python does not know its own executable, so no fresh "
            "process can be started. Export from an ordinary interpreter, or with verify=False."
        )
    with tempfile.TemporaryDirectory(prefix="keras_bert-") as name:
        scratch = Path(name)
        sources = (scratch / "requests.json", scratch / "answers.json")
        sources[0].write_text(json.dumps([request.to_json() for request in requests]))
        script = str(Path(__file__).with_name("ask.py").resolve())
        command = [sys.executable, *_isolation(), script, str(folder.resolve())]
        with open(scratch / "errors.txt", "w+b") as errors:
            process = subprocess.Popen(
                [*command, "--requests", *map(str, sources)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=scratch,
                env=_environment(),
            )
            try:
                yield lambda: _read_answers(process, sources[1], scratch / "errors.txt")
            finally:
                process.kill()  # It has ended, unless something went wrong on this side.
                process.wait()


def _isolation() -> list[str]:
    """Interpreter options that keep everything out of the fresh process but installed packages."""
    home = Path(tf.__file__).resolve().parents[1]
    installed = [Path(folder).resolve() for folder in site.getsitepackages()]
    # TensorFlow in the user's own site folder or on PYTHONPATH would be lost with -I.
    return ["-I"] if home in installed else ["-P"]


def _environment() -> dict[str, str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        # Which Keras tensorflow_text finds when it is imported is the parent's affair.
        if name not in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS")
    }
    return {**environment, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _read_answers(process: subprocess.Popen, path: Path, errors: Path) -> list[Answers]:
    try:
        code = process.wait(timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        code = f"no answer within {_TIMEOUT_SECONDS} seconds"
    if code != 0:
        lines = [line for line in errors.read_text(errors="replace").splitlines() if line.strip()]
        reason = f"exit code {code}" if isinstance(code, int) else code
        raise ExportError(
            f"The export was not kept: the fresh process that loads it failed ({reason}). "
            "Its last words:\n" + "\n".join(lines[-8:])
        )
    result = json.loads(path.read_text(encoding="utf-8"))
    if "keras_bert" in result["modules"]:
        raise ExportError(
            "The export was not verified: the process that loads it imported keras_bert, so it "
            "shows nothing about one that has never heard of it. Look for a .pth file or a "
            "sitecustomize that imports keras_bert."
        )
    return [
        {name: _to_array(output) for name, output in answer.items()} for answer in result["answers"]
    ]


def _to_array(output: Mapping) -> np.ndarray:
    values = output["values"]
    if output["dtype"] == "object":
        values = [base64.b64decode(value["b64"]) for value in values]
    return np.array(values, output["dtype"]).reshape(output["shape"])


def compare(request: Request, expected: Answers, answer: Answers) -> float:
    """Compares one answer of the export with the model's.

    Returns:
        The largest absolute difference of their floats.

    Raises:
        ExportError: If they differ more than ``verify`` allows; it says where.
    """
    if expected.keys() != answer.keys():
        raise ExportError(
            f"The export was not kept: {request.signature} answers {sorted(answer)}, "
            f"the model {sorted(expected)}."
        )
    differences = [0.0]
    for name, wanted in expected.items():
        got = answer[name]
        if wanted.dtype != got.dtype or wanted.shape != got.shape:
            raise ExportError(
                f"The export was not kept: {request.signature} answers {name!r} as "
                f"{got.dtype}{got.shape}, the model as {wanted.dtype}{wanted.shape}."
            )
        if np.issubdtype(wanted.dtype, np.floating):
            differences.append(_compare_floats(request, name, wanted, got))
        else:
            _compare_exactly(request, name, wanted, got, expected)
    return max(differences)


def _compare_floats(request: Request, name: str, wanted: np.ndarray, got: np.ndarray) -> float:
    if not np.isfinite(wanted).all():
        row = int(np.argwhere(~np.isfinite(wanted))[0][0])
        raise ExportError(
            f"The export was not kept: the model itself answers {name!r} with a number that is "
            f"not finite, for {_show(request, row)}."
        )
    difference = np.abs(wanted.astype(np.float64) - got.astype(np.float64))
    # Written so that NaN does not pass.
    if difference.size and not difference.max() <= TOLERANCE:
        where = np.unravel_index(int(np.argmax(difference)), difference.shape)
        raise ExportError(
            f"The export was not kept: {request.signature} answers {name!r} with "
            f"{got[where]:.7g}, the model with {wanted[where]:.7g} (a difference of "
            f"{difference[where]:.1e}; allowed is {TOLERANCE:.0e}), for "
            f"{_show(request, int(where[0]))}."
        )
    return float(difference.max()) if difference.size else 0.0


def _compare_exactly(request, name, wanted: np.ndarray, got: np.ndarray, expected: Answers) -> None:
    for where in np.argwhere(wanted != got):
        row = int(where[0])
        if not _is_tie(expected, name, row):
            at = tuple(where)
            raise ExportError(
                f"The export was not kept: {request.signature} answers {name!r} with {got[at]!r}, "
                f"the model with {wanted[at]!r}, for {_show(request, row)}."
            )


def _is_tie(expected: Answers, name: str, row: int) -> bool:
    """Whether a label is a matter of the last bits."""
    probabilities = expected.get("probabilities")
    if name != "label" or probabilities is None or probabilities.shape[-1] < 2:
        return False
    second, first = np.sort(probabilities[row])[-2:]
    return bool(first - second <= TOLERANCE)


def _show(request: Request, row: int) -> str:
    """The input of one row, short enough for a message."""
    return ", ".join(
        f"{name} = {value if len(value) <= 60 else value[:57] + '...'}"
        for name, column in request.inputs.items()
        for value in [repr(column[row])]
    )
