"""From logits of pieces to tags of words and entities of texts, in the graph; and back in training.

Pieces and words are told apart by the bytes of their text alone, so that a word without pieces (a
control character), or whose pieces were cut off, moves nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_bert.models.windows import in_chunks
from keras_bert.text.offsets import in_characters, split_by_offsets

__all__ = [
    "Pieces",
    "Tagged",
    "entities_of_words",
    "entity_spans",
    "judged_pieces",
    "piece_targets",
    "pieces_of",
    "tag_names_of_words",
    "tags_of_first_pieces",
    "tags_of_words",
]

#: Tokens that go through the model at once: 32 windows of 512. A longer text takes as many turns as
#: it needs, so that memory does not grow with it.
TOKENS_AT_ONCE = 32 * 512


class Pieces(NamedTuple):
    """The pieces of a batch of texts, each once, in order.

    Attributes:
        starts: int32 (pieces,): first byte of each in its text.
        ends: int32 (pieces,): the byte behind its last one.
        text: int32 (pieces,): the number of its text.
        logits: float32 (pieces, labels).
        truncated: int32 (batch,): pieces of each text that are not among these.
    """

    starts: tf.Tensor
    ends: tf.Tensor
    text: tf.Tensor
    logits: tf.Tensor
    truncated: tf.Tensor


class Tagged(NamedTuple):
    """What is said of the words of a batch of texts.

    Attributes:
        labels: int32 (words,): the number of each word's label; -1 without pieces.
        scores: float32 (words,): its probability.
        entity: int32 (words,): the number of the entity that the word is of; -1 outside.
        pieces: int32 (words,): the number of the piece that speaks for the word; -1 without.
    """

    labels: tf.Tensor
    scores: tf.Tensor
    entity: tf.Tensor
    pieces: tf.Tensor


def pieces_of(preprocessor, model, texts: tf.Tensor, labels: int) -> Pieces:
    """Lets a model judge the pieces of texts; of several windows, the one with most context.

    A piece that stands in two windows is judged in the one where its poorer side, left or right,
    has more pieces. Source: google-research/bert ``run_squad.py``, ``_check_is_max_context``.

    Args:
        preprocessor: A ``Preprocessor``.
        model: A function of a dict of ids → logits (rows, seq, labels).
        texts: string (batch,).
        labels: How many labels there are.
    """
    packed = preprocessor(texts, return_truncated=True, return_offsets=True)
    ids = {name: packed[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}
    return judged_pieces(packed, _in_parts(model, ids, labels), tf.size(texts))


def judged_pieces(packed: dict[str, tf.Tensor], logits: tf.Tensor, batch: tf.Tensor) -> Pieces:
    """As ``pieces_of``, for rows that a model has judged.

    Args:
        packed: What a ``Preprocessor`` made of the texts, with offsets and ``truncated``.
        logits: float32 (rows, seq, labels).
        batch: How many texts there are, int32.
    """
    rows = tf.shape(packed["input_word_ids"])[0]
    source = packed.get("window_source", tf.range(rows))
    first = packed.get("window_start", tf.zeros_like(source))
    is_piece = packed["input_segments"] >= 0
    counts = tf.reduce_sum(tf.cast(is_piece, tf.int32), axis=1, keepdims=True)
    number = tf.cumsum(tf.cast(is_piece, tf.int32), axis=1) - 1
    context = tf.boolean_mask(tf.minimum(number, counts - 1 - number), is_piece)
    row = tf.cast(tf.where(is_piece)[:, 0], tf.int32)
    place = tf.boolean_mask(first[:, tf.newaxis] + number, is_piece)
    # Each piece's number among those of all texts.
    lengths = tf.math.unsorted_segment_max(first + counts[:, 0], source, batch)
    lengths = tf.maximum(lengths, 0)
    piece = place + tf.gather(tf.cumsum(lengths, exclusive=True), tf.gather(source, row))
    pieces = tf.reduce_sum(lengths)
    most = tf.math.unsorted_segment_max(context, piece, pieces)
    best = tf.cast(tf.where(context == tf.gather(most, piece))[:, 0], tf.int32)
    # Of windows that tie, the first.
    where = tf.math.unsorted_segment_min(best, tf.gather(piece, best), pieces)

    def pick(values):
        return tf.gather(tf.boolean_mask(values, is_piece), where)

    return Pieces(
        pick(packed["starts"]),
        pick(packed["ends"]),
        tf.gather(source, tf.gather(row, where)),
        pick(logits),
        # Windows of one text say the same of it.
        tf.maximum(tf.math.unsorted_segment_max(packed["truncated"], source, batch), 0),
    )


def _in_parts(model, ids, labels):
    """``model`` of all rows, so many at a time that ``TOKENS_AT_ONCE`` holds."""
    length = tf.shape(ids["input_word_ids"])[1]
    at_once = tf.maximum(TOKENS_AT_ONCE // tf.maximum(length, 1), 1)
    spec = tf.TensorSpec((None, None, labels))
    return in_chunks(lambda rows: tf.cast(model(rows), tf.float32), ids, at_once, spec)


def tags_of_words(
    pieces: Pieces, texts: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor, labels
) -> Tagged:
    """Gives each word the label of its first piece, and finds the entities that the labels mean.

    A label that continues nothing begins an entity, as conlleval reads it.

    Args:
        pieces: Of the texts.
        texts: string (batch,).
        starts: First bytes of the words, ragged int32 (batch, words).
        ends: The bytes behind their last ones.
        labels: ``TagLabels``.
    """
    text = tf.cast(starts.value_rowids(), tf.int32)
    first = _first_pieces(pieces, tf.strings.length(texts), text, starts.values, ends.values)
    return tags_of_first_pieces(pieces, text, first, labels)


def tags_of_first_pieces(pieces: Pieces, text: tf.Tensor, first: tf.Tensor, labels) -> Tagged:
    """As ``tags_of_words``, where each word's first piece is known.

    Args:
        pieces: Of the texts.
        text: int32 (words,): the number of each word's text.
        first: int32 (words,): the number of its first piece; -1 without.
        labels: ``TagLabels``.
    """
    judged = first >= 0
    at = tf.boolean_mask(first, judged)
    chances = tf.nn.softmax(tf.gather(pieces.logits, at))
    best = tf.argmax(chances, axis=-1, output_type=tf.int32)
    entity = _entities(best, at, tf.boolean_mask(text, judged), labels)
    place = tf.cumsum(tf.cast(judged, tf.int32)) - 1

    def spread(values, missing):
        # Looked up and not scattered: LiteRT's scattering knows no 8 bits.
        missing = tf.constant(missing, values.dtype)
        values = tf.concat([values, [missing]], 0)
        return tf.where(judged, tf.gather(values, tf.maximum(place, 0)), missing)

    score = tf.reduce_max(chances, axis=-1)
    return Tagged(spread(best, -1), spread(score, 0.0), spread(entity, -1), first)


def _first_pieces(pieces, lengths, text, starts, ends):
    """The first piece that reaches into each word; -1 where none does: int32 (words,)."""
    # Places in all texts, with a byte between two texts.
    base = tf.cumsum(tf.cast(lengths, tf.int64) + 1, exclusive=True)
    piece_base, word_base = tf.gather(base, pieces.text), tf.gather(base, text)
    piece_starts = piece_base + tf.cast(pieces.starts, tf.int64)
    piece_ends = piece_base + tf.cast(pieces.ends, tf.int64)
    starts = word_base + tf.cast(starts, tf.int64)
    ends = word_base + tf.cast(ends, tf.int64)
    number = tf.searchsorted(piece_ends, starts, side="right")
    # One more piece, beyond all, so that there is always one to look at.
    piece_starts = tf.concat([piece_starts, [tf.int64.max]], 0)
    return tf.where(tf.gather(piece_starts, number) < ends, number, -1)


def _entities(best, piece, text, labels):
    """The number of the entity that each judged word is of; -1 outside: int32 (words,)."""
    kind = tf.gather(tf.constant(labels.type_of), best)
    inside = kind >= 0

    def before(values):
        return tf.concat([tf.fill([1], tf.constant(-1, values.dtype)), values], 0)[:-1]

    closed = tf.gather(tf.constant(labels.closes), tf.maximum(before(best), 0))
    opens = tf.gather(tf.constant(labels.opens), best) | closed | (kind != before(kind))
    # Words that share a piece have one label, of one entity.
    begins = inside & ((text != before(text)) | (opens & (piece != before(piece))))
    return tf.where(inside, tf.cumsum(tf.cast(begins, tf.int32)) - 1, -1)


def entities_of_words(
    tagged: Tagged, texts: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor, labels
) -> dict[str, tf.Tensor]:
    """The entities of each text, from the first byte of their first word to the end of their last.

    Args: as ``tags_of_words``.

    Returns:
        Ragged (batch, entities): ``label`` string; ``start`` and ``end`` int32, in characters;
        ``text`` string; ``score`` float32, the mean over the words.
    """
    kind, score, *spans = entity_spans(tagged, tf.size(texts), starts, ends, labels)
    label = kind.with_values(tf.gather(tf.constant(labels.types), kind.values))
    begin, end = in_characters(texts, *spans)
    text = split_by_offsets(texts, *spans)
    return {"label": label, "start": begin, "end": end, "text": text, "score": score}


def entity_spans(
    tagged: Tagged, batch: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor, labels
) -> tuple[tf.RaggedTensor, ...]:
    """As ``entities_of_words``, with places in bytes.

    Args:
        tagged: What is said of the words.
        batch: How many texts there are, int32.
        starts: As ``tags_of_words`` takes them, like the rest.
        ends: See there.
        labels: See there.

    Returns:
        Numbers of types, scores, first bytes and ends, each ragged (batch, entities).
    """
    inside = tagged.entity >= 0
    entity = tf.boolean_mask(tagged.entity, inside)
    count = tf.reduce_max(tf.concat([[-1], entity], 0)) + 1

    def over(reduce, values):
        return reduce(tf.boolean_mask(values, inside), entity, count)

    first, last = tf.math.unsorted_segment_min, tf.math.unsorted_segment_max
    kind = tf.gather(tf.constant(labels.type_of), tf.maximum(tagged.labels, 0))
    text = over(first, tf.cast(starts.value_rowids(), tf.int32))
    per_text = tf.cast(tf.math.unsorted_segment_sum(tf.ones_like(text), text, batch), tf.int64)
    rows = tf.RaggedTensor.from_row_lengths(over(first, starts.values), per_text, validate=False)
    return (
        rows.with_values(over(first, kind)),
        rows.with_values(over(tf.math.unsorted_segment_mean, tagged.scores)),
        rows,
        rows.with_values(over(last, ends.values)),
    )


def tag_names_of_words(tagged: Tagged, labels) -> tf.Tensor:
    """The name of each word's label: string (words,).

    A word that has none goes on with the entity around it, else it is ``"O"``; empty where the
    labels have no such.
    """
    judged = tagged.labels >= 0
    # Neighbours that have labels: the words themselves stand between two of the same entity.
    numbers = tf.boolean_mask(tagged.labels, judged)
    entity = tf.boolean_mask(tagged.entity, judged)
    count = tf.cumsum(tf.cast(judged, tf.int32))
    numbers = tf.concat([[labels.outside], numbers, [labels.outside]], 0)
    entity = tf.concat([[-1], entity, [-1]], 0)
    before, after = tf.gather(entity, count), tf.gather(entity, count + 1)
    within = (before == after) & (before >= 0)
    continued = np.where(labels.continued >= 0, labels.continued, labels.outside)
    continued = tf.gather(tf.constant(continued), tf.maximum(tf.gather(numbers, count), 0))
    missing = tf.where(within, continued, labels.outside)
    number = tf.where(judged, tagged.labels, missing)
    names = tf.constant([*labels.names, ""])
    return tf.gather(names, tf.where(number >= 0, number, len(labels.names)))


def piece_targets(rows, word_spans, numbers, labels, every_piece: bool) -> tf.RaggedTensor:
    """What a model is to say of each token of packed rows.

    Args:
        rows: ``PackedRows`` of the texts.
        word_spans: Per text an int32 array (words, 2): bytes of its words, in order.
        numbers: Per text the number of the label of each word.
        labels: ``TagLabels``.
        every_piece: Whether later pieces of a word are trained, as continuing its first; else they
            have no label, as special tokens.

    Returns:
        Ragged int32 (rows, tokens), ``PackedRows.ignored`` for tokens without a label.
    """
    starts, ends, segments = (rows.spans[n] for n in ("starts", "ends", "input_segments"))
    row = starts.value_rowids().numpy()
    starts, ends, segments = (x.values.numpy().astype(np.int64) for x in (starts, ends, segments))
    text = rows.source[row]
    # Places in all texts: a text is as long as its last word or piece reaches, and a byte more.
    lengths = np.array([spans[-1, 1] if len(spans) else 0 for spans in word_spans], np.int64)
    np.maximum.at(lengths, text, ends)
    base = np.concatenate([[0], np.cumsum(lengths + 1)])
    spans = np.concatenate([s + base[i] for i, s in enumerate(word_spans)]).reshape(-1, 2)
    label = np.array([number for some in numbers for number in some], np.int32)
    real = spans[:, 0] < spans[:, 1]
    spans, label = spans[real], label[real]
    word = np.searchsorted(spans[:, 1], base[text] + starts, side="right")
    word_starts = np.append(spans[:, 0], np.iinfo(np.int64).max)
    labelled = (segments >= 0) & (word_starts[word] < base[text] + ends)
    row, word, starts = row[labelled], word[labelled], starts[labelled]
    new_row = np.diff(row, prepend=-1) != 0
    first = new_row | (np.diff(word, prepend=-1) != 0)
    # A window may begin inside of a word.
    earliest = np.full(len(spans) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, word, starts)
    first &= ~new_row | (starts == earliest[word])
    later = labels.continued if every_piece else np.full_like(labels.continued, rows.ignored)
    targets = np.full(len(labelled), rows.ignored, np.int32)
    targets[labelled] = np.where(first, label[word], later[label[word]])
    return rows.spans["starts"].with_values(tf.constant(targets))
