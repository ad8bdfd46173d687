"""How much worse a quantised file answers than its model: on labelled data, or by its outputs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from keras_bert.export import ask_litert
from keras_bert.export.errors import ExportError
from keras_bert.export.litert.graph import IDS, PREDICTIONS
from keras_bert.export.litert.verification import Answers
from keras_bert.metrics.directions import better
from keras_bert.models import BertClassifier, BertMultipleChoice
from keras_bert.models.classifier import _without_windows
from keras_bert.models.windows import merge_windows

__all__ = ["MAX_DROP", "check_drop", "cosines", "main_score", "scores_of_file", "scores_of_model"]

#: How much worse than its model a file may be unless the user says otherwise: a hundredth of the
#: main score; without labelled data, of the mean cosine between what both compute.
MAX_DROP = 0.01


def scores_of_model(copy, evaluation) -> dict[str, float]:
    """The scores of a copy of the model, by ``evaluate``."""
    if not copy.compiled:
        copy.compile(jit_compile=False)
    with warnings.catch_warnings():
        # That texts are cut, or a head is fresh, was said of the model itself.
        warnings.simplefilter("ignore")
        scores = copy.evaluate(*_arguments(evaluation), verbose=0)
    return {name: float(value) for name, value in scores.items()}


def scores_of_file(copy, loaded: ask_litert.LoadedModel, evaluation) -> dict[str, float]:
    """The scores of a file, by the ``evaluate`` of a copy that asks it in place of its layers."""
    with _asking(copy, loaded):
        return scores_of_model(copy, evaluation)


def main_score(copy, scores: dict[str, float]) -> str:
    """The name of the score that says how good a model is, of those that there are.

    The task's ``main_metric``; where that is the loss, the first score of which more is better.
    """
    if copy.main_metric != "loss" and copy.main_metric in scores:
        return copy.main_metric
    return next((name for name in scores if better(name) == "max"), "loss")


def _arguments(evaluation) -> tuple:
    """What ``evaluate`` takes: data, or a tuple of texts and labels."""
    if isinstance(evaluation, tuple) and len(evaluation) == 2:
        return evaluation
    return (evaluation,)


@contextlib.contextmanager
def _asking(copy, loaded: ask_litert.LoadedModel) -> Iterator[None]:
    """Has the copy's ``call`` ask a file."""
    copy.call = lambda inputs, training=None: _outputs_of_file(copy, loaded, inputs)
    _forget_graphs(copy)
    try:
        yield
    finally:
        del copy.call
        _forget_graphs(copy)


def _forget_graphs(copy) -> None:
    copy._forget_graphs()
    copy.test_function = None


def _outputs_of_file(copy, loaded, inputs):
    """What the copy's own ``call`` returns, computed by a file; in the graph."""
    if isinstance(copy, BertClassifier):
        ids, windows = _without_windows(inputs)
        outputs = _ask(loaded, ids, IDS, {"logits": copy.problem.outputs})["logits"]
        return outputs if windows is None else merge_windows(outputs, windows, copy.window_pooling)
    signature = PREDICTIONS if "masked_lm_positions" in inputs else IDS
    specs = loaded.metadata["signatures"][signature]["outputs"]
    widths = {name: spec["shape"][-1] for name, spec in specs.items()}
    rank = inputs["input_word_ids"].shape.rank
    if rank == 3 and not isinstance(copy, BertMultipleChoice):
        # Several texts of each example in one row of the batch: embeddings of pairs.
        shape = tf.shape(inputs["input_word_ids"])
        rows = {name: tf.reshape(ids, [-1, shape[-1]]) for name, ids in inputs.items()}
        (found,) = _ask(loaded, rows, signature, widths).values()
        return tf.reshape(found, [shape[0], shape[1], found.shape[-1]])
    found = _ask(loaded, inputs, signature, widths)
    return found if len(found) > 1 else next(iter(found.values()))


def _ask(loaded, inputs, signature: str, widths: dict[str, int | None]) -> dict[str, tf.Tensor]:
    """Named outputs of a signature for named ids, in the graph."""
    names = sorted(loaded.inputs[signature])
    outputs = loaded.metadata["signatures"][signature]["outputs"]

    def run(*ids):
        answers = ask_litert.call(loaded, dict(zip(names, ids, strict=True)), signature)
        return [answers[name] for name in widths]

    values = tf.numpy_function(
        run, [tf.cast(inputs[name], tf.int32) for name in names], [tf.float32] * len(widths)
    )
    for name, value in zip(widths, values, strict=True):
        shape = [None] * (len(outputs[name]["shape"]) - 1)
        value.set_shape([*shape, widths[name]])
    return dict(zip(widths, values, strict=True))


def cosines(expected: Sequence[Answers], answers: Sequence[Answers]) -> list[float]:
    """Cosines between what the model and the file compute, one for each row of each answer.

    Scores of one number, as a regression's, count relative to the spread of all of them.
    """
    found = []
    for wanted, got in zip(expected, answers, strict=True):
        for name, values in wanted.items():
            other = got[name] if name else next(got[n] for n in ("logits", "embedding") if n in got)
            pairs = zip(values, other, strict=True)
            found += [_cosine(np.ravel(one), np.ravel(two)) for one, two in pairs]
    return found


def _cosine(one: np.ndarray, two: np.ndarray) -> float:
    # Choices that are not there have logits beside which all others are nothing.
    there = one > -1e8
    one, two = one[there].astype(np.float64), two[there].astype(np.float64)
    if one.size == 1:
        return 1.0 - float(abs(one - two)[0]) / max(1.0, float(abs(one)[0]))
    lengths = np.linalg.norm(one) * np.linalg.norm(two)
    return float(one @ two / lengths) if lengths else float(np.array_equal(one, two))


def check_drop(before: float, after: float, name: str, max_drop: float | None, mode: str) -> None:
    """Refuses a file that is much worse than its model.

    Args:
        before: The model's score.
        after: The file's.
        name: The score's name, which tells whether more is better.
        max_drop: The largest drop allowed; None: any.
        mode: How the file is quantised.

    Raises:
        ExportError: If it is worse by more.
    """
    drop = after - before if better(name) == "min" else before - after
    if max_drop is None or drop <= max_drop:  # NaN does not pass
        return
    ways = {"dynamic_int8": "float16", "int8": "dynamic_int8"}
    other = f"take quantize={ways[mode]!r}, or " if mode in ways else ""
    raise ExportError(
        f"The export was not kept: with quantize={mode!r}, {name} is {after:.4f}, and the model's "
        f"{before:.4f}: worse by {drop:.4f}, and {max_drop:g} is allowed. To go on, {other}allow "
        "it with max_drop (None: any)."
    )
