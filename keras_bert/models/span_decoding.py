"""From start and end scores of windows to the best answers of each question, in the graph.

The rules are those of google-research/bert ``run_squad.py``, ``write_predictions``: spans from the
best starts to the best ends of each window, from a window's own tokens only, merged over the
windows of a question. Where they find nothing, the best span of all is taken. Texts are cut out of
the context as it was given.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from keras_bert.models.windows import in_chunks
from keras_bert.text.offsets import in_characters, split_by_offsets

__all__ = [
    "LOWEST",
    "Candidates",
    "answers_of",
    "best_answers",
    "candidates_of",
    "has_most_context",
    "outputs_in_chunks",
    "own_tokens",
    "with_last_resort",
]

#: Lower than any logit; unlike -inf it is a number when added to one.
LOWEST = -1e30


class Candidates(NamedTuple):
    """Spans that may be answers, (candidates,) each.

    Attributes:
        row: int32: the window.
        start: int32: first token.
        end: int32: last token.
        score: float32: sum of the logits, or of the log-probabilities, of both.
    """

    row: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    score: tf.Tensor


class Ranked(NamedTuple):
    """Answers by question, best first, (answers,) each.

    Attributes:
        source: int32: the question.
        text: string: what stands there in the context, "" for no answer.
        start: int32: first byte of it in the context.
        end: int32: the byte behind it.
        score: float32.
    """

    source: tf.Tensor
    text: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    score: tf.Tensor

    def pick(self, rows) -> Ranked:
        """Some of them, by number."""
        return Ranked(*(tf.gather(values, rows) for values in self))

    def sorted(self) -> Ranked:
        """By question, and by falling score; what scores the same stays in its order."""
        by_score = self.pick(tf.argsort(self.score, direction="DESCENDING", stable=True))
        return by_score.pick(tf.argsort(by_score.source, stable=True))


def outputs_in_chunks(model, ids: dict[str, tf.Tensor], chunk: int = 32) -> list[tf.Tensor]:
    """A span labeler's logits for any number of rows, without more memory than a few take.

    Args:
        model: The span labeler.
        ids: Its inputs, each (rows, seq) int32.
        chunk: Rows at a time.

    Returns:
        Start and end logits, each (rows, seq) float32.
    """

    def both(part):
        outputs = model(part, training=False)
        return tf.stack([outputs["start_logits"], outputs["end_logits"]], axis=1)

    logits = in_chunks(both, ids, chunk, tf.TensorSpec((None, 2, None)))
    return tf.unstack(logits, 2, axis=1)


def best_answers(
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    packed: dict[str, tf.Tensor],
    contexts: tf.Tensor,
    *,
    class_last: bool = False,
    n_best: int = 20,
    max_answer_length: int = 30,
    allow_no_answer: bool = False,
    null_threshold: float = 0.0,
) -> dict[str, tf.Tensor]:
    """The best answers of each question.

    Args:
        start_logits: (rows, seq) float32, a row per window.
        end_logits: The same.
        packed: What ``QuestionWindows`` made of questions and contexts.
        contexts: (batch,) string, the contexts.
        class_last: Whether the class token ends a row, as in XLNet.
        n_best: Best starts and ends of a window that are combined, and most answers of a question.
        max_answer_length: Most tokens of an answer.
        allow_no_answer: Whether "" may be the answer; if not, it is where there is no token.
        null_threshold: How much the score for no answer must be above the best answer's.

    Returns:
        The answer: ``text`` string, ``start`` and ``end`` int32 in characters of the context,
        ``score`` and ``probability`` float32; and ``no_answer_score`` float32, the least of the
        windows' scores of the class token; all (batch,). ``n_best_text``, ``n_best_start``,
        ``n_best_end``, ``n_best_score`` and ``n_best_probability``, ragged (batch, answers), best
        first, no text twice; probabilities are shares among these. With ``allow_no_answer`` "" is
        among them.
    """
    batch = tf.shape(contexts)[0]
    found, null_scores = candidates_of(
        start_logits, end_logits, packed, batch, class_last, n_best, max_answer_length
    )
    options = (n_best, allow_no_answer, null_threshold)
    return answers_of(found, null_scores, packed, contexts, *options)


def answers_of(
    found: Candidates,
    null_scores: tf.Tensor,
    packed: dict[str, tf.Tensor],
    contexts: tf.Tensor,
    n_best: int = 20,
    allow_no_answer: bool = False,
    null_threshold: float = 0.0,
) -> dict[str, tf.Tensor]:
    """The best of the spans that may answer questions.

    Args:
        found: The spans of all questions.
        null_scores: (batch,) float32, the scores for no answer.
        packed: As ``best_answers`` takes it, like the rest.
        contexts: See there.
        n_best: See there.
        allow_no_answer: See there.
        null_threshold: See there.

    Returns:
        See there.
    """
    ranked = _ranked(found, packed, contexts, null_scores, n_best, allow_no_answer)
    threshold = null_threshold if allow_no_answer else float("inf")
    return {**_answers(ranked, contexts, null_scores, threshold), "no_answer_score": null_scores}


def candidates_of(
    start_logits: tf.Tensor,
    end_logits: tf.Tensor,
    packed: dict[str, tf.Tensor],
    batch: tf.Tensor,
    class_last: bool = False,
    n_best: int = 20,
    max_answer_length: int = 30,
    in_float64: bool = True,
) -> tuple[Candidates, tf.Tensor]:
    """Spans that may answer questions, and the scores for no answer.

    Args:
        start_logits: As ``best_answers`` takes them, like the rest.
        end_logits: See there.
        packed: See there.
        batch: How many questions there are, int32.
        class_last: See there.
        n_best: See there.
        max_answer_length: See there.
        in_float64: As ``has_most_context`` takes it.

    Returns:
        The candidates of all questions, and float32 (batch,).
    """
    source = packed["window_source"]
    in_text, own = own_tokens(packed, batch, in_float64)
    real = packed["input_mask"] > 0
    starts, ends = (tf.where(real, x, LOWEST) for x in (start_logits, end_logits))
    found = _candidates(starts, ends, own, in_text, n_best, max_answer_length)
    last_resort = _best_of_each_row(starts, ends, own, in_text, max_answer_length)
    found = with_last_resort(found, last_resort, own, source, batch)
    place = -1 if class_last else 0
    null_scores = tf.math.unsorted_segment_min(
        start_logits[:, place] + end_logits[:, place], source, batch
    )
    return found, null_scores


def own_tokens(
    packed: dict[str, tf.Tensor], batch: tf.Tensor | int, in_float64: bool = True
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where answers may end, and where they may begin.

    Args:
        packed: As ``best_answers`` takes it.
        batch: How many questions there are.
        in_float64: As ``has_most_context`` takes it.

    Returns:
        Two bool (rows, seq): tokens that stand for some of a context, and those of them that are
        best looked at in their window.
    """
    in_context = packed["input_segments"] == 1
    in_text = in_context & (packed["ends"] > packed["starts"])
    source, first = packed["window_source"], packed["window_start"]
    return in_text, in_text & has_most_context(in_context, source, first, batch, in_float64)


def with_last_resort(
    found: Candidates,
    last_resort: Candidates,
    own: tf.Tensor,
    source: tf.Tensor,
    batch: tf.Tensor | int,
) -> Candidates:
    """Spans, and for questions without any the best of each of their windows.

    Args:
        found: Spans of all questions.
        last_resort: One span per row.
        own: (rows, seq) bool: where spans of a row may begin; without such a place it has none.
        source: (rows,) int32: the question of each row.
        batch: How many questions there are.
    """
    counts = tf.scatter_nd(
        tf.gather(source, found.row)[:, tf.newaxis], tf.ones_like(found.row), [batch]
    )
    needed = tf.where((tf.gather(counts, source) == 0) & tf.reduce_any(own, axis=1))[:, 0]
    return Candidates(
        *(tf.concat([x, tf.gather(y, needed)], 0) for x, y in zip(found, last_resort, strict=True))
    )


def has_most_context(
    in_context: tf.Tensor,
    source: tf.Tensor,
    first: tf.Tensor,
    batch: tf.Tensor | int,
    in_float64: bool = True,
) -> tf.Tensor:
    """Whether a token of a context is, of all windows, best looked at in this one.

    That is where the lesser of what stands before and behind it is most; then in the longer window;
    then in the first. A start is only taken from there, so that no span is found twice.

    Source: google-research/bert ``run_squad.py``, ``_check_is_max_context``.

    Args:
        in_context: (rows, seq) bool: the tokens of the context.
        source: (rows,) int32: the text that each window is of.
        first: (rows,) int32: number of the first piece of the text that stands in the window.
        batch: Number of texts.
        in_float64: Whether it is computed as the reference does, whose rounding decides ties; else
            in whole numbers, where there is no float64.

    Returns:
        (rows, seq) bool.
    """
    length = tf.reduce_sum(tf.cast(in_context, tf.int32), axis=1)
    before = tf.cumsum(tf.cast(in_context, tf.int32), axis=1) - 1
    around = tf.minimum(before, length[:, tf.newaxis] - 1 - before)
    if in_float64:
        # In this order, so that ties are the reference's.
        score = tf.cast(around, tf.float64) + 0.01 * tf.cast(length, tf.float64)[:, tf.newaxis]
    else:
        score = 100 * around + length[:, tf.newaxis]
    pieces = tf.math.unsorted_segment_max(first + length, source, batch)
    base = tf.gather(tf.cumsum(pieces, exclusive=True), source) + first
    places = tf.where(in_context)
    rows = tf.cast(places[:, 0], tf.int32)
    piece = tf.gather_nd(base[:, tf.newaxis] + before, places)
    score, count = tf.gather_nd(score, places), tf.reduce_sum(pieces)
    best = tf.gather(tf.math.unsorted_segment_max(score, piece, count), piece)
    candidate = tf.where(score == best, rows, tf.int32.max)
    chosen = rows == tf.gather(tf.math.unsorted_segment_min(candidate, piece, count), piece)
    return tf.scatter_nd(places, tf.cast(chosen, tf.int32), tf.shape(in_context, tf.int64)) > 0


def _candidates(starts, ends, own, in_text, n_best, max_length) -> Candidates:
    """Spans from the best starts of a row to its best ends, in the reference's order."""
    # Not x[:, :, tf.newaxis], which LiteRT has no kernel for where shapes are unknown.
    count = tf.minimum(n_best, tf.shape(starts)[1])
    start_scores, start_places = tf.math.top_k(starts, count)
    end_scores, end_places = tf.math.top_k(ends, count)
    length = tf.expand_dims(end_places, 1) - tf.expand_dims(start_places, 2)
    allowed = (length >= 0) & (length < max_length)
    allowed &= tf.expand_dims(tf.gather(own, start_places, batch_dims=1), 2)
    allowed &= tf.expand_dims(tf.gather(in_text, end_places, batch_dims=1), 1)
    places = tf.where(allowed)
    row_and_start, row_and_end = places[:, :2], tf.gather(places, [0, 2], axis=1)
    return Candidates(
        tf.cast(places[:, 0], tf.int32),
        tf.gather_nd(start_places, row_and_start),
        tf.gather_nd(end_places, row_and_end),
        tf.gather_nd(start_scores, row_and_start) + tf.gather_nd(end_scores, row_and_end),
    )


def _best_of_each_row(starts, ends, own, in_text, max_length) -> Candidates:
    """The best span of each row, of all there are."""
    ends = tf.where(in_text, ends, LOWEST)
    ends = tf.pad(ends, [[0, 0], [0, max_length - 1]], constant_values=LOWEST)
    reached = tf.nn.max_pool1d(tf.expand_dims(ends, 2), max_length, 1, "VALID")[..., 0]
    score = tf.where(own, starts, LOWEST) + reached
    start = tf.argmax(score, axis=1, output_type=tf.int32)
    near = tf.gather(ends, start[:, tf.newaxis] + tf.range(max_length), batch_dims=1)
    end = start + tf.argmax(near, axis=1, output_type=tf.int32)
    return Candidates(tf.range(tf.shape(starts)[0]), start, end, tf.reduce_max(score, axis=1))


def _ranked(found, packed, contexts, null_scores, n_best, allow_no_answer) -> Ranked:
    """Each question's answers, best first, no text twice."""
    batch = tf.shape(contexts)[0]
    ranked = Ranked(
        tf.gather(packed["window_source"], found.row),
        tf.fill(tf.shape(found.row), ""),
        tf.gather_nd(packed["starts"], tf.stack([found.row, found.start], axis=1)),
        tf.gather_nd(packed["ends"], tf.stack([found.row, found.end], axis=1)),
        found.score,
    ).sorted()
    ranked = _cut_out(ranked, contexts)
    named = tf.strings.join([tf.strings.as_string(ranked.source), ranked.text], "\n")
    _, number = tf.unique(named)
    order = tf.range(tf.size(number))
    first = tf.math.unsorted_segment_min(order, number, tf.size(number))
    ranked = ranked.pick(tf.where((tf.gather(first, number) == order) & (ranked.text != ""))[:, 0])

    questions = tf.range(batch)
    if not allow_no_answer:
        answered = tf.math.unsorted_segment_sum(tf.ones_like(ranked.source), ranked.source, batch)
        questions = tf.cast(tf.where(answered == 0)[:, 0], tf.int32)
    zeros = tf.zeros_like(questions)
    nothing = Ranked(
        questions, tf.fill(tf.shape(questions), ""), zeros, zeros, tf.gather(null_scores, questions)
    )
    ranked = Ranked(*(tf.concat(pair, 0) for pair in zip(ranked, nothing, strict=True))).sorted()
    begin = tf.searchsorted(ranked.source, tf.range(batch))
    rank = tf.range(tf.size(ranked.source)) - tf.gather(begin, ranked.source)
    return ranked.pick(tf.where((rank < n_best) | (ranked.text == ""))[:, 0])


def _cut_out(ranked, contexts) -> Ranked:
    """With their texts, white space around them left out; they must be sorted."""
    starts, ends = (_by_question(x, ranked, contexts) for x in (ranked.start, ranked.end))
    text = split_by_offsets(contexts, starts, ends).values
    text = tf.strings.regex_replace(text, r"[\s\x{A0}\x{3000}]+$", "")
    end = ranked.start + tf.strings.length(text)
    text = tf.strings.regex_replace(text, r"^[\s\x{A0}\x{3000}]+", "")
    return ranked._replace(text=text, start=end - tf.strings.length(text), end=end)


def _answers(ranked, contexts, null_scores, threshold):
    """The n-best answers and the chosen one of each question, as named tensors."""
    batch, source = tf.shape(contexts)[0], ranked.source
    spans = (_by_question(x, ranked, contexts) for x in (ranked.start, ranked.end))
    starts, ends = in_characters(contexts, *spans)
    best = tf.gather(tf.math.unsorted_segment_max(ranked.score, source, batch), source)
    shares = tf.exp(ranked.score - best)
    shares /= tf.gather(tf.math.unsorted_segment_sum(shares, source, batch), source)
    values = {
        "text": ranked.text,
        "start": starts.values,
        "end": ends.values,
        "score": ranked.score,
        "probability": shares,
    }
    order = tf.range(tf.size(source))
    nothing = ranked.text == ""
    none = tf.size(source)
    first = tf.math.unsorted_segment_min(tf.where(nothing, none, order), source, batch)
    empty = tf.math.unsorted_segment_min(tf.where(nothing, order, none), source, batch)
    has_text = first < none
    score = tf.gather(ranked.score, tf.where(has_text, first, empty))
    refuse = ~has_text | (null_scores - score > threshold)
    chosen = tf.where(refuse, empty, first)
    ragged = {f"n_best_{name}": _by_question(x, ranked, contexts) for name, x in values.items()}
    return {**{name: tf.gather(x, chosen) for name, x in values.items()}, **ragged}


def _by_question(values, ranked, contexts):
    """Values of sorted answers as a ragged tensor with a row per question."""
    batch = tf.shape(contexts, tf.int64)[0]
    rows = tf.cast(ranked.source, tf.int64)
    return tf.RaggedTensor.from_value_rowids(values, rows, nrows=batch, validate=False)
