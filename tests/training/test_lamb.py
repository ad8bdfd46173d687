"""LAMB. That it is the Model Garden's, step for step: tests/parity/test_lamb_parity.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import LAMB, WarmupCosineDecay


def variable(array, name="kernel"):
    return keras.Variable(array, name=name, dtype="float32")


def algorithm_2(w, gradients, rate, decay, correct=True, b1=0.9, b2=0.999, eps=1e-6):
    """You et al. 2020, algorithm 2 with φ(z) = z, in float64."""
    w, m, v = np.asarray(w, np.float64), 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        mh, vh = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
        u = mh / (np.sqrt(vh) + eps) + decay * w
        w = w - rate * np.linalg.norm(w) / np.linalg.norm(u) * u
    return w


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_is_the_papers_algorithm(correct, decay):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(4, 3)), random.normal(size=(6, 4, 3)) * 1e-2
    weight = variable(start)
    optimizer = LAMB(0.01, decay, bias_correction=correct, global_clipnorm=None)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
    expected = algorithm_2(start, gradients, 0.01, decay, correct)
    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)


def test_is_that_of_keras_where_nothing_is_decayed():
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(4, 3)), random.normal(size=(5, 4, 3))
    ours, theirs = variable(start), variable(start)
    pairs = [
        (LAMB(0.01, weight_decay=0.0, global_clipnorm=None, epsilon=1e-4), ours),
        (keras.optimizers.Lamb(0.01, epsilon=1e-4), theirs),
    ]
    for gradient in gradients:
        for optimizer, weight in pairs:
            optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def change(optimizer, weights, gradients):
    before = [v.numpy() for v in weights]
    optimizer.apply([tf.constant(g, tf.float32) for g in gradients], weights)
    return [b - v.numpy() for b, v in zip(before, weights, strict=True)]


def test_exemptions():
    """An adapted weight moves by the rate's share of its norm, another by Adam's step."""
    names = ("kernel", "bias", "gamma")
    start, gradients = np.full((3, 4), 3.0), np.ones((3, 4))
    for not_adapted, expected in {
        None: [0.3, 0.1, 0.1],
        (): [0.3, 0.3, 0.3],
        ("kernel", "bias"): [0.1 * 1.3, 0.1, 0.3],
    }.items():
        weights = [variable(array, name) for array, name in zip(start, names, strict=True)]
        optimizer = LAMB(0.1, weight_decay=0.1, not_adapted=not_adapted)
        moved = change(optimizer, weights, gradients)
        np.testing.assert_allclose([m[0] for m in moved], expected, rtol=1e-4)


def test_norms_of_zero_leave_adams_step():
    weights = [variable(np.zeros(3)), variable(np.ones(3))]
    moved = change(LAMB(0.1, weight_decay=0.0), weights, [np.ones(3), np.zeros(3)])
    np.testing.assert_allclose(moved, [[0.1] * 3, [0.0] * 3], rtol=1e-4)


def test_queries_keys_and_values_have_a_factor_each():
    random = np.random.default_rng(1)
    parts, gradients = random.normal(size=(2, 3, 4, 5)) * np.array([1, 10, 100])[:, None, None]
    layer = keras.layers.Dense(15, name="query_key_value", use_bias=False)
    layer.build((None, 4))
    layer.kernel.assign(np.concatenate(list(parts), axis=-1))
    alone = [variable(part) for part in parts]
    options = {"learning_rate": 0.1, "weight_decay": 0.1, "global_clipnorm": None}
    LAMB(**options).apply([tf.constant(g, tf.float32) for g in gradients], alone)
    joined = tf.constant(np.concatenate(list(gradients), axis=-1), tf.float32)
    LAMB(**options).apply([joined], [layer.kernel])
    np.testing.assert_allclose(layer.kernel, np.concatenate(alone, axis=-1), rtol=1e-6)


def test_layers_rates():
    weights = [variable(np.ones(2)) for _ in range(3)]
    for weight, above in zip(weights, (2, 1, 0), strict=True):
        weight.layers_above = above
    moved = change(LAMB(0.1, layer_decay=0.5), weights, np.ones((3, 2)))
    np.testing.assert_allclose([m[0] for m in moved], [0.025, 0.05, 0.1], rtol=1e-4)


def test_accumulated_batches_are_one_batch():
    random = np.random.default_rng(2)
    start, gradients = random.normal(size=(4, 3)), random.normal(size=(5, 4, 3))
    weight, expected = variable(start), variable(start)
    optimizer = LAMB(0.1, gradient_accumulation_steps=3)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
    optimizer.finish_accumulation()
    large = LAMB(0.1)
    for group in (gradients[:3], gradients[3:]):
        large.apply([tf.constant(group.mean(axis=0), tf.float32)], [expected])
    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)


def test_round_trips():
    optimizer = LAMB(WarmupCosineDecay(1e-3, 50), not_adapted=("bias",), layer_decay=0.9)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is LAMB and copy.get_config() == optimizer.get_config()
    assert LAMB.from_config(LAMB().get_config()).not_adapted is None
