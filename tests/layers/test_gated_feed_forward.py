import math

import keras
import numpy as np
import pytest

from keras_bert.layers import GatedFeedForward


def made(**kwargs):
    keras.utils.set_random_seed(2)
    layer = GatedFeedForward(6, 4, initializer_range=0.7, **kwargs)
    layer.build()
    for weight in layer.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return layer


@pytest.mark.parametrize("use_bias", [True, False])
def test_is_the_formula(use_bias):
    layer = made(use_bias=use_bias)
    x = np.random.default_rng(0).normal(size=(2, 3, 6)).astype("float32")
    weights = [np.asarray(w) for w in layer.weights if "seed" not in w.path]
    if use_bias:
        first, first_bias, second, second_bias = weights
    else:
        (first, second), first_bias, second_bias = weights, 0.0, 0.0
    widened, gate = np.split(x @ first + first_bias, 2, -1)
    gelu = widened * 0.5 * (1 + np.vectorize(math.erf)(widened / np.sqrt(2)))
    np.testing.assert_allclose(layer(x), (gelu * gate) @ second + second_bias, atol=1e-5)


def test_dropout_only_in_training():
    layer = made(dropout_rate=0.5)
    x = np.ones((1, 2, 6), "float32")
    np.testing.assert_array_equal(layer(x), layer(x))
    assert np.abs(np.asarray(layer(x, training=True)) - np.asarray(layer(x))).max() > 0.01


def test_comes_back_from_its_config():
    layer = made(activation="silu", use_bias=False, dropout_rate=0.1)
    assert GatedFeedForward.from_config(layer.get_config()).get_config() == layer.get_config()
    with pytest.raises(ValueError, match="Unknown activation 'snake'"):
        GatedFeedForward(6, 4, activation="snake")
