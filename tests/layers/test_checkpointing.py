"""Training with checkpointing against training without it: the same numbers, in less memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.layers import Checkpointed, Linear
from keras_bert.models.encoders import make_encoder

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
RATES = {"dropout_rate": 0.2, "attention_dropout_rate": 0.2}
MODERN = {"embedding_dropout_rate": 0.2, "attention_dropout_rate": 0.2, "mlp_dropout_rate": 0.2}
FAMILIES = {
    "bert": kb.EncoderConfig(num_layers=2, **SIZES, **RATES),
    "albert": kb.EncoderConfig(
        num_layers=2, num_layer_groups=1, group_size=2, embedding_size=8, **SIZES, **RATES
    ),
    "mobile_bert": kb.EncoderConfig(
        num_layers=2,
        bottleneck_size=8,
        bottleneck_attention="query_key",
        num_feedforward_networks=2,
        hidden_activation="relu",
        **SIZES,
        **RATES,
    ),
    "modern_bert": kb.ModernBertConfig(num_layers=2, pad_token_id=0, **SIZES, **MODERN),
    "xlnet": kb.XLNetConfig(num_layers=2, **SIZES, **RATES),
}
REST = ("albert", "mobile_bert", "modern_bert")
IDS = tf.constant(np.random.default_rng(0).integers(6, 50, (3, 20)), tf.int32)
MASK = tf.constant(np.arange(20)[None] < np.array([[20], [11], [5]]), tf.int32)
INPUTS = {"input_word_ids": IDS, "input_mask": MASK, "input_type_ids": 1 - MASK}


def two_steps(config, checkpointing, wrap=tf.function, prepare=None, inputs=INPUTS, **options):
    """Losses and gradients of two calls in a row, and what random numbers come next."""
    keras.utils.set_random_seed(3)
    encoder = make_encoder(config, checkpointing=checkpointing, dtype=options.pop("dtype", None))
    if prepare is not None:
        prepare(encoder)

    @wrap
    def step():
        with tf.GradientTape() as tape:
            outputs = encoder(inputs, training=True, **options)
            # What is between the blocks may be read too.
            read = keras.tree.flatten([outputs["sequence_output"], outputs["encoder_outputs"][0]])
            others = [outputs.get(name) for name in ("query_output", "pooled_output")]
            read += [x for x in others if x is not None]
            loss = tf.add_n([tf.reduce_sum(tf.sin(3.0 * tf.cast(x, tf.float32))) for x in read])
        variables = [v.value for v in encoder.trainable_variables]
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        return [loss, *map(tf.convert_to_tensor, gradients)]

    found = [[x.numpy() for x in step()] for _ in range(2)]
    states = [v.numpy() for v in encoder.non_trainable_variables if v.dtype != "float32"]
    return found, states


def assert_same(config, tolerance=2e-6, **options):
    plain, states = two_steps(config, False, **options)
    found, states_found = two_steps(config, True, **options)
    assert plain[0][0] != plain[1][0]  # dropout is on
    for one, other in zip(found, plain, strict=True):
        assert abs(one[0] - other[0]) <= tolerance * max(abs(other[0]), 1.0)
        largest = max(np.abs(x).max() for x in other[1:])
        for x, y in zip(one[1:], other[1:], strict=True):
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * largest)
    assert len(states) > 0
    for x, y in zip(states_found, states, strict=True):
        assert np.array_equal(x, y)


SLOW = pytest.mark.slow


@pytest.mark.parametrize("family", ["bert", "xlnet", *(pytest.param(f, marks=SLOW) for f in REST)])
def test_the_same_numbers(family):
    assert_same(FAMILIES[family])


@SLOW
@pytest.mark.parametrize("family", ["bert", "modern_bert", "xlnet"])
def test_the_same_numbers_where_the_first_token_is_all_that_is_read(family):
    assert_same(FAMILIES[family], first_token_only=True)


@SLOW
@pytest.mark.parametrize("wrap", [lambda f: f, tf.function(jit_compile=True)], ids=["eager", "xla"])
def test_the_same_numbers_without_a_graph_and_compiled(wrap):
    assert_same(FAMILIES["bert"], wrap=wrap, tolerance=1e-5)


@SLOW
def test_the_same_numbers_in_bfloat16():
    # Sums of the same numbers in another order: some units in the last of 8 bits.
    assert_same(FAMILIES["bert"], dtype="mixed_bfloat16", tolerance=0.03)


@SLOW
def test_the_same_numbers_with_a_query_stream_and_no_types():
    mapping = tf.one_hot([[3, 4], [1, 2], [0, 1]], 20)
    inputs = {"input_word_ids": IDS, "input_mask": MASK, "target_mapping": mapping}
    assert_same(FAMILIES["xlnet"], inputs=inputs)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda e: e.freeze(1), marks=SLOW),
        pytest.param(lambda e: e.freeze(2, embeddings=False), marks=SLOW),
        lambda e: e.enable_lora(2),
    ],
    ids=["frozen", "frozen blocks", "lora"],
)
def test_the_same_numbers_of_a_part(prepare):
    assert_same(FAMILIES["bert"], prepare=prepare)


def test_scores_are_given_as_without():
    options = {"training": True, "return_attention_scores": True}
    found = []
    for checkpointing in (False, True):
        keras.utils.set_random_seed(3)
        encoder = make_encoder(FAMILIES["bert"], checkpointing=checkpointing)
        found.append(encoder(INPUTS, **options))
    assert len(found[1]["attention_scores"]) == 2
    for one, other in zip(*(x["attention_scores"] for x in found), strict=True):
        assert np.array_equal(one, other)


def test_predictions_are_computed_once(monkeypatch):
    encoder = make_encoder(FAMILIES["bert"], checkpointing=True)
    monkeypatch.setattr("keras_bert.models.encoder.Checkpointed", None)
    assert encoder(INPUTS)["sequence_output"].shape == (3, 20, 16)


def test_no_rows_and_infinite_gradients():
    layer = Linear(4)
    layer.build((None, 4))
    for upstream, x in ((np.inf, tf.ones((2, 4))), (1.0, tf.ones((0, 4)))):
        with tf.GradientTape() as tape:
            loss = upstream * tf.reduce_sum(Checkpointed(layer)(x))
        gradient = tape.gradient(loss, layer.kernel.value)
        assert np.array_equal(gradient, tf.fill((4, 4), upstream if len(x) else 0.0))


def test_is_saved_where_it_is_on():
    for on in (False, True):
        encoder = kb.BertEncoder(FAMILIES["bert"], checkpointing=on)
        assert ("checkpointing" in encoder.get_config()) == on
        assert kb.BertEncoder.from_config(encoder.get_config()).checkpointing == on


def test_keras_scope_is_refused():
    with pytest.raises(ValueError, match=r"checkpointing=True"), keras.RematScope(mode="full"):
        kb.BertEncoder(FAMILIES["bert"])


@pytest.mark.slow
def test_fit_with_and_without(tiny_checkpoint):
    data = [("how are you", "question"), ("it is bad", "complaint"), ("so good", "praise")] * 4
    losses = []
    for checkpointing in (None, True):
        keras.utils.set_random_seed(1)
        model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
        history = model.fit(data, batch_size=4, epochs=1, checkpointing=checkpointing, verbose=0)
        losses.append(history.history["loss"])
        assert model.checkpointing == bool(checkpointing)
    np.testing.assert_allclose(*losses, rtol=1e-5)
    function = model.train_function
    model.checkpointing = True  # as it is
    assert model.train_function is function
    model.checkpointing = False
    assert model.train_function is None and not model.encoder.checkpointing
