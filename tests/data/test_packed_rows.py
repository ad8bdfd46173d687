import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import text_batches
from keras_bert.data.packed_rows import PackedRows

TEXTS = ["yes " * 30, "no", "what is it"]


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return kb.Tokenizer.from_pretrained(str(tiny_checkpoint))


@pytest.mark.parametrize("stride", [None, 4])
@pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")
def test_rows_are_those_of_the_preprocessor(tokenizer, stride):
    preprocessor = kb.Preprocessor(tokenizer, seq_length=16, stride=stride)
    rows = PackedRows(preprocessor, [TEXTS])
    expected = preprocessor(TEXTS, return_offsets=True)
    numbers = np.arange(len(rows))
    for name, value in rows.batch(numbers).items():
        assert np.array_equal(value, expected[name]), name
    for name, value in rows.spans.items():
        padding = -1 if name == "input_segments" else 0
        assert np.array_equal(value.to_tensor(padding), expected[name]), name
    sources = range(3) if stride is None else expected["window_source"].numpy()
    assert rows.source.tolist() == list(sources)
    assert rows.lengths.tolist() == expected["input_mask"].numpy().sum(1).tolist()


def test_texts_keep_their_numbers_over_chunks(tokenizer, monkeypatch):
    monkeypatch.setattr("keras_bert.data.packed_rows.TOKENIZER_CHUNK", 2)
    rows = PackedRows(kb.Preprocessor(tokenizer, seq_length=16, stride=4), [TEXTS])
    assert rows.source.tolist() == [0, 0, 0, 1, 2]


def test_rows_are_padded_on_the_left_where_the_class_token_is_last(tokenizer):
    preprocessor = kb.Preprocessor(tokenizer, seq_length=16)
    preprocessor.tokenizer.class_last = True
    try:
        rows = PackedRows(preprocessor, [TEXTS[1:]])
        expected = preprocessor(TEXTS[1:])
    finally:
        del preprocessor.tokenizer.class_last
    for name, value in rows.batch([0, 1]).items():
        assert np.array_equal(value, expected[name]), name
    assert expected["input_mask"][0, 0] == 0


def test_targets_are_padded_as_the_ids_are(tokenizer):
    rows = PackedRows(kb.Preprocessor(tokenizer, seq_length=16), [["no", "what is it"]])
    lengths = rows.lengths
    rows.targets = {
        "each": tf.RaggedTensor.from_row_lengths(np.arange(lengths.sum()), lengths),
        "whole": np.array([5, 6]),
    }
    ((ids, targets),) = rows.dataset(lambda: [np.array([1, 0])])
    assert ids["input_word_ids"].shape == targets["each"].shape
    assert targets["whole"].numpy().tolist() == [6, 5]
    assert targets["each"][1].numpy().tolist() == [
        *range(lengths[0]),
        *[-1] * (lengths[1] - lengths[0]),
    ]
    assert targets["each"][0, 0] == lengths[0]


def test_batches_of_texts_by_length():
    batches = text_batches(["a", "bbb", ("c", "dd"), "eeee"], 2)
    assert [batch.tolist() for batch in batches] == [[3, 1], [2, 0]]
