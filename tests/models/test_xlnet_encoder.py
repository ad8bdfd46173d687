"""XLNetEncoder's shapes, options and errors. That its numbers are right: tests/parity."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_bert as kb
from tests.models.xlnet_texts import xlnet_tokenizer

CONFIG = kb.XLNetConfig(
    vocab_size=50,
    hidden_size=16,
    num_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    initializer_range=0.3,
)
IDS = np.array([7, 8], np.int32)
TRAIN = [("who was it", "ask"), ("the moon rose", "tell"), ("who is he", "ask"), ("I ran", "tell")]


@pytest.fixture
def encoder():
    keras.utils.set_random_seed(0)
    return kb.XLNetEncoder(CONFIG)


@pytest.fixture
def batch():
    """Two rows that end in a class token, the second one padded on the left."""
    random = np.random.default_rng(0)
    mask = np.array([[1] * 7, [0] * 3 + [1] * 4], np.int32)
    types = np.array([[0, 0, 0, 1, 1, 1, 2], [3, 3, 3, 0, 1, 1, 2]], np.int32)
    return {
        "input_word_ids": random.integers(6, 50, (2, 7)).astype(np.int32),
        "input_mask": mask,
        "input_type_ids": types,
    }


def two_streams(batch):
    """The batch, with the last two tokens predicted from those before them."""
    mapping = np.broadcast_to(np.eye(7, dtype=np.int32)[-2:], (2, 2, 7))
    hidden = np.broadcast_to(np.triu(np.ones((7, 7), np.int32)), (2, 7, 7))
    return {**batch, "target_mapping": mapping, "permutation_mask": hidden}


def test_outputs(encoder, batch):
    outputs = encoder(batch)
    assert set(outputs) == {"sequence_output", "pooled_output", "encoder_outputs"}
    assert outputs["sequence_output"].shape == (2, 7, 16)
    assert outputs["pooled_output"] is None
    assert [x.shape for x in outputs["encoder_outputs"]] == [(2, 7, 16)] * 2


def test_two_streams(encoder, batch):
    outputs = encoder(two_streams(batch), return_attention_scores=True, return_memory=True)
    assert outputs["query_output"].shape == (2, 2, 16)
    assert [x.shape for x in outputs["query_outputs"]] == [(2, 2, 16)] * 2
    assert [x.shape for x in outputs["query_attention_scores"]] == [(2, 4, 7, 7)] * 2
    assert outputs["memory"].shape == (2, 2, 7, 16)


def test_query_stream_does_not_see_what_it_predicts(encoder, batch):
    batch = two_streams(batch)
    before = encoder(batch)
    batch["input_word_ids"] = batch["input_word_ids"].copy()
    batch["input_word_ids"][:, -2:] = 6
    after = encoder(batch)
    same, other = (
        [np.asarray(outputs[name])[:, 0] for outputs in (before, after)]
        for name in ("query_output", "sequence_output")
    )
    # The first prediction sees neither of the two; the content does see itself.
    np.testing.assert_allclose(*same, atol=1e-6)
    last = [np.asarray(outputs["sequence_output"])[:, -2] for outputs in (before, after)]
    assert np.abs(np.subtract(*last)).max() > 0.1
    np.testing.assert_allclose(*other, atol=1e-6)


@pytest.mark.parametrize("left", [True, False])
def test_padding_does_not_matter(encoder, batch, left):
    alone = {name: rows[1:, 3:] for name, rows in batch.items()}
    places = (3, 0) if left else (0, 3)
    fill = {"input_word_ids": 5, "input_mask": 0, "input_type_ids": 3}
    padded = {
        name: np.pad(rows, ((0, 0), places), constant_values=fill[name])
        for name, rows in alone.items()
    }
    wanted = encoder(alone)["sequence_output"]
    found = encoder(padded)["sequence_output"][:, places[0] : 7 - places[1]]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_memory_is_what_came_before(encoder, batch):
    """Causal attention over two halves, the first one remembered, is that over the whole."""
    uni = kb.XLNetEncoder(dataclasses.replace(CONFIG, attention_type="uni"))
    ids = batch["input_word_ids"]
    whole = uni(ids, return_memory=True)
    first = uni(ids[:, :4], return_memory=True)
    second = uni({"input_word_ids": ids[:, 4:], "memory": first["memory"]}, return_memory=True)
    np.testing.assert_allclose(
        second["sequence_output"], whole["sequence_output"][:, 4:], atol=1e-5
    )
    np.testing.assert_allclose(second["memory"], whole["memory"], atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "first", "mean_with_padding"])
def test_what_a_classifier_reads(batch, pooling):
    encoder = kb.XLNetEncoder(dataclasses.replace(CONFIG, classifier_pooling=pooling))
    whole = np.asarray(encoder(batch)["sequence_output"])
    wanted = {
        "last": whole[:, -1:],
        "first": whole[:, :1],
        "mean_with_padding": whole.mean(1, keepdims=True),
    }
    outputs = encoder(batch, first_token_only=True)
    np.testing.assert_allclose(outputs["sequence_output"], wanted[pooling], atol=1e-5)
    np.testing.assert_allclose(outputs["encoder_outputs"][-1], wanted[pooling], atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_dtypes(batch, dtype):
    keras.utils.set_random_seed(0)
    encoder = kb.XLNetEncoder(CONFIG, dtype=dtype)
    outputs = encoder(two_streams(batch), return_memory=True)
    wanted = kb.XLNetEncoder(CONFIG)
    wanted.set_weights(encoder.get_weights())
    assert outputs["query_output"].dtype == encoder.compute_dtype
    for name in ("sequence_output", "query_output"):
        right = np.asarray(wanted(two_streams(batch))[name])
        found = np.asarray(ops.cast(outputs[name], "float32"))
        np.testing.assert_allclose(found, right, atol=0.2 if dtype != "float32" else 0)


@pytest.mark.parametrize("streams", [1, 2])
def test_training_reaches_every_weight(encoder, batch, streams):
    batch = two_streams(batch) if streams == 2 else batch
    with tf.GradientTape() as tape:
        outputs = encoder(batch, training=True)
        loss = tf.reduce_mean(outputs["sequence_output"][:, -1, ::2] ** 2)
        if streams == 2:
            loss += tf.reduce_mean(outputs["query_output"][..., ::2] ** 2)
    gradients = tape.gradient(loss, encoder.trainable_variables)
    for variable, gradient in zip(encoder.trainable_variables, gradients, strict=True):
        if gradient is None:
            assert streams == 1 and variable.path.endswith("query_embedding")
            continue
        values = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(values).all() and np.abs(values).max() > 0, variable.path


def test_gradients_with_dropout_off_are_those_of_the_plain_functions(batch):
    """Training takes functions that know their derivative; finite differences do not."""
    encoder = kb.XLNetEncoder(
        dataclasses.replace(CONFIG, dropout_rate=0.0, attention_dropout_rate=0.0)
    )
    bias = encoder.blocks[0].attention.segment_bias

    def loss():
        return tf.reduce_sum(encoder(batch, training=True)["sequence_output"][:, -1, ::3])

    with tf.GradientTape() as tape:
        value = loss()
    slope = tape.gradient(value, bias.value).numpy()
    step = np.zeros(bias.shape, np.float32)
    step[1, 2] = 1e-2
    start = bias.numpy()
    ends = []
    for sign in (1, -1):
        bias.assign(start + sign * step)
        ends.append(float(loss()))
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-2, slope[1, 2], rtol=0.02, atol=1e-4)


def test_unknown_length_in_a_graph(encoder, batch):
    spec = {name: tf.TensorSpec((None, None), tf.int32) for name in batch}
    for options in ({}, {"first_token_only": True}, {"return_memory": True}):
        function = tf.function(lambda ids, o=options: encoder(ids, **o), input_signature=[spec])
        found, wanted = function(batch), encoder(batch, **options)
        for name in ("sequence_output", *(["memory"] if "return_memory" in options else [])):
            np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)


def test_comes_back_from_a_file(encoder, batch, tmp_path):
    encoder.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, kb.XLNetEncoder) and again.config == CONFIG
    np.testing.assert_array_equal(
        again(batch)["sequence_output"], encoder(batch)["sequence_output"]
    )
    assert kb.BertEncoder.from_pretrained(str(tmp_path)).config == CONFIG


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "received nothing"),
        ({"input_word_ids": IDS[None], "mems": IDS}, "received input_word_ids, mems"),
        ({"input_word_ids": IDS}, r"must have the shape \(batch, seq\); received \(2,\)"),
    ],
)
def test_wrong_inputs(encoder, inputs, message):
    with pytest.raises(ValueError, match=message):
        encoder(inputs)


def test_odd_batch_of_two_directions():
    encoder = kb.XLNetEncoder(dataclasses.replace(CONFIG, two_directions=True))
    with pytest.raises(ValueError, match="The batch has 3 rows; with two_directions=True"):
        encoder(np.ones((3, 4), np.int32))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attention_type": "left"}, r"attention_type must be one of \('bi', 'uni'\)"),
        ({"classifier_pooling": "attn"}, "classifier_pooling must be one of"),
        ({"hidden_size": 15, "num_attention_heads": 5}, "hidden_size=15 is odd"),
        ({"max_distance": 0}, "max_distance must be a positive whole number; received 0"),
        ({"use_pooler": True}, "XLNet has no pooler"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
    ],
)
def test_wrong_configs(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **fields)


@pytest.fixture(scope="module")
def classifier():
    tokenizer = xlnet_tokenizer()
    keras.utils.set_random_seed(0)
    config = dataclasses.replace(CONFIG, vocab_size=tokenizer.vocabulary_size, pad_token_id=0)
    return kb.BertClassifier(
        kb.XLNetEncoder(config), kb.Preprocessor(tokenizer, seq_length=16), ["ask", "tell"]
    )


def probabilities(model, texts, **kwargs):
    return np.array([answer["probabilities"] for answer in model.predict(texts, **kwargs)])


@pytest.mark.slow
def test_classifier_from_text_to_file(classifier, tmp_path):
    classifier.fit(TRAIN, batch_size=2, epochs=2, verbose=0)
    texts = ["who", "the moon over the quiet street was red", "it ran on " * 20]
    together = probabilities(classifier, texts)
    # Padding comes with longer neighbours, on the left.
    np.testing.assert_allclose(probabilities(classifier, texts, batch_size=1), together, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3
    classifier.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(probabilities(again, texts), together, atol=1e-6)


@pytest.mark.slow
def test_exported_classifier_answers_alike(classifier, tmp_path):
    classifier.head_is_fresh = False
    path = kb.export.saved_model(classifier, str(tmp_path / "exported"))
    texts = ["who was it", "the moon"]
    answer = tf.saved_model.load(path).signatures["serving_default"](tf.constant(texts))
    np.testing.assert_allclose(answer["probabilities"], probabilities(classifier, texts), atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2])
def test_rows_do_not_depend_on_their_batch(heads):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_layers": 2}
    encoder = kb.XLNetEncoder(kb.XLNetConfig(vocab_size=40, num_attention_heads=heads, **sizes))
    ids, types = np.random.default_rng(0).integers(0, (40, 2), (4, 9, 2)).astype("int32").T
    inputs = {"input_word_ids": ids.T, "input_type_ids": types.T}
    together = np.array(encoder(inputs)["sequence_output"])
    for row in range(4):
        alone = encoder({name: value[row : row + 1] for name, value in inputs.items()})
        np.testing.assert_allclose(alone["sequence_output"][0], together[row], atol=2e-5)
