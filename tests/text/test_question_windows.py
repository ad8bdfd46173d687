import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.text.question_windows import QuestionWindows, default_stride


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return kb.Tokenizer.from_pretrained(str(tiny_checkpoint))


def test_short_questions_are_packed_as_by_the_preprocessor(tokenizer):
    preprocessor = kb.Preprocessor(tokenizer, 16, stride=4)
    texts = (["what", "why not"], ["the day " * 9, "yes"])
    ours = QuestionWindows(preprocessor, 8)(texts, return_truncated=True)
    theirs = preprocessor(texts, return_truncated=True, return_offsets=True)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert np.array_equal(ours[name], value), name


def test_long_questions_are_cut_and_counted(tokenizer):
    windows = QuestionWindows(kb.Preprocessor(tokenizer, 24, stride=2), 5)
    packed = windows((["why " * 9, "no"], ["the day " * 20, "yes"]), return_truncated=True)
    segments = packed["input_segments"].numpy()
    assert set((segments == 0).sum(1)[packed["window_source"] == 0]) == {5}
    source = packed["window_source"].numpy()
    assert packed["truncated"].numpy().tolist() == [4 if row == 0 else 0 for row in source]


def test_a_question_takes_half_of_a_row_at_most(tokenizer):
    windows = QuestionWindows(kb.Preprocessor(tokenizer, 13, stride=1), 64)
    packed = windows((["why " * 30], ["the " * 30]))
    assert windows.max_query_length == 5
    assert (packed["input_segments"][0].numpy() == 1).sum() == 5


def test_without_a_stride_a_text_is_one_window(tokenizer):
    windows = QuestionWindows(kb.Preprocessor(tokenizer, 16, truncation="only_last"), 4)
    packed = windows((["why", "no"], ["the " * 30, "yes"]), return_truncated=True)
    assert packed["window_source"].numpy().tolist() == [0, 1]
    assert packed["window_start"].numpy().tolist() == [0, 0]
    assert packed["truncated"].numpy().tolist() == [18, 0]


def test_the_context_comes_first_where_first_texts_are_cut(tokenizer):
    preprocessor = kb.Preprocessor(tokenizer, 16, stride=4, truncation="only_first")
    questions, contexts = ["what", "why not " * 5], ["the day " * 9, "yes"]
    packed = QuestionWindows(preprocessor, 4)((questions, contexts), return_truncated=True)
    cut = ["what", "why not " * 2]
    theirs = preprocessor((contexts, cut), return_truncated=True, return_offsets=True)
    assert packed.keys() == theirs.keys()
    segments = theirs.pop("input_segments").numpy()
    theirs["truncated"] = theirs["truncated"].numpy() + 6 * (theirs["window_source"].numpy() == 1)
    for name, value in theirs.items():
        assert np.array_equal(packed[name], value), name
    swapped = np.choose(segments + 1, [-1, 1, 0])
    assert np.array_equal(packed["input_segments"], swapped)
    assert packed["window_source"].numpy().tolist().count(0) > 1


def test_ends_take_in_what_normalisation_dropped(tokenizer):
    packed = QuestionWindows(kb.Preprocessor(tokenizer, 32), 4)((["no"], ["cafe\u0301 a"]))
    segments, ends = packed["input_segments"][0].numpy(), packed["ends"][0].numpy()
    assert len("cafe\u0301".encode()) in ends[segments == 1]


def test_default_stride_moves_by_a_third_beside_the_longest_question():
    assert default_stride(384) == 189
    assert default_stride(512, 64) == 512 - 3 - 64 - 170
    assert all(default_stride(n) < max(n - 3 - min(64, (n - 3) // 2), 1) for n in range(4, 600))


def test_in_a_graph(tokenizer):
    windows = QuestionWindows(kb.Preprocessor(tokenizer, 16, stride=2), 4)
    graph = tf.function(lambda q, c: windows((q, c)), autograph=False)
    texts = tf.constant(["why"]), tf.constant(["the day " * 9])
    for name, value in windows(texts).items():
        assert np.array_equal(graph(*texts)[name], value), name
