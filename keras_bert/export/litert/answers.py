"""From texts to the answers of each task, in operations that LiteRT has kernels for.

The answers are those of ``TaskModel.text_answers`` by name and meaning; what a LiteRT file leaves
out (the n best answers to a question) is said in ``docs/litert.md``.
"""

from __future__ import annotations

import tensorflow as tf

from keras_bert.export.litert.text_bytes import TextBytes
from keras_bert.metrics.multi_label import chosen
from keras_bert.models import (
    BertClassifier,
    BertMultipleChoice,
    BertSpanLabeler,
    BertTokenClassifier,
)
from keras_bert.models.labels import REGRESSION
from keras_bert.models.multiple_choice import ABSENT
from keras_bert.models.span_decoding import candidates_of
from keras_bert.models.tagging import entity_spans, judged_pieces, tags_of_first_pieces
from keras_bert.models.windows import merge_windows
from keras_bert.text.question_windows import QuestionWindows

__all__ = ["has_answers", "needs_offsets", "probabilities", "text_answers"]

_IDS = ("input_word_ids", "input_mask", "input_type_ids")


def has_answers(model) -> bool:
    """Whether ``text_answers`` knows the model's task."""
    return isinstance(model, tuple(_ANSWERS))


def needs_offsets(model) -> bool:
    """Whether the model's answers are places in texts."""
    return isinstance(model, BertSpanLabeler | BertTokenClassifier)


def text_answers(model, preprocessor, texts) -> dict[str, tf.Tensor]:
    """Answers texts.

    Args:
        model: A task model.
        preprocessor: Its preprocessor, of what LiteRT has kernels for.
        texts: One string tensor for each of ``model.text_inputs``.

    Returns:
        Named tensors, dense, first axis the batch.
    """
    answer = next(answer for kind, answer in _ANSWERS.items() if isinstance(model, kind))
    return answer(model, preprocessor, *texts)


def probabilities(model, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """What a classifier's logits say: ``probabilities`` (batch, labels), or ``value`` (batch,)."""
    if model.problem_type == REGRESSION:
        return {"value": logits[:, 0]}
    return {"probabilities": tf.sigmoid(logits) if model.multi_label else tf.nn.softmax(logits)}


def _class_answers(model, preprocessor, *texts) -> dict[str, tf.Tensor]:
    """As ``BertClassifier.text_answers``."""
    ids = preprocessor(texts[0] if len(texts) == 1 else texts)
    logits = model({name: ids[name] for name in _IDS}, training=False)
    if "window_source" in ids:
        rows = tf.range(tf.shape(texts[0])[0])[:, tf.newaxis]
        windows = tf.equal(rows, ids["window_source"][tf.newaxis])
        logits = merge_windows(logits, windows, model.window_pooling)
    if not model.multi_label:
        return model.answers(logits)
    # Those that the text has in the order of the labels, then "" for each that others have more.
    has = chosen(logits, model.threshold)
    number = tf.sort(tf.where(has, tf.range(len(model.labels)), len(model.labels)), axis=1)
    most = tf.reduce_max(tf.reduce_sum(tf.cast(has, tf.int32), axis=1))
    labels = tf.gather(tf.constant([*model.labels, ""]), number[:, :most])
    return {"labels": labels, **probabilities(model, logits)}


def _choice_answers(model, preprocessor, prompt, choices) -> dict[str, tf.Tensor]:
    """As ``BertMultipleChoice.text_answers``; a choice without any piece is not there."""
    batch, most = tf.unstack(tf.shape(choices))
    flat = tf.reshape(choices, [-1])
    rows = tf.repeat(tf.range(batch), most)
    pieces = preprocessor.tokenizer.tokenize(flat).row_lengths()
    there = tf.reshape(pieces > 0, [batch, most])
    # All up to the last that is there, and one at least.
    numbers = tf.range(1, most + 1)
    counts = tf.reduce_max(tf.where(there, numbers, 1), axis=1)
    ids = preprocessor((tf.gather(prompt, rows), flat))
    logits = tf.reshape(model._row_logits(ids, training=False), [batch, most])
    logits = tf.where(numbers <= counts[:, tf.newaxis], logits, ABSENT)
    found = model.answers(logits)
    chosen = tf.gather(flat, tf.range(batch) * most + found["index"])
    return {"choice": chosen, **found}


def _entity_answers(model, preprocessor, texts) -> dict[str, tf.Tensor]:
    """As ``BertTokenClassifier.text_answers``."""
    of_texts = TextBytes.of(texts)
    batch = tf.size(of_texts.lengths)
    packed = preprocessor(texts, return_truncated=True, return_offsets=True)
    logits = model({name: packed[name] for name in _IDS}, training=False)
    pieces = judged_pieces(packed, logits, batch)
    starts, ends = of_texts.words()
    text = tf.cast(starts.value_rowids(), tf.int32)
    first = _first_pieces(pieces, of_texts, text, starts.values, ends.values)
    labels = model._tag_labels
    tagged = tags_of_first_pieces(pieces, text, first, labels)
    kind, score, *spans = entity_spans(tagged, batch, starts, ends, labels)
    begin, end = of_texts.in_characters(*spans)
    # Strings are cut out last, of padded places: LiteRT pads numbers alone.
    first_bytes, behind = (places.to_tensor(0) for places in spans)
    most = tf.shape(first_bytes)[1]
    one_row = tf.fill([batch], most)
    places = tf.RaggedTensor.from_row_lengths(
        tf.reshape(first_bytes, [-1]), one_row, validate=False
    )
    text = of_texts.cut(places, places.with_values(tf.reshape(behind, [-1])))
    names = tf.constant([*labels.types, ""])
    return {
        "label": tf.gather(names, kind.to_tensor(len(labels.types))),
        "start": begin.to_tensor(-1),
        "end": end.to_tensor(-1),
        "text": tf.reshape(text.values, [batch, most]),
        "score": score.to_tensor(0.0),
    }


def _first_pieces(pieces, of_texts, text, starts, ends) -> tf.Tensor:
    """The first piece that reaches into each word; -1 where none does: int32 (words,)."""
    # Places in all texts, with a byte between two texts.
    base = of_texts.first + tf.range(tf.size(of_texts.first))
    piece_base, word_base = tf.gather(base, pieces.text), tf.gather(base, text)
    places = tf.size(of_texts.values) + tf.size(base) + 1
    ended = tf.scatter_nd(
        (piece_base + pieces.ends)[:, tf.newaxis], tf.ones_like(pieces.ends), [places]
    )
    number = tf.gather(tf.cumsum(ended), word_base + starts)
    # One more piece, beyond all, so that there is always one to look at.
    piece_starts = tf.concat([piece_base + pieces.starts, [tf.int32.max]], 0)
    return tf.where(tf.gather(piece_starts, number) < word_base + ends, number, -1)


def _span_answers(model, preprocessor, questions, contexts) -> dict[str, tf.Tensor]:
    """The best answer to each question, as ``BertSpanLabeler.text_answers`` has it."""
    of_contexts = TextBytes.of(contexts)
    batch = tf.size(of_contexts.lengths)
    packed = QuestionWindows(preprocessor, model.max_query_length)((questions, contexts))
    outputs = model({name: packed[name] for name in _IDS}, training=False)
    found, null_scores = candidates_of(
        outputs["start_logits"],
        outputs["end_logits"],
        packed,
        batch,
        class_last=preprocessor.tokenizer.class_last,
        n_best=model.n_best,
        max_answer_length=model.max_answer_length,
        in_float64=False,
    )
    source = tf.gather(packed["window_source"], found.row)
    best = tf.math.unsorted_segment_max(found.score, source, batch)
    # Of those that score the same the first.
    order, none = tf.range(tf.size(source)), tf.size(source)
    order = tf.where(tf.equal(found.score, tf.gather(best, source)), order, none)
    chosen = tf.minimum(tf.math.unsorted_segment_min(order, source, batch), none)
    has_text = chosen < none
    # One more, for questions without any.
    rows, firsts, lasts = (tf.concat([x, [0]], 0) for x in (found.row, found.start, found.end))
    row = tf.gather(rows, chosen)
    start = tf.gather_nd(packed["starts"], tf.stack([row, tf.gather(firsts, chosen)], axis=1))
    end = tf.gather_nd(packed["ends"], tf.stack([row, tf.gather(lasts, chosen)], axis=1))
    if model.allow_no_answer:
        has_text &= ~(null_scores - best > model.null_threshold)
    start, end = (tf.where(has_text, place, 0) for place in (start, end))
    one_each = tf.RaggedTensor.from_row_lengths(start, tf.ones_like(start), validate=False)
    spans = one_each, one_each.with_values(end)
    begin, behind = of_contexts.in_characters(*spans)
    return {
        "text": of_contexts.cut(*spans).values,
        "start": begin.values,
        "end": behind.values,
        "score": tf.where(has_text, best, null_scores),
        "no_answer_score": null_scores,
    }


_ANSWERS = {
    BertClassifier: _class_answers,
    BertMultipleChoice: _choice_answers,
    BertTokenClassifier: _entity_answers,
    BertSpanLabeler: _span_answers,
}
