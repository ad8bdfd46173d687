"""Bytes that are not UTF-8, and classes of characters, in the terms of TensorFlow's ops (RE2).

A string tensor holds bytes. Those that are no part of a well-formed character are dropped by every
tokenizer, as Python's `decode("utf-8", "ignore")` drops them, and spans lead back to the string
with them. Everything here is plain TensorFlow on whole batches: it works in a graph.
"""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

__all__ = [
    "ANNOUNCED_BYTES",
    "CHARACTER",
    "NEVER_IN_UTF8",
    "byte_counts",
    "character_class",
    "drop_ill_formed",
    "is_well_formed",
    "replace_ill_formed",
    "spans_before_dropping",
]

# A well-formed character, for RE2. Its `.` would let some ill-formed sequences pass.
CHARACTER = r"[\x{0}-\x{D7FF}\x{E000}-\x{10FFFF}]"

# A byte that UTF-8 has no use for.
NEVER_IN_UTF8 = b"\xff"

# How many bytes a character has whose first byte is this one; 1 for bytes that begin none.
ANNOUNCED_BYTES = (1,) * 0xC0 + (2,) * 0x20 + (3,) * 0x10 + (4,) * 0x10


def character_class(ranges: Iterable[tuple[int, int]]) -> str:
    """Ranges of code points (both ends included) as what stands in the brackets of a class.

    Example:
        >>> character_class([(0x41, 0x5A), (0x3A3, 0x3A3)])
        '\\\\x{41}-\\\\x{5A}\\\\x{3A3}-\\\\x{3A3}'
    """
    return "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges)


def byte_counts(codes: tf.Tensor) -> tf.Tensor:
    """How many bytes UTF-8 takes for each code point: int32, as shaped as `codes` (int32)."""
    # The first code points that take two, three and four bytes.
    return 1 + tf.searchsorted((0x80, 0x800, 0x10000), codes, side="right")


def is_well_formed(strings: tf.Tensor) -> tf.Tensor:
    """Whether all strings (batch,) are UTF-8: a bool ()."""
    return tf.reduce_all(tf.strings.regex_full_match(strings, f"{CHARACTER}*"))


def replace_ill_formed(strings: tf.Tensor, byte: bytes) -> tf.Tensor:
    """Replaces each byte that is no part of a character by `byte`, and appends one such `byte`.

    The one appended makes sure that what follows the characters is always an ill-formed one.
    """
    pattern = rf"({CHARACTER}*)\C"
    return tf.strings.regex_replace(strings + NEVER_IN_UTF8, pattern, rb"\1" + byte)


def drop_ill_formed(strings: tf.Tensor) -> tf.Tensor:
    """Drops the bytes that are no part of a character: string (batch,) -> string (batch,)."""
    return replace_ill_formed(strings, b"")


def spans_before_dropping(
    strings: tf.Tensor, kept: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Moves spans in text without ill-formed bytes to the text with them.

    Args:
        strings: the strings (batch,) as given.
        kept: what `drop_ill_formed` left of them.
        starts: first bytes of the spans in `kept`, ragged int32 (batch, pieces).
        ends: the bytes behind their last ones. An empty span stays empty.

    Returns:
        (starts, ends) in `strings`.
    """
    marked = replace_ill_formed(strings, NEVER_IN_UTF8)
    all_bytes = tf.io.decode_raw(tf.strings.reduce_join(marked), tf.uint8)
    places = tf.cast(tf.where(all_bytes != NEVER_IN_UTF8[0])[:, 0], tf.int32)
    # Behind the last byte, and in a batch without any.
    places = tf.concat([places, [tf.size(all_bytes)]], axis=0)
    rows = starts.value_rowids()
    kept_row = tf.gather(tf.cumsum(tf.strings.length(kept), exclusive=True), rows)
    row = tf.gather(tf.cumsum(tf.strings.length(marked), exclusive=True), rows)
    end = tf.gather(places, tf.maximum(kept_row + ends.values - 1, 0)) + 1 - row
    end = tf.where(ends.values > 0, end, 0)
    start = tf.gather(places, kept_row + starts.values) - row
    start = tf.where(starts.values < ends.values, start, end)
    return starts.with_values(start), ends.with_values(end)
