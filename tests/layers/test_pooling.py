"""Pooling and EmbeddingHead: what stands at padding, rows without tokens, precision, options."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_bert.layers import EmbeddingHead, Pooling
from keras_bert.layers.pooling import POOLING_MODES

ALL = list(POOLING_MODES)


@pytest.fixture(scope="module")
def stored(fixtures):
    return dict(np.load(fixtures / "sentence_transformers" / "poolings.npz"))


@pytest.mark.parametrize("mode", ALL)
def test_as_sentence_transformers(stored, mode):
    found = np.asarray(Pooling(mode)(stored["values"], stored["mask"]))
    np.testing.assert_allclose(found, stored[mode], atol=1e-6)


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("rubbish", [1e30, np.nan, np.inf])
def test_padding_does_not_count(stored, mode, rubbish):
    values = np.where(stored["mask"][..., None] == 1, stored["values"], np.float32(rubbish))
    found = np.asarray(Pooling(mode)(values, stored["mask"]))
    np.testing.assert_allclose(found, stored[mode], atol=1e-6)


@pytest.mark.parametrize("mode", ALL)
def test_a_row_without_tokens_gives_zeros(mode):
    found = Pooling(mode)(np.ones((1, 3, 2), np.float32), np.zeros((1, 3), np.int32))
    np.testing.assert_array_equal(found, np.zeros((1, 2)))


@pytest.mark.parametrize("mode", ALL)
def test_without_a_mask_all_are_tokens(stored, mode):
    everywhere = Pooling(mode)(stored["values"], np.ones((5, 6), np.int32))
    np.testing.assert_array_equal(Pooling(mode)(stored["values"]), everywhere)


def test_several_are_joined_in_the_order_given(stored):
    found = Pooling(["mean", "cls"])(stored["values"], stored["mask"])
    expected = np.concatenate([stored["mean"], stored["cls"]], axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_sums_are_taken_in_float32():
    values = ops.cast(ops.full((1, 600, 1), 1.0), "bfloat16")
    found = Pooling("mean_sqrt_len_tokens")(values)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, [[600**0.5]], rtol=1e-6)


@pytest.mark.parametrize("modes", ["median", [], ["mean", "sum"]])
def test_unknown_mode(modes):
    with pytest.raises(ValueError, match="expected one or several of cls, max, mean"):
        Pooling(modes)


def test_normalised_zeros_have_a_gradient():
    head = EmbeddingHead("mean", normalize=True)
    values = tf.Variable(np.array([[[0.0, 0.0]], [[3.0, 4.0]]], np.float32))
    with tf.GradientTape() as tape:
        found = head(values)
        loss = tf.reduce_sum(found)
    np.testing.assert_allclose(found, [[0.0, 0.0], [0.6, 0.8]], atol=1e-6)
    assert np.isfinite(tf.convert_to_tensor(tape.gradient(loss, values))).all()


def test_head_from_its_config(stored):
    head = EmbeddingHead(["cls", "max"], [{"units": 3, "activation": "tanh"}], True)
    expected = head(stored["values"], stored["mask"])
    assert expected.shape == head.compute_output_shape((5, 6, 4)) == (5, 3)
    again = EmbeddingHead.from_config(head.get_config())
    again.build((5, 6, 4))
    again.set_weights(head.get_weights())
    np.testing.assert_array_equal(again(stored["values"], stored["mask"]), expected)
    assert keras.saving.get_registered_name(EmbeddingHead) == "keras_bert>EmbeddingHead"
