"""From traced functions to the bytes of a LiteRT file that no kernel is missing for."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping

import tensorflow as tf

from keras_bert.export.errors import ExportError

__all__ = ["KERNELS", "convert", "find_missing", "operations"]

#: Operations outside LiteRT that an app may register: those of tf.text's LiteRT library.
KERNELS = frozenset(
    {
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "RaggedTensorToTensor",
        "TFText>ByteSplitByOffsets",
        "TFText>ByteSplitWithOffsets",
        "TFText>FastSentencepieceTokenize",
    }
)


class _Read(tf.Module):
    """The variables that the functions read; not Keras' own, of which LiteRT makes NaN."""

    def __init__(self, variables):
        super().__init__(name="keras_bert")
        self.weights = variables


def convert(signatures: Mapping, variables, quantize: str | None = None) -> bytes:
    """Converts functions into one LiteRT model, in which they share their weights.

    Args:
        signatures: Name → concrete function.
        variables: The ``tf.Variable``s that they read.
        quantize: None, "float16", "dynamic_int8"; or "int8", of functions with ranges in them.

    Returns:
        The model.

    Raises:
        ExportError: If it cannot be converted, or takes an operation that nobody has a kernel for.
    """
    read = {id(v) for function in signatures.values() for v in function.variables}
    module = _Read([variable for variable in variables if id(variable) in read])

    def change(converter):
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]

    content = _converted(module, signatures, change)
    missing = sorted(set(operations(content)) - _builtin() - KERNELS)
    if missing:
        raise ExportError(
            "The export was not written: LiteRT has no kernels for " + ", ".join(missing) + "."
        )
    return content


def _converted(module: tf.Module, signatures: Mapping, change: Callable) -> bytes:
    with tempfile.TemporaryDirectory(prefix="keras_bert-") as folder, _quietly():
        tf.saved_model.save(module, folder, dict(signatures))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        # tf.text's kernels are custom ones. So would any be that nobody has: see `operations`.
        converter.allow_custom_ops = True
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        change(converter)
        try:
            return converter.convert()
        except Exception as error:  # The converter raises what it likes, of classes not public.
            lines = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
            raise ExportError(
                f"The model could not be converted to LiteRT: {lines[-1].strip()[:500]}"
            ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps TensorFlow from announcing files in a folder that is about to be removed.

    And its converter from notes in C++ that nobody can act on; what goes wrong it raises as well.
    """
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with _without_standard_error():
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _without_standard_error() -> Iterator[None]:
    """Sends what is written to file descriptor 2 nowhere."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none, as in programs without a terminal
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def find_missing(function) -> list[str]:
    """Names of operations of a concrete function that LiteRT has no kernels for."""
    try:
        content = _converted(tf.Module(), {"find_missing": function}, lambda converter: None)
    except ExportError as error:
        return [str(error)]
    return sorted(set(operations(content)) - _builtin() - KERNELS)


def operations(content: bytes) -> list[str]:
    """Names of a model's operations, each once.

    Example:
        >>> operations(convert({"tokens": function}, model_variables))
        ['ADD', 'BATCH_MATMUL', 'EXPAND_DIMS', ...]
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    found = set()
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = number == schema.BuiltinOperator.CUSTOM
        found.add(code.CustomCode().decode() if custom else names[number])
    return sorted(found)


def _builtin() -> set[str]:
    from tensorflow.lite.python import schema_py_generated as schema

    return {name for name in vars(schema.BuiltinOperator) if name.isupper()}
