"""Batches of one shape: their padding, what fills them up, what is left out."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TokenizedTexts, sorted_batches
from keras_bert.data.fixed_shapes import PRESENT, default_pad_to, fixed_shapes
from keras_bert.data.masked_rows import MaskedRows
from keras_bert.data.packed_rows import PackedRows
from keras_bert.data.text_groups import TextGroups
from keras_bert.data.windowed_texts import WindowedTexts
from keras_bert.text.masking import TokenMasking

TEXTS = ["what is this", "", "a very good day to you", "no", "yes and no"]
#: Most takes the same way on either side.
LEFT_IS_SLOW = ["preprocessor", pytest.param("left_padded", marks=pytest.mark.slow)]
IDS = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(scope="module")
def preprocessor(tiny_checkpoint):
    return kb.Preprocessor(kb.Tokenizer.from_pretrained(str(tiny_checkpoint)), seq_length=16)


@pytest.fixture(scope="module")
def left_padded(preprocessor):
    """Rows as XLNet has them."""

    class ClassLast(kb.WordPieceTokenizer):
        class_last = True

    tokenizer = ClassLast.from_config(preprocessor.tokenizer.get_config())
    return kb.Preprocessor(tokenizer, seq_length=16)


def batches_of(rows, shapes):
    """An evaluation's batches, with and without a fixed shape."""
    batches = sorted_batches(rows.lengths, shapes.batch_size)
    return list(rows.dataset(lambda: batches)), list(rows.dataset(lambda: batches, shapes))


def unpadded(ids, mask):
    return [row[real > 0].tolist() for row, real in zip(ids.numpy(), mask.numpy(), strict=True)]


def check_alike(plain, fixed, shapes):
    """The same rows, padded further, and which they are."""
    assert len(plain) == len(fixed)
    for one, other in zip(plain, fixed, strict=True):
        count = one["input_mask"].shape[0]
        assert other[PRESENT].numpy().tolist() == [i < count for i in range(shapes.batch_size)]
        for name in IDS:
            assert other[name].dtype == tf.int32
            found = unpadded(other[name], other["input_mask"])
            assert found[:count] == unpadded(one[name], one["input_mask"]), name
            # What fills up are copies of the first row: no row is of padding alone.
            assert found[count:] == found[:1] * (shapes.batch_size - count)


@pytest.mark.parametrize("side", LEFT_IS_SLOW)
def test_rows_of_one_length(side, request):
    preprocessor = request.getfixturevalue(side)
    rows = TokenizedTexts(preprocessor, TEXTS, targets=np.arange(5, dtype=np.float32))
    shapes = fixed_shapes(preprocessor, 3, 12)
    plain, fixed = batches_of(rows, shapes)
    check_alike([ids for ids, _ in plain], [ids for ids, _ in fixed], shapes)
    assert all(ids[name].shape == (3, 12) for ids, _ in fixed for name in IDS)
    assert [y.shape for _, y in fixed] == [(3,), (3,)]
    # Padded on the tokenizer's side, as the preprocessor would.
    right = kb.Preprocessor(preprocessor.tokenizer, seq_length=16, pad_to=12)
    numbers = sorted_batches(rows.lengths, 3)[0]
    for name, expected in right([TEXTS[i] for i in numbers]).items():
        np.testing.assert_array_equal(fixed[0][0][name], expected)


def test_shapes_are_known_before_there_is_a_batch(preprocessor):
    rows = TokenizedTexts(preprocessor, TEXTS, targets=np.zeros((5, 2), np.float32))
    shapes = fixed_shapes(preprocessor, 3, "max")
    dataset = rows.dataset(lambda: sorted_batches(rows.lengths, 3), shapes)
    ids, targets = dataset.element_spec
    assert {name: tuple(spec.shape) for name, spec in ids.items()} == {
        **dict.fromkeys(IDS, (3, 16)),
        PRESENT: (3,),
    }
    assert tuple(targets.shape) == (3, 2) and dataset.cardinality() == 2
    assert dataset.options().autotune.enabled is False


def test_a_few_lengths(preprocessor):
    rows = TokenizedTexts(preprocessor, [*TEXTS, "yes " * 9])
    shapes = fixed_shapes(preprocessor, 1, [4, 8, 100])
    assert shapes.lengths == (4, 8, 16)
    _, fixed = batches_of(rows, shapes)
    lengths = [ids["input_mask"].shape[1] for ids in fixed]
    needed = [int(tf.reduce_sum(ids["input_mask"])) for ids in fixed]
    assert lengths == [next(n for n in shapes.lengths if n >= need) for need in needed]
    assert len(set(lengths)) > 1


def test_what_does_not_fill_a_batch_is_left_out_where_asked(preprocessor):
    rows = TokenizedTexts(preprocessor, TEXTS, targets=np.arange(5))
    shapes = fixed_shapes(preprocessor, 2, "max", drop_remainder=True)
    dataset = rows.dataset(lambda: [np.array([4, 0]), np.array([1]), np.array([2, 3])], shapes)
    assert dataset.cardinality() == 2
    assert [y.numpy().tolist() for _, y in dataset] == [[4, 0], [2, 3]]
    assert PRESENT not in dataset.element_spec[0]
    with pytest.raises(ValueError, match="5 examples make no batch of 6.*smaller batch_size"):
        rows.dataset(
            lambda: [np.arange(5)], fixed_shapes(preprocessor, 6, "max", drop_remainder=True)
        )


def test_rows_that_are_too_long(preprocessor):
    rows = TokenizedTexts(preprocessor, TEXTS)
    with pytest.raises(ValueError, match=r"A row has 8 tokens.*padded to 6.*seq_length=6\)"):
        rows.dataset(lambda: [np.arange(5)], fixed_shapes(preprocessor, 5, 6))


@pytest.mark.parametrize("pad_to", ["longest", 1, 0, [], [8, 4], [4, 4], 4.0, True, None])
def test_lengths_that_are_none(preprocessor, pad_to):
    with pytest.raises(ValueError, match=r'pad_to=.*Expected "max", a length of 2 or more'):
        fixed_shapes(preprocessor, 4, pad_to)


@pytest.mark.parametrize("side", LEFT_IS_SLOW)
def test_labels_of_tokens(side, request):
    preprocessor = request.getfixturevalue(side)
    rows = PackedRows(preprocessor, [TEXTS])
    numbers = rows.spans["starts"].with_values(tf.range(tf.size(rows.spans["starts"].values)))
    rows.targets = {"first": numbers, "whole": tf.range(5)}
    shapes = fixed_shapes(preprocessor, 3, 12)
    plain, fixed = batches_of(rows, shapes)
    check_alike([ids for ids, _ in plain], [ids for ids, _ in fixed], shapes)
    for (one, right), (other, targets) in zip(plain, fixed, strict=True):
        count = one["input_mask"].shape[0]
        found = unpadded(targets["first"], other["input_mask"])[:count]
        assert found == unpadded(right["first"], one["input_mask"])
        padded = tf.boolean_mask(targets["first"], other["input_mask"] == 0)
        assert set(padded.numpy().tolist()) <= {-1}
        assert set(np.ravel(targets["first"][count:])) <= {-1}
        assert targets["whole"][:count].numpy().tolist() == right["whole"].numpy().tolist()


@pytest.mark.slow
@pytest.mark.parametrize("side", ["preprocessor", "left_padded"])
def test_hidden_tokens(side, request):
    """The same tokens are hidden in the same rows, and nothing is asked of copies."""
    preprocessor = request.getfixturevalue(side)
    tokenizer = preprocessor.tokenizer
    rows = MaskedRows(preprocessor, TEXTS, TokenMasking(tokenizer, rate=0.4, seed=5))
    shapes = fixed_shapes(preprocessor, 3, 12)
    plain, fixed = batches_of(rows, shapes)
    check_alike([ids for ids, _ in plain], [ids for ids, _ in fixed], shapes)
    for (one, right), (other, hidden) in zip(plain, fixed, strict=True):
        # round(12 · 0.4) of the longest rows there could be.
        assert hidden.shape == other["masked_lm_positions"].shape == (3, 5)
        count = right.shape[0]
        assert set(np.ravel(hidden[count:])) <= {-1}
        for row in range(count):
            asked = right[row].numpy() >= 0
            assert hidden[row].numpy()[: len(asked)].tolist() == right[row].numpy().tolist()
            assert set(hidden[row].numpy()[len(asked) :]) <= {-1}
            for place in np.flatnonzero(asked):
                ours = other["input_word_ids"][row, other["masked_lm_positions"][row, place]]
                theirs = one["input_word_ids"][row, one["masked_lm_positions"][row, place]]
                assert ours == theirs


def test_examples_of_several_texts(preprocessor):
    groups = [["what is this", "no"], ["yes", "a", "no and no"], ["this"]]
    rows = TextGroups(preprocessor, groups, targets=np.array([5, 6, 7], np.int32))
    shapes = fixed_shapes(preprocessor, 2, 10)
    batches = [np.array([0, 2]), np.array([1])]
    fixed = list(rows.dataset(lambda: batches, shapes))
    assert [ids[name].shape for ids, _ in fixed for name in IDS] == [(2, 3, 10)] * 6
    right = [rows.batch(batch) for batch in batches]
    for (ids, _), expected, count in zip(fixed, right, (2, 1), strict=True):
        for name in IDS:
            texts, length = expected[name].shape[1:]
            np.testing.assert_array_equal(ids[name][:count, :texts, :length], expected[name])
        assert int(tf.reduce_sum(ids["input_mask"][:count])) == int(
            tf.reduce_sum(expected["input_mask"])
        )
    assert [y.numpy().tolist() for _, y in fixed] == [[5, 7], [6, 6]]
    rows.ignored = -1
    assert [y.numpy().tolist() for _, y in rows.dataset(lambda: batches, shapes)] == [
        [5, 7],
        [6, -1],
    ]


def test_columns_are_packed_together(preprocessor):
    rows = TextGroups(preprocessor, [["no", "yes " * 12]] * 3, columns=True)
    assert isinstance(rows.batch([0]), tuple)
    dataset = rows.dataset(lambda: [np.arange(3)], fixed_shapes(preprocessor, 4, "max"))
    assert dataset.element_spec["input_word_ids"].shape == (4, 2, 16)


def test_windows_of_long_texts(preprocessor):
    windows = kb.Preprocessor(preprocessor.tokenizer, seq_length=8, stride=2)
    texts = ["yes and no " * n for n in (1, 6, 1, 3, 1)]
    rows = WindowedTexts(windows, [texts], np.arange(5, dtype=np.int32))
    shapes = fixed_shapes(windows, 3, "max")
    batches = sorted_batches(rows.lengths, 3)
    fixed = list(rows.dataset(lambda: batches, shapes))
    most = max(3, int(rows.lengths.max()))
    seen = []
    for ids, targets in fixed:
        assert ids["input_word_ids"].shape == (most, 8) and ids[PRESENT].shape == (3,)
        count = int(tf.reduce_sum(tf.cast(ids[PRESENT], tf.int32)))
        source = ids["window_source"].numpy()
        assert np.bincount(source[source >= 0]).tolist() == [
            rows.lengths[text] for text in targets.numpy()[:count]
        ]
        seen += targets.numpy()[:count].tolist()
    assert sorted(seen) == list(range(5))


def test_on_a_tpu_alone_it_is_the_default():
    assert default_pad_to(tf.distribute.get_strategy()) is None
    assert default_pad_to(tf.distribute.OneDeviceStrategy("CPU:0")) is None
    # There is none here to make one of.
    strategy = tf.distribute.TPUStrategy.__new__(tf.distribute.TPUStrategy)
    assert default_pad_to(strategy) == "max"
