"""Values and gradients of the training functions against automatic differentiation."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_bert.layers import gradients

RANDOM = np.random.default_rng(7)


def normal(*shape, dtype="float32"):
    return tf.constant(RANDOM.normal(size=shape), dtype)


def upstream_of(x):
    numbers = tf.range(tf.cast(tf.size(x), tf.float32))
    return tf.reshape(tf.cast(tf.cos(numbers), x.dtype), tf.shape(x))


def values_and_gradients(function, inputs, compiled=False):
    """What a function returns, and its gradients by its inputs under a random upstream."""

    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = function(*inputs)
            upstream = upstream_of(result)
            total = tf.reduce_sum(result * upstream)
        return result, *tape.gradient(total, inputs)

    return (tf.function(run) if compiled else run)(*inputs)


def assert_alike(lean, plain, inputs, tolerance=2e-6):
    wanted = values_and_gradients(plain, inputs)
    for compiled in (False, True):
        found = values_and_gradients(lean, inputs, compiled)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


ACTIVATIONS = [
    (gradients.gelu, lambda x: ops.gelu(x, approximate=False)),
    (gradients.gelu_tanh, lambda x: ops.gelu(x, approximate=True)),
]


@pytest.mark.parametrize(("lean", "plain"), ACTIVATIONS)
def test_activations(lean, plain):
    x = tf.concat([tf.linspace(-12.0, 12.0, 4001), [0.0, -0.0, 1e-30, 1e4, -1e4]], 0)
    assert_alike(lean, plain, [x], 5e-6)
    assert_alike(lean, plain, [tf.cast(x, tf.float64)], 1e-7)


@pytest.mark.parametrize(("lean", "plain"), ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_activations_in_half_precision(lean, plain, dtype):
    x = tf.cast(tf.linspace(-6.0, 6.0, 401), dtype)
    wanted = values_and_gradients(plain, [tf.cast(x, tf.float32)])
    for one, other in zip(values_and_gradients(lean, [x]), wanted, strict=True):
        assert one.dtype == x.dtype
        np.testing.assert_allclose(tf.cast(one, tf.float32), other, atol=0.05)
    # Where squares overflow.
    x = tf.constant([-60000.0, -300.0, 300.0, 60000.0], dtype)
    value, slope = values_and_gradients(lean, [x])
    for found, right in ((value, x), (slope, upstream_of(x))):
        assert np.array_equal(tf.cast(found, tf.float32), tf.cast(right, tf.float32) * [0, 0, 1, 1])


def test_layer_norm():
    def plain(x, gamma, beta):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) / tf.sqrt(variance + 1e-5) * gamma + beta

    def lean(x, gamma, beta):
        return gradients.layer_norm(x, gamma, beta, 1e-5)

    for shape in ((3, 5, 16), (1, 16), (0, 4, 16)):
        inputs = [3.0 * normal(*shape) + 2.0, normal(16), normal(16)]
        assert_alike(lean, plain, inputs, 1e-5)
    constant = [tf.ones((2, 16)), normal(16), normal(16)]  # no variance at all
    assert_alike(lean, plain, constant, 1e-3)


@pytest.mark.parametrize("rate", [None, 0.3, 1.0])
def test_attend(rate):
    kept = None if rate is None else tf.constant(RANDOM.random((2, 3, 4, 5)) >= rate)
    scale = 1.0 if rate is None else 1.4

    def plain(scores, value):
        probabilities = tf.nn.softmax(scores)
        if kept is not None:
            probabilities = tf.where(kept, probabilities * scale, 0.0)
        return probabilities @ value

    def lean(scores, value):
        return gradients.attend(scores, value, kept, scale)

    scores, value = normal(2, 3, 4, 5), normal(2, 3, 5, 6)
    assert_alike(lean, plain, [scores, value])
    hidden = tf.concat([scores[..., :2], tf.fill((2, 3, 4, 3), -1e9)], -1)
    assert_alike(lean, plain, [hidden, value])


def test_attend_in_half_precision():
    scores, value = normal(2, 4, 5), normal(2, 5, 6)
    kept = tf.constant(RANDOM.random((2, 4, 5)) >= 0.3)

    def lean(scores, value):
        return gradients.attend(scores, value, kept, 1.4)

    wanted = values_and_gradients(lean, [scores, value])
    found = values_and_gradients(lean, [scores, tf.cast(value, tf.bfloat16)])
    assert [x.dtype.name for x in found] == ["bfloat16", "float32", "bfloat16"]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(tf.cast(one, tf.float32), other, atol=0.06)


def test_dropped():
    kept = tf.constant([[True, False, True]])

    def plain(x):
        return tf.where(kept, x * 1.25, 0.0)

    assert_alike(lambda x: gradients.dropped(x, kept, 1.25), plain, [normal(1, 3)])


@pytest.mark.parametrize("function", [gradients.gelu, gradients.gelu_tanh])
def test_second_derivatives_are_those_of_the_formula(function):
    plain = dict(ACTIVATIONS)[function]
    x = tf.linspace(-4.0, 4.0, 101)

    def second(f):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = f(x)
            slope = inner.gradient(value, x)
        return outer.gradient(slope, x)

    np.testing.assert_allclose(second(function), second(plain), atol=1e-5)
