"""A task model as one LiteRT file: what phones and small machines run."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_bert.complete_file import complete_file
from keras_bert.export import ask_litert
from keras_bert.export.answers import warn_of_fresh_head
from keras_bert.export.errors import ExportError
from keras_bert.export.litert import (
    comparison,
    conversion,
    graph,
    metadata,
    texts,
    verification,
)
from keras_bert.export.litert.answers import needs_offsets
from keras_bert.export.litert.calibration import quantized_layers
from keras_bert.export.litert.comparison import MAX_DROP
from keras_bert.export.litert.graph import TEXTS, TOKENIZE
from keras_bert.export.litert.plain import plain_copy
from keras_bert.export.litert.verification import Request
from keras_bert.export.litert.weights import with_weights_of_8_bits
from keras_bert.export.record import package_versions
from keras_bert.models.beam_spans import BeamSpanLabeler
from keras_bert.models.task import TaskModel

__all__ = ["QUANTIZE", "litert"]

#: What may be asked for: numbers as they are; halves; weights of 8 bits, with activations of 8 bits
#: made in the run, or known from a sample.
QUANTIZE = (None, "float16", "dynamic_int8", "int8")


def litert(
    model,
    path: str | os.PathLike,
    quantize: str | None = None,
    *,
    lengths: Sequence[int] = (),
    strings: bool | None = None,
    sample: Sequence | None = None,
    calibration: Sequence | None = None,
    evaluation=None,
    max_drop: float | None = MAX_DROP,
    verify: bool = True,
) -> str:
    """Writes a task model as a LiteRT (TFLite) file.

    Signatures, all with the weights that the file has once:

    - ``tokens``: ``input_word_ids``, ``input_mask``, ``input_type_ids`` int32 (batch, seq), of any
      size, → the numbers that the model's ``call`` gives: ``logits``, ``start_logits`` and
      ``end_logits``, or ``embedding``; for classifiers also ``probabilities``, for regressions
      ``value``. Of multiple choice ids are (batch, choices, seq).
    - ``predictions``, of a ``BertMaskedLM``: with ``masked_lm_positions`` int32 (batch,
      predictions) → ``logits`` of these places alone.
    - ``serving_default``: strings (batch,), named as ``model.text_inputs`` says → the answers, as
      the SavedModel's of that name. Where the tokenizer or the task takes what LiteRT has no
      kernels for, it is left out, and the metadata say why.
    - ``tokenize``: the same strings → the ids that ``tokens`` takes.

    Everything but tf.text's kernels (``custom_ops`` in the metadata) is built into LiteRT; nothing
    needs Flex. The metadata (``keras_bert.json``), ``labels.txt`` and ``vocab.txt`` are zipped onto
    the end of the file: ``unzip -p model.tflite keras_bert.json``.

    Args:
        model: A task model, of any dtype, with LoRA or without; it stays as it is.
        path: The file to write. An existing one is replaced once the new one is whole.
        quantize: None; "float16": half the size; "dynamic_int8": a quarter of the size, and the
            quickest on CPUs; "int8": activations of 8 bits too, with ranges known from
            ``calibration``, where that is no harm.
        lengths: Lengths of rows that get a signature of their own, ``tokens_32``, of one row.
        strings: Whether the file takes strings; True: it is an error where it cannot; None: where
            it can.
        sample: Texts (or pairs, ...) to verify with; default: a few difficult ones.
        calibration: Texts like those to come, for "int8": a hundred do.
        evaluation: Labelled data as ``model.evaluate`` takes them, or (texts, labels): the scores
            before and after are printed, and are in the metadata.
        max_drop: How much less the main score may be in the file, 0.01 being a hundredth of the
            highest score; without ``evaluation``, how much less than 1 the mean cosine between the
            outputs of both for the sample. None: any.
        verify: Whether to ask the file in a fresh process that has no TensorFlow. If not, nothing
            is known of a quantised file but what ``evaluation`` says.

    Returns:
        The path.

    Raises:
        TypeError: If ``model`` is no task model, or a text is none.
        ImportError: If the file is to be asked, and ai-edge-litert is not installed.
        ValueError: If an argument is none of those above.
        OSError: If the file cannot be written.
        ExportError: If the model cannot be converted, as a ``BeamSpanLabeler`` cannot, the file
            does not answer as the model does, or is worse than ``max_drop`` allows. No file is then
            left, and an existing one is as it was.

    Example:
        >>> kb.export.litert(model, "cards.tflite", "dynamic_int8", evaluation=dev)
        accuracy 0.9266 -> 0.9250 (dynamic_int8)
        'cards.tflite'
    """
    target = _check(model, path, quantize, lengths, calibration)
    if (verify or evaluation is not None) and importlib.util.find_spec("ai_edge_litert") is None:
        raise ImportError(
            "What is written is asked by LiteRT's interpreter, which is not installed: "
            "pip install ai-edge-litert, or verify=False."
        )
    copy = plain_copy(model)
    signatures, no_strings = _signatures(copy, lengths, strings)
    quantization = {"mode": quantize}
    content = _convert(copy, signatures, quantize, calibration, quantization, lengths, no_strings)
    record = _record(model, signatures, no_strings, quantization, lengths, content)
    reference = model if model.dtype_policy.name == "float32" else copy
    with complete_file(target) as staged:
        _write(staged, content, record, model)
        if evaluation is not None:
            _evaluate(copy, staged, evaluation, max_drop, record)
        if verify:
            bound = None if evaluation is not None else max_drop
            record["checks"] = _checks(reference, staged, sample, record, bound)
        _write(staged, content, record, model)
    return os.fspath(path)


def _check(model, path, quantize, lengths, calibration) -> Path:
    if not isinstance(model, TaskModel):
        raise TypeError(
            "litert exports a task model, such as keras_bert.BertClassifier; received a "
            f"{type(model).__name__}."
        )
    if isinstance(model, BeamSpanLabeler):
        raise ExportError(
            "A BeamSpanLabeler is not written as a LiteRT file: whose ends are looked for depends "
            "on which tokens are the context's, which ids do not say. Write "
            "kb.export.saved_model(model, folder), or train a kb.BertSpanLabeler(model.encoder, "
            "...), which LiteRT files are made of."
        )
    if quantize not in QUANTIZE:
        raise ValueError(f"quantize={quantize!r}; expected one of {QUANTIZE}.")
    if quantize == "int8" and not calibration:
        raise ValueError(
            'quantize="int8" takes calibration=: a hundred texts like those to come, of which the '
            "ranges of activations are learnt."
        )
    most = model.encoder.config.max_seq_length
    for length in lengths:
        if isinstance(length, bool) or not isinstance(length, int) or not 2 <= length <= most:
            raise ValueError(
                f"lengths={list(lengths)!r}; expected whole numbers from 2 to {most}, which is how "
                "many positions the encoder has."
            )
    target = Path(os.fsdecode(path)).expanduser()
    if not target.name:
        raise ValueError(f"path={path!r}; expected a file, such as 'model.tflite'.")
    if target.is_dir():
        raise IsADirectoryError(f"Cannot write {str(target)!r}: it is a folder.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write {str(target)!r}: there is no folder {str(target.parent)!r}."
        )
    warn_of_fresh_head(model)
    return target


def _signatures(copy, lengths, strings) -> tuple[dict, str | None]:
    """The traced functions, and why there are none of texts."""
    found = graph.id_signatures(copy, lengths)
    if strings is False:
        return found, "strings=False"
    reason = graph.why_no_answers(copy)
    if reason is None:
        reason = texts.why_no_strings(
            copy.preprocessor.tokenizer, conversion.find_missing, needs_offsets(copy)
        )
    if reason is None:
        return found | graph.text_signatures(
            copy, texts.litert_preprocessor(copy.preprocessor)
        ), None
    if strings:
        raise ExportError(f"The file cannot take strings: {reason}. strings=None leaves them out.")
    return found, reason


def _convert(copy, signatures, quantize, calibration, quantization, lengths, no_strings) -> bytes:
    variables = [variable.value for variable in copy.variables]
    if quantize != "int8":
        return conversion.convert(signatures, variables, quantize)
    with quantized_layers(copy, calibration) as learnt:
        quantization |= learnt
        signatures, _ = _signatures(copy, lengths, False if no_strings else None)
        return with_weights_of_8_bits(conversion.convert(signatures, variables, "int8"))


def _record(model, signatures, no_strings, quantization, lengths, content) -> dict:
    operations = conversion.operations(content)
    tokenizer = model.preprocessor and model.preprocessor.tokenizer
    return {
        "task": type(model).__name__,
        "labels": list(getattr(model, "labels", None) or []),
        "problem_type": getattr(model, "problem_type", None),
        "threshold": getattr(model, "threshold", None),
        "signatures": metadata.described_signatures(signatures),
        "text_inputs": [] if no_strings else list(model.text_inputs),
        "no_strings": no_strings,
        "texts_with_other_ids": [] if no_strings else texts.differences(tokenizer),
        "tokenizer": tokenizer and metadata.tokenizer_facts(tokenizer),
        "seq_length": model.preprocessor and model.preprocessor.seq_length,
        "stride": model.preprocessor and model.preprocessor.stride,
        "lengths": list(lengths),
        "quantization": quantization,
        "custom_ops": [name for name in operations if name in conversion.KERNELS],
        "builtin_ops": [name for name in operations if name not in conversion.KERNELS],
        "versions": package_versions(),
        "checks": [],
    }


def _write(path: Path, content: bytes, record: dict, model) -> None:
    tokenizer = model.preprocessor and model.preprocessor.tokenizer
    vocabulary = tokenizer.vocabulary if tokenizer else []
    path.write_bytes(metadata.with_metadata(content, record, record["labels"], vocabulary))


def _evaluate(copy, staged: Path, evaluation, max_drop, record: dict) -> None:
    """Compares scores on labelled data; prints them, and puts them into the record."""
    loaded = ask_litert.load(str(staged))
    before = comparison.scores_of_model(copy, evaluation)
    after = comparison.scores_of_file(copy, loaded, evaluation)
    name = comparison.main_score(copy, before)
    mode = record["quantization"]["mode"]
    print(f"{name} {before[name]:.4f} -> {after[name]:.4f} ({mode or 'float32'})")
    record["quantization"]["evaluation"] = {"metric": name, "before": before, "after": after}
    # Questions are scored from 0 to 100.
    scale = 100 if max(before.get("exact_match", 0), before.get("f1", 0)) > 1 else 1
    comparison.check_drop(before[name] / scale, after[name] / scale, name, max_drop, mode)


def _checks(model, staged: Path, sample, record: dict, max_drop) -> list[dict]:
    """Asks a fresh process; returns the checks passed."""
    asked = [] if model.preprocessor is None else verification.text_requests(model, sample)
    of_ids = verification.id_requests(model, asked)
    of_texts = asked if record["text_inputs"] else []
    requests = [*of_ids, *of_texts, *_tokenized(of_texts, record)]
    answers = verification.ask_fresh_process(staged, requests)
    expected = [verification.expected_answers(model, request) for request in of_ids]
    mode, checks = record["quantization"]["mode"], []
    number = sum(len(next(iter(request.inputs.values()))) for request in of_ids)
    if mode is None:
        # Of the n best answers to a question the file gives the best.
        given = record["signatures"].get(TEXTS, {}).get("outputs", {})
        for request in of_texts:
            answer = verification.expected_answers(model, request)
            expected.append({name: x for name, x in answer.items() if name in given})
        worst = max(
            verification.largest_difference(request, *both)
            for request, *both in zip(requests, expected, answers, strict=False)
        )
        checks.append(
            {
                "check": "answers of a fresh process without TensorFlow equal the Keras model's",
                "texts": number,
                "max_difference": worst,
                "tolerance": verification.TOLERANCE,
            }
        )
    else:
        found = comparison.cosines(expected, answers[: len(of_ids)])
        record["quantization"]["sample"] = {
            "texts": number,
            "mean_cosine": float(np.mean(found)),
            "least_cosine": float(np.min(found)),
        }
        mean = float(np.mean(found))
        comparison.check_drop(1.0, mean, "mean cosine similarity", max_drop, mode)
        checks.append(
            {
                "check": "a fresh process without TensorFlow computes what the Keras model does",
                "texts": number,
                "mean_cosine": mean,
                "tolerance": max_drop,
            }
        )
    return [*checks, *_token_checks(model, of_texts, answers[len(of_ids) + len(of_texts) :])]


def _tokenized(of_texts: Sequence[Request], record: dict) -> list[Request]:
    there = TOKENIZE in record["signatures"]
    return [Request(TOKENIZE, request.inputs) for request in of_texts if there]


def _token_checks(model, of_texts: Sequence[Request], answers) -> list[dict]:
    """Whether texts become the model's ids, to the last one."""
    if not answers:
        return []
    count = 0
    for request, answer in zip(of_texts, answers, strict=True):
        (ids,) = verification.id_requests(model, [request])
        wanted = {name: np.array(rows, np.int32) for name, rows in ids.inputs.items()}
        asked = Request(TOKENIZE, request.inputs)
        verification.largest_difference(asked, wanted, answer)
        count += len(next(iter(request.inputs.values())))
    return [{"check": "texts become the ids of the model's tokenizer", "texts": count}]
