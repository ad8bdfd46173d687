"""BertEncoder's shapes, options and errors. That its numbers are right: tests/parity."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_bert as kb

CONFIG = kb.EncoderConfig(
    vocab_size=50,
    hidden_size=16,
    num_layers=3,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=20,
)


@pytest.fixture
def encoder():
    return kb.BertEncoder(CONFIG)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32)
    return {
        "input_word_ids": random.integers(1, 50, (2, 7)).astype(np.int32) * mask,
        "input_mask": mask,
        "input_type_ids": np.array([[0, 0, 0, 1, 1, 1, 1]] * 2, np.int32),
    }


def test_outputs(encoder, batch):
    outputs = encoder(batch)
    assert set(outputs) == {"sequence_output", "pooled_output", "encoder_outputs"}
    assert outputs["sequence_output"].shape == (2, 7, 16)
    assert outputs["pooled_output"].shape == (2, 16)
    assert [x.shape for x in outputs["encoder_outputs"]] == [(2, 7, 16)] * 3


def test_without_pooler(batch):
    fields = {**CONFIG.to_dict(), "use_pooler": False}
    encoder = kb.BertEncoder(kb.EncoderConfig.from_dict(fields))
    assert encoder(batch)["pooled_output"] is None
    assert not any("pooler" in v.path for v in encoder.variables)


def test_attention_scores_on_request(encoder, batch):
    scores = encoder(batch, return_attention_scores=True)["attention_scores"]
    assert [x.shape for x in scores] == [(2, 4, 7, 7)] * 3
    for layer in map(np.asarray, scores):
        np.testing.assert_allclose(layer.sum(-1), 1, rtol=1e-5)
        assert (layer[1, :, :, 4:] == 0).all(), "padding is attended to"


def test_first_token_only_is_the_same_first_token(encoder, batch):
    whole, first = encoder(batch), encoder(batch, first_token_only=True)
    assert first["sequence_output"].shape == (2, 1, 16)
    for ours, theirs in (
        (first["sequence_output"][:, 0], whole["sequence_output"][:, 0]),
        (first["pooled_output"], whole["pooled_output"]),
        (first["encoder_outputs"][0], whole["encoder_outputs"][0]),
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_padding_changes_nothing(encoder, batch):
    short = {name: ids[1:, :4] for name, ids in batch.items()}
    np.testing.assert_allclose(
        encoder(short)["sequence_output"], encoder(batch)["sequence_output"][1:, :4], atol=1e-5
    )


def test_defaults_of_mask_and_types(encoder, batch):
    ids = batch["input_word_ids"]
    explicit = {
        "input_word_ids": ids,
        "input_mask": np.ones_like(ids),
        "input_type_ids": np.zeros_like(ids),
    }
    expected = encoder(explicit)["sequence_output"]
    for given in ({"input_word_ids": ids}, ids):
        np.testing.assert_allclose(encoder(given)["sequence_output"], expected, atol=1e-6)


def test_dropout_only_in_training(encoder, batch):
    first, second = (np.asarray(encoder(batch)["sequence_output"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    trained = np.asarray(encoder(batch, training=True)["sequence_output"])
    assert np.abs(trained - first).max() > 0.01


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_softmax_and_norm_in_float32(batch, policy):
    keras.utils.set_random_seed(1)
    full = kb.BertEncoder(CONFIG)
    mixed = kb.BertEncoder(CONFIG, dtype=policy)
    mixed.set_weights(full.get_weights())
    outputs = mixed(batch, return_attention_scores=True)
    assert all(x.dtype == "float32" for x in outputs["attention_scores"])
    assert outputs["sequence_output"].dtype == policy.removeprefix("mixed_")
    assert all(v.dtype == "float32" for v in mixed.weights)
    np.testing.assert_allclose(
        ops.cast(outputs["sequence_output"], "float32"), full(batch)["sequence_output"], atol=0.1
    )
    # A variance of 1e-6 survives LayerNorm only outside float16, whose smallest step is 6e-8.
    norm = mixed.blocks[0].output_norm
    tiny = ops.convert_to_tensor(np.linspace(-1e-3, 1e-3, 16)[None, None], norm.compute_dtype)
    spread = float(np.std(np.asarray(ops.cast(norm(tiny), "float32"))))
    assert 0.9 < spread < 1.1


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "received nothing"),
        ({"input_ids": np.ones((1, 2))}, "received input_ids"),
        ({"input_word_ids": np.ones((1, 2)), "labels": np.ones(1)}, "received input_word_ids, lab"),
        ({"input_word_ids": np.ones(3, int)}, r"shape \(batch, seq\); received \(3,\)"),
    ],
)
def test_bad_inputs(encoder, inputs, message):
    with pytest.raises(ValueError, match=message):
        encoder(inputs)


def test_too_long(encoder):
    with pytest.raises(ValueError, match="21 tokens, .* 20 .max_position_embeddings=20"):
        encoder({"input_word_ids": np.ones((1, 21), np.int32)})


def test_takes_a_config():
    with pytest.raises(TypeError, match=r"BertEncoder\.from_pretrained"):
        kb.BertEncoder("bert-base-uncased")


def test_composes_and_reloads(encoder, batch, tmp_path):
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in batch}
    model = keras.Model(inputs, keras.layers.Dense(2)(encoder(inputs)["pooled_output"]))
    expected = model.predict(batch, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(batch, verbose=0), expected)


def test_one_trace_serves_all_shapes(encoder):
    signature = [tf.TensorSpec((None, None), tf.int32)]
    function = tf.function(lambda ids: encoder(ids)["pooled_output"], input_signature=signature)
    for shape in ((1, 3), (5, 20), (2, 1)):
        assert function(tf.ones(shape, tf.int32)).shape == (shape[0], 16)


def test_scores_off_cost_nothing(encoder):
    """Without the request, no op of the graph computes what only the scores need."""
    signature = [tf.TensorSpec((2, 7), tf.int32)]

    def count(**kwargs):
        graph = tf.function(lambda ids: encoder(ids, **kwargs)["pooled_output"], signature)
        return len(graph.get_concrete_function().graph.get_operations())

    assert count() == count(return_attention_scores=False) <= count(return_attention_scores=True)


def test_one_product_for_query_key_and_value(encoder):
    signature = [tf.TensorSpec((2, 7), tf.int32)]
    graph = tf.function(lambda ids: encoder(ids)["pooled_output"], signature)
    kinds = [op.type for op in graph.get_concrete_function().graph.get_operations()]
    per_block = 4  # query-key-value, attention output, and two of the feed-forward layer
    assert kinds.count("MatMul") == 3 * per_block + 2  # and segment types, and the pooler
    assert kinds.count("BatchMatMulV2") == 3 * 2
