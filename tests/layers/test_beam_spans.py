"""BeamSpanHead: its equations, written out; masks, sizes and errors. Its oracle: tests/parity."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.layers import BeamSpanHead
from keras_bert.models.heads import make_head

BEAMS = ("start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index")


@pytest.fixture
def head():
    head = BeamSpanHead(start_n_top=3, end_n_top=2, layer_norm_epsilon=1e-2)
    head.build((None, None, 4))
    random = np.random.default_rng(0)
    head.set_weights([random.normal(size=weight.shape) for weight in head.get_weights()])
    return head


@pytest.fixture
def hidden():
    return np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float32)


def softmax(logits):
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def weights_of(layer):
    return [np.asarray(weight) for weight in layer.get_weights()]


def ends(head, hidden, start):
    """The equations of the class, for each row's start."""
    of_start = hidden[np.arange(len(hidden)), start]
    both = np.concatenate([hidden, np.broadcast_to(of_start[:, None], hidden.shape)], axis=-1)
    kernel, bias = weights_of(head.end_dense)
    x = np.tanh(both @ kernel + bias)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-2)
    gamma, beta = weights_of(head.end_norm)
    kernel, bias = weights_of(head.end_logits)
    return ((x * gamma + beta) @ kernel + bias)[..., 0]


def no_answer(head, hidden, start):
    kernel, bias = weights_of(head.answer_dense)
    x = np.tanh(np.concatenate([start, hidden[:, -1]], axis=-1) @ kernel + bias)
    return (x @ weights_of(head.answer_logits)[0])[:, 0]


def test_it_is_the_equations(head, hidden):
    kernel, bias = weights_of(head.start_logits)
    starts = (hidden @ kernel + bias)[..., 0]
    found = {name: np.asarray(value) for name, value in head(hidden).items()}
    np.testing.assert_allclose(found["start_logits"], starts, atol=1e-5)
    shares = softmax(starts)
    best = np.argsort(-starts, axis=1)[:, :3]
    np.testing.assert_array_equal(found["start_top_index"], best)
    np.testing.assert_allclose(
        found["start_top_log_probs"], np.take_along_axis(shares, best, 1), atol=1e-5
    )
    for number in range(3):
        given = softmax(ends(head, hidden, best[:, number]))
        last = np.argsort(-given, axis=1)[:, :2]
        # Of each start the likeliest end first, then of each the second.
        np.testing.assert_array_equal(found["end_top_index"][:, number::3], last)
        np.testing.assert_allclose(
            found["end_top_log_probs"][:, number::3], np.take_along_axis(given, last, 1), atol=1e-5
        )
    mean = np.einsum("bl,blh->bh", shares, hidden)
    np.testing.assert_allclose(found["cls_logits"], no_answer(head, hidden, mean), atol=1e-5)


def test_given_starts(head, hidden):
    start = np.array([4, 1], np.int32)
    found = head(hidden, start_positions=start)
    assert found.keys() == {"start_logits", "end_logits", "cls_logits"}
    np.testing.assert_allclose(found["end_logits"], ends(head, hidden, start), atol=1e-5)
    wanted = no_answer(head, hidden, hidden[[0, 1], start])
    np.testing.assert_allclose(found["cls_logits"], wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "bool", "float32"])
def test_what_is_excluded_is_not_found(head, hidden, dtype):
    mask = np.array([[0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 1]]).astype(dtype)
    found = head(hidden, mask)
    for name in ("start_top_index", "end_top_index"):
        assert np.take_along_axis(mask, np.asarray(found[name]), 1).all()
    assert (np.asarray(found["start_logits"])[mask == 0] == -1e30).all()
    given = head(hidden, mask, np.array([1, 3]))
    assert (np.asarray(given["end_logits"])[mask == 0] == -1e30).all()


def test_rows_shorter_than_beams(head, hidden):
    found = head(hidden[:, :2])
    assert [tuple(found[name].shape) for name in BEAMS] == [(2, 2), (2, 2), (2, 4), (2, 4)]


def test_sizes_that_a_graph_does_not_know(head, hidden):
    spec = tf.TensorSpec((None, None, 4))
    function = tf.function(lambda x: head(x), input_signature=[spec])
    for part in (hidden, hidden[:, :2], hidden[:0]):
        for name, value in head(part).items():
            np.testing.assert_allclose(function(part)[name], value, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(head, hidden, dtype):
    half = BeamSpanHead(3, 2, 1e-2, dtype=dtype)
    half.build((None, None, 4))
    half.set_weights(head.get_weights())
    start = np.array([4, 1], np.int32)
    for arguments in ({}, {"start_positions": start}):
        found, wanted = half(hidden, **arguments), head(hidden, **arguments)
        for name in ("start_logits", "end_logits", "cls_logits", "start_top_log_probs"):
            if name in wanted:
                assert found[name].dtype == "float32"
                np.testing.assert_allclose(found[name], wanted[name], atol=0.15)


def test_training_reaches_every_weight(head, hidden):
    with tf.GradientTape() as tape:
        found = head(hidden, start_positions=np.array([4, 1], np.int32), training=True)
        loss = sum(tf.reduce_sum(value**2) for value in found.values())
    for variable, slope in zip(
        head.trainable_variables, tape.gradient(loss, head.trainable_variables), strict=True
    ):
        assert np.abs(slope).max() > 0, variable.path


def test_config_comes_back(head):
    again = BeamSpanHead.from_config(head.get_config())
    assert again.get_config() == head.get_config()
    assert (again.start_n_top, again.end_n_top, again.layer_norm_epsilon) == (3, 2, 1e-2)
    assert keras.saving.get_registered_name(BeamSpanHead) == "keras_bert>BeamSpanHead"


def test_it_is_xlnets():
    with pytest.raises(TypeError, match="takes an XLNetConfig; received a EncoderConfig"):
        make_head("beam_span_labeler", kb.EncoderConfig())
