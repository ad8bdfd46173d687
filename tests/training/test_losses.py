"""Losses against sentence-transformers' (see fixtures/make/embedding_losses.py) and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import embedding_losses as losses
from keras_bert.training.losses import MaskedTokens

#: Case of the fixture → loss and what its targets are.
CASES = {
    "multiple_negatives": (losses.MultipleNegatives(), None),
    "multiple_negatives_hard": (losses.MultipleNegatives(), None),
    "multiple_negatives_two_hard": (losses.MultipleNegatives(scale=5.0), None),
    "multiple_negatives_symmetric": (losses.MultipleNegatives(symmetric=True), None),
    "multiple_negatives_symmetric_hard": (losses.MultipleNegatives(symmetric=True), None),
    "additive_margin": (losses.AdditiveMargin(), None),
    "additive_margin_hard": (losses.AdditiveMargin(), None),
    "additive_margin_unscaled": (losses.AdditiveMargin(scale=1.0), None),
    "cosine": (losses.Cosine(), "scores"),
    "contrastive": (losses.Contrastive(), "labels"),
    "contrastive_margin": (losses.Contrastive(margin=1.1), "labels"),
    "triplet": (losses.Triplet(), None),
    "triplet_cosine": (losses.Triplet(margin=0.2, distance="cosine"), None),
}


@pytest.fixture(scope="module")
def golden(fixtures):
    return dict(np.load(fixtures / "losses" / "embeddings.npz"))


def test_every_case_is_tested(golden):
    assert {name.split("/")[0] for name in golden if "/" in name} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient(golden, name):
    loss, targets = CASES[name]
    gradient = golden[f"{name}/gradient"]
    embeddings = tf.constant(golden["embeddings"][:, : gradient.shape[1]])
    targets = np.zeros(len(embeddings)) if targets is None else golden[targets]
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        found = loss(targets, embeddings)
    np.testing.assert_allclose(found, golden[f"{name}/loss"], atol=1e-5)
    np.testing.assert_allclose(tape.gradient(found, embeddings), gradient, atol=1e-5)


@pytest.mark.parametrize("name", losses.EMBEDDING_LOSSES)
def test_zeros_and_equal_texts_have_finite_gradients(name):
    texts = 3 if name == "triplet" else 2
    embeddings = tf.zeros((2, texts, 4))
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        found = losses.embedding_loss(name)(np.zeros(2), embeddings)
    assert np.isfinite(found) and np.isfinite(tape.gradient(found, embeddings)).all()


def test_masked_tokens_divide_by_the_tokens_that_count():
    ids = np.array([[3, 0, -1], [-1, -1, -1]])
    logits = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    logged = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -(logged[0, 0, 3] + logged[0, 1, 0]) / (2 + 1e-5)
    np.testing.assert_allclose(MaskedTokens()(ids, logits), expected, rtol=1e-6)
    assert float(MaskedTokens()(ids[1:], logits[1:])) == 0.0
