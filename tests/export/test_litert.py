"""A LiteRT file of a classifier: what it answers, says of itself, and leaves behind on failure."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.export import ExportError, ask_litert
from keras_bert.export.litert import comparison, conversion, metadata, verification, writing
from keras_bert.export.litert.plain import plain_copy
from keras_bert.export.requests import Request

pytest.importorskip("ai_edge_litert", reason="LiteRT's interpreter")
pytestmark = pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")

LABELS = ["question", "complaint", "praise"]
EXAMPLES = [("where is my card?", "question"), ("bad food", "complaint"), ("great", "praise")]


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    """The model's file in float32, verified when it was written, with a length of its own."""
    path = tmp_path_factory.mktemp("litert") / "reviews.tflite"
    return kb.export.litert(model, path, lengths=[16])


@pytest.fixture(scope="module")
def loaded(file):
    return ask_litert.load(file)


def tiny(tiny_checkpoint, **options):
    return kb.BertClassifier.from_pretrained(str(tiny_checkpoint), **options)


def test_answers_are_the_models(loaded, model, texts):
    for text, answer, wanted in zip(
        texts, ask_litert.ask(loaded, texts), model.predict(texts), strict=True
    ):
        assert answer["label"] == wanted["label"], text
        assert answer["probability"] == pytest.approx(wanted["probability"], abs=1e-5)
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)


def test_several_texts_at_once(loaded, model, texts):
    found = ask_litert.call(loaded, {"text": texts})
    wanted = model.predict(texts)
    assert [label.decode() for label in found["label"]] == [row["label"] for row in wanted]
    tokens = ask_litert.call(loaded, {"text": texts}, "tokenize")
    ids = model.preprocessor(texts)
    for name, value in tokens.items():
        np.testing.assert_array_equal(value, ids[name])
    of_ids = ask_litert.call(loaded, tokens, "tokens")
    np.testing.assert_array_equal(of_ids["probabilities"], found["probabilities"])
    np.testing.assert_allclose(of_ids["logits"], model(ids), atol=1e-5)


def test_a_length_of_its_own(loaded, model):
    ids = {name: np.zeros((1, 16), np.int32) for name in loaded.inputs["tokens_16"]}
    ids["input_word_ids"][0, :3], ids["input_mask"][0, :3] = [2, 9, 3], 1
    found = ask_litert.call(loaded, ids, "tokens_16")["logits"]
    np.testing.assert_allclose(found, model(ids), atol=1e-5)
    with pytest.raises(ValueError, match=r"takes the shape \(1, 16\); received \(1, 8\)"):
        ask_litert.call(loaded, {name: x[:, :8] for name, x in ids.items()}, "tokens_16")


def test_what_the_file_says_of_itself(file, model):
    record = ask_litert.read_metadata(file)
    assert record["task"] == "BertClassifier" and record["labels"] == model.labels
    assert set(record["signatures"]) == {"serving_default", "tokenize", "tokens", "tokens_16"}
    assert record["signatures"]["serving_default"] == {
        "inputs": {"text": {"dtype": "string", "shape": [None]}},
        "outputs": {
            "label": {"dtype": "string", "shape": [None]},
            "probability": {"dtype": "float32", "shape": [None]},
            "probabilities": {"dtype": "float32", "shape": [None, 3]},
        },
    }
    assert record["custom_ops"] == ["FastBertNormalize", "FastWordpieceTokenizeWithOffsets"]
    assert record["quantization"] == {"mode": None} and record["lengths"] == [16]
    assert record["tokenizer"]["cls_id"] == model.preprocessor.tokenizer.cls_id
    answers, ids = record["checks"]
    assert 0 <= answers["max_difference"] <= answers["tolerance"] == 1e-5
    assert answers["texts"] == ids["texts"] > 8
    with zipfile.ZipFile(file) as archive:
        assert archive.read("labels.txt").decode().split() == model.labels
        vocabulary = archive.read("vocab.txt").decode().splitlines()
    assert vocabulary == list(model.preprocessor.tokenizer.vocabulary)


def test_weights_are_there_once(file, model):
    weights = sum(np.prod(w.shape) for w in model.encoder.weights) * 4
    content = open(file, "rb").read()
    table = model.encoder.embeddings.word_embeddings.numpy()
    assert content.count(table[7].tobytes()) == 1
    assert weights < len(content)


def test_the_command_line_of_the_runner(file, capsys):
    assert ask_litert.main([file, "I love it", "--threads", "2"]) == 0
    line = capsys.readouterr().out
    assert line.split()[1] in LABELS and line.endswith("I love it\n")
    assert ask_litert.main([file, "--metadata"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]
    assert ask_litert.main([file, "--pair", "a", "b"]) == 1
    assert "texts[0] must be a text; received" in capsys.readouterr().err
    assert ask_litert.main([file + "x", "a"]) == 1
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "inputs, signature, message",
    [
        ({"text": []}, "serving_default", "one at least"),
        ({"words": ["a"]}, "serving_default", r"takes \['text'\]; received \['words'\]"),
        ({"text": [1]}, "serving_default", "Expected texts; received 1"),
        ({"text": [["a"]]}, "serving_default", r"shape \(None,\); received \(1, 1\)"),
        ({"text": ["a"]}, "none", "There is no signature 'none'"),
        ({}, "tokens", "received"),
    ],
)
def test_what_cannot_be_answered(loaded, inputs, signature, message):
    with pytest.raises(ValueError, match=message):
        ask_litert.call(loaded, inputs, signature)


def test_ids_that_cannot_be_answered(loaded):
    names = list(loaded.inputs["tokens"])
    for value, message in (([[0.5]], "whole numbers"), ([[900]], "tokens failed")):
        with pytest.raises(ValueError, match=message):
            ask_litert.call(loaded, dict.fromkeys(names, value), "tokens")
    # And it goes on.
    assert ask_litert.ask(loaded, ["good"])[0]["label"] in LABELS


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(b"not a model at all")
    with pytest.raises(ValueError, match="Cannot load"):
        ask_litert.load(str(path))
    with pytest.raises(IsADirectoryError):
        ask_litert.load(str(tmp_path))
    assert ask_litert.read_metadata(str(path)) == {}
    path.write_bytes(metadata.with_files(b"\0" * 100, {"other.txt": "a"}))
    assert ask_litert.read_metadata(str(path)) == {}
    with pytest.raises(TypeError, match="a single one"):
        ask_litert.ask(None, "text")


def test_refused_arguments(model, tmp_path):
    export = kb.export.litert
    path = tmp_path / "x.tflite"
    with pytest.raises(TypeError, match="exports a task model"):
        export(model.encoder, path)
    with pytest.raises(ValueError, match="expected one of"):
        export(model, path, "int4")
    with pytest.raises(ValueError, match="calibration="):
        export(model, path, "int8")
    for lengths in ([1], [65], [True], ["a"]):
        with pytest.raises(ValueError, match="from 2 to 64"):
            export(model, path, lengths=lengths)
    with pytest.raises(IsADirectoryError):
        export(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        export(model, tmp_path / "none" / "x.tflite")
    assert not os.listdir(tmp_path)


def test_without_the_interpreter(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install ai-edge-litert, or verify=False"):
        kb.export.litert(model, tmp_path / "x.tflite")


@pytest.fixture(scope="module")
def content(model):
    """Functions of ids alone, converted: what a failing export has by then."""
    copy = plain_copy(model)
    signatures, _ = writing._signatures(copy, (), False)
    return conversion.convert(signatures, [v.value for v in copy.variables])


def test_on_failure_nothing_is_left_and_nothing_has_changed(model, content, tmp_path, monkeypatch):
    path = tmp_path / "x.tflite"
    path.write_bytes(b"the old one")

    def fail(*_):
        raise ExportError("wrong answer")

    monkeypatch.setattr(conversion, "convert", lambda *_: content)
    with monkeypatch.context() as patch:
        patch.setattr(verification, "ask_fresh_process", fail)
        with pytest.raises(ExportError, match="wrong answer"):
            kb.export.litert(model, path, strings=False)
    assert os.listdir(tmp_path) == ["x.tflite"] and path.read_bytes() == b"the old one"
    kb.export.litert(model, path, strings=False, verify=False)
    assert os.listdir(tmp_path) == ["x.tflite"] and path.stat().st_size > 100_000
    found = ask_litert.load(str(path))
    assert found.metadata["checks"] == [] and found.text_inputs == ()
    with pytest.raises(ValueError, match="takes ids only: strings=False"):
        ask_litert.ask(found, ["a"])


def test_a_file_that_answers_otherwise_is_not_kept(model, content, tmp_path, monkeypatch):
    other = plain_copy(model)
    weight = other.head.weights[-1]
    weight.assign(weight + 2e-4)
    monkeypatch.setattr(conversion, "convert", lambda *_: content)
    with pytest.raises(ExportError, match=r"tokens differs from the model in 'its output' by"):
        kb.export.litert(other, tmp_path / "x.tflite", strings=False)
    assert not os.listdir(tmp_path)


def test_differences_that_count():
    request = Request("serving_default", {"text": [b"a", b"b"]})
    expected = {
        "label": np.array([b"x", b"y"], object),
        "probabilities": np.array([[0.5, 0.5], [0.9, 0.1]], np.float32),
    }
    tie = {**expected, "label": np.array([b"y", b"y"], object)}
    assert verification.largest_difference(request, expected, tie) == 0
    wrong = {**expected, "label": np.array([b"x", b"x"], object)}
    with pytest.raises(ExportError, match="answers 'label' with b'x', the model with b'y'"):
        verification.largest_difference(request, expected, wrong)
    nan = {**expected, "probabilities": np.full((2, 2), np.nan, np.float32)}
    with pytest.raises(ExportError, match="differs"):
        verification.largest_difference(request, expected, nan)
    with pytest.raises(ExportError, match="with None"):
        verification.largest_difference(request, expected, {})


@pytest.mark.parametrize("before, after, name", [(0.9, 0.85, "accuracy"), (1.0, 1.05, "loss")])
def test_drops(before, after, name):
    comparison.check_drop(before, after, name, 0.06, "int8")
    comparison.check_drop(before, after, name, None, "int8")
    comparison.check_drop(after, before, name, 0.0, "int8")
    with pytest.raises(ExportError, match=r"worse by 0.0500, and 0.01 is allowed.*dynamic_int8"):
        comparison.check_drop(before, after, name, 0.01, "int8")
    with pytest.raises(ExportError, match="nan"):
        comparison.check_drop(before, float("nan"), name, 0.01, "int8")


def test_cosines():
    expected = [{"": np.array([[1.0, 0.0], [1.0, 1.0]])}, {"embedding": np.array([[2.0]])}]
    answers = [{"logits": np.array([[0.0, 1.0], [2.0, 2.0]])}, {"embedding": np.array([[1.0]])}]
    np.testing.assert_allclose(comparison.cosines(expected, answers), [0.0, 1.0, 0.5], atol=1e-12)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16"])
def test_copies_are_in_float32_and_without_lora(tiny_checkpoint, dtype):
    model = tiny(tiny_checkpoint, dtype=dtype)
    model.enable_lora(rank=2)
    random = np.random.default_rng(0)
    for weight in model.encoder.trainable_weights:
        weight.assign(random.normal(0, 0.4, weight.shape))
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.weights]
    copy = plain_copy(model)
    assert {w.dtype for w in copy.weights if w.dtype != "uint32"} == {"float32"}
    assert copy.encoder.lora is None and model.encoder.lora is not None
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    ids = model.preprocessor(["where is my card?"])
    np.testing.assert_allclose(copy(ids), np.float32(model(ids)), atol=0.05)
    assert np.abs(np.float32(tiny(tiny_checkpoint)(ids)) - copy(ids)).max() > 0.2  # LoRA counts
