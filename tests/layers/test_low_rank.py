"""LoRA in our layers: names and numbers as keras.layers.Dense has them."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.layers import Linear, RelativeAttention, SelfAttention
from keras_bert.layers.relative_attention import distance_waves


def filled(layer, seed=0):
    """Gives all weights of a layer numbers, and the two that LoRA adds too."""
    random = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape) * 0.3)
    return layer


def test_equals_keras_dense():
    ours, theirs = Linear(3, "relu"), keras.layers.Dense(3, "relu")
    for layer in (ours, theirs):
        layer.build((None, 4))
        layer.enable_lora(2, lora_alpha=8)
        filled(layer)
    names = [weight.name for weight in theirs.weights]
    assert sorted(weight.name for weight in ours.weights) == sorted(names)
    values = {weight.name: weight for weight in theirs.weights}
    for weight in ours.weights:
        assert weight.trainable == values[weight.name].trainable
        assert weight.shape == values[weight.name].shape
        weight.assign(values[weight.name])
    assert (ours.lora_enabled, ours.lora_rank, ours.lora_alpha) == (True, 2, 8)
    x = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
    np.testing.assert_allclose(ours.merged(), theirs.kernel, atol=1e-6)


def test_nothing_changes_at_first():
    layer = Linear(3)
    layer.build((None, 4))
    x = ops.ones((2, 4))
    before = ops.convert_to_numpy(layer(x))
    layer.enable_lora(2)
    np.testing.assert_array_equal(layer(x), before)
    assert layer.lora_alpha == 2
    assert np.any(layer.lora_kernel_a) and not np.any(layer.lora_kernel_b)


def test_merging_leaves_plain_weights():
    layer = Linear(3)
    layer.build((None, 4))
    layer.enable_lora(2, lora_alpha=3)
    filled(layer)
    x = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
    before = ops.convert_to_numpy(layer(x))
    layer.merge_lora()
    np.testing.assert_allclose(layer(x), before, atol=1e-6)
    assert sorted(weight.name for weight in layer.trainable_weights) == ["bias", "kernel"]
    layer.merge_lora()  # nothing more
    layer.enable_lora(1)
    np.testing.assert_allclose(layer(x), before, atol=1e-6)


def test_attention_for_the_first_token_alone():
    layer = SelfAttention(hidden_size=8, num_heads=2)
    layer.build()
    layer.query_key_value.enable_lora(3, lora_alpha=6)
    filled(layer)
    hidden = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    everything = layer(hidden, mask)
    first = layer(hidden, mask, first_token_only=True)
    np.testing.assert_allclose(first, everything[:, :1], atol=1e-5)
    layer.query_key_value.merge_lora()
    np.testing.assert_allclose(layer(hidden, mask), everything, atol=1e-5)


def test_relative_attention():
    layer = RelativeAttention(hidden_size=8, num_heads=2)
    layer.build()
    hidden = np.random.default_rng(1).normal(size=(2, 3, 8)).astype(np.float32)
    waves = distance_waves(ops.arange(3, -3, -1), 8)[None]
    plain = ops.convert_to_numpy(layer(hidden, layer.keys(hidden, waves)))
    layer.enable_lora(2)
    np.testing.assert_array_equal(layer(hidden, layer.keys(hidden, waves)), plain)
    filled(layer)
    names = [w.name for w in layer.lora_weights()]
    assert names == [f"lora_{part}_{side}" for part in ("query", "key", "value") for side in "ab"]
    assert not layer.query_kernel.trainable and layer.position_kernel.trainable
    changed = ops.convert_to_numpy(layer(hidden, layer.keys(hidden, waves)))
    layer.merge_lora()
    assert layer.query_kernel.shape == (8, 2, 4)
    np.testing.assert_allclose(layer(hidden, layer.keys(hidden, waves)), changed, atol=1e-5)


def test_new_weights_are_in_float32():
    layer = Linear(3, dtype="bfloat16")
    layer.build((None, 4))
    layer.enable_lora(2)
    assert {str(weight.dtype) for weight in layer.lora_weights()} == {"float32"}
    filled(layer)
    assert layer(ops.ones((2, 4))).dtype == "bfloat16"
    assert layer.merged().dtype == "bfloat16"


def test_what_cannot_be():
    layer = Linear(3)
    with pytest.raises(ValueError, match="has no weights yet"):
        layer.enable_lora(2)
    layer.build((None, 4))
    for wrong in (0, 1.5, None):
        with pytest.raises(ValueError, match="whole number from 1 on; received"):
            layer.enable_lora(wrong)
    layer.enable_lora(2)
    with pytest.raises(ValueError, match="LoRA is on already"):
        layer.enable_lora(2)
