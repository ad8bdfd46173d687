"""The functions that an export offers: texts, ids or ``tf.Example`` in, answers out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import tensorflow as tf

from keras_bert.export.answers import dense_answers, dense_text_answers
from keras_bert.export.constant_weights import ConstantWeights
from keras_bert.models.answering import INPUT_SIGNATURE
from keras_bert.text.preprocessor import Preprocessor

__all__ = ["input_specs", "make_signatures", "row_lengths"]

#: Lengths that rows are padded to: a step of at most a half, so that few are ever seen.
_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_STEP_BEYOND = 512


def row_lengths(seq_length: int, lengths: Sequence[int] | str | None = None) -> list[int] | str:
    """Lengths that a server pads rows to, so that it meets few shapes.

    For each new shape oneDNN makes and keeps new kernels, and XLA another program.

    Args:
        seq_length: Most tokens of a row.
        lengths: Lengths that rise, the last of them at least ``seq_length``; "longest" for the
            longest row of each batch as it is; None for 8, 12, 16, 24, ... up to ``seq_length``.

    Returns:
        What ``Preprocessor`` takes as ``pad_to``.

    Example:
        >>> row_lengths(40)
        [8, 12, 16, 24, 32, 40]
    """
    if lengths is not None:
        return lengths if isinstance(lengths, str) else list(lengths)
    steps = [*_LENGTHS, *range(2 * _STEP_BEYOND, seq_length, _STEP_BEYOND)]
    return [length for length in steps if length < seq_length] + [seq_length]


def make_signatures(
    model, lengths: Sequence[int] | str | None = None, constants: ConstantWeights | None = None
) -> dict:
    """Traces the signatures.

    Args:
        model: A task model with a preprocessor.
        lengths: See ``row_lengths``. A preprocessor that pads to something else than the longest
            row stays as it is.
        constants: Weights that become constants of the graph; None: all are variables.

    Returns:
        Concrete functions by name: ``serving_default``, ``examples``; ``tokens`` where a text is
        one row; ``classify`` or ``regress`` of a classifier.

    Example:
        >>> sorted(make_signatures(classifier))
        ['classify', 'examples', 'serving_default', 'tokens']
    """
    text, tokens = _text_function(model, _padding(model.preprocessor, lengths), constants)
    found = {"serving_default": text, "examples": _examples(model, text)}
    if model.one_row_per_text:
        found["tokens"] = tokens
    answers = text.get_concrete_function().structured_outputs
    if "probabilities" in answers and getattr(model, "labels", None):
        found["classify"] = _classify(model, text)
    if "value" in answers:
        found["regress"] = _regress(model, text)
    return {name: function.get_concrete_function() for name, function in found.items()}


def input_specs(function) -> dict[str, tf.TensorSpec]:
    """A signature's inputs by name, in the order in which the function takes them."""
    return {spec.name: spec for spec in tf.nest.flatten(function.structured_input_signature)}


def _padding(preprocessor, lengths) -> Preprocessor:
    """The preprocessor as a server has it."""
    if preprocessor.pad_to != "longest" or preprocessor.pad_multiple != 1:
        return preprocessor
    return Preprocessor(
        preprocessor.tokenizer,
        preprocessor.seq_length,
        stride=preprocessor.stride,
        pad_to=row_lengths(preprocessor.seq_length, lengths),
        truncation=preprocessor.truncation,
    )


def _text_function(model, preprocessor, constants):
    """Strings → answers, and ids → answers, of which the first makes use where it can."""

    @_function(tuple(INPUT_SIGNATURE.values()))
    def tokens(input_word_ids, input_mask, input_type_ids):
        ids = {
            "input_word_ids": input_word_ids,
            "input_mask": input_mask,
            "input_type_ids": input_type_ids,
        }
        with constants or contextlib.nullcontext():
            return dense_answers(model.answers(model(ids, training=False)))

    def one_row(*texts):
        ids = preprocessor(texts[0] if len(texts) == 1 else texts)
        return tokens(*(ids[name] for name in INPUT_SIGNATURE))

    def any_rows(*texts):
        with model.reading_with(preprocessor), constants or contextlib.nullcontext():
            return dense_text_answers(model, *texts)

    answer = one_row if model.one_row_per_text else any_rows
    return _function(model.text_specs())(answer), tokens


def _examples(model, text):
    """Serialised ``tf.Example`` → answers."""

    @_function([tf.TensorSpec((None,), tf.string, "examples")])
    def examples(examples):
        return text(*_texts_of(model, examples))

    return examples


def _classify(model, text):
    """TF Serving's Classify: every class of every example with its probability."""

    @_function([tf.TensorSpec((None,), tf.string, "inputs")])
    def classify(inputs):
        scores = text(*_texts_of(model, inputs))["probabilities"]
        return {
            "classes": tf.tile([list(model.labels)], [tf.shape(scores)[0], 1]),
            "scores": scores,
        }

    return classify


def _regress(model, text):
    """TF Serving's Regress: one number for every example."""

    @_function([tf.TensorSpec((None,), tf.string, "inputs")])
    def regress(inputs):
        return {"outputs": text(*_texts_of(model, inputs))["value"]}

    return regress


def _texts_of(model, serialized) -> list[tf.Tensor]:
    """The texts in serialised ``tf.Example`` protos, whose features are called as the inputs."""
    specs = model.text_specs()
    several = {spec.name: spec.shape.rank == 2 for spec in specs}
    features = {
        name: tf.io.RaggedFeature(tf.string) if many else tf.io.FixedLenFeature((), tf.string)
        for name, many in several.items()
    }
    parsed = tf.io.parse_example(serialized, features)
    return [parsed[name].to_tensor("") if many else parsed[name] for name, many in several.items()]


def _function(signature: Sequence[tf.TensorSpec]):
    """``tf.function`` for these inputs; without XLA, which TF Serving switches off."""

    def decorate(function):
        def checked(*inputs):
            # A server looks at types, not at shapes, and on a scalar in the place of a batch
            # tf.text's kernels read foreign memory.
            found = [
                tf.ensure_shape(x, spec.shape) for x, spec in zip(inputs, signature, strict=True)
            ]
            return function(*found)

        return tf.function(checked, input_signature=signature, autograph=False)

    return decorate
