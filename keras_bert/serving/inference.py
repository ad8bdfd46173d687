"""The calls of TF Serving's PredictionService, apart from how they arrive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_bert.serving.errors import ServingError
from keras_bert.serving.servable import DEFAULT_SIGNATURE, Servable, Signature

__all__ = ["Runner", "classify", "predict", "regress", "run_examples"]

#: Computes a signature: (servable, signature, inputs, name of the call) → outputs.
Runner = Callable[[Servable, Signature, dict, str], Awaitable[dict]]
# Names that TF gives to inputs and outputs of such signatures (signature_constants.h).
_INPUTS, _CLASSES, _SCORES, _OUTPUTS = "inputs", "classes", "scores", "outputs"


async def predict(
    run: Runner,
    servable: Servable,
    signature_name: str | None,
    inputs: dict[str, np.ndarray],
    output_filter: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Named tensors in, named tensors out.

    Raises:
        ServingError: If the signature is unknown or the inputs are not its own, with TF Serving's
            code and, as far as they say what is wrong, its words.
    """
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.signature(name)
    if signature is None:
        raise ServingError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
    inputs = _complete(signature, inputs)
    _check_filter(signature, output_filter)
    outputs = await run(servable, signature, inputs, "Predict")
    return {name: outputs[name] for name in output_filter} if output_filter else outputs


def _complete(signature: Signature, inputs: dict) -> dict:
    given, wanted = sorted(inputs), sorted(signature.inputs)
    missing, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if extra or not set(missing) <= set(signature.defaults):
        sets = [",".join(names) for names in (given, wanted, extra, missing)]
        sign = "!=" if len(given) != len(wanted) else "=="
        raise ServingError(
            "INVALID_ARGUMENT",
            f"input size does not match signature: {len(given)}{sign}{len(wanted)} "
            "len({%s}) != len({%s}). Sent extra: {%s}. Missing but required: {%s}." % tuple(sets),
        )
    values = {name: inputs.get(name, signature.defaults.get(name)) for name in signature.inputs}
    for name, value in values.items():
        signature.inputs[name].check(name, value)
    return values


def _check_filter(signature: Signature, wanted: Sequence[str]) -> None:
    for position, name in enumerate(wanted):
        if name not in signature.outputs:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(signature.outputs)}}}.",
            )
        if name in wanted[:position]:
            raise ServingError("INVALID_ARGUMENT", f"duplicate output tensor alias: {name}")


async def classify(
    run: Runner, servable: Servable, signature_name: str | None, examples: Sequence[bytes]
) -> list[list[tuple[str, float]]]:
    """Serialised ``tf.Example`` records → for each the classes with their scores.

    Raises:
        ServingError: As TF Serving's classifier.cc.
    """
    signature = _found(servable, signature_name)
    _check_inputs(signature, "classification")
    if len(signature.outputs) not in (1, 2):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected one or two output Tensors, found {len(signature.outputs)}",
        )
    if not {_CLASSES, _SCORES} & set(signature.outputs):
        raise ServingError(
            "INVALID_ARGUMENT",
            'Expected classification signature outputs to contain at least one of "classes" or '
            f'"scores". Signature has: {", ".join(signature.outputs)}',
        )
    outputs = await run_examples(run, servable, signature, examples, "Classify")
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    for name, value in ((_CLASSES, classes), (_SCORES, scores)):
        if value is not None:
            dtype = tf.string if name == _CLASSES else tf.float32
            _check_output(signature, name, dtype, value, len(examples), value.ndim == 2)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise ServingError(
            "INVALID_ARGUMENT",
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}",
        )
    names = _texts(classes, scores)
    numbers = np.zeros(classes.shape) if scores is None else scores
    return [
        list(zip(row, values, strict=True))
        for row, values in zip(names, numbers.tolist(), strict=True)
    ]


def _texts(classes, scores):
    if classes is None:
        return [[""] * scores.shape[1]] * len(scores)
    return [[name.decode("utf-8", "replace") for name in row] for row in classes]


async def regress(
    run: Runner, servable: Servable, signature_name: str | None, examples: Sequence[bytes]
) -> list[float]:
    """Serialised ``tf.Example`` records → a number for each.

    Raises:
        ServingError: As TF Serving's regressor.cc.
    """
    signature = _found(servable, signature_name)
    _check_inputs(signature, "regression")
    if len(signature.outputs) != 1:
        raise ServingError("INVALID_ARGUMENT", "Expected one output Tensor.")
    if _OUTPUTS not in signature.outputs:
        raise ServingError(
            "INVALID_ARGUMENT",
            "No regression outputs found in SignatureDef, which has: "
            + ", ".join(signature.outputs),
        )
    value = (await run_examples(run, servable, signature, examples, "Regress"))[_OUTPUTS]
    fits = value.ndim == 1 or (value.ndim == 2 and value.shape[1] == 1)
    _check_output(signature, _OUTPUTS, tf.float32, value, len(examples), fits)
    return value.reshape(-1).tolist()


def _found(servable: Servable, signature_name: str | None) -> Signature:
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.signature(name)
    if signature is None:
        raise ServingError("INVALID_ARGUMENT", f"No signature was found with the name: {name}")
    return signature


def _check_inputs(signature: Signature, kind: str) -> None:
    if len(signature.inputs) != 1:
        raise ServingError("INVALID_ARGUMENT", "Expected one input Tensor.")
    if _INPUTS not in signature.inputs:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"No {kind} inputs found in SignatureDef, whose input is: "
            f"{next(iter(signature.inputs))}",
        )


async def run_examples(
    run: Runner, servable: Servable, signature: Signature, examples: Sequence[bytes], api: str
) -> dict[str, np.ndarray]:
    """Computes a signature whose one input is serialised records."""
    if not examples:
        raise ServingError("INVALID_ARGUMENT", "Input is empty.")
    records = np.empty(len(examples), object)
    records[:] = list(examples)
    return await run(servable, signature, {_INPUTS: records}, api)


def _check_output(signature, name, dtype, value, rows, fits) -> None:
    if not fits:
        wanted = "[batch_size]" if name == _OUTPUTS else "[batch_size num_classes]"
        shape = ",".join(map(str, value.shape))
        raise ServingError("INVALID_ARGUMENT", f"Expected Tensor shape: {wanted} but got [{shape}]")
    if signature.outputs[name].dtype != dtype:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected {name} Tensor of DT_{'STRING' if dtype == tf.string else 'FLOAT'}. "
            f"Got: {signature.outputs[name].dtype.name}",
        )
    if len(value) != rows:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Expected {name} output batch size of {rows}. Got: {len(value)}",
        )
