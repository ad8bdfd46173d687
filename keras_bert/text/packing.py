"""Packing token ids into the encoder's inputs: `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`.

XLNet's rows have the class token last, `a [SEP] b [SEP] [CLS]`, and padding on the left.

A packed row is one `tf.gather` from the flat ids, with the indices computed densely. There is no
ragged op in it: that is faster than trimming, concatenating and padding ragged tensors, has static
shapes where the length is static, and converts to LiteRT without the Flex delegate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

__all__ = [
    "CLASS_LAST_TYPE",
    "TRUNCATIONS",
    "Windows",
    "bucket_length",
    "longest_first",
    "pack_segments",
    "padded_length",
    "special_token_count",
    "truncated_lengths",
    "windows_of",
]

#: Type ids of the class token and of padding in XLNet's rows, as transformers 4 numbers them; in
#: BERT's both are 0. Source: `XLNetTokenizer` in its `tokenization_xlnet.py`.
CLASS_LAST_TYPE, PADDING_LEFT_TYPE = 2, 3

#: Which segment loses ids when a row is too long.
TRUNCATIONS = ("longest_first", "only_first", "only_last")


def special_token_count(segments: int, separators_between: int = 1) -> int:
    """How many special tokens a row of so many segments has: 3 for a pair in BERT, 4 in RoBERTa."""
    return 2 + (segments - 1) * separators_between


def longest_first(lengths: Sequence[tf.Tensor], room: int | tf.Tensor) -> list[tf.Tensor]:
    """How many ids of each segment stay when a row has `room` for them.

    Segments lose ids from the end of the longest one, one at a time, the last one first on a tie.
    That loop has a closed form, as water fills a vessel from below: no segment keeps more than a
    common level, but the first of those that are cut one more each, until the room is full.

    Source: google-research/bert `run_classifier.py`, `_truncate_seq_pair`, for two segments.

    Args:
        lengths: per segment an int32 tensor (batch,): its ids.
        room: ids that fit into a row beside `[CLS]` and the `[SEP]`s, int or int32 (batch,); 0 or
            more.

    Returns:
        As many int32 tensors (batch,): the ids that stay.

    Example:
        >>> longest_first([tf.constant([9]), tf.constant([2])], room=6)    # -> [4], [2]
    """
    if len(lengths) == 1:
        return [tf.minimum(lengths[0], room)]
    level = _water_level(lengths, room)
    kept = [tf.minimum(length, level) for length in lengths]
    spare = room - tf.add_n(kept)
    for i, length in enumerate(lengths):
        one_more = tf.cast(tf.logical_and(length > level, spare > 0), tf.int32)
        kept[i], spare = kept[i] + one_more, spare - one_more
    return kept


def _water_level(lengths: Sequence[tf.Tensor], room: int | tf.Tensor) -> tf.Tensor:
    """The largest level at which segments cut to it fit; with all shorter, at least the longest.

    Were the shorter ones known to stay whole, the others would share what they leave. The more of
    the shorter ones are taken as whole, the higher the share, until one is taken that is not.
    """
    shares = []
    for i, length in enumerate(lengths):
        left, sharing = room, len(lengths)
        for j, other in enumerate(lengths):
            if j != i:
                # Ordered by length and place, so that each segment has a place of its own.
                shorter = tf.cast(other <= length if j < i else other < length, tf.int32)
                left, sharing = left - shorter * other, sharing - shorter
        shares.append(left // sharing)
    level = shares[0]
    for share in shares[1:]:
        level = tf.maximum(level, share)
    return level


def truncated_lengths(
    lengths: Sequence[tf.Tensor], room: int | tf.Tensor, truncation: str = "longest_first"
) -> list[tf.Tensor]:
    """How many ids of each segment stay when a row has `room` for them.

    Args:
        lengths: per segment an int32 tensor (batch,): its ids.
        room: as for `longest_first`.
        truncation: "longest_first"; "only_first" or "only_last": this segment alone is cut. Where
            the others have no room even so, nothing of it stays and they are cut longest first.

    Returns:
        As many int32 tensors (batch,): the ids that stay.
    """
    if truncation == "longest_first" or len(lengths) == 1:
        return longest_first(lengths, room)
    cut = 0 if truncation == "only_first" else len(lengths) - 1
    kept = longest_first([*lengths[:cut], *lengths[cut + 1 :]], room)
    kept.insert(cut, tf.minimum(lengths[cut], room - tf.add_n(kept)))
    return kept


class Windows(NamedTuple):
    """Rows that walk over one segment of texts too long for one row.

    Attributes:
        source: int32 (windows,): row of the text that each window is of.
        start: int32 (windows,): first id of the segment that stands in the window.
        kept: per segment int32 (windows,): the ids laid out.
        lost: int32 (windows,): ids of the text that are in none of its windows.
    """

    source: tf.Tensor
    start: tf.Tensor
    kept: list[tf.Tensor]
    lost: tf.Tensor


def windows_of(lengths: Sequence[tf.Tensor], room: int, stride: int, windowed: int = -1) -> Windows:
    """Windows over one segment, the others whole in each.

    A text that fits is one window. Otherwise each window but the last is full, and repeats the last
    `stride` ids of the one before. Where the other segments would leave a window no more than what
    it repeats, they are cut, longest first, so that it leads one id on.

    Source: huggingface/tokenizers, `encoding.rs`, `truncate`, for what lies in which window.

    Args:
        lengths: per segment an int32 tensor (batch,): its ids.
        room: ids that fit into a row beside the special tokens.
        stride: ids that a window shares with the one before it; less than `room`.
        windowed: the segment that is walked over.

    Returns:
        `Windows`, those of a text next to each other and in order.

    Example:
        >>> windows_of([tf.constant([9, 2])], room=4, stride=1).start     # -> [0, 3, 6, 0]
        >>> windows_of([tf.constant([9, 2])], room=4, stride=1).source    # -> [0, 0, 0, 1]
    """
    lengths = list(lengths)
    length = lengths.pop(windowed)
    kept, room = [], tf.fill(tf.shape(length), room)
    if lengths:
        kept = longest_first(lengths, room - tf.minimum(length, stride + 1))
        room -= tf.add_n(kept)
    lost = tf.add_n([*lengths, tf.zeros_like(length)]) - tf.add_n([*kept, tf.zeros_like(length)])
    beyond = tf.maximum(length - room, 0)
    # Where a text fits, the step does not matter, and may be less than 1.
    step = tf.maximum(room - stride, 1)
    counts = 1 + (beyond + step - 1) // step
    most = tf.maximum(tf.reduce_max(counts), 0)
    places = tf.cast(tf.where(tf.range(most) < counts[:, tf.newaxis]), tf.int32)
    source, number = places[:, 0], places[:, 1]
    start = number * tf.gather(step, source)
    kept = [tf.gather(ids, source) for ids in kept]
    in_window = tf.minimum(tf.gather(length, source) - start, tf.gather(room, source))
    kept.insert(windowed % (len(kept) + 1), in_window)
    return Windows(source, start, kept, tf.gather(lost, source))


def padded_length(
    kept: Sequence[tf.Tensor], seq_length: int, multiple: int = 1, separators_between: int = 1
) -> tf.Tensor:
    """The shared length of a batch's rows: its longest row, rounded up to `multiple`.

    Args:
        kept: per segment an int32 tensor (batch,): ids that stay in each row.
        seq_length: the most ids a row may have; rounding up does not pass it.
        multiple: e.g. 8 or 64, where fewer different shapes pay (XLA compiles one program each).
        separators_between: how many separators stand between segments.

    Returns:
        A scalar int32 tensor. An empty batch gives the length of an empty text.
    """
    specials = special_token_count(len(kept), separators_between)
    # reduce_max of an empty batch is the smallest int32.
    longest = tf.maximum(tf.reduce_max(tf.add_n(list(kept))), 0) + specials
    rounded = (longest + multiple - 1) // multiple * multiple
    return tf.minimum(rounded, seq_length)


def bucket_length(longest: tf.Tensor, buckets: Sequence[int]) -> tf.Tensor:
    """The smallest of `buckets`, which rise, that holds `longest`: scalar int32."""
    too_short = tf.cast(longest > tf.constant(buckets[:-1], tf.int32), tf.int32)
    return tf.gather(tf.constant(buckets, tf.int32), tf.reduce_sum(too_short))


def pack_segments(
    segments: Sequence[tf.RaggedTensor],
    kept: Sequence[tf.Tensor],
    length: int | tf.Tensor,
    cls_id: int,
    sep_id: int,
    pad_id: int,
    *,
    separators_between: int = 1,
    segment_types: bool = True,
    class_last: bool = False,
    row_starts: Sequence[tf.Tensor] | None = None,
    offsets: Sequence[tuple[tf.Tensor, tf.Tensor]] | None = None,
) -> dict[str, tf.Tensor]:
    """Lays segments out as `[CLS] first [SEP] second [SEP] ... [PAD] ...`, or XLNet's way.

    Args:
        segments: per segment the ids, int32 ragged (batch, None).
        kept: per segment an int32 tensor (batch,): how many of its ids are laid out.
        length: columns of the result; every row must fit.
        cls_id: id of `[CLS]`.
        sep_id: id of `[SEP]`.
        pad_id: id of `[PAD]`.
        separators_between: how many `[SEP]` stand between two segments; behind the last stands one.
        segment_types: number the segments in `input_type_ids`; if not, all are 0.
        class_last: lay out `... [PAD] first [SEP] second [SEP] ... [CLS]`; type ids are then 2 for
            `[CLS]` and 3 for padding, whatever the segments have.
        row_starts: per segment an int32 tensor (rows,): where in the segment's flat ids each row's
            begin. Default: where they begin in the ragged rows.
        offsets: per segment the flat starts and ends of its pieces, int32: adds three outputs.

    Returns:
        `input_word_ids`, `input_mask` (1 = token, 0 = padding) and `input_type_ids` (the number
        of the segment that the id belongs to, 0 for padding), each int32 (batch, length). With
        `offsets` also `starts` and `ends`, 0 where no piece is, and `input_segments`, the number of
        the segment that a piece is of, -1 where no piece is.
    """
    if row_starts is None:
        row_starts = [tf.cast(segment.row_splits[:-1], tf.int32) for segment in segments]
    # One table of everything a place can hold; `index` says which row of it each place takes.
    cls_slot, sep_slot, pad_slot, first_free_slot = 0, 1, 2, 3

    place = tf.range(length)[tf.newaxis, :]
    if class_last:
        used = special_token_count(len(kept), separators_between) + tf.add_n(list(kept))
        place -= length - used[:, tf.newaxis]
        is_class = place == used[:, tf.newaxis] - 1
    else:
        is_class = place == 0
    index = tf.where(is_class, cls_slot, pad_slot)
    type_ids = tf.zeros_like(index)
    numbers = type_ids - 1
    start, table_offset = 1 - int(class_last), first_free_slot
    for number, (segment, kept_ids) in enumerate(zip(segments, kept, strict=True)):
        separators = separators_between if number < len(segments) - 1 else 1
        end = start + kept_ids[:, tf.newaxis]
        row_start = row_starts[number][:, tf.newaxis] + table_offset
        inside = tf.logical_and(place >= start, place < end)
        index = tf.where(inside, row_start + (place - start), index)
        after = end + separators
        index = tf.where(tf.logical_and(place >= end, place < after), sep_slot, index)
        if number > 0 and segment_types:
            type_ids += tf.cast(tf.logical_and(place >= start, place < after), tf.int32) * number
        if offsets is not None:
            numbers += tf.cast(inside, tf.int32) * (number + 1)
        start, table_offset = after, table_offset + tf.size(segment.values)
    if class_last:
        mask = tf.cast(place >= 0, tf.int32)
        type_ids += tf.cast(is_class, tf.int32) * CLASS_LAST_TYPE
        type_ids += (1 - mask) * PADDING_LEFT_TYPE
    else:
        mask = tf.cast(place < start, tf.int32)

    def laid_out(for_specials: list[int], values: list[tf.Tensor]) -> tf.Tensor:
        return tf.gather(tf.concat([for_specials, *values], axis=0), index)

    outputs = {
        "input_word_ids": laid_out([cls_id, sep_id, pad_id], [s.values for s in segments]),
        "input_mask": mask,
        "input_type_ids": tf.broadcast_to(type_ids, tf.shape(mask)),
    }
    if offsets is not None:
        starts, ends = zip(*offsets, strict=True)
        outputs["starts"] = laid_out([0, 0, 0], list(starts))
        outputs["ends"] = laid_out([0, 0, 0], list(ends))
        outputs["input_segments"] = numbers
    return outputs
