"""What attention to tokens nearby sees. That its numbers are right: tests/parity."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.layers import RotaryAttention

RANDOM = np.random.default_rng(5)


def made(reach, theta=100.0, **kwargs):
    layer = RotaryAttention(8, 2, theta=theta, reach=reach, initializer_range=0.5, **kwargs)
    layer.build()
    return layer


def hidden(batch, length):
    return RANDOM.normal(size=(batch, length, 8)).astype("float32")


@pytest.mark.parametrize("reach", [0, 1, 3, 40])
def test_sees_as_far_as_its_reach(reach):
    mask = np.ones((2, 11), "int32")
    mask[0, 4], mask[1, 7:] = 0, 0
    _, scores = made(reach)(hidden(2, 11), mask, return_attention_scores=True)
    distance = np.abs(np.arange(11)[:, None] - np.arange(11))
    visible = (distance <= reach) & mask[:, None, :].astype(bool)
    for row in range(2):
        for query in range(11):
            seen = np.asarray(scores)[row, :, query] > 0
            if visible[row, query].any():
                assert (seen == visible[row, query]).all()
            else:  # like PyTorch's softmax over what is all hidden
                np.testing.assert_allclose(scores[row, :, query], 1 / 11, rtol=1e-6)


def test_a_hidden_query_sees_all_alike_whatever_the_scores_are():
    layer = made(1)
    mask = np.array([[1, 1, 0, 0, 0]], "int32")
    _, scores = layer(100.0 * hidden(1, 5), mask, return_attention_scores=True)
    np.testing.assert_allclose(np.asarray(scores)[:, :, 3:], 0.2, rtol=1e-6)


@pytest.mark.parametrize("reach", [None, 2])
@pytest.mark.parametrize("use_bias", [True, False])
def test_first_token_alone_is_the_first_token(reach, use_bias):
    layer, x = made(reach, use_bias=use_bias), hidden(2, 9)
    mask = np.array([[1] * 9, [1] * 5 + [0] * 4], "int32")
    whole, first = layer(x, mask), layer(x, mask, first_token_only=True)
    assert first.shape == (2, 1, 8)
    np.testing.assert_allclose(first, whole[:, :1], atol=1e-6)
    assert len([w for w in layer.weights if "bias" in w.path]) == 2 * use_bias


@pytest.mark.parametrize("reach", [None, 2])
def test_places_matter_and_only_their_distances(reach):
    layer, x = made(reach), hidden(1, 6)
    moved = np.concatenate([np.zeros((1, 3, 8), "float32"), x], 1)
    mask = np.array([[0] * 3 + [1] * 6], "int32")
    plain = np.asarray(layer(x, None))
    np.testing.assert_allclose(layer(moved, mask)[:, 3:], plain, atol=1e-5)
    mirrored = np.asarray(layer(x[:, ::-1], None))[:, ::-1]
    assert np.abs(mirrored - plain).max() > 1e-3


def test_comes_back_from_its_config():
    layer = made(3, use_bias=False)
    again = RotaryAttention.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert (
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)).reach == 3
    )


@pytest.mark.parametrize("reach", [None, 2])
def test_training_gives_what_inference_gives(reach):
    layer, x = made(reach), tf.constant(hidden(2, 9))
    mask = np.array([[1] * 9, [1] * 5 + [0] * 4], "int32")

    def run(training):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, mask, training=training) ** 3)
        kernels = [w.value for w in layer.trainable_weights]
        return loss, *tape.gradient(loss, [x, *kernels])

    for one, other in zip(run(True), run(False), strict=True):
        scale = float(tf.reduce_max(tf.abs(other)))
        np.testing.assert_allclose(one, other, atol=1e-5 * scale)


def masked(batch, length):
    mask = np.ones((batch, length), "int32")
    mask[0, length // 3 : length // 2] = 0  # more than one block of what is hidden
    mask[1, 3 * length // 4 :] = 0
    return mask


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize(("reach", "length"), [(0, 65), (1, 69), (3, 128), (20, 161), (20, 400)])
def test_blocks_give_what_all_at_once_gives(reach, length, with_mask):
    layer, x = made(reach), tf.constant(hidden(2, length))
    mask = masked(2, length) if with_mask else None
    assert length > 2 * (layer.block_size + 2 * reach)
    # Of a query that sees nothing the value is compared, but no gradient: it is a constant, while
    # all at once the softmax's derivative passes through.
    near = np.abs(np.arange(length)[:, None] - np.arange(length)) <= reach
    sees = np.any(near & masked(2, length)[:, None, :].astype(bool), -1, keepdims=True)
    assert not sees.all()
    weight = tf.cast(sees if with_mask else np.ones_like(sees), "float32")

    def run(**kwargs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            context = layer(x, mask, **kwargs)
            context = context[0] if isinstance(context, tuple) else context
            loss = tf.reduce_sum(context**3 * weight)
        return context, *tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])

    # Scores are only there where everything is computed at once.
    wanted = run(return_attention_scores=True)
    for found in (run(), run(training=True)):
        for one, other in zip(found, wanted, strict=True):
            scale = max(1.0, float(tf.reduce_max(tf.abs(other))))
            np.testing.assert_allclose(one, other, atol=1e-5 * scale)


@pytest.mark.parametrize("compiled", [False, True])
def test_one_graph_takes_short_and_long(compiled):
    layer = made(1, dropout_rate=0.1)
    signature = [tf.TensorSpec((None, None, 8), tf.float32), tf.TensorSpec((None, None), tf.int32)]

    def step(x, mask):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, mask, training=True) ** 2)
        return layer(x, mask), tape.gradient(loss, kernel)

    kernel = layer.query_key_value.kernel.value
    graph = tf.function(step, signature, jit_compile=compiled)
    for length in (5, 68, 69, 200):
        x, mask = hidden(2, length), masked(2, length)
        found, slope = graph(x, mask)
        wanted, _ = layer(x, mask, return_attention_scores=True)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_blocks_have_dropout():
    layer, x = made(1, dropout_rate=0.4), hidden(2, 100)
    plain, trained = layer(x, None), layer(x, None, training=True)
    assert np.abs(np.asarray(trained) - np.asarray(plain)).max() > 0.01


def test_long_sequences_take_memory_by_their_length():
    layer = made(1)

    def largest(length):
        signature = [tf.TensorSpec((1, length, 8), tf.float32)]
        graph = tf.function(lambda x: layer(x, None), signature).get_concrete_function().graph
        return max(
            op.outputs[0].shape.num_elements() for op in graph.get_operations() if op.outputs
        )

    assert largest(4096) == 4 * largest(1024)
