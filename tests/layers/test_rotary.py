import numpy as np
import pytest

from keras_bert.layers.rotary import frequencies, rotated, rotation

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize(("size", "theta"), [(64, 10_000.0), (64, 160_000.0), (12, 50.0), (2, 9.0)])
def test_frequencies(size, theta):
    exact = theta ** (-np.arange(0, size, 2) / size)
    found = frequencies(size, theta)
    assert found.dtype == "float32" and found[0] == 1
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_turns_are_those_of_complex_numbers():
    x = RANDOM.normal(size=(2, 3, 5, 8)).astype("float32")
    angles = np.arange(5)[:, None] * (100.0 ** (-np.arange(0, 8, 2) / 8))
    numbers = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)
    wanted = np.concatenate([numbers.real, numbers.imag], -1)
    np.testing.assert_allclose(rotated(x, *rotation(5, 8, 100.0)), wanted, atol=1e-5)


def test_products_know_distances_alone():
    query, key = RANDOM.normal(size=(2, 1, 64)).astype("float32")
    parts = rotation(400, 64, 10_000.0)
    queries, keys = (np.asarray(rotated(np.tile(x, (400, 1)), *parts)) for x in (query, key))
    products = queries @ keys.T
    for distance in (0, 3, 200):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], atol=2e-3)
    assert np.ptp(products) > 1


def test_half_precision_is_turned_in_float32():
    import tensorflow as tf

    x = tf.constant(RANDOM.normal(size=(3000, 16)), "bfloat16")
    found = rotated(x, *rotation(3000, 16, 10_000.0))
    assert found.dtype == tf.bfloat16
    wanted = rotated(tf.cast(x, "float32"), *rotation(3000, 16, 10_000.0))
    np.testing.assert_allclose(tf.cast(found, "float32"), wanted, atol=0.02)
