import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.layers import Dropout


@pytest.mark.parametrize("shape", [(400, 500), (333, 333), (1, 1, 7), (0, 4)])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_and_mean(shape, rate):
    x = tf.ones(shape)
    y = Dropout(rate, seed=3)(x, training=True).numpy()
    assert y.shape == shape
    kept = y[y != 0]
    if kept.size > 1000:
        deviation = (rate * (1 - rate) / y.size) ** 0.5
        assert abs(kept.size / y.size - (1 - rate)) < 4 * deviation
    # Exact: 16 bits decide, and the scale belongs to what they decide.
    values = round(rate * 2**16)
    assert np.all(kept == np.float32(2**16 / (2**16 - values)))


def test_all_or_nothing():
    x = tf.ones((2, 3))
    assert np.array_equal(Dropout(0.0)(x, training=True), x)
    assert np.array_equal(Dropout(0.3)(x), x)
    assert np.array_equal(Dropout(1.0)(x, training=True), np.zeros((2, 3)))


def test_neighbours_and_calls_are_independent():
    layer = Dropout(0.5, seed=1)
    one, two = ((layer(tf.ones(200_000), training=True).numpy() > 0) for _ in range(2))
    for left, right in ((one, two), (one[1:], one[:-1]), (one[2:], one[:-2])):
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.01


def test_a_seed_gives_the_same_numbers():
    x = tf.ones((8, 9))
    one, two, other = (Dropout(0.5, seed=seed)(x, training=True) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_unknown_shapes_and_half_precision():
    layer = Dropout(0.25, seed=1, dtype="mixed_bfloat16")
    call = tf.function(lambda x: layer(x, training=True))
    call = call.get_concrete_function(tf.TensorSpec((None, None), tf.bfloat16))
    y = call(tf.ones((3, 5), tf.bfloat16))
    assert y.dtype == tf.bfloat16
    assert set(np.unique(tf.cast(y, tf.float32))) <= {0.0, np.float32(1.3359375)}


def test_config_round_trip():
    layer = Dropout(0.25, seed=4, name="d")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert isinstance(again, Dropout)
