"""What a span labeler learns: the first and the last token of each row's answer, and the loss."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

__all__ = ["NoAnswerCrossentropy", "SpanCrossentropy", "beam_targets", "span_targets"]


@keras.saving.register_keras_serializable("keras_bert")
class SpanCrossentropy(keras.losses.Loss):
    """Cross entropy of which token it is, over a row's real tokens.

    Inputs: targets (batch, seq), 1 at the token, 0 at the others, -1 at padding; logits
    (batch, seq).

    Source: google-research/bert ``run_squad.py``, ``compute_loss``, which takes padding for tokens.

    Example:
        >>> loss = SpanCrossentropy()([[0, 1, -1]], [[0.0, 0.0, 9.0]])
        >>> round(float(loss), 4)        # one of two
        0.6931
    """

    def call(self, y_true, y_pred):
        """Targets and logits → (batch,) float32."""
        real = y_true >= 0
        lowest = -1e30  # not -inf, whose product with 0 is no number
        log_probabilities = ops.log_softmax(ops.where(real, y_pred, lowest), axis=-1)
        return -ops.sum(ops.where(y_true > 0, log_probabilities, 0.0), axis=-1)


@keras.saving.register_keras_serializable("keras_bert")
class NoAnswerCrossentropy(keras.losses.Loss):
    """Binary cross entropy of whether there is no answer.

    Inputs: targets (batch,), 1 for no answer, 0 for one, -1 where that is not to be learned; logits
    (batch,).

    Source: ``get_qa_outputs`` in zihangdai/xlnet ``function_builder.py``.

    Example:
        >>> loss = NoAnswerCrossentropy()([1, -1], [0.0, 9.0])
        >>> round(float(loss), 4)        # the mean of log 2 and nothing
        0.3466
    """

    def call(self, y_true, y_pred):
        """Targets and logits → (batch,) float32."""
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        # log(1 + exp(x)) - x y, which does not overflow.
        loss = ops.softplus(y_pred) - y_pred * y_true
        return ops.where(y_true >= 0, loss, 0.0)


def beam_targets(rows, targets: dict[str, tf.RaggedTensor], learn_no_answer: bool) -> dict:
    """What a head over beams learns of rows that hold windows over contexts.

    It chooses among the tokens of the context and the class token alone, which is the last one.

    Args:
        rows: ``PackedRows`` of questions and contexts.
        targets: What ``span_targets`` made of them.
        learn_no_answer: Whether it learns which windows have no answer.

    Returns:
        The targets, with -1 at all other tokens; and ``cls_logits``, int32 (rows,), 1 for a window
        without answer and 0 for one with an answer; -1 for all where that is not learned.

    Source: ``p_mask`` and ``is_impossible`` in zihangdai/xlnet ``run_squad.py``.
    """
    segments = rows.spans["input_segments"]
    class_token = segments.row_splits[1:] - 1
    may_be = np.equal(segments.values.numpy(), 1)
    may_be[class_token.numpy()] = True
    starts = targets["start_logits"]
    none = tf.gather(starts.values, class_token)
    return {
        **{name: x.with_values(tf.where(may_be, x.values, -1)) for name, x in targets.items()},
        "cls_logits": none if learn_no_answer else -tf.ones_like(none),
    }


def span_targets(
    rows, answers: Sequence[tuple[int, int] | None], class_last: bool
) -> dict[str, tf.RaggedTensor]:
    """The targets of rows that hold windows over contexts.

    The answer's tokens are those that share a byte with it: an answer within a token is that token.
    A window that lacks one of them, and every window of a question without answer, points at the
    class token.

    Args:
        rows: ``PackedRows`` of questions and contexts.
        answers: Per question (start, end) of its answer in bytes of the context; None where it has
            none.
        class_last: Whether the class token ends a row, as in XLNet.

    Returns:
        ``start_logits`` and ``end_logits``, named like the outputs they are for: int32 ragged
        (rows, tokens), 1 at one token of each row.

    Source: google-research/bert ``run_squad.py``, ``convert_examples_to_features``.
    """
    spans = rows.spans["starts"]
    starts, ends = (rows.spans[x].values.numpy().astype(np.int64) for x in ("starts", "ends"))
    row_of = spans.value_rowids().numpy()
    first_token = spans.row_splits.numpy()[:-1]
    given = np.array([(-1, -1) if answer is None else answer for answer in answers], np.int64)
    given = given.reshape(-1, 2)[rows.source][row_of]
    in_answer = (rows.spans["input_segments"].values.numpy() == 1) & (starts < ends)
    in_answer &= (ends > given[:, 0]) & (starts < given[:, 1])

    tokens, answered = np.flatnonzero(in_answer), row_of[in_answer]
    class_token = first_token + (rows.lengths - 1 if class_last else 0)
    nowhere = np.iinfo(np.int32).max  # behind all
    first = np.full(len(rows), nowhere)
    last = np.full(len(rows), -1)
    np.minimum.at(first, answered, tokens)
    np.maximum.at(last, answered, tokens)
    # Whole where no other window of the text has an earlier or a later token of it.
    has = last >= 0
    begins = np.where(has, starts[np.where(has, first, 0)], nowhere)
    closes = np.where(has, ends[last], -1)
    earliest = np.full(len(answers), nowhere)
    latest = np.full(len(answers), -1)
    np.minimum.at(earliest, rows.source, begins)
    np.maximum.at(latest, rows.source, closes)
    whole = has & (begins == earliest[rows.source]) & (closes == latest[rows.source])

    def one_hot(places):
        values = np.zeros(len(starts), np.int32)
        values[np.where(whole, places, class_token)] = 1
        return spans.with_values(tf.constant(values))

    return {"start_logits": one_hot(first), "end_logits": one_hot(last)}
