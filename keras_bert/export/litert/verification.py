"""Whether a LiteRT file answers as its model does, asked in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert.export.answers import dense_answers
from keras_bert.export.errors import ExportError
from keras_bert.export.litert.graph import IDS, TEXTS, TOKENIZE
from keras_bert.export.litert.texts import may_differ
from keras_bert.export.requests import Request, array_of, make_requests
from keras_bert.models import BertMultipleChoice

__all__ = ["TOLERANCE", "ask_fresh_process", "id_requests", "largest_difference", "text_requests"]

#: Largest difference of a float of the float32 file and of the model, relative where the floats
#: are larger than 1.
TOLERANCE = 1e-5
_TIMEOUT_SECONDS = 600

Answers = dict[str, np.ndarray]


def text_requests(model, sample: Sequence | None) -> list[Request]:
    """Requests of texts, as ``keras_bert.export.requests`` makes them.

    Without those that have no text, and without rows of which it is known that the tokenizer may
    give other ids in LiteRT.
    """
    requests = make_requests(model, [TEXTS], sample)
    asked = [request for request in requests if request.signature == TEXTS]
    tokenizer = model.preprocessor.tokenizer
    kept = []
    for request in asked:
        rows = zip(*request.inputs.values(), strict=True)
        fine = [row for row in rows if not any(may_differ(tokenizer, x) for x in _bytes_of(row))]
        if fine:
            columns = zip(request.inputs, zip(*fine, strict=True), strict=True)
            kept.append(Request(TEXTS, {name: list(column) for name, column in columns}))
    if not kept:
        raise ValueError(
            "No text of the sample can be verified: of all of them this tokenizer may give other "
            "ids in LiteRT (see docs/litert.md). Give other texts, or verify=False."
        )
    return kept


def _bytes_of(row) -> Iterator[bytes]:
    """All strings of a row: texts, and lists of texts."""
    for value in row:
        yield from value if isinstance(value, list) else [value]


def id_requests(model, requests: Sequence[Request]) -> list[Request]:
    """Requests of the ids of texts; where there is no vocabulary, of any ids."""
    if model.preprocessor is None:
        rows = np.random.default_rng(0).integers(0, model.encoder.config.vocab_size, (4, 12))
        ones = np.ones_like(rows)
        ids = {"input_word_ids": rows, "input_mask": ones, "input_type_ids": 0 * ones}
        if isinstance(model, BertMultipleChoice):
            ids = {name: values[:, np.newaxis].repeat(2, 1) for name, values in ids.items()}
        return [Request(IDS, {name: values.tolist() for name, values in ids.items()})]
    return [Request(IDS, _ids_of(model, request)) for request in requests]


def _ids_of(model, request: Request) -> dict[str, list]:
    columns = [tf.constant(column, tf.string) for column in request.inputs.values()]
    several = columns[-1].shape.rank == 2
    if several:  # prompts and their choices: a row for each choice
        batch, most = columns[1].shape
        prompts = tf.repeat(columns[0], most)
        ids = model.preprocessor((prompts, tf.reshape(columns[1], [-1])))
        ids = {name: tf.reshape(x, (batch, most, -1)) for name, x in ids.items()}
    else:
        ids = model.preprocessor(tuple(columns) if len(columns) > 1 else columns[0])
    names = ("input_word_ids", "input_mask", "input_type_ids")
    return {name: ids[name].numpy().tolist() for name in names}


def expected_answers(model, request: Request) -> Answers:
    """What the model says to a request."""
    if request.signature == TEXTS:
        function = tf.function(
            lambda *texts: dense_answers(model.text_answers(*texts)),
            input_signature=model.text_specs(),
            autograph=False,
        )
        columns = [tf.constant(column, tf.string) for column in request.inputs.values()]
        return {name: value.numpy() for name, value in function(*columns).items()}
    ids = {name: tf.constant(rows, tf.int32) for name, rows in request.inputs.items()}
    if request.signature == TOKENIZE:
        return {name: value.numpy() for name, value in ids.items()}
    outputs = tf.function(lambda ids: model(ids, training=False), autograph=False)(ids)
    if isinstance(outputs, dict):
        return {name: value.numpy() for name, value in outputs.items()}
    return {"": outputs.numpy()}


def ask_fresh_process(path: Path, requests: Sequence[Request]) -> list[Answers]:
    """The answers of a Python of its own that runs ``ask_litert.py`` by its path.

    It imports nothing but numpy, ai-edge-litert and what registers tf.text's kernels.

    Raises:
        ExportError: If it fails, or has heard of keras_bert or TensorFlow's Python.
    """
    if not sys.executable:
        raise ExportError(
            "Cannot verify the export: Python does not know its own executable, so no fresh "
            "process can be started. Export from an ordinary interpreter, or with verify=False."
        )
    script = Path(__file__).resolve().parents[1] / "ask_litert.py"
    with tempfile.TemporaryDirectory(prefix="keras_bert-") as scratch:
        source, target = Path(scratch, "requests.json"), Path(scratch, "answers.json")
        source.write_text(json.dumps([request.to_json() for request in requests]))
        # -P: not the script's folder; -I would lose packages of the user's own site folder.
        command = [sys.executable, "-P", str(script), str(path.resolve())]
        try:
            done = subprocess.run(
                [*command, "--requests", str(source), str(target)],
                cwd=scratch,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ExportError(
                "The export was not kept: the fresh process that loads it gave no answer within "
                f"{_TIMEOUT_SECONDS} seconds."
            ) from None
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise ExportError(
                "The export was not kept: the fresh process that loads it failed (exit code "
                f"{done.returncode}). Its last words:\n" + "\n".join(lines[-8:])
            )
        result = json.loads(target.read_text(encoding="utf-8"))
    if "keras_bert" in result["modules"]:
        raise ExportError(
            "The export was not verified: the process that loads it imported keras_bert. Look for "
            "a .pth file or a sitecustomize that imports it."
        )
    return [{n: array_of(output) for n, output in a.items()} for a in result["answers"]]


def largest_difference(
    request: Request, expected: Answers, answer: Answers, tolerance: float = TOLERANCE
) -> float:
    """Compares what both answer.

    Args:
        request: What was asked.
        expected: What the model says; a lone output may be called "".
        answer: What the file says; it may say more.
        tolerance: Largest difference of floats.

    Returns:
        The largest difference of floats, relative where they are larger than 1.

    Raises:
        ExportError: If they differ more; all but floats at all. A number or name of the best of
            several may differ where those are as good as each other.
    """
    differences = [0.0]
    for name, wanted in expected.items():
        got = answer.get(name) if name else next(iter(_raw(answer).values()))
        if got is None or wanted.shape != got.shape:
            raise ExportError(
                f"The export was not kept: {request.signature} answers {name!r} with "
                f"{None if got is None else got.shape}, the model with {wanted.shape}."
            )
        if np.issubdtype(wanted.dtype, np.floating):
            scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
            difference = float(np.abs(wanted - got).max(initial=0.0)) / scale
            if not difference <= tolerance:  # so that NaN does not pass
                raise ExportError(
                    f"The export was not kept: {request.signature} differs from the model in "
                    f"{name or 'its output'!r} by {difference:.1e}; allowed is {tolerance:.0e}."
                )
            differences.append(difference)
        elif not np.array_equal(wanted, got) and not _ties(expected, wanted, got, tolerance):
            row = int(np.argwhere(wanted != got)[0][0])
            raise ExportError(
                f"The export was not kept: {request.signature} answers {name!r} with "
                f"{got[row]!r}, the model with {wanted[row]!r}, for "
                f"{ {key: column[row] for key, column in request.inputs.items()}!r:.200}."
            )
    return max(differences)


def _raw(answer: Answers) -> Answers:
    """The raw output among what a signature of ids answers."""
    return {n: x for n, x in answer.items() if n in ("logits", "embedding")} or answer


def _ties(expected: Answers, wanted: np.ndarray, got: np.ndarray, tolerance: float) -> bool:
    """Whether answers differ in rows only whose best two are as good as each other."""
    chances = expected.get("probabilities")
    if chances is None or wanted.ndim != 1 or chances.shape[-1] < 2:
        return False
    best = np.sort(chances[wanted != got], axis=-1)
    return bool((best[:, -1] - best[:, -2] <= tolerance).all())
