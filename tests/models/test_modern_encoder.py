"""ModernBertEncoder's options, training and errors. That its numbers are right: tests/parity."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_bert as kb

CONFIG = kb.ModernBertConfig(
    vocab_size=50,
    hidden_size=16,
    num_layers=4,
    num_attention_heads=4,
    intermediate_size=12,
    max_position_embeddings=20,
    local_attention_window=4,
    pad_token_id=0,
    initializer_range=0.3,
)


@pytest.fixture
def encoder():
    keras.utils.set_random_seed(1)
    return kb.ModernBertEncoder(CONFIG)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    mask = np.array([[1] * 9, [1] * 4 + [0] * 5], np.int32)
    return {
        "input_word_ids": random.integers(1, 50, (2, 9)).astype(np.int32) * mask,
        "input_mask": mask,
        "input_type_ids": np.array([[0, 0, 0, 1, 1, 1, 1, 1, 1]] * 2, np.int32),
    }


def test_outputs(encoder, batch):
    outputs = encoder(batch)
    assert set(outputs) == {"sequence_output", "pooled_output", "encoder_outputs"}
    assert outputs["sequence_output"].shape == (2, 9, 16) and outputs["pooled_output"] is None
    assert [x.shape for x in outputs["encoder_outputs"]] == [(2, 9, 16)] * 4
    np.testing.assert_array_equal(outputs["encoder_outputs"][-1], outputs["sequence_output"])


def test_types_are_not_looked_at(encoder, batch):
    expected = encoder(batch)["sequence_output"]
    del batch["input_type_ids"]
    np.testing.assert_array_equal(encoder(batch)["sequence_output"], expected)


def test_padding_changes_nothing(encoder, batch):
    short = {name: ids[1:, :4] for name, ids in batch.items()}
    np.testing.assert_allclose(
        encoder(short)["sequence_output"], encoder(batch)["sequence_output"][1:, :4], atol=1e-5
    )


def test_first_token_alone_costs_less(encoder):
    signature = [tf.TensorSpec((2, 9), tf.int32)]

    def last_shapes(**kwargs):
        function = tf.function(lambda ids: encoder(ids, **kwargs)["sequence_output"], signature)
        operations = function.get_concrete_function().graph.get_operations()
        return [tuple(op.outputs[0].shape) for op in operations if op.type == "MatMul"][-4:]

    # Tokens of the batch: query, key and value; attention's output; and the feed-forward part.
    assert [shape[0] for shape in last_shapes()] == [18, 18, 18, 18]
    assert [shape[0] for shape in last_shapes(first_token_only=True)] == [18, 2, 2, 2]


def with_dropout(**rates):
    keras.utils.set_random_seed(1)
    return kb.ModernBertEncoder(dataclasses.replace(CONFIG, **rates))


@pytest.mark.parametrize(
    "name", ["embedding_dropout_rate", "attention_dropout_rate", "mlp_dropout_rate"]
)
def test_each_dropout_acts_only_in_training(batch, name):
    encoder = with_dropout(**{name: 0.3})
    first, second = (np.asarray(encoder(batch)["sequence_output"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    trained = np.asarray(encoder(batch, training=True)["sequence_output"])
    assert np.isfinite(trained).all() and np.abs(trained - first).max() > 0.01


@pytest.mark.parametrize("biases", [True, False])
def test_gradients_are_those_of_the_plain_functions(batch, biases):
    names = ("attention_bias", "mlp_bias", "norm_bias")
    encoder = with_dropout(**dict.fromkeys(names, biases))

    def gradients(training):
        with tf.GradientTape() as tape:
            sequence = encoder(batch, training=training)["sequence_output"]
            loss = tf.reduce_sum(sequence[:, 0] ** 3)
        return tape.gradient(loss, encoder.trainable_weights)

    lean, plain = gradients(True), gradients(False)
    assert len(lean) == len(encoder.trainable_weights)
    for one, other in zip(map(tf.convert_to_tensor, lean), plain, strict=True):
        other = tf.convert_to_tensor(other)
        scale = max(1.0, float(tf.reduce_max(tf.abs(other))))
        np.testing.assert_allclose(one, other, atol=2e-5 * scale)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(encoder, batch, policy):
    mixed = kb.ModernBertEncoder(CONFIG, dtype=policy)
    mixed.set_weights(encoder.get_weights())
    outputs = mixed(batch, return_attention_scores=True)
    assert all(x.dtype == "float32" for x in outputs["attention_scores"])
    assert outputs["sequence_output"].dtype == policy.removeprefix("mixed_")
    assert all(v.dtype == "float32" for v in mixed.weights)
    found, wanted = outputs["sequence_output"], encoder(batch)["sequence_output"]
    np.testing.assert_allclose(ops.cast(found, "float32"), wanted, atol=0.15)


def test_one_trace_serves_all_shapes(encoder):
    signature = [tf.TensorSpec((None, None), tf.int32)]
    function = tf.function(lambda ids: encoder(ids)["sequence_output"], input_signature=signature)
    for shape in ((1, 3), (5, 20), (2, 1)):
        ids = tf.ones(shape, tf.int32)
        np.testing.assert_allclose(function(ids), encoder(ids)["sequence_output"], atol=1e-5)


def test_saved_encoder_is_a_checkpoint(batch, tmp_path):
    encoder = with_dropout(global_layers=(1, 2), norm_bias=True)
    encoder.save(tmp_path / "model.keras")
    again = kb.BertEncoder.from_pretrained(str(tmp_path))
    assert isinstance(again, kb.ModernBertEncoder) and again.config == encoder.config
    expected = encoder(batch)["sequence_output"]
    np.testing.assert_array_equal(again(batch)["sequence_output"], expected)


def test_too_long(encoder):
    with pytest.raises(ValueError, match="21 tokens, .* 20 .max_position_embeddings=20"):
        encoder({"input_word_ids": np.ones((1, 21), np.int32)})


def test_takes_its_own_config():
    with pytest.raises(TypeError, match="ModernBertConfig; received EncoderConfig"):
        kb.ModernBertEncoder(kb.EncoderConfig())
    with pytest.raises(TypeError, match="EncoderConfig; received ModernBertConfig"):
        kb.BertEncoder(CONFIG)


@pytest.mark.slow
def test_a_classifier_learns(batch):
    encoder = with_dropout(attention_dropout_rate=0.1, mlp_dropout_rate=0.1, classifier_dropout=0.1)
    model = kb.BertClassifier(encoder, labels=["a", "b"])
    model.compile(learning_rate=5e-3, warmup=0.0)
    history = model.fit(batch, np.array([0, 1]), epochs=25, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < 0.5 * history[0]
