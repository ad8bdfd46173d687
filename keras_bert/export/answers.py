"""A task's answers as a signature gives them: named tensors, all of them dense."""

from __future__ import annotations

import warnings

import tensorflow as tf

from keras_bert.models.answering import UntrainedHeadWarning

__all__ = ["dense_answers", "dense_text_answers", "warn_of_fresh_head"]


def dense_answers(answers: dict) -> dict[str, tf.Tensor]:
    """Answers without what is no answer, the ragged ones padded to the longest of the batch.

    Strings are padded with "", whole numbers with -1, which is no place in a text and no number of
    a label, and floats with 0.

    Args:
        answers: As ``TaskModel.text_answers`` gives them: named tensors, dense or ragged, first
            axis the batch; ``truncated`` is left out.

    Example:
        >>> answers = {"labels": tf.ragged.constant([["a", "b"], []]), "truncated": 0}
        >>> dense_answers(answers)["labels"].numpy().tolist()
        [[b'a', b'b'], [b'', b'']]
    """
    return {name: _dense(value) for name, value in answers.items() if name != "truncated"}


def dense_text_answers(model, *texts: tf.Tensor) -> dict[str, tf.Tensor]:
    """What a task model answers texts, all tensors dense."""
    return dense_answers(model.text_answers(*texts))


def _dense(value):
    if not isinstance(value, tf.RaggedTensor):
        return value
    number = -1 if value.dtype.is_integer else 0
    return value.to_tensor({tf.string: "", tf.bool: False}.get(value.dtype, number))


def warn_of_fresh_head(model) -> None:
    """Warns, two callers up, of a head that was neither loaded nor trained."""
    if model.head_is_fresh:
        warnings.warn(
            f"The head of this {type(model).__name__} was neither loaded from a checkpoint nor "
            "trained, so that the export's answers will be random. Call fit first.",
            UntrainedHeadWarning,
            stacklevel=4,
        )
