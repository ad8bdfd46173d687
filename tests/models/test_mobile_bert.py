"""MobileBERT's variants of BertEncoder: training, saving, tracing. Its numbers: tests/parity."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_bert as kb
from keras_bert.layers import BottleneckBlock, TransformerBlock

CONFIG = kb.EncoderConfig(
    vocab_size=50,
    hidden_size=18,
    num_layers=2,
    num_attention_heads=4,
    intermediate_size=20,
    hidden_activation="relu",
    max_position_embeddings=20,
    embedding_size=6,
    embedding_projection="trigrams",
    normalization="no_norm",
    num_feedforward_networks=3,
    bottleneck_size=12,
    bottleneck_attention="query_key",
)
VARIANTS = {
    "published": {},
    "teacher": {"normalization": "layer_norm", "bottleneck_attention": "none"},
    "tiny": {"bottleneck_attention": "all", "num_feedforward_networks": 2, "pooler_dense": False},
    "no_bottleneck": {
        "bottleneck_size": None,
        "bottleneck_attention": "none",
        "hidden_size": 12,
        "embedding_projection": "words",
    },
}


@pytest.fixture(params=VARIANTS)
def config(request):
    return dataclasses.replace(CONFIG, **VARIANTS[request.param])


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32)
    return {
        "input_word_ids": random.integers(1, 50, (2, 7)).astype(np.int32) * mask,
        "input_mask": mask,
        "input_type_ids": np.array([[0, 0, 0, 1, 1, 1, 1]] * 2, np.int32),
    }


def drawn(encoder):
    """The encoder with weights that show: fresh ones are so small that hardly anything does."""
    random = np.random.default_rng(1)
    weights = [w + random.normal(0, 0.2, w.shape).astype(w.dtype) for w in encoder.get_weights()]
    encoder.set_weights(weights)
    return encoder


def test_the_config_chooses_the_block():
    plain = {"vocab_size": 50, "num_layers": 1, "hidden_size": 12, "intermediate_size": 8}
    for fields, block in (
        ({}, TransformerBlock),
        ({"embedding_projection": "trigrams"}, TransformerBlock),
        ({"bottleneck_size": 24}, BottleneckBlock),
        ({"normalization": "no_norm"}, BottleneckBlock),
        ({"num_feedforward_networks": 2}, BottleneckBlock),
        ({"output_norm_epsilon": 1e-5}, BottleneckBlock),
    ):
        encoder = kb.BertEncoder(kb.EncoderConfig(**plain, **fields))
        assert type(encoder.blocks[0]) is block, fields


def test_block_without_a_bottleneck_is_a_transformer_block(batch):
    plain = dataclasses.replace(
        kb.EncoderConfig(),
        **{"vocab_size": 50, "num_layers": 1, "hidden_size": 12, "intermediate_size": 8},
    )
    one = drawn(kb.BertEncoder(plain))
    other = kb.BertEncoder(dataclasses.replace(plain, output_norm_epsilon=1e-12))
    ours, theirs = one.blocks[0], other.blocks[0]
    other.embeddings.set_weights(one.embeddings.get_weights())
    for mine, its in (
        (ours.attention, theirs.attention),
        (ours.attention_norm, theirs.attention_norm),
        (ours.intermediate, theirs.last_feedforward.intermediate),
        (ours.output_linear, theirs.last_feedforward.output_linear),
        (ours.output_norm, theirs.last_feedforward.output_norm),
    ):
        its.set_weights(mine.get_weights())
    outputs = [encoder(batch)["sequence_output"] for encoder in (one, other)]
    np.testing.assert_allclose(*outputs, atol=1e-6)


def test_shapes(config, batch):
    outputs = kb.BertEncoder(config)(batch, return_attention_scores=True)
    assert [x.shape for x in outputs["encoder_outputs"]] == [(2, 7, config.hidden_size)] * 2
    assert outputs["pooled_output"].shape == (2, config.hidden_size)
    for scores in map(np.asarray, outputs["attention_scores"]):
        assert scores.shape == (2, 4, 7, 7) and scores.dtype == np.float32
        np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-5)
        assert (scores[1, :, :, 4:] == 0).all(), "padding is attended to"


def test_one_trace_serves_all_shapes_and_the_first_token_alone(config):
    encoder = drawn(kb.BertEncoder(config))
    spec = [tf.TensorSpec((None, None), tf.int32)]
    whole = tf.function(lambda ids: encoder(ids)["sequence_output"], spec)
    first = tf.function(lambda ids: encoder(ids, first_token_only=True)["sequence_output"], spec)
    for shape in ((1, 1), (2, 5), (3, 20)):
        ids = np.random.default_rng(2).integers(1, 50, shape).astype(np.int32)
        assert first(ids).shape == (shape[0], 1, config.hidden_size)
        np.testing.assert_allclose(first(ids), whole(ids)[:, :1], atol=1e-5)


def test_pooler_without_a_dense_layer_is_the_first_token(batch):
    encoder = kb.BertEncoder(dataclasses.replace(CONFIG, pooler_dense=False))
    outputs = encoder(batch)
    np.testing.assert_array_equal(outputs["pooled_output"], outputs["sequence_output"][:, 0])
    assert not any("pooler" in variable.path for variable in encoder.variables)


def test_neighbours_of_a_word_count_on_either_side(batch):
    encoder = drawn(kb.BertEncoder(CONFIG))
    ids = batch["input_word_ids"][:1]
    for place, reached in ((0, [0, 1]), (3, [2, 3, 4]), (6, [5, 6])):
        changed = ids.copy()
        changed[0, place] = 49 if ids[0, place] != 49 else 48
        types = np.zeros_like(ids)
        one, other = (np.asarray(encoder.embeddings(x, types)) for x in (ids, changed))
        assert np.flatnonzero(np.abs(one - other).max(-1)[0]).tolist() == reached


@pytest.mark.parametrize("compiled", [False, True])
def test_every_weight_gets_a_finite_gradient(config, batch, compiled):
    encoder = drawn(kb.BertEncoder(config))
    weights = encoder.trainable_variables

    def step():
        with tf.GradientTape() as tape:
            outputs = encoder(batch, training=True)
            loss = tf.reduce_mean(outputs["sequence_output"] ** 2)
            loss += tf.reduce_mean(outputs["pooled_output"] ** 2)
        return tape.gradient(loss, [weight.value for weight in weights])

    for weight, gradient in zip(weights, (tf.function(step) if compiled else step)(), strict=True):
        assert gradient is not None, weight.path
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, weight.path


def test_dropout_only_in_training(config, batch):
    encoder = drawn(kb.BertEncoder(dataclasses.replace(config, attention_dropout_rate=0.0)))
    first, second = (np.asarray(encoder(batch)["sequence_output"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    trained = np.asarray(encoder(batch, training=True)["sequence_output"])
    assert np.abs(trained - first).max() > 0.01
    without = dataclasses.replace(config, attention_dropout_rate=0.0, dropout_rate=0.0)
    other = kb.BertEncoder(without)
    other.set_weights(encoder.get_weights())
    trained = np.asarray(other(batch, training=True)["sequence_output"])
    np.testing.assert_allclose(trained, first, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(config, batch, policy):
    full = kb.BertEncoder(config)
    mixed = kb.BertEncoder(config, dtype=policy)
    mixed.set_weights(full.get_weights())
    outputs = mixed(batch, return_attention_scores=True)
    assert all(x.dtype == "float32" for x in outputs["attention_scores"])
    assert outputs["sequence_output"].dtype == policy.removeprefix("mixed_")
    assert all(v.dtype == "float32" for v in mixed.weights)
    np.testing.assert_allclose(
        ops.cast(outputs["sequence_output"], "float32"), full(batch)["sequence_output"], atol=0.1
    )


def test_reloads(config, batch, tmp_path):
    encoder = drawn(kb.BertEncoder(config))
    encoder.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.config == config
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_array_equal(again(batch)[name], encoder(batch)[name])


@pytest.mark.slow
def test_a_classifier_trains_on_text():
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcxyz"]
    tokenizer = kb.WordPieceTokenizer(vocabulary)
    encoder = kb.BertEncoder(dataclasses.replace(CONFIG, vocab_size=len(vocabulary)))
    model = kb.BertClassifier(encoder, kb.Preprocessor(tokenizer, 8), labels=["no", "yes"])
    model.compile(kb.AdamW(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = encoder.get_weights()
    history = model.fit([("a b", "no"), ("x y z", "yes")], batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    changed = [
        not np.array_equal(*pair) for pair in zip(before, encoder.get_weights(), strict=True)
    ]
    assert np.mean(changed) > 0.9


def test_products_of_a_block():
    """Query and key are one product; with value, where all read the same, one as well."""
    spec = [tf.TensorSpec((2, 7), tf.int32)]
    ffn = 2 * CONFIG.num_feedforward_networks
    for attention, products in (("query_key", 6), ("all", 4), ("none", 4)):
        fields = {"bottleneck_attention": attention, "num_layers": 1, "pooler_dense": False}
        encoder = kb.BertEncoder(dataclasses.replace(CONFIG, **fields))
        graph = tf.function(lambda ids, e=encoder: e(ids)["pooled_output"], spec)
        kinds = [op.type for op in graph.get_concrete_function().graph.get_operations()]
        assert kinds.count("MatMul") == products + ffn + 2  # and segment types, and the projection
