"""Packing token ids into the encoder's inputs: `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`.

A packed row is one `tf.gather` from the flat ids, with the indices computed densely. There is no
ragged op in it: that is faster than trimming, concatenating and padding ragged tensors, has static
shapes where the length is static, and converts to LiteRT without the Flex delegate.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

__all__ = ["longest_first", "pack_segments", "padded_length"]


def longest_first(lengths: Sequence[tf.Tensor], room: int | tf.Tensor) -> list[tf.Tensor]:
    """How many ids of each segment stay when a row has `room` for them.

    Two segments lose ids from the end of the longer one, one at a time, the second one first on a
    tie. That loop has a closed form: a segment keeps its length if the other leaves the room,
    and never less than its half of the room (the odd one goes to the first segment).

    Source: google-research/bert `run_classifier.py`, `_truncate_seq_pair`.

    Args:
        lengths: one or two int32 tensors (batch,): ids in each segment.
        room: ids that fit into a row beside `[CLS]` and the `[SEP]`s.

    Returns:
        As many int32 tensors (batch,): the ids that stay.

    Example:
        >>> longest_first([tf.constant([9]), tf.constant([2])], room=6)    # -> [4], [2]
    """
    if len(lengths) == 1:
        return [tf.minimum(lengths[0], room)]
    if len(lengths) != 2:
        raise ValueError(f"Got {len(lengths)} segments. Expected one or two.")
    first, second = lengths
    kept_first = tf.minimum(first, tf.maximum(room - second, room - room // 2))
    return [kept_first, tf.minimum(second, room - kept_first)]


def padded_length(kept: Sequence[tf.Tensor], seq_length: int, multiple: int = 1) -> tf.Tensor:
    """The shared length of a batch's rows: its longest row, rounded up to `multiple`.

    Args:
        kept: per segment an int32 tensor (batch,): ids that stay in each row.
        seq_length: the most ids a row may have; rounding up does not pass it.
        multiple: e.g. 8 or 64, where fewer different shapes pay (XLA compiles one program each).

    Returns:
        A scalar int32 tensor. An empty batch gives the length of an empty text.
    """
    specials = 1 + len(kept)
    # reduce_max of an empty batch is the smallest int32.
    longest = tf.maximum(tf.reduce_max(tf.add_n(list(kept))), 0) + specials
    rounded = (longest + multiple - 1) // multiple * multiple
    return tf.minimum(rounded, seq_length)


def pack_segments(
    segments: Sequence[tf.RaggedTensor],
    kept: Sequence[tf.Tensor],
    length: int | tf.Tensor,
    cls_id: int,
    sep_id: int,
    pad_id: int,
) -> dict[str, tf.Tensor]:
    """Lays segments out as `[CLS] first [SEP] second [SEP] ... [PAD] ...`.

    Args:
        segments: per segment the ids, int32 ragged (batch, None).
        kept: per segment an int32 tensor (batch,): how many of its ids are laid out.
        length: columns of the result; every row must fit.
        cls_id: id of `[CLS]`.
        sep_id: id of `[SEP]`.
        pad_id: id of `[PAD]`.

    Returns:
        `input_word_ids`, `input_mask` (1 = token, 0 = padding) and `input_type_ids` (the number
        of the segment that the id belongs to, 0 for padding), each int32 (batch, length).
    """
    # One table of everything a place can hold; `index` says which row of it each place takes.
    table = tf.concat([[cls_id, sep_id, pad_id], *(s.values for s in segments)], axis=0)
    cls_slot, sep_slot, pad_slot, first_free_slot = 0, 1, 2, 3

    place = tf.range(length)[tf.newaxis, :]
    index = tf.where(place == 0, cls_slot, pad_slot)
    type_ids = tf.zeros_like(index)
    start, table_offset = 1, first_free_slot
    for number, (segment, kept_ids) in enumerate(zip(segments, kept, strict=True)):
        end = start + kept_ids[:, tf.newaxis]
        row_start = tf.cast(segment.row_splits[:-1], tf.int32)[:, tf.newaxis] + table_offset
        inside = tf.logical_and(place >= start, place < end)
        index = tf.where(inside, row_start + (place - start), index)
        index = tf.where(place == end, sep_slot, index)
        if number > 0:
            type_ids += tf.cast(tf.logical_and(place >= start, place <= end), tf.int32) * number
        start, table_offset = end + 1, table_offset + tf.size(segment.values)
    mask = tf.cast(place < start, tf.int32)
    return {
        "input_word_ids": tf.gather(table, index),
        "input_mask": mask,
        "input_type_ids": tf.broadcast_to(type_ids, tf.shape(mask)),
    }
