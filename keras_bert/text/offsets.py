"""Where pieces stand in the original string: from normalised text back to it, in two units.

Everything here is plain TensorFlow on whole batches, so that spans can be had inside a graph.
"""

from __future__ import annotations

import tensorflow as tf

from keras_bert.text.utf8 import (
    ANNOUNCED_BYTES,
    NEVER_IN_UTF8,
    is_well_formed,
    replace_ill_formed,
)

__all__ = ["ENDS", "UNITS", "in_characters", "original_spans", "split_by_offsets"]

UNITS = ("bytes", "characters")
ENDS = ("tight", "loose")


def original_spans(
    strings: tf.Tensor,
    origins: tf.RaggedTensor,
    starts: tf.RaggedTensor,
    ends: tf.RaggedTensor,
    loose: bool = False,
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Moves spans from the normalised text to the original one.

    `origins` says for each normalised byte at which original byte it came to be: the byte itself
    where a character stayed, the character's first byte where it was replaced. So a tight span ends
    behind the *character* at the origin of its last byte: one byte on from a trailing byte, and
    from a leading byte as many as that byte announces. A loose span ends where the next character
    stands that normalisation kept.

    Args:
        strings: the original strings (batch,).
        origins: as tf.text's `normalize_with_offsets` gives it, ragged int64 (batch, bytes + 1);
            each row closes with the original's length.
        starts: first normalised bytes of the spans, ragged (batch, pieces).
        ends: the bytes behind their last ones.
        loose: whether spans take in what normalisation dropped behind them.

    Returns:
        (starts, ends) in bytes of the original strings, ragged int32 (batch, pieces).
    """
    rows = starts.value_rowids()
    row_origins = tf.gather(origins.row_splits[:-1], rows)

    def origin(offsets: tf.Tensor) -> tf.Tensor:
        return tf.gather(origins.values, row_origins + tf.cast(offsets, row_origins.dtype))

    first, last = origin(starts.values), origin(ends.values - 1)
    lengths = tf.strings.length(strings)
    row_bytes = tf.cumsum(lengths, exclusive=True)
    piece_bytes = tf.gather(row_bytes, rows)
    last_byte = piece_bytes + tf.cast(last, tf.int32)
    if loose:
        # Places in the joined strings never fall, so the next larger one can be searched for. What
        # was normalised may be longer than the string, by what `replace_ill_formed` appends.
        origin_rows = origins.value_rowids()
        places = tf.minimum(tf.cast(origins.values, tf.int32), tf.gather(lengths, origin_rows))
        places += tf.gather(row_bytes, origin_rows)
        following = tf.gather(places, tf.searchsorted(places, last_byte, side="right"))
        end = following - piece_bytes
    else:
        all_bytes = tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8)
        lead = tf.cast(tf.gather(all_bytes, last_byte), tf.int32)
        end = tf.cast(last, tf.int32) + tf.gather(tf.constant(ANNOUNCED_BYTES), lead)
    return starts.with_values(tf.cast(first, tf.int32)), ends.with_values(end)


def in_characters(
    strings: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Turns spans in bytes into spans in characters (Unicode code points).

    A span that begins or ends inside a character takes in all of it. Bytes that are not UTF-8
    count for nothing: places are those in Python's `string.decode("utf-8", "ignore")`.

    Args:
        strings: the strings (batch,) that the spans are of.
        starts: first bytes of the spans, ragged int32 (batch, pieces).
        ends: the bytes behind their last ones.

    Returns:
        (starts, ends), ragged int32 (batch, pieces).

    Example:
        >>> spans = tf.ragged.constant([[3]]), tf.ragged.constant([[4]])
        >>> in_characters(tf.constant(["Où?"]), *spans)[0]
        <tf.RaggedTensor [[2]]>
    """
    strings = tf.cond(
        is_well_formed(strings),
        lambda: strings,
        lambda: replace_ill_formed(strings, NEVER_IN_UTF8),
    )
    all_bytes = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8), tf.int32)
    continues = (all_bytes >= 0x80) & (all_bytes < 0xC0)
    begins = ~continues & (all_bytes != NEVER_IN_UTF8[0])
    begun = tf.concat([[0], tf.cumsum(tf.cast(begins, tf.int32))], axis=0)
    # Behind the last byte no character continues.
    continues = tf.concat([tf.cast(continues, tf.int32), [0]], axis=0)
    row_bytes = tf.cumsum(tf.strings.length(strings), exclusive=True)
    rows = starts.value_rowids()
    base = tf.gather(row_bytes, rows)
    before = tf.gather(begun, base)
    first = base + starts.values
    characters = tf.gather(begun, first) - tf.gather(continues, first) - before
    behind = tf.gather(begun, base + ends.values) - before
    return starts.with_values(characters), ends.with_values(behind)


def split_by_offsets(
    strings: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tf.RaggedTensor:
    """What stands between bytes of strings.

    Not `tf.strings.substr`, which would be given a copy of the whole string for each part of it.

    Args:
        strings: the strings (batch,).
        starts: the parts' first bytes, ragged int32 (batch, parts).
        ends: the bytes behind their last ones.

    Returns:
        Strings, ragged (batch, parts).

    Example:
        >>> spans = tf.ragged.constant([[0, 4]]), tf.ragged.constant([[3, 8]])
        >>> split_by_offsets(tf.constant(["the card"]), *spans)
        <tf.RaggedTensor [[b'the', b'card']]>
    """
    try:
        import tensorflow_text  # noqa: F401  its ops cannot be imported without it

        # Not `ByteSplitter`, which calls this op and then checks its row splits by sixty others.
        from tensorflow_text.python.ops.byte_splitter import gen_byte_splitter
    except ModuleNotFoundError:  # a tokenizer in Python: some ten times slower
        characters = tf.strings.bytes_split(strings)
        base = tf.cast(tf.gather(characters.row_starts(), starts.value_rowids()), tf.int32)
        places = tf.ragged.range(base + starts.values, base + ends.values)
        parts = places.with_values(tf.gather(characters.values, places.values))
        return starts.with_values(tf.strings.reduce_join(parts, axis=1))
    parts, _ = gen_byte_splitter.tf_text_byte_split_by_offsets(
        strings, starts.values, ends.values, starts.row_splits
    )
    return starts.with_values(parts)
