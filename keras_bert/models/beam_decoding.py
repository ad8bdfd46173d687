"""From the beams of windows to the best answers of each question, in the graph.

Which spans count, how windows are put together and how texts are cut out is as in
``span_decoding``; here a span begins at one of a window's best starts and ends at one of the best
ends given that start.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from keras_bert.models.span_decoding import (
    LOWEST,
    Candidates,
    answers_of,
    own_tokens,
    with_last_resort,
)

__all__ = ["Beams", "answer_mask", "beam_answers", "beams_of"]

#: Less is no number of float32's full precision; its logarithm is a number.
_LEAST = 2.0**-126


class Beams(NamedTuple):
    """What a head says of windows, first axis the rows.

    Attributes:
        start: (rows, starts) int32: the best starts.
        start_share: (rows, starts) float32: their probabilities.
        end: (rows, ends * starts) int32: as ``BeamSpanHead`` gives them.
        end_share: (rows, ends * starts) float32: their probabilities given their starts.
        no_answer: (rows,) float32: logits.
        last_start: (rows,) int32: the best start that a span may have.
        last_end: (rows,) int32: the best end that it may have.
        last_score: (rows,) float32: sum of the log-probabilities of these two.
    """

    start: tf.Tensor
    start_share: tf.Tensor
    end: tf.Tensor
    end_share: tf.Tensor
    no_answer: tf.Tensor
    last_start: tf.Tensor
    last_end: tf.Tensor
    last_score: tf.Tensor

    @classmethod
    def specs(cls) -> Beams:
        """As ``in_chunks`` takes them."""
        spec = tf.TensorSpec
        rows, table = (None,), (None, None)
        return cls(
            *(spec(table, tf.int32), spec(table), spec(table, tf.int32), spec(table)),
            *(spec(rows), spec(rows, tf.int32), spec(rows, tf.int32), spec(rows)),
        )


def answer_mask(packed: dict[str, tf.Tensor]) -> tf.Tensor:
    """Which tokens a head chooses among: those of the context, and the class token at the end.

    Source: ``p_mask`` in zihangdai/xlnet ``run_squad.py``.

    Args:
        packed: What ``QuestionWindows`` made of questions and contexts.

    Returns:
        (rows, seq) bool.
    """
    in_context = packed["input_segments"] == 1
    last = tf.ones_like(in_context[:, -1:])
    return tf.concat([in_context[:, :-1], last], axis=1)


def beams_of(head, hidden: tf.Tensor, masks: dict[str, tf.Tensor], max_length: int) -> Beams:
    """What a head says of some windows.

    Args:
        head: A ``BeamSpanHead``.
        hidden: (rows, seq, width), the vectors of the tokens.
        masks: Three bool (rows, seq): ``answer_mask``, and ``in_text`` and ``own`` as
            ``own_tokens`` gives them.
        max_length: Most tokens of an answer.
    """
    found = head(hidden, masks["answer_mask"], training=False)
    scores = tf.nn.log_softmax(found["start_logits"])
    start = tf.argmax(tf.where(masks["own"], scores, LOWEST), axis=1, output_type=tf.int32)
    given = head(hidden, masks["answer_mask"], start, training=False)
    behind = tf.range(tf.shape(scores)[1]) - start[:, tf.newaxis]
    allowed = masks["in_text"] & (behind >= 0) & (behind < max_length)
    ends = tf.where(allowed, tf.nn.log_softmax(given["end_logits"]), LOWEST)
    return Beams(
        found["start_top_index"],
        found["start_top_log_probs"],
        found["end_top_index"],
        found["end_top_log_probs"],
        found["cls_logits"],
        start,
        tf.argmax(ends, axis=1, output_type=tf.int32),
        tf.gather(scores, start, batch_dims=1) + tf.reduce_max(ends, axis=1),
    )


def beam_answers(
    beams: Beams,
    packed: dict[str, tf.Tensor],
    contexts: tf.Tensor,
    max_answer_length: int = 30,
    **options,
) -> dict[str, tf.Tensor]:
    """The best answers of each question.

    Args:
        beams: Of all windows.
        packed: What ``QuestionWindows`` made of questions and contexts.
        contexts: (batch,) string, the contexts.
        max_answer_length: Most tokens of an answer.
        **options: As ``answers_of`` takes them.

    Returns:
        As ``best_answers``. A score is the log-probability of the start and that of the end given
        the start, together; that for no answer is the least logit of the windows. They are of one
        scale: where there is an answer with probability p, there is none with 1 - p, it is a
        certain span with p times that span's own, and the logit is log((1 - p) / p).

    Source: zihangdai/xlnet ``run_squad.py``, ``write_predictions``.
    """
    batch, source = tf.shape(contexts)[0], packed["window_source"]
    in_text, own = own_tokens(packed, batch)
    last_resort = Candidates(
        tf.range(tf.shape(source)[0]), beams.last_start, beams.last_end, beams.last_score
    )
    found = with_last_resort(
        _candidates(beams, own, in_text, max_answer_length), last_resort, own, source, batch
    )
    null_scores = tf.math.unsorted_segment_min(beams.no_answer, source, batch)
    return answers_of(found, null_scores, packed, contexts, **options)


def _candidates(beams, own, in_text, max_length) -> Candidates:
    """Spans from the best starts of a row to the best ends of each."""
    rows, starts = tf.unstack(tf.shape(beams.start))
    ends = tf.shape(beams.end)[1] // starts  # said, for -1 is not known where there are no rows
    end, end_score = (
        tf.transpose(tf.reshape(x, [rows, ends, starts]), [0, 2, 1])
        for x in (beams.end, _logarithm(beams.end_share))
    )
    length = end - beams.start[:, :, tf.newaxis]
    allowed = (length >= 0) & (length < max_length)
    allowed &= tf.gather(own, beams.start, batch_dims=1)[:, :, tf.newaxis]
    allowed &= tf.gather(in_text, end, batch_dims=1)
    places = tf.where(allowed)
    start_score = tf.gather_nd(_logarithm(beams.start_share), places[:, :2])
    return Candidates(
        tf.cast(places[:, 0], tf.int32),
        tf.gather_nd(beams.start, places[:, :2]),
        tf.gather_nd(end, places),
        start_score + tf.gather_nd(end_score, places),
    )


def _logarithm(share):
    return tf.math.log(tf.maximum(share, _LEAST))
