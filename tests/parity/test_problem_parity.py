"""Losses of many labels and of numbers against PyTorch; see make/classifier_problems.py."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "problems"
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
PROBLEMS = {"multi_label": "multi_label_classification", "one_output": "regression"}
PROBLEMS["regression"] = "regression"


def load(name):
    expected = np.load(FOLDER / name / "expected.npz")
    model = kb.BertClassifier.from_pretrained(str(FOLDER / name))
    return model, {key: expected[key] for key in INPUTS}, expected


def loss_and_norm(model, ids, targets, weights=None):
    """The loss of a training step, and the norm of its gradient."""
    with tf.GradientTape() as tape:
        logits = model(ids, training=True)
        loss = model.compute_loss(ids, targets, logits, weights, training=True)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    # Rows of the word embeddings that several tokens share, added up.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    return float(loss), float(tf.linalg.global_norm(gradients))


@pytest.mark.parametrize("name", PROBLEMS)
def test_loss_and_gradient(name):
    model, ids, expected = load(name)
    assert model.problem_type == PROBLEMS[name] and not model.head_is_fresh
    np.testing.assert_allclose(model(ids), expected["logits"], atol=2e-5)
    targets = expected["targets"]
    if name == "multi_label":
        assert model.labels == ["toy", "book", "new"]
        sets = [[model.labels[i] for i in np.flatnonzero(row)] for row in targets]
        np.testing.assert_array_equal(model.targets(sets), targets)
    else:
        assert model.labels == []
        np.testing.assert_array_equal(model.targets(targets.tolist()), targets)
    loss, norm = loss_and_norm(model, ids, tf.constant(targets))
    assert loss == pytest.approx(float(expected["loss"]), rel=1e-5)
    assert norm == pytest.approx(float(expected["gradient_norm"]), rel=1e-4)


def test_class_weights_of_many_labels_are_weights_of_the_positive():
    model, ids, expected = load("multi_label")
    targets = tf.constant(expected["targets"])
    asked = dict(zip(model.labels, expected["positive_weights"].tolist(), strict=True))
    weights = model.problem.class_weights(asked, None)
    weights = model.problem.sample_weights(targets, weights)
    loss, norm = loss_and_norm(model, ids, targets, weights)
    assert loss == pytest.approx(float(expected["weighted_loss"]), rel=1e-5)
    assert norm == pytest.approx(float(expected["weighted_gradient_norm"]), rel=1e-4)
