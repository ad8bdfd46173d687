import random

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text.packing import longest_first, pack_segments, padded_length

CLS, SEP, PAD = 101, 102, 0


def truncate_by_the_loop(first, second, room):
    """As run_classifier.py tells it: drop the last of the longer one until both fit."""
    first, second = list(first), list(second)
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
    return first, second


def by_hand(segments, length):
    ids, types = [CLS], [0]
    for number, segment in enumerate(segments):
        ids += [*segment, SEP]
        types += [number] * (len(segment) + 1)
    padding = length - len(ids)
    mask = [1] * len(ids) + [0] * padding
    return ids + [PAD] * padding, mask, types + [0] * padding


def pack(rows, seq_length):
    segments = [tf.ragged.constant(s, tf.int32, ragged_rank=1) for s in zip(*rows, strict=True)]
    lengths = [tf.cast(s.row_lengths(), tf.int32) for s in segments]
    kept = longest_first(lengths, seq_length - 1 - len(segments))
    return pack_segments(segments, kept, seq_length, CLS, SEP, PAD)


def random_ids(rng, most):
    return [rng.randint(200, 300) for _ in range(rng.randint(0, most))]


@pytest.mark.parametrize("seq_length", [3, 4, 5, 8, 9, 33])
def test_pairs_as_the_loop_truncates_them(seq_length):
    rng = random.Random(seq_length)
    rows = [(random_ids(rng, 30), random_ids(rng, 30)) for _ in range(300)]
    packed = pack(rows, seq_length)
    for i, (first, second) in enumerate(rows):
        wanted = by_hand(truncate_by_the_loop(first, second, seq_length - 3), seq_length)
        for name, row in zip(
            ("input_word_ids", "input_mask", "input_type_ids"), wanted, strict=True
        ):
            assert packed[name][i].numpy().tolist() == row


@pytest.mark.parametrize("seq_length", [2, 3, 10, 40])
def test_single_segments(seq_length):
    rng = random.Random(seq_length)
    rows = [(random_ids(rng, 30),) for _ in range(100)]
    packed = pack(rows, seq_length)
    for i, (ids,) in enumerate(rows):
        wanted = by_hand([ids[: seq_length - 2]], seq_length)
        for name, row in zip(
            ("input_word_ids", "input_mask", "input_type_ids"), wanted, strict=True
        ):
            assert packed[name][i].numpy().tolist() == row
    assert all(x.dtype == tf.int32 and x.shape == (100, seq_length) for x in packed.values())


def test_three_segments_can_be_laid_out():
    segments = [
        tf.ragged.constant([[7, 8], []]),
        tf.ragged.constant([[9], [6]]),
        tf.ragged.constant([[5], [4]]),
    ]
    kept = [tf.cast(s.row_lengths(), tf.int32) for s in segments]
    packed = pack_segments(segments, kept, 9, CLS, SEP, PAD)
    for i, row in enumerate(([[7, 8], [9], [5]], [[], [6], [4]])):
        wanted = by_hand(row, 9)
        assert [packed[n][i].numpy().tolist() for n in packed] == list(wanted)


def test_more_than_two_cannot_be_truncated():
    with pytest.raises(ValueError, match="Got 3 segments"):
        longest_first([tf.constant([1])] * 3, 5)


@pytest.mark.parametrize(
    "kept, seq_length, multiple, length",
    [
        ([3, 5], 10, 1, 7),
        ([3, 5], 10, 8, 8),
        ([7], 10, 8, 10),
        ([0], 10, 1, 2),
        ([], 10, 1, 2),
        ([], 10, 4, 4),
    ],
)
def test_padded_length(kept, seq_length, multiple, length):
    assert padded_length([tf.constant(kept, tf.int32)], seq_length, multiple) == length


def test_empty_batch():
    empty = tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), np.array([0], np.int64))
    for segments in ([empty], [empty, empty]):
        kept = [tf.zeros([0], tf.int32)] * len(segments)
        packed = pack_segments(segments, kept, 5, CLS, SEP, PAD)
        assert all(x.shape == (0, 5) for x in packed.values())
