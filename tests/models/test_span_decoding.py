"""Answers from random logits of windows, as transformers and google-research/bert choose them."""

import functools
import gzip
import json
import math

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.models.span_decoding import best_answers, has_most_context, outputs_in_chunks
from keras_bert.text.question_windows import QuestionWindows

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e ##f é 中 文 . 😀".split()
WORDS = ["a", "b", "c", "d", "ef", "É", "中", "文", "😀", "x", "."]


@pytest.fixture(scope="module")
def golden(fixtures):
    return json.loads(gzip.decompress((fixtures / "squad" / "decoding.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def tiny():
    """Keeps accents, so that "É" is the token "é"; "x" is unknown."""
    return kb.WordPieceTokenizer(VOCABULARY, lower_case=True, strip_accents=False)


MATRICES = "input_word_ids input_mask input_type_ids starts ends input_segments".split()
PACKED = {name: tf.TensorSpec((None, None), tf.int32) for name in MATRICES} | {
    name: tf.TensorSpec((None,), tf.int32) for name in ("window_source", "window_start")
}
LOGITS = tf.TensorSpec((None, None), tf.float32)
CONTEXTS = tf.TensorSpec((None,), tf.string)


@functools.cache
def decoder(options):
    return tf.function(
        lambda *args: best_answers(*args, **dict(options)),
        input_signature=[LOGITS, LOGITS, PACKED, CONTEXTS],
        autograph=False,
    )


def decoded(packed, logits, contexts, **options):
    """``best_answers`` as one dict of Python values per question."""
    found = decoder(tuple(options.items()))(*logits, packed, tf.constant(contexts))
    answers = []
    for number in range(len(contexts)):
        answers.append({name: value[number].numpy() for name, value in found.items()})
    return answers


def padded(logits, width):
    return np.array([row + [0.0] * (width - len(row)) for row in logits], np.float32)


def test_answers_are_those_of_transformers(golden, tiny_checkpoint):
    tokenizer = kb.Tokenizer.from_pretrained(str(tiny_checkpoint))

    @functools.cache
    def windows(seq_length, stride, query):
        return QuestionWindows(kb.Preprocessor(tokenizer, seq_length, stride=stride), query)

    refused = 0
    for case in golden["cases"]:
        query = min(len(case["question"].split()), case["query"])
        overlap = case["seq_length"] - 3 - query - case["step"]
        context = case["context"]
        make = windows(case["seq_length"], overlap, case["query"])
        packed = make(([case["question"]], [context]))
        width = packed["input_word_ids"].shape[1]
        assert len(packed["window_source"]) == len(case["logits"])
        logits = [padded([pair[i] for pair in case["logits"]], width) for i in (0, 1)]
        for version in (1, 2):
            expected = case[f"version_{version}"]
            (answer,) = decoded(
                packed, logits, [context], allow_no_answer=version == 2, null_threshold=0.5
            )
            assert answer["text"].decode() == expected["predicted"]
            texts = [text.decode() for text in answer["n_best_text"]]
            assert texts == [text for text, _, _ in expected["n_best"]]
            for name, place in ("probability", 1), ("score", 2):
                theirs = [entry[place] for entry in expected["n_best"]]
                np.testing.assert_allclose(answer[f"n_best_{name}"], theirs, atol=2e-6)
            spans = zip(answer["n_best_start"], answer["n_best_end"], strict=True)
            assert [context[i:j] for i, j in spans] == texts
            if version == 2:
                best = next(e for e in expected["n_best"] if e[0])
                difference = answer["no_answer_score"] - best[2]
                assert difference == pytest.approx(expected["difference"], abs=2e-6)
                refused += expected["predicted"] == ""
    assert 3 < refused < len(golden["cases"]) - 3


def reference(start, end, packed, rows, context, n_best, longest, null_threshold):
    """Another reading of run_squad.py for one question; ``rows`` are its windows."""
    windows = []
    for row in rows:
        columns = [j for j, s in enumerate(packed["input_segments"][row]) if s == 1]
        windows.append((row, int(packed["window_start"][row]), columns))

    def owner(piece):
        scores = {}
        for row, first, columns in windows:
            if first <= piece < first + len(columns):
                around = min(piece - first, first + len(columns) - 1 - piece)
                scores[row] = around + 0.01 * len(columns)
        return max(scores, key=scores.get)

    found, nulls = [], []
    for row, first, columns in windows:
        real = [j for j, m in enumerate(packed["input_mask"][row]) if m]
        nulls.append(start[row][0] + end[row][0])
        starts = sorted(real, key=[-x for x in start[row]].__getitem__)[:n_best]
        ends = sorted(real, key=[-x for x in end[row]].__getitem__)[:n_best]
        for i in starts:
            for j in ends:
                if i in columns and j in columns and i <= j < i + longest:
                    if owner(first + columns.index(i)) == row:
                        span = int(packed["starts"][row][i]), int(packed["ends"][row][j])
                        text = context.encode()[slice(*span)].decode()
                        found.append((text, start[row][i] + end[row][j]))
    found.sort(key=lambda entry: -entry[1])
    null = min(nulls)
    merged = sorted([*found, ("", null)], key=lambda entry: -entry[1])
    best = []
    for text, score in merged:
        if text not in [t for t, _ in best] and len(best) < n_best:
            best.append((text, score))
    if "" not in [t for t, _ in best]:
        best.append(("", null))
    refuse = null - found[0][1] > null_threshold
    total = sum(math.exp(score) for _, score in best)
    return "" if refuse else found[0][0], best, [math.exp(score) / total for _, score in best], null


@pytest.mark.parametrize("seed", range(5))
def test_several_questions_against_the_rules(tiny, seed):
    rng = np.random.default_rng(seed)
    texts = [
        (
            " ".join(rng.choice(WORDS, rng.integers(1, 9))),
            rng.choice([" ", ""]).join(rng.choice(WORDS, rng.integers(3, 60))),
        )
        for _ in range(5)
    ]
    questions, contexts = map(list, zip(*texts, strict=True))
    preprocessor = kb.Preprocessor(tiny, 24, stride=int(rng.integers(0, 10)))
    packed = QuestionWindows(preprocessor, 6)((questions, contexts))
    shape = packed["input_word_ids"].shape
    start, end = (rng.normal(size=shape).astype(np.float32) for _ in "se")
    longest, threshold = int(rng.integers(1, 12)), float(rng.normal())
    answers = decoded(
        packed,
        (start, end),
        contexts,
        n_best=15,
        max_answer_length=longest,
        allow_no_answer=True,
        null_threshold=threshold,
    )
    arrays = {name: value.numpy() for name, value in packed.items()}
    for number, (answer, context) in enumerate(zip(answers, contexts, strict=True)):
        rows = np.flatnonzero(arrays["window_source"] == number)
        text, best, shares, null = reference(
            start, end, arrays, rows, context, 15, longest, threshold
        )
        assert answer["text"].decode() == text
        assert [t.decode() for t in answer["n_best_text"]] == [t for t, _ in best]
        np.testing.assert_array_equal(answer["n_best_score"], [score for _, score in best])
        np.testing.assert_allclose(answer["n_best_probability"], shares, atol=1e-6)
        assert answer["no_answer_score"] == null
        spans = zip(answer["n_best_start"], answer["n_best_end"], strict=True)
        assert [context[i:j].encode() for i, j in spans] == answer["n_best_text"].tolist()
        assert context[answer["start"] : answer["end"]] == text


def test_where_a_token_has_most_context():
    # Pieces 0 to 4, 2 to 6 and 4 to 6 of seven; the first of the windows on a tie.
    in_context = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0]], bool)
    most = has_most_context(in_context, np.zeros(3, np.int32), np.array([0, 2, 4], np.int32), 1)
    expected = [[1, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]
    # Piece 3 has one piece on one side in both.
    assert most.numpy().astype(int).tolist() == expected


def test_a_span_is_found_where_the_best_starts_and_ends_are_none(tiny):
    """In the question, or too far from each other: the reference has no answer then."""
    packed = QuestionWindows(kb.Preprocessor(tiny, 24), 6)((["a b"], ["a b c d"]))
    start = np.array([[9, 8, 8, 7, 1, 2, 3, 0, 9]], np.float32)
    end = np.array([[9, 8, 8, 7, 6, 0, 0, 0.5, 9]], np.float32)
    (answer,) = decoded(packed, (start, end), ["a b c d"], n_best=2)
    assert (answer["text"], answer["score"]) == (b"a", 7.0)
    assert answer["n_best_text"].tolist() == [b"a"] and answer["n_best_probability"] == [1.0]


def test_nothing_is_the_answer_where_there_is_no_token(tiny):
    packed = QuestionWindows(kb.Preprocessor(tiny, 24, stride=2), 6)((["a", "b"], [" \t", "c"]))
    start = np.arange(10, dtype=np.float32).reshape(2, 5)
    answers = decoded(packed, (start, start), [" \t", "c"])
    assert [a["text"] for a in answers] == [b"", b"c"]
    assert answers[0]["score"] == answers[0]["no_answer_score"] == 0.0
    assert (answers[0]["start"], answers[0]["end"]) == (0, 0)
    assert answers[0]["n_best_text"].tolist() == [b""]


def test_threshold_is_what_no_answer_must_win_by(tiny):
    packed = QuestionWindows(kb.Preprocessor(tiny, 24), 6)((["a"], ["c"]))
    start = np.array([[2.0, 0, 0, 1.0, 0]], np.float32)
    for threshold, text in (0.5, b""), (1.99, b""), (2.0, b"c"):
        (answer,) = decoded(
            packed, (start, start), ["c"], allow_no_answer=True, null_threshold=threshold
        )
        assert answer["text"] == text
        assert answer["n_best_text"].tolist() == [b"", b"c"]


def test_class_token_at_the_end(tiny):
    packed = QuestionWindows(kb.Preprocessor(tiny, 24), 6)((["a"], ["c"]))
    scores = np.array([[0, 0, 0, 1.0, 5.0]], np.float32)
    (answer,) = decoded(packed, (scores, scores), ["c"], class_last=True)
    assert answer["no_answer_score"] == 10.0


def test_no_questions_have_no_answers(tiny):
    packed = QuestionWindows(kb.Preprocessor(tiny, 24, stride=2), 6)(
        (tf.constant([], tf.string), tf.constant([], tf.string))
    )
    empty = tf.zeros(tf.shape(packed["input_word_ids"]))
    found = best_answers(empty, empty, packed, tf.constant([], tf.string))
    assert found["text"].shape == (0,) and found["n_best_text"].shape[0] == 0


def test_chunks_give_what_all_at_once_give():
    def model(ids, training):
        x = tf.cast(ids["input_word_ids"], tf.float32)
        return {"start_logits": x, "end_logits": -x}

    for rows in (0, 1, 7, 8):
        ids = {"input_word_ids": np.arange(rows * 3, dtype=np.int32).reshape(rows, 3)}
        start, end = tf.function(lambda ids: outputs_in_chunks(model, ids, 4))(ids)
        np.testing.assert_array_equal(start, ids["input_word_ids"])
        np.testing.assert_array_equal(end, -ids["input_word_ids"])
