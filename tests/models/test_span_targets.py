"""Which tokens a span labeler learns, as transformers has them, and its loss."""

import functools
import gzip
import json

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.packed_rows import PackedRows
from keras_bert.models.span_targets import NoAnswerCrossentropy, SpanCrossentropy, span_targets
from keras_bert.text.question_windows import QuestionWindows


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return kb.Tokenizer.from_pretrained(str(tiny_checkpoint))


def places(rows, targets):
    """Per row where the 1 of start and end stands."""
    found = []
    for row in range(len(rows)):
        values = [targets[name][row].numpy() for name in ("start_logits", "end_logits")]
        assert all(
            sorted(v)[-1] == 1 and sum(v) == 1 and len(v) == rows.lengths[row] for v in values
        )
        found.append(tuple(int(v.argmax()) for v in values))
    return found


def test_targets_are_those_of_transformers(fixtures, tokenizer):
    golden = json.loads(gzip.decompress((fixtures / "squad" / "decoding.json.gz").read_bytes()))

    @functools.cache
    def windows(seq_length, stride, query):
        return QuestionWindows(kb.Preprocessor(tokenizer, seq_length, stride=stride), query)

    for case in golden["cases"]:
        query = min(len(case["question"].split()), case["query"])
        make = windows(
            case["seq_length"], case["seq_length"] - 3 - query - case["step"], case["query"]
        )
        rows = PackedRows(make, [[case["question"]], [case["context"]]])
        span = None
        if case["answer"]:
            text, start = case["answer"]
            span = start, start + len(text)
        assert places(rows, span_targets(rows, [span], False)) == [
            tuple(t) for t in case["targets"]
        ]


@pytest.fixture(scope="module")
def rows(tokenizer):
    windows = QuestionWindows(kb.Preprocessor(tokenizer, 64), 8)
    return PackedRows(windows, [["why", "why", "why"], ["the moneyed é (new)", "no", ""]])


def test_an_answer_within_tokens_takes_them_whole(rows):
    # [CLS] w ##h ##y? "why" is a word: [CLS] why [SEP] the money ##ed e ( new ) [SEP]
    text = "the moneyed é (new)".encode()
    for part, expected in (
        ("the", (3, 3)),
        ("one", (4, 4)),
        ("yed é".encode(), (4, 6)),
        ("new", (8, 8)),
    ):
        part = part if isinstance(part, bytes) else part.encode()
        start = text.index(part)
        targets = span_targets(rows, [(start, start + len(part)), None, None], False)
        assert places(rows, targets) == [expected, (0, 0), (0, 0)], part


def test_the_class_token_may_be_the_last(rows):
    lengths = rows.lengths
    targets = span_targets(rows, [None, (0, 2), None], class_last=True)
    assert places(rows, targets) == [(lengths[0] - 1,) * 2, (3, 3), (lengths[2] - 1,) * 2]


def test_loss_of_no_answer():
    logits = np.array([-40.0, 40.0, 0.5, -3.0, 200.0], np.float32)
    targets = np.array([0, 1, 1, -1, 0])
    expected = [0.0, 0.0, np.log1p(np.exp(-0.5)), 0.0, 200.0]
    np.testing.assert_allclose(
        NoAnswerCrossentropy(reduction=None)(targets, logits), expected, rtol=1e-6, atol=1e-7
    )
    with tf.GradientTape() as tape:
        variable = tf.Variable(logits)
        loss = NoAnswerCrossentropy()(targets, variable)
    slopes = [0, 0, -1 / (1 + np.exp(0.5)) / 5, 0, 1 / 5]
    np.testing.assert_allclose(tape.gradient(loss, variable), slopes, atol=1e-7)


def test_loss_is_over_real_tokens():
    logits = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    targets = np.array([[0, 1, 0, -1, -1], [-1, -1, 0, 0, 1]])
    expected = [
        np.log(np.exp(logits[0, :3]).sum()) - logits[0, 1],
        np.log(np.exp(logits[1, 2:]).sum()) - logits[1, 4],
    ]
    np.testing.assert_allclose(SpanCrossentropy()(targets, logits), np.mean(expected), rtol=1e-6)
    with tf.GradientTape() as tape:
        variable = tf.Variable(logits)
        loss = SpanCrossentropy()(targets, variable)
    gradient = tape.gradient(loss, variable).numpy()
    assert np.isfinite(gradient).all() and (gradient[targets == -1] == 0).all()
