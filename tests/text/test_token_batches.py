"""Batches of ids through tf.data, of texts tokenized many at a time."""

import pytest
import tensorflow as tf

from keras_bert.text import Preprocessor, Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return Tokenizer.from_pretrained(str(tiny_checkpoint))


TEXTS = [f"text {number} " * (number % 5) for number in range(23)]


def rows_of(dataset):
    return [batch.to_list() for batch in dataset]


@pytest.mark.parametrize("batch_size", [1, 4, 23, 100])
@pytest.mark.parametrize("at_a_time", [1, 8, 256])
def test_batches_are_those_of_a_map(tokenizer, batch_size, at_a_time):
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    batches = tokenizer.token_batches(texts, batch_size, at_a_time, num_parallel_calls=2)
    wanted = rows_of(texts.batch(batch_size).map(tokenizer.tokenize))
    assert rows_of(batches) == wanted
    assert int(batches.cardinality()) == len(wanted)
    assert batches.element_spec == tf.RaggedTensorSpec((None, None), tf.int32, ragged_rank=1)


def test_lists_and_vectors(tokenizer):
    wanted = tokenizer.tokenize(TEXTS).to_list()
    listed = rows_of(tokenizer.token_batches(TEXTS, 10))
    assert [len(batch) for batch in listed] == [10, 10, 3]
    assert [row for batch in listed for row in batch] == wanted
    vectors = tf.data.Dataset.from_tensor_slices(TEXTS).batch(9)
    cut = rows_of(tokenizer.token_batches(vectors, 4))
    assert [len(batch) for batch in cut] == [4, 4, 1, 4, 4, 1, 4, 1]
    assert [row for batch in cut for row in batch] == wanted
    assert (
        rows_of(tokenizer.token_batches(tf.data.Dataset.from_tensors(tf.zeros(0, tf.string)), 4))
        == []
    )


def test_rows_are_packed_behind_it(tokenizer):
    preprocessor = Preprocessor(tokenizer, seq_length=16)
    rows = tokenizer.token_batches(TEXTS, 8).map(preprocessor.pack)
    first = next(iter(rows))
    for name, wanted in preprocessor(TEXTS[:8]).items():
        tf.debugging.assert_equal(first[name], wanted)


def test_a_dataset_without_an_end(tokenizer):
    texts = tf.data.Dataset.from_tensor_slices(TEXTS).repeat()
    assert len(rows_of(tokenizer.token_batches(texts, 5).take(40))) == 40


def test_what_are_no_texts(tokenizer):
    pairs = tf.data.Dataset.from_tensor_slices((TEXTS, TEXTS))
    with pytest.raises(TypeError, match="Received elements"):
        tokenizer.token_batches(pairs, 4)
    with pytest.raises(TypeError, match="Received elements"):
        tokenizer.token_batches(tf.data.Dataset.range(3), 4)
    with pytest.raises(TypeError, match="put it into a list"):
        tokenizer.token_batches("a text", 4)
    for sizes in ((0, 8), (True, 8), (4, 0), (2.5, 8)):
        with pytest.raises(ValueError, match="Expected an int of 1 or more"):
            tokenizer.token_batches(TEXTS, *sizes)
