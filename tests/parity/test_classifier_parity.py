"""BertClassifier against Hugging Face PyTorch; see fixtures/make/classifier.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb

TOLERANCE = 2e-5
FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "classifier"
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
LABELS = {
    "three_labels": ["question", "complaint", "praise"],
    "two_labels": ["LABEL_0", "LABEL_1"],
    "twelve_labels": MONTHS,
}


def load(name):
    return kb.BertClassifier.from_pretrained(str(FOLDER / name)), np.load(
        FOLDER / name / "expected.npz"
    )


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", LABELS)
def test_logits_and_labels(name):
    model, expected = load(name)
    assert model.labels == LABELS[name]
    logits = np.asarray(model({key: expected[key] for key in INPUTS}))
    assert logits.shape == expected["logits"].shape
    assert np.abs(logits - expected["logits"]).max() <= TOLERANCE


def test_dropout_before_the_head_is_the_checkpoints_own():
    config = kb.EncoderConfig.from_pretrained(str(FOLDER / "three_labels"))
    assert config.dropout_rate == 0.1
    assert config.classifier_dropout == config.head_dropout_rate == 0.25


def test_renamed_labels_keep_a_head_without_names():
    model = kb.BertClassifier.from_pretrained(str(FOLDER / "two_labels"), labels=["no", "yes"])
    expected = np.load(FOLDER / "two_labels" / "expected.npz")
    assert model.labels == ["no", "yes"]
    logits = np.asarray(model({key: expected[key] for key in INPUTS}))
    assert np.abs(logits - expected["logits"]).max() <= TOLERANCE


@pytest.mark.parametrize("kind", ["texts", "pairs"])
def test_from_text_to_answer(kind):
    """Tokens, logits, probabilities and label of texts and of pairs, the empty text included."""
    model, expected = load("three_labels")
    texts = expected[kind].tolist()
    texts = [tuple(text) for text in texts] if kind == "pairs" else texts
    columns = tuple(map(list, zip(*texts, strict=True))) if kind == "pairs" else texts
    ids = model.preprocessor(columns)
    for name in INPUTS:
        np.testing.assert_array_equal(np.asarray(ids[name]), expected[f"{kind}/{name}"])
    logits = expected[f"{kind}/logits"]
    assert np.abs(np.asarray(model(ids)) - logits).max() <= TOLERANCE
    answers = model.predict(texts)
    assert len(answers) == len(texts)
    for answer, probabilities in zip(answers, softmax(logits), strict=True):
        assert answer["label"] == model.labels[int(probabilities.argmax())]
        assert abs(answer["probability"] - probabilities.max()) <= TOLERANCE
        assert np.abs(answer["probabilities"] - probabilities).max() <= TOLERANCE
