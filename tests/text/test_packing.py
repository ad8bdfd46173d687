import random

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text.packing import (
    bucket_length,
    longest_first,
    pack_segments,
    padded_length,
    truncated_lengths,
    windows_of,
)

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


def kept_by_the_loop(lengths, room):
    """Takes one at a time from the longest, from the last of several."""
    lengths = list(lengths)
    while sum(lengths) > room:
        longest = max(range(len(lengths)), key=lambda i: (lengths[i], i))
        lengths[longest] -= 1
    return lengths


def columns(rows):
    return [tf.constant(column, tf.int32) for column in zip(*rows, strict=True)]


def as_rows(kept):
    return np.stack([x.numpy() for x in kept], axis=1).tolist()


@pytest.mark.parametrize("segments", [2, 3, 4, 6])
def test_longest_first_is_the_loop(segments):
    rng = random.Random(segments)
    rows = [
        [rng.choice([0, 1, 5, 5, rng.randint(0, 20)]) for _ in range(segments)] for _ in "x" * 400
    ]
    rooms = [rng.randint(0, 12 * segments) for _ in rows]
    kept = as_rows(longest_first(columns(rows), tf.constant(rooms)))
    assert kept == [kept_by_the_loop(*x) for x in zip(rows, rooms, strict=True)]
    assert as_rows(longest_first(columns(rows), 7)) == [kept_by_the_loop(row, 7) for row in rows]


@pytest.mark.parametrize(
    "truncation, kept",
    [
        ("only_first", [[1, 4, 5], [0, 3, 7], [2, 3, 4], [0, 5, 5]]),
        ("only_last", [[6, 4, 0], [9, 1, 0], [2, 3, 4], [5, 5, 0]]),
        ("longest_first", [[4, 3, 3], [4, 3, 3], [2, 3, 4], [4, 3, 3]]),
    ],
)
def test_one_segment_alone_is_cut(truncation, kept):
    lengths = columns([[6, 4, 5], [9, 3, 8], [2, 3, 4], [6, 6, 6]])
    kept[1] = {"only_last": [7, 3, 0]}.get(truncation, kept[1])
    assert as_rows(truncated_lengths(lengths, 10, truncation)) == kept


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


def test_two_separators_and_no_types():
    segments = [tf.ragged.constant(x) for x in ([[7, 8], []], [[9], [6]], [[5], [4]])]
    kept = [tf.cast(s.row_lengths(), tf.int32) for s in segments]
    packed = pack_segments(
        segments, kept, 12, CLS, SEP, PAD, separators_between=2, segment_types=False
    )
    assert packed["input_word_ids"].numpy().tolist() == [
        [CLS, 7, 8, SEP, SEP, 9, SEP, SEP, 5, SEP, PAD, PAD],
        [CLS, SEP, SEP, 6, SEP, SEP, 4, SEP, PAD, PAD, PAD, PAD],
    ]
    assert packed["input_mask"].numpy().sum(axis=1).tolist() == [10, 8]
    assert not packed["input_type_ids"].numpy().any()
    assert padded_length(kept, 99, separators_between=2) == 10


def windows_by_the_loop(length, room, stride):
    starts = [0]
    while starts[-1] + room < length:
        starts.append(starts[-1] + room - stride)
    return [(start, min(room, length - start)) for start in starts]


@pytest.mark.parametrize("room, stride", [(1, 0), (5, 0), (5, 2), (5, 4), (30, 29)])
def test_windows_of_one_segment(room, stride):
    lengths = [*range(40), 5, 0]
    windows = windows_of([tf.constant(lengths)], room, stride)
    wanted = [
        (row, *window)
        for row, length in enumerate(lengths)
        for window in windows_by_the_loop(length, room, stride)
    ]
    assert as_rows([windows.source, windows.start, *windows.kept]) == [list(w) for w in wanted]
    assert not windows.lost.numpy().any()


@pytest.mark.parametrize("windowed", [0, 1, -1])
def test_windows_keep_the_other_segments(windowed):
    rng = random.Random(windowed)
    rows = [[rng.randint(0, 12) for _ in range(3)] for _ in range(200)]
    room, stride = 20, 4
    windows = windows_of(columns(rows), room, stride, windowed)
    found = iter(as_rows([windows.source, windows.start, *windows.kept, windows.lost]))
    for row, lengths in enumerate(rows):
        others = list(lengths)
        length = others.pop(windowed)
        # Only what would stop the windows from leading on is cut.
        kept = kept_by_the_loop(others, room - min(length, stride + 1))
        for start, size in windows_by_the_loop(length, room - sum(kept), stride):
            wanted = list(kept)
            wanted.insert(windowed % 3, size)
            assert next(found) == [row, start, *wanted, sum(others) - sum(kept)]
    assert next(found, None) is None


def test_no_windows_of_an_empty_batch():
    windows = windows_of([tf.zeros([0], tf.int32)] * 2, 10, 3)
    assert [x.shape for x in (windows.source, windows.start, *windows.kept)] == [(0,)] * 4


@pytest.mark.parametrize("longest, length", [(2, 8), (8, 8), (9, 16), (17, 40), (40, 40)])
def test_bucket_length(longest, length):
    assert bucket_length(tf.constant(longest), [8, 16, 40]) == length
    assert bucket_length(tf.constant(longest), [40]) == 40


def pack_flat(first, first_splits, second, second_splits):
    """Windows over pairs with all outputs, from flat tensors as LiteRT takes them."""
    segments = [
        tf.RaggedTensor.from_row_splits(first, first_splits, validate=False),
        tf.RaggedTensor.from_row_splits(second, second_splits, validate=False),
    ]
    lengths = [splits[1:] - splits[:-1] for splits in (first_splits, second_splits)]
    kept = truncated_lengths(lengths, 13)
    outputs = pack_segments(segments, kept, 16, CLS, SEP, PAD)
    windows = windows_of(lengths, 13, 3)
    starts = [tf.gather(s[:-1], windows.source) for s in (first_splits, second_splits)]
    in_windows = pack_segments(
        segments,
        windows.kept,
        bucket_length(padded_length(windows.kept, 16), [8, 16]),
        CLS,
        SEP,
        PAD,
        row_starts=[starts[0], starts[1] + windows.start],
        offsets=[(first, first + 1), (second, second + 1)],
    )
    return outputs | {f"windows_{name}": x for name, x in in_windows.items()}


def test_converts_to_litert_without_flex():
    flat = tf.TensorSpec([None], tf.int32)
    module = tf.Module()
    module.pack = tf.function(pack_flat, [flat] * 4)
    function = module.pack.get_concrete_function()
    model = tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()
    run = tf.lite.Interpreter(model_content=model).get_signature_runner()
    rng = random.Random(0)
    sides = [[random_ids(rng, 30) for _ in range(20)] for _ in range(2)]
    inputs = {}
    for name, rows in zip(("first", "second"), sides, strict=True):
        ragged = tf.ragged.constant(rows, tf.int32, row_splits_dtype=tf.int32)
        inputs |= {name: ragged.values.numpy(), f"{name}_splits": ragged.row_splits.numpy()}
    wanted = pack_flat(**{name: tf.constant(x) for name, x in inputs.items()})
    found = run(**inputs)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert len(found["windows_starts"]) > 20


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


def by_hand_class_last(segments, length):
    ids, types = [], []
    for number, segment in enumerate(segments):
        ids += [*segment, SEP]
        types += [number] * (len(segment) + 1)
    padding = length - len(ids) - 1
    mask = [0] * padding + [1] * (len(ids) + 1)
    return [PAD] * padding + ids + [CLS], mask, [3] * padding + types + [2]


@pytest.mark.parametrize("count, seq_length", [(1, 2), (1, 12), (2, 3), (2, 9), (2, 33), (3, 20)])
def test_rows_that_end_in_the_class_token(count, seq_length):
    rng = random.Random(seq_length)
    rows = [[random_ids(rng, 14) for _ in range(count)] for _ in range(100)]
    segments = [tf.ragged.constant(s, tf.int32, ragged_rank=1) for s in zip(*rows, strict=True)]
    lengths = [tf.cast(s.row_lengths(), tf.int32) for s in segments]
    kept = longest_first(lengths, seq_length - 1 - count)
    places = [(s.values + 1000, s.values + 2000) for s in segments]
    packed = pack_segments(
        segments, kept, seq_length, CLS, SEP, PAD, class_last=True, offsets=places
    )
    for i, row in enumerate(rows):
        cut = [ids[: stays[i]] for ids, stays in zip(row, kept, strict=True)]
        ids, mask, types = by_hand_class_last(cut, seq_length)
        assert packed["input_word_ids"][i].numpy().tolist() == ids
        assert packed["input_mask"][i].numpy().tolist() == mask
        assert packed["input_type_ids"][i].numpy().tolist() == types
        pieces = packed["input_segments"][i] >= 0
        starts = tf.where(pieces, packed["input_word_ids"][i] + 1000, 0)
        assert packed["starts"][i].numpy().tolist() == starts.numpy().tolist()
        assert int(tf.reduce_sum(tf.cast(pieces, tf.int32))) == sum(map(len, cut))
