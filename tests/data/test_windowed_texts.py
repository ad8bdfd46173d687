"""Batches of texts with all of their windows."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.windowed_texts import WindowedTexts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(40))]
TEXTS = [" ".join(f"w{i}" for i in range(count)) for count in (3, 40, 0, 12, 25, 1)]


@pytest.fixture(scope="module")
def preprocessor():
    return kb.Preprocessor(kb.WordPieceTokenizer(WORDS), seq_length=10, stride=2)


@pytest.fixture(scope="module")
def texts(preprocessor):
    return WindowedTexts(preprocessor, [TEXTS], np.arange(6, dtype=np.int32) * 10)


def test_a_batch_is_what_the_preprocessor_makes_of_its_texts(preprocessor, texts):
    assert len(texts) == 6 and texts.lengths.tolist() == [1, 7, 1, 2, 4, 1]
    for rows in ([0], [4, 1, 2], [3, 3], list(range(6))):
        wanted = preprocessor([TEXTS[row] for row in rows])
        del wanted["window_start"]
        found = texts.batch(tf.constant(rows, tf.int64))
        assert found.keys() == wanted.keys()
        for name, ids in found.items():
            np.testing.assert_array_equal(ids, wanted[name])


def test_no_text_is_in_two_batches_and_windows_are_few(texts):
    batches = [np.array([1, 4, 3]), np.array([0, 2, 5])]
    found = list(texts.dataset(lambda: batches))
    assert texts.dataset(lambda: batches).cardinality() == len(found)
    assert [targets.numpy().tolist() for _, targets in found] == [[10], [40], [30], [0, 20, 50]]
    windows = [len(ids["window_source"]) for ids, _ in found]
    assert windows == [7, 4, 2, 3]


def test_pairs_have_windows_over_the_second(preprocessor):
    pairs = WindowedTexts(preprocessor, [["w1 w2"] * 2, ["w3", TEXTS[3]]], [[0.0], [1.0]])
    ids = pairs.batch(tf.constant([1, 0], tf.int64))
    assert ids["window_source"].numpy().tolist() == [0] * int(pairs.lengths[1]) + [1]
    # The first text stands in each of them, whole.
    np.testing.assert_array_equal(ids["input_word_ids"][:, 1:3], [[5, 6]] * sum(pairs.lengths))
