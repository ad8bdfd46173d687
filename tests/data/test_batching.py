import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import (
    TokenizedTexts,
    TruncationWarning,
    length_grouped_batches,
    sorted_batches,
    without_autotuning,
)


@pytest.fixture(scope="module")
def preprocessor(tiny_checkpoint):
    return kb.Preprocessor(kb.Tokenizer.from_pretrained(str(tiny_checkpoint)), seq_length=16)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 1700])
def test_every_row_comes_once(count):
    lengths = np.random.default_rng(0).integers(2, 90, count)
    for batches in (length_grouped_batches(lengths, 32, seed=1), sorted_batches(lengths, 32)):
        assert sorted(np.concatenate(batches)) == list(range(count))
        sizes = sorted(map(len, batches))
        assert sizes[-1] <= 32 and sizes[1:] == [32] * (len(sizes) - 1)


def test_order_is_a_function_of_the_seed():
    lengths = np.random.default_rng(0).integers(2, 90, 500)
    one, same, other = (length_grouped_batches(lengths, 8, seed=s) for s in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_grouping_pads_little_and_still_shuffles():
    lengths = np.random.default_rng(0).geometric(0.06, 10_000) + 2
    batches = length_grouped_batches(lengths, 32, seed=0)
    padded = sum(len(b) * lengths[b].max() for b in batches)
    assert lengths.sum() / padded > 0.9
    means = np.array([lengths[b].mean() for b in batches])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2, "batches come in order of length"


def test_batches_equal_the_preprocessor(preprocessor):
    texts = ["what is this", "", "a very good day to you and to all of them", "no"]
    tokens = TokenizedTexts(preprocessor, texts)
    rows = np.array([2, 0, 3])
    ours, theirs = tokens.batch(rows), preprocessor([texts[i] for i in rows])
    for name, ids in theirs.items():
        np.testing.assert_array_equal(ours[name], ids)
    lengths = np.asarray(preprocessor(texts)["input_mask"]).sum(1)
    np.testing.assert_array_equal(tokens.lengths, lengths)


def test_pairs(preprocessor):
    pairs = [("what is this", "a day"), ("no", "yes and no and no and no and no and no")]
    tokens = TokenizedTexts(preprocessor, pairs)
    expected = preprocessor(tuple(map(list, zip(*pairs, strict=True))))
    for name, ids in expected.items():
        np.testing.assert_array_equal(tokens.batch([0, 1])[name], ids)
    assert np.asarray(expected["input_mask"]).sum(1).tolist() == tokens.lengths.tolist()


def test_lengths_count_every_separator(preprocessor):
    class TwoSeparators(kb.WordPieceTokenizer):
        separators_between = 2

    tokenizer = TwoSeparators.from_config(preprocessor.tokenizer.get_config())
    pairs = [("what is this", "a day"), ("no", "yes and no and no and no and no and no")]
    two = kb.Preprocessor(tokenizer, seq_length=16)
    expected = two(tuple(map(list, zip(*pairs, strict=True))))["input_mask"]
    assert TokenizedTexts(two, pairs).lengths.tolist() == np.asarray(expected).sum(1).tolist()


def test_more_texts_than_one_call_of_the_tokenizer(preprocessor):
    texts = [f"no {'yes ' * (i % 7)}" for i in range(2500)]
    tokens = TokenizedTexts(preprocessor, texts)
    assert len(tokens) == 2500
    rows = [0, 1023, 1024, 2499]
    expected = preprocessor([texts[i] for i in rows])["input_word_ids"]
    np.testing.assert_array_equal(tokens.batch(rows)["input_word_ids"], expected)


def test_cuts_are_reported(preprocessor):
    with pytest.warns(TruncationWarning, match=r"1 of 2 texts are longer than seq_length=16 .* 42"):
        TokenizedTexts(preprocessor, ["yes " * 40, "no"])


def test_each_pass_asks_for_new_batches(preprocessor):
    tokens = TokenizedTexts(preprocessor, ["no", "yes", "what"], targets=[7, 8, 9])
    passes = iter([None, [np.array([0])] * 2, [np.array([1, 2])] * 2])
    dataset = tokens.dataset(lambda: next(passes) or [np.array([0])] * 2)
    assert dataset.cardinality() == 2
    labels = [[y.numpy().tolist() for _, y in dataset] for _ in range(2)]
    assert labels == [[[7], [7]], [[8, 9], [8, 9]]]
    assert dataset.element_spec[0]["input_word_ids"] == tf.TensorSpec((None, None), tf.int32)


def test_no_thread_tunes_our_datasets(preprocessor):
    texts = ["a", "b c"]
    tokens = TokenizedTexts(preprocessor, texts)
    labelled = TokenizedTexts(preprocessor, texts, [1, 2])
    assert tokens.dataset(lambda: [[0, 1]]).options().autotune.enabled is False
    assert labelled.dataset(lambda: [[0, 1]]).options().autotune.enabled is False


def test_autotuning_that_was_asked_for_stays():
    options = tf.data.Options()
    options.autotune.enabled = True
    dataset = tf.data.Dataset.range(3).with_options(options)
    assert without_autotuning(dataset).options().autotune.enabled is True
    assert without_autotuning(tf.data.Dataset.range(3)).options().autotune.enabled is False
