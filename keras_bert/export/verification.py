"""Whether what was written answers as the Keras model does, asked in a process of its own."""

from __future__ import annotations

import contextlib
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
from keras_bert.export.comparison import TOLERANCE, Answers, compare
from keras_bert.export.errors import ExportError
from keras_bert.export.requests import Request, array_of, token_ids
from keras_bert.export.signatures import input_specs

__all__ = ["verify"]

#: Loading takes seconds; a large model on a busy machine may take minutes.
_TIMEOUT_SECONDS = 600


def verify(model, folder: Path, requests: Sequence[Request], functions: Mapping) -> list[dict]:
    """Compares the SavedModel in ``folder`` with the model it was made from.

    The SavedModel is loaded by a Python of its own that runs ``ask.py`` by its path and imports
    nothing but tensorflow and tensorflow_text. Both sides compute on the CPU: the GPU's memory
    belongs to this process, and its products may be rounded to fewer bits.

    Args:
        model: The task model.
        folder: The SavedModel.
        requests: From ``make_requests``.
        functions: The functions that were written, by signature.

    Returns:
        The checks as they go into the export's record: the largest difference from the Keras model,
        and whether the functions' answers are the same to the last bit.

    Raises:
        ExportError: If the fresh process fails, or an answer differs: floats by more than
            ``TOLERANCE``, everything else at all. A label alone may differ where the two
            largest probabilities are within ``TOLERANCE`` of each other.
    """
    with _fresh_process(folder, requests) as wait_for_answers, tf.device("/CPU:0"):
        expected = _keras_answers(model, requests)  # Meanwhile the other process starts.
        traced = _traced_answers(functions, requests)
        answers = wait_for_answers()
    differences = [
        compare(request, *both) for request, *both in zip(requests, expected, answers, strict=True)
    ]
    same = all(map(_same_bits, traced, answers))
    return [
        {
            "check": "answers of a fresh process equal the Keras model's",
            "requests": len(requests),
            "texts": sum(len(next(iter(request.inputs.values()))) for request in requests),
            "max_difference": max(differences),
            "tolerance": TOLERANCE,
        },
        {"check": "to the last bit they are those of the functions written", "passed": same},
    ]


def _same_bits(one: Answers, other: Answers) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


def _traced_answers(functions: Mapping, requests: Sequence[Request]) -> list[Answers]:
    """What the signatures answer as they were before they were written."""
    found = []
    for request in requests:
        function = functions[request.signature]
        specs = input_specs(function).items()
        answers = function(*(_tensor(request.inputs[name], spec) for name, spec in specs))
        found.append({name: tensor.numpy() for name, tensor in answers.items()})
    return found


def _tensor(values: Sequence, spec: tf.TensorSpec) -> tf.Tensor:
    """A column; an empty one has lost its other axes."""
    shape = None if len(values) else (0,) * spec.shape.rank
    return tf.constant(values, spec.dtype, shape=shape)


def _keras_answers(model, requests: Sequence[Request]) -> list[Answers]:
    """The model's own answers, through a function of its own and the preprocessor as it is."""
    answer = _row_answers(model) if model.one_row_per_text else _text_answers(model)
    found = []
    for request in requests:
        asked = Request("serving_default", request.texts) if request.texts else request
        answers = {name: tensor.numpy() for name, tensor in answer(asked).items()}
        found.append(_as_form(model, request.signature, answers))
    return found


def _as_form(model, signature: str, answers: Answers) -> Answers:
    """Answers in the form of TF Serving's own calls, where it is one of those."""
    if signature == "classify":
        scores = answers["probabilities"]
        classes = [[label.encode() for label in model.labels] for _ in scores]
        shape = (len(scores), len(model.labels))
        return {"classes": np.array(classes, object).reshape(shape), "scores": scores}
    return {"outputs": answers["value"]} if signature == "regress" else answers


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
    return lambda request: answer(token_ids(model, request))


def _text_answers(model):
    """A function of a request that answers texts, each of any number of rows."""
    specs = model.text_specs()
    answer = tf.function(
        lambda *texts: dense_text_answers(model, *texts), input_signature=specs, autograph=False
    )

    def answer_request(request):
        return answer(*(_tensor(request.inputs[spec.name], spec) for spec in specs))

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
        {name: array_of(output) for name, output in answer.items()} for answer in result["answers"]
    ]
