"""Verification: what it asks, what it lets pass, and what it says when it does not."""

import json

import numpy as np
import pytest

from keras_bert.export import ExportError, verification
from keras_bert.export.comparison import compare
from keras_bert.export.requests import Request, make_requests
from keras_bert.export.verification import verify

REQUEST = Request("serving_default", {"text": [b"first", b"second " * 20]})

SIGNATURES = ("serving_default", "examples", "tokens", "classify")


def answer(**changes):
    """An answer to REQUEST: two rows, the second with two equal probabilities."""
    fields = {
        "label": np.array([b"no", b"yes"], object),
        "probability": np.array([0.7, 0.4], np.float32),
        "probabilities": np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]], np.float32),
    }
    return {**fields, **changes}


def test_equal_answers():
    assert compare(REQUEST, answer(), answer()) == 0.0


def test_the_largest_difference_is_told():
    other = answer(probability=np.array([0.7, 0.400004], np.float32))
    assert compare(REQUEST, answer(), other) == pytest.approx(4e-6, rel=0.02)


def test_floats_beyond_the_tolerance():
    other = answer(probability=np.array([0.7, 0.40002], np.float32))
    message = (
        r"'probability' with 0.40002.*model with 0.4 \(a difference of 2.0e-05.*text = b'second"
    )
    with pytest.raises(ExportError, match=message):
        compare(REQUEST, answer(), other)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none(bad):
    broken = answer(probability=np.array([bad, 0.4], np.float32))
    with pytest.raises(ExportError, match="'probability' with"):
        compare(REQUEST, answer(), broken)
    # Equal on both sides is no comfort.
    with pytest.raises(ExportError, match=r"model itself answers 'probability'.*b'first'"):
        compare(REQUEST, broken, broken)


def test_a_label_may_differ_only_on_a_tie():
    assert compare(REQUEST, answer(), answer(label=np.array([b"no", b"no"], object))) == 0.0
    with pytest.raises(ExportError, match=r"'label' with b'yes', the model with b'no'"):
        compare(REQUEST, answer(), answer(label=np.array([b"yes", b"yes"], object)))


def test_a_string_that_is_no_label_never_differs():
    mine, other = np.array([b"a", b"b"], object), np.array([b"a", b"c"], object)
    with pytest.raises(ExportError, match="'entity'"):
        compare(REQUEST, answer(entity=mine), answer(entity=other))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"probability": np.array([0.7], np.float32)},
            r"float32\(1,\), the model as float32\(2,\)",
        ),
        ({"probability": np.array([0.7, 0.4])}, r"float64\(2,\), the model as float32"),
        ({"more": np.zeros(2)}, "answers .*'more'"),
    ],
)
def test_other_outputs(change, message):
    with pytest.raises(ExportError, match=message):
        compare(REQUEST, answer(), answer(**change))


def test_the_built_in_sample_is_hard(model):
    requests = make_requests(model, SIGNATURES)
    asked = [r.inputs["text"] for r in requests if r.signature == "serving_default"]
    texts = [text for batch in asked for text in batch]
    assert b"" in texts and [] in asked
    lengths = [len(model.preprocessor.tokenizer.tokenize(text)) for text in texts]
    assert max(lengths) > model.preprocessor.seq_length
    with pytest.raises(UnicodeDecodeError):
        b"".join(texts).decode()
    assert {r.signature for r in requests} == {"serving_default", "examples", "tokens", "classify"}
    assert json.loads(json.dumps([r.to_json() for r in requests]))


def test_the_users_sample_replaces_it(model):
    mine = [f"text {i}" for i in range(40)]
    first, second, empty, *others = make_requests(model, SIGNATURES, mine)
    requests, tokens = [first, second], next(r for r in others if r.signature == "tokens")
    assert [t for r in requests for t in r.inputs["text"]] == [text.encode() for text in mine]
    assert max(len(r.inputs["text"]) for r in requests) <= 32
    assert empty.inputs == {"text": []} and len(tokens.inputs["input_word_ids"]) == 32


@pytest.mark.parametrize(
    ("names", "sample", "error", "message"),
    [
        (("text",), ["good", None], TypeError, r"sample\[1\] must be a text; received None"),
        (("text",), [("a", "b")], TypeError, r"sample\[0\] must be a text"),
        (("text_a", "text_b"), [("a", "b"), "ab"], TypeError, r"sample\[1\] must be a pair"),
        (("text_a", "text_b"), [("a", 1)], TypeError, r"sample\[0\] must be a pair"),
        (("text",), "one text", TypeError, "must be a list"),
        (("text",), [], ValueError, "sample is empty"),
    ],
)
def test_a_sample_that_is_none(model, monkeypatch, names, sample, error, message):
    monkeypatch.setattr(model, "takes_pairs", len(names) == 2)
    with pytest.raises(error, match=message):
        make_requests(model, SIGNATURES, sample)


@pytest.mark.slow
def test_what_cannot_be_loaded_is_told_in_the_other_process_words(model, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_keras_answers", lambda *_: [])
    monkeypatch.setattr(verification, "_traced_answers", lambda *_: [])
    (tmp_path / "saved_model.pb").write_bytes(b"not a SavedModel")
    with pytest.raises(ExportError, match=r"(?s)exit code 1.*last words.*error: Cannot load"):
        verify(model, tmp_path, [REQUEST], {})


def test_a_process_that_does_not_answer_is_ended(model, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(verification, "_keras_answers", lambda *_: [])
    monkeypatch.setattr(verification, "_traced_answers", lambda *_: [])
    with pytest.raises(ExportError, match=r"no answer within 0.05 seconds"):
        verify(model, tmp_path, [REQUEST], {})


def test_a_process_that_knows_keras_bert_shows_nothing(tmp_path):
    class Ended:
        def wait(self, timeout):
            return 0

    (tmp_path / "answers.json").write_text('{"answers": [], "modules": ["keras_bert", "sys"]}')
    with pytest.raises(ExportError, match="imported keras_bert"):
        verification._read_answers(Ended(), tmp_path / "answers.json", tmp_path / "errors.txt")


def test_installed_packages_alone_unless_tensorflow_is_elsewhere(monkeypatch):
    assert verification._isolation() == ["-I"]
    monkeypatch.setattr(verification.site, "getsitepackages", lambda: ["/elsewhere"])
    assert verification._isolation() == ["-P"]


def test_without_an_interpreter_there_is_no_fresh_process(model, tmp_path, monkeypatch):
    monkeypatch.setattr(verification.sys, "executable", "")
    with pytest.raises(ExportError, match="verify=False"):
        verify(model, tmp_path, [REQUEST], {})
