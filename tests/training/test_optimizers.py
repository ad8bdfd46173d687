"""AdamW. That it is PyTorch's, step for step: tests/parity/test_adamw_parity.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import AdamW, WarmupLinearDecay


def variables():
    shapes = {
        "kernel": (3, 2),
        "bias": (2,),
        "gamma": (2,),
        "beta": (2,),
        "word_embeddings": (5, 2),
    }
    return [keras.Variable(np.ones(shape), name=name) for name, shape in shapes.items()]


def test_decay_excludes_bias_and_layer_norm():
    weights = variables()
    optimizer = AdamW(0.1, weight_decay=0.5)
    optimizer.apply([tf.zeros(v.shape) for v in weights], weights)
    after = {v.name: float(np.ravel(v)[0]) for v in weights}
    assert after == pytest.approx(
        {"kernel": 0.95, "bias": 1, "gamma": 1, "beta": 1, "word_embeddings": 0.95}
    )


def reference(w, grads, rate, wd, b1=0.9, b2=0.999, eps=1e-6, correct=True):
    """Loshchilov & Hutter 2019, algorithm 2, in float64."""
    w, m, v = w.astype(np.float64), 0.0, 0.0
    for t, g in enumerate(grads, start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        mh, vh = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
        w = w - rate * (mh / (np.sqrt(vh) + eps) + wd * w)
    return w


@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("eps", [1e-6, 1e-2])
def test_equals_the_formula(correct, eps):
    random = np.random.default_rng(0)
    start, grads = random.normal(size=(4, 3)), random.normal(size=(6, 4, 3)) * 1e-2
    weight = keras.Variable(start, name="kernel")
    optimizer = AdamW(
        1e-2, weight_decay=0.1, epsilon=eps, bias_correction=correct, global_clipnorm=None
    )
    for grad in grads:
        optimizer.apply([tf.constant(grad, tf.float32)], [weight])
    expected = reference(start, grads, 1e-2, 0.1, eps=eps, correct=correct)
    np.testing.assert_allclose(weight, expected, rtol=2e-5, atol=1e-7)


def test_rows_used_twice_are_summed_before_they_are_squared():
    tables = [keras.Variable(np.ones((5, 2)), name="word_embeddings") for _ in range(2)]
    values = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32)
    sparse = tf.IndexedSlices(values, tf.constant([1, 1, 4]), dense_shape=(5, 2))
    dense = np.zeros((5, 2), np.float32)
    np.add.at(dense, [1, 1, 4], values)
    for table, grad in zip(tables, (sparse, tf.constant(dense)), strict=True):
        optimizer = AdamW(0.1, global_clipnorm=1.0)
        for _ in range(3):
            optimizer.apply([grad], [table])
    np.testing.assert_array_equal(*tables)


def test_clips_by_the_norm_of_all_gradients_together():
    first = [keras.Variable(np.zeros(2), name=n) for n in ("a", "b")]
    second = [keras.Variable(np.zeros(2), name=n) for n in ("a", "b")]
    grads = [tf.constant([3.0, 0.0]), tf.constant([0.0, 4.0])]
    clipped = AdamW(0.1, global_clipnorm=1.0, epsilon=1.0, weight_decay=0)
    clipped.apply(grads, first)
    AdamW(0.1, global_clipnorm=None, epsilon=1.0, weight_decay=0).apply(
        [g / 5.0 for g in grads], second
    )
    np.testing.assert_allclose(np.stack(first), np.stack(second), rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_works_in_a_graph_and_under_xla(jit):
    weight, expected = (keras.Variable(np.ones((5, 2)), name="kernel") for _ in range(2))
    optimizer = AdamW(0.1)
    optimizer.build([weight])

    @tf.function(jit_compile=jit)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(weight.value, [1, 1, 3]) ** 2)
        optimizer.apply([tape.gradient(loss, weight.value)], [weight])

    step()
    grad = np.array([[0, 0], [4, 4], [0, 0], [2, 2], [0, 0]], np.float32)
    AdamW(0.1).apply([tf.constant(grad)], [expected])
    np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_round_trips():
    optimizer = AdamW(WarmupLinearDecay(1e-3, 50), beta_1=0.8, bias_correction=False)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.get_config() == optimizer.get_config()
    assert isinstance(copy._learning_rate, WarmupLinearDecay)
