"""A task model as a SavedModel that takes raw strings: what TensorFlow Serving loads."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from keras_bert.data.examples import listed
from keras_bert.export import tuning, versions, warmup
from keras_bert.export.answers import warn_of_fresh_head
from keras_bert.export.constant_weights import constants_of
from keras_bert.export.errors import ExportError
from keras_bert.export.graph_ops import graph_ops
from keras_bert.export.record import make_record, write_record
from keras_bert.export.requests import Request, make_requests
from keras_bert.export.signatures import input_specs, make_signatures
from keras_bert.export.verification import verify as verify_export
from keras_bert.models.task import TaskModel

__all__ = ["saved_model"]

_WEIGHTS = ("variables", "constants")


def saved_model(
    model,
    directory: str | os.PathLike,
    version: int | None = None,
    sample: Sequence | None = None,
    verify: bool = True,
    *,
    lengths: Sequence[int] | str | None = None,
    weights: str = "variables",
    keep: int | None = None,
    tune: bool = False,
) -> str:
    """Writes a task model to ``directory/VERSION`` as a SavedModel that takes raw strings.

    Signatures, all with the batch first and of any size, none included:

    - ``serving_default``: ``text`` string (batch,), or ``text_a`` and ``text_b`` where the model
      takes pairs, or what else the task calls its texts (``model.text_inputs``), → the task's
      answers. For a classifier ``label`` string (batch,), ``probability`` float32 (batch,),
      ``probabilities`` float32 (batch, classes); of any number of labels ``labels`` string
      (batch, most) and ``probabilities``; of a number ``value`` float32 (batch,).
    - ``examples``: ``examples`` string (batch,), each a serialised ``tf.Example`` whose features
      are called as those inputs → the same answers.
    - ``tokens``: ``input_word_ids``, ``input_mask``, ``input_type_ids`` int32 (batch, seq) → the
      same answers. Not where a text may be several rows, as with a ``stride``.
    - ``classify`` of a classifier and ``regress`` of one that answers numbers, for TF Serving's
      calls of those names: ``inputs`` string (batch,), serialised ``tf.Example`` protos, →
      ``classes`` string and ``scores`` float32 (batch, classes), or ``outputs`` float32 (batch,).

    Answers of which texts have different numbers are padded to the longest of the batch: strings
    with "", whole numbers with -1, floats with 0.

    Texts are cut to the preprocessor's ``seq_length``, or read in windows, and padded to the
    longest of the batch and on to the next of a few ``lengths``, inside the graph. Weights are
    stored once; the vocabulary travels as ``assets/vocab.txt``, ``keras_bert.json`` and
    ``MODEL_CARD.md`` tell labels, signatures, limits, sizes, versions and the checks passed, and
    ``assets.extra/tf_serving_warmup_requests`` has TF Serving try every signature before it
    switches to the version.

    The version is written beside its place and renamed into it, so that a server polling
    ``directory`` never sees half a model; on any failure nothing is left and nothing that
    existed has changed. Two exports at once get two numbers.

    Args:
        model: A task model, such as ``BertClassifier``. A head that was neither loaded nor trained
            is exported with an ``UntrainedHeadWarning``.
        directory: Folder of the model, ``saved_models/NAME``; made if missing.
        version: Number of the version; default: one more than the largest there is.
        sample: Texts, or pairs of texts, to verify with; default: a few difficult ones.
        verify: Whether to load what was written in a fresh process without keras_bert and
            compare its answers with the model's: floats within 1e-5, strings equal.
        lengths: Lengths that rows are padded to, rising up to ``seq_length``; or "longest" for
            no more than each batch needs; default: 8, 12, 16, 24, ... A server then meets few
            shapes, for each of which oneDNN makes kernels. What the preprocessor itself is told
            by ``pad_to`` counts more.
        weights: "variables", or "constants": kernels and biases are part of the graph, embedding
            tables stay variables. oneDNN then keeps kernels in the layout that it is fastest with,
            which counts for one text at a time; loading takes many times their memory, and each
            signature that is called their size again. Answers may differ from those of "variables"
            in the last bits.
        keep: How many versions stay, the new one among them: older ones are removed once it is
            there. Default: all.
        tune: Whether to measure how batches of the sample's texts fare on this machine, and to
            write what follows for TF Serving: ``batching_params.pbtxt`` in the version, and
            ``batching.config`` and ``models.config`` in ``directory``.

    Returns:
        Path of the version's folder, such as ``"saved_models/NAME/1"``.

    Raises:
        TypeError: If ``model`` is no task model, or the sample holds something else than texts.
        ValueError: If ``directory`` names a version, ``version`` is no valid number, ``keep`` is
            less than 1, ``lengths`` do not rise up to ``seq_length``, ``weights`` is neither,
            constants are more than 2 GiB, or the model has no preprocessor.
        OSError: If the folder cannot be written; ``FileExistsError`` if ``version`` exists,
            ``NotADirectoryError`` if a file is in the way.
        ExportError: If the SavedModel cannot be written or does not answer as the model does.

    Example:
        >>> kb.export.saved_model(model, "saved_models/banking77")
        'saved_models/banking77/1'
    """
    _check_model(model)
    if weights not in _WEIGHTS:
        raise ValueError(f"weights={weights!r}. Expected one of {listed(_WEIGHTS)}.")
    target = versions.check_target(directory, version, keep)
    name = target.resolve().name
    constants = constants_of(model) if weights == "constants" else None
    functions = make_signatures(model, lengths, constants)
    requests = make_requests(model, functions, sample)
    with versions.staging_folder(target) as stage:
        _write(model, functions, stage)
        ops = graph_ops(stage)
        checks = verify_export(model, stage, requests, functions) if verify else []
        batching = _measure(functions, requests) if tune else None
        sizes = batching.sizes if batching else (1, 32)
        warmup.write_warmup(
            stage / warmup.WARMUP_FILE,
            name,
            warmup.warmup_requests(requests, sizes),
            {key: input_specs(function) for key, function in functions.items()},
        )
        if batching is not None:
            tuning.write_in_version(stage, batching)
        write_record(stage, name, make_record(model, stage, functions, ops, checks, constants))
        path = versions.publish(stage, target, version)
    if batching is not None:
        tuning.write_beside(target, batching)
    if keep is not None:
        versions.remove_older(target, keep)
    return path


def _measure(functions: Mapping, requests: Sequence[Request]) -> tuning.Batching:
    """How batches of the texts that the export is verified with fare on this machine."""
    inputs = requests[0].inputs
    answer, rows = functions["serving_default"], list(zip(*inputs.values(), strict=True))

    def run(batch):
        answer(*(tf.constant(list(column), tf.string) for column in zip(*batch, strict=True)))

    return tuning.measure(run, rows)


def _check_model(model) -> None:
    if not isinstance(model, TaskModel):
        raise TypeError(
            "saved_model exports a task model, such as keras_bert.BertClassifier; received "
            f"a {type(model).__name__}."
        )
    tokenizer = model.text_preprocessor().tokenizer
    if not tokenizer.in_graph:
        raise ExportError(
            f"This model's tokenizer is a Python function (backend={tokenizer.backend!r}), which "
            "no SavedModel can hold. Save the model as .keras and export it on a machine with "
            "tensorflow-text (Linux, or macOS on Apple silicon), with a tokenizer that has no "
            "backend set."
        )
    warn_of_fresh_head(model)


class _Served(tf.Module):
    """What the SavedModel stores: variables and the vocabulary's file.

    Not the Keras model: TensorFlow would trace every layer of it once more and, through Keras'
    own export, store every weight twice (keras issue 23553).
    """

    def __init__(self, variables):
        super().__init__(name="keras_bert")
        self.weights = variables
        self.vocabulary = None


def _write(model, functions: Mapping, stage: Path) -> None:
    # Only what is read: no optimizer state, no dropout seeds, no pooler that nobody asks.
    read = {id(variable) for function in functions.values() for variable in function.variables}
    module = _Served([v.value for v in model.variables if id(v.value) in read])
    vocabulary = model.preprocessor.tokenizer.vocabulary
    with tempfile.TemporaryDirectory(prefix="keras_bert-") as scratch:
        path = Path(scratch) / "vocab.txt"
        path.write_text("".join(f"{t}\n" for t in vocabulary), encoding="utf-8", newline="\n")
        module.vocabulary = tf.saved_model.Asset(str(path))
        try:
            with _without_notice():
                tf.saved_model.save(module, str(stage), dict(functions))
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise ExportError(f"The SavedModel could not be written: {error}") from error


@contextlib.contextmanager
def _without_notice() -> Iterator[None]:
    """Keeps TensorFlow from announcing files in a folder that is about to be renamed."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
