"""A task model as a SavedModel that takes raw strings: what TensorFlow Serving loads."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_bert.export import verification, versions
from keras_bert.export.answers import dense_answers, dense_text_answers
from keras_bert.export.ask import METADATA
from keras_bert.export.errors import ExportError
from keras_bert.models.answering import INPUT_SIGNATURE, UntrainedHeadWarning
from keras_bert.models.task import TaskModel

__all__ = ["saved_model"]


def saved_model(
    model,
    directory: str | os.PathLike,
    version: int | None = None,
    sample: Sequence | None = None,
    verify: bool = True,
) -> str:
    """Writes a task model to ``directory/VERSION`` as a SavedModel that takes raw strings.

    Signatures, all with the batch first and of any size, none included:

    - ``serving_default``: ``text`` string (batch,), or ``text_a`` and ``text_b`` where the model
      takes pairs, or what else the task calls its texts (``model.text_inputs``), → the task's
      answers. For a classifier ``label`` string (batch,), ``probability`` float32 (batch,),
      ``probabilities`` float32 (batch, classes); of any number of labels ``labels`` string
      (batch, most) and ``probabilities``; of a number ``value`` float32 (batch,).
    - ``tokens``: ``input_word_ids``, ``input_mask``, ``input_type_ids`` int32 (batch, seq) → the
      same answers. Not where a text may be several rows, as with a ``stride``.

    Answers of which texts have different numbers are padded to the longest of the batch: strings
    with "", whole numbers with -1, floats with 0.

    Texts are cut to the preprocessor's ``seq_length``, or read in windows, and padded to the
    longest of the batch, inside the graph. Weights are stored once; the vocabulary travels as
    ``assets/vocab.txt``, and ``assets.extra/keras_bert.json`` tells labels, versions and the checks
    passed.

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

    Returns:
        Path of the version's folder, such as ``"saved_models/NAME/1"``.

    Raises:
        TypeError: If ``model`` is no task model, or the sample holds something else than texts.
        ValueError: If ``directory`` names a version, ``version`` is no valid number, or the model
            has no preprocessor.
        OSError: If the folder cannot be written; ``FileExistsError`` if ``version`` exists,
            ``NotADirectoryError`` if a file is in the way.
        ExportError: If the SavedModel cannot be written or does not answer as the model does.

    Example:
        >>> kb.export.saved_model(model, "saved_models/banking77")
        'saved_models/banking77/1'
    """
    _check_model(model)
    target = versions.check_target(directory, version)
    requests = verification.make_requests(model, model.text_inputs, sample) if verify else []
    with versions.staging_folder(target) as stage:
        module, signatures = _build(model)
        _write(module, signatures, stage, model.preprocessor.tokenizer.vocabulary)
        outside_core = _check_graph(stage)
        checks = [verification.verify(model, stage, requests)] if verify else []
        _write_record(model, stage, outside_core, checks)
        return versions.publish(stage, target, version)


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
    if model.head_is_fresh:
        warnings.warn(
            f"The head of this {type(model).__name__} was neither loaded from a checkpoint nor "
            "trained, so that the export's answers will be random. Call fit first.",
            UntrainedHeadWarning,
            stacklevel=3,
        )


class _Served(tf.Module):
    """What the SavedModel stores: variables and the vocabulary's file.

    Not the Keras model: TensorFlow would trace every layer of it once more and, through Keras'
    own export, store every weight twice (keras issue 23553).
    """

    def __init__(self, variables):
        super().__init__(name="keras_bert")
        self.weights = variables
        self.vocabulary = None


def _build(model) -> tuple[_Served, dict]:
    """Traces the signatures; returns them with the variables they read."""

    @_function(tuple(INPUT_SIGNATURE.values()))
    def tokens(input_word_ids, input_mask, input_type_ids):
        ids = {
            "input_word_ids": input_word_ids,
            "input_mask": input_mask,
            "input_type_ids": input_type_ids,
        }
        return dense_answers(model.answers(model(ids, training=False)))

    def one_row(*texts):
        return tokens(**model.preprocessor(texts[0] if len(texts) == 1 else texts))

    def any_rows(*texts):
        return dense_text_answers(model, *texts)

    text = _function(model.text_specs())(one_row if model.one_row_per_text else any_rows)
    signatures = {"serving_default": text.get_concrete_function()}
    if model.one_row_per_text:
        signatures["tokens"] = tokens.get_concrete_function()
    # Only what is read: no optimizer state, no dropout seeds, no pooler that nobody asks.
    read = {id(variable) for function in signatures.values() for variable in function.variables}
    return _Served([v.value for v in model.variables if id(v.value) in read]), signatures


def _function(signature: Sequence[tf.TensorSpec]):
    """``tf.function`` for these inputs; without XLA, which TF Serving switches off."""
    return tf.function(input_signature=signature, autograph=False)


def _write(module: _Served, signatures: dict, stage: Path, vocabulary: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="keras_bert-") as scratch:
        path = Path(scratch) / "vocab.txt"
        path.write_text("".join(f"{t}\n" for t in vocabulary), encoding="utf-8", newline="\n")
        module.vocabulary = tf.saved_model.Asset(str(path))
        try:
            with _without_notice():
                tf.saved_model.save(module, str(stage), signatures)
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


def _check_graph(stage: Path) -> list[str]:
    """Returns the operations that TensorFlow itself does not have; refuses what no server runs.

    Raises:
        ExportError: If the graph asks for XLA.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((stage / "saved_model.pb").read_bytes())
    graph = content.meta_graphs[0].graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    if any(item.attr["_XlaMustCompile"].b for item in [*functions, *nodes]):
        raise ExportError(
            "The export was not kept: the model calls a function with jit_compile=True, which TF "
            "Serving refuses to run ('XLA compilation disabled'). Take it out of the model's call."
        )
    own = {function.signature.name for function in functions}
    ops = {node.op for node in nodes} - own
    return sorted(op for op in ops if not op.startswith("_") and not hasattr(tf.raw_ops, op))


def _write_record(model, stage: Path, outside_core: list[str], checks: list[dict]) -> None:
    record = {
        "task": type(model).__name__,
        "inputs": list(model.text_inputs),
        "labels": list(getattr(model, "labels", None) or []),
        "seq_length": model.preprocessor.seq_length,
        "versions": _versions(),
        "ops_outside_core_tensorflow": outside_core,
        "checks": checks,
    }
    path = stage / METADATA
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _versions() -> dict[str, str]:
    import tensorflow_text

    # Upwards, but only for the number: the package is there, or this would not run.
    import keras_bert

    return {
        "keras_bert": keras_bert.__version__,
        "tensorflow": tf.__version__,
        "tensorflow_text": tensorflow_text.__version__,
        "keras": keras.__version__,
    }
