"""Frozen layers, LoRA, and where a weight stands, in every family."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb

FAMILIES = {
    "bert": "classifier/three_labels",
    "albert": "families/albert",
    "albert_groups": "families/albert_groups",
    "electra": "families/electra",
    "mobile_bert": "mobile_bert/classifier",
    "modernbert": "modernbert/classifier",
    "xlnet": "xlnet/classifier",
}
IDS = {
    "input_word_ids": np.array([[2, 7, 9, 3], [2, 5, 3, 0]]),
    "input_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}
LABELS = ["a", "b", "c"]
TRAIN = [("very good", "a"), ("very bad", "b"), ("quite nice", "c")] * 2

pytestmark = [
    pytest.mark.filterwarnings("ignore:The model takes ids only"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
]


@pytest.fixture
def load(fixtures):
    def load(family):
        return kb.BertClassifier.from_pretrained(str(fixtures / FAMILIES[family]), labels=LABELS)

    return load


def inner_paths(weights):
    return [weight.path.partition("/")[2] for weight in weights]


def fill(weights, seed=0):
    random = np.random.default_rng(seed)
    for weight in weights:
        weight.assign(random.normal(size=weight.shape) * 0.2)


# Where a weight stands.


@pytest.mark.parametrize(
    "family, expected",
    [
        ("bert", {"embeddings": 3, "block_0": 2, "block_1": 1, "pooler": 0}),
        # One block for both layers: it last runs in the last.
        ("albert", {"embeddings": 3, "block_0": 1, "pooler": 0}),
        ("albert_groups", {"embeddings": 7, "block_0": 4, "block_1": 3, "block_3": 1}),
        ("modernbert", {"embeddings": 4, "block_0": 3, "block_2": 1, "final_norm": 0}),
        ("xlnet", {"embeddings": 3, "block_0": 2, "block_1": 1}),
    ],
)
def test_layers_above(load, family, expected):
    model = load(family)
    for path, weight in zip(inner_paths(model.encoder.weights), model.encoder.weights, strict=True):
        part = path.split("/")[0]
        assert weight.layers_above == expected.get(part, weight.layers_above), path
    assert not any(getattr(weight, "layers_above", 0) for weight in model.head.weights)


def test_lora_weights_stand_where_their_layer_does(load):
    model = load("bert")
    model.enable_lora(2)
    assert [w.layers_above for w in model.encoder.trainable_weights] == [2, 2, 1, 1]


# Frozen layers.


def test_freeze_and_unfreeze(load):
    model = load("bert")
    everything = inner_paths(model.trainable_weights)
    model.freeze(layers=1)
    encoder = model.encoder
    assert [encoder.embeddings.trainable, *(b.trainable for b in encoder.blocks)] == [0, 0, 1]
    kept = [p for p in everything if not p.startswith(("embeddings", "block_0"))]
    assert inner_paths(model.trainable_weights) == kept
    model.freeze(layers=1, embeddings=False)
    assert "embeddings/word_embeddings" in inner_paths(model.trainable_weights)
    model.freeze()
    left = {path.split("/")[0] for path in inner_paths(model.trainable_weights)}
    assert left == {"pooler", "logits"}
    model.unfreeze()
    assert inner_paths(model.trainable_weights) == everything


def test_modernbert_freezes_its_last_norm_with_all_layers(load):
    model = load("modernbert")
    model.freeze(2)
    assert model.encoder.final_norm.trainable
    model.freeze()
    assert not model.encoder.trainable_weights


def test_only_what_is_not_frozen_changes(load, tmp_path):
    """A model that has been compiled and trained before: the optimiser is made anew."""
    model = load("bert")
    model.compile(learning_rate=1e-2)
    model.fit(TRAIN, verbose=0)
    all_moments = len(model.optimizer.variables)
    model.freeze(layers=1)
    before = [np.array(weight.value) for weight in model.weights]
    model.fit(TRAIN, verbose=0)
    assert model.optimizer._learning_rate.peak == 1e-2
    assert len(model.optimizer.variables) == 1 + 2 * len(model.trainable_weights) < all_moments
    trained = {id(weight) for weight in model.trainable_weights}
    for weight, old in zip(model.weights, before, strict=True):
        same = np.array_equal(weight.value, old)
        assert same != (id(weight) in trained), weight.path
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert inner_paths(again.trainable_weights) == inner_paths(model.trainable_weights)
    assert again.encoder.frozen_layers == 1 and again.encoder.frozen_embeddings
    assert int(again.optimizer.iterations) == int(model.optimizer.iterations)
    again.unfreeze()
    assert len(again.trainable_weights) == len(again.weights)


def test_no_gradients_are_computed_below(load):
    """Products on the way back: two for each on the way forward, but for what is frozen."""

    def products(model):
        @tf.function
        def step(ids):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(ids, training=True))
            return tape.gradient(loss, [v.value for v in model.trainable_weights])

        graph = step.get_concrete_function(tf.nest.map_structure(tf.constant, IDS)).graph
        # Those that the gradients need: what else was traced is pruned before every run.
        waiting, needed = [output.op for output in graph.outputs], {}
        while waiting:
            op = waiting.pop()
            if op.name not in needed:
                needed[op.name] = op.type
                waiting += [*(i.op for i in op.inputs), *op.control_inputs]
        return sum("MatMul" in kind for kind in needed.values())

    model = load("bert")
    whole = products(model)
    model.freeze(layers=1)
    half = products(model)
    model.freeze()
    assert products(model) < half < whole - 8


def test_shared_layers_are_frozen_together(load):
    model = load("albert")
    with pytest.raises(ValueError, match="share their weights: layers=1 .* Possible are 0, 2"):
        model.freeze(1)
    model.freeze(2, embeddings=False)
    assert "embeddings/word_embeddings" in inner_paths(model.trainable_weights)
    assert not model.encoder.blocks[0].trainable_weights


@pytest.mark.parametrize("wrong", [-1, 3, 1.5, "all"])
def test_numbers_of_layers_that_there_are_not(load, wrong):
    with pytest.raises(ValueError, match="a number from 0 to 2, the layers of this encoder"):
        load("bert").freeze(wrong)


# LoRA.


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_in_every_family(load, family, tmp_path):
    model = load(family)
    plain = np.array(model(IDS))
    model.enable_lora(rank=2, alpha=4)
    np.testing.assert_array_equal(model(IDS), plain)
    encoder = model.encoder.trainable_weights
    assert encoder and all("lora_" in weight.name for weight in encoder)
    heads = [weight for weight in model.trainable_weights if "lora_" not in weight.name]
    assert {id(w) for w in heads} == {id(w) for w in model.head.weights}

    fill(encoder)
    changed = np.array(model(IDS))
    assert np.abs(changed - plain).max() > 1e-4
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(IDS), changed)
    assert inner_paths(again.trainable_weights) == inner_paths(model.trainable_weights)
    # Others get plain weights.
    loaded = kb.BertClassifier.from_pretrained(str(tmp_path / "model.keras"))
    assert loaded.encoder.lora is None and len(loaded.trainable_weights) == len(loaded.weights)
    np.testing.assert_allclose(loaded(IDS), changed, atol=1e-5)

    again.merge_lora()
    np.testing.assert_allclose(again(IDS), changed, atol=1e-5)
    assert inner_paths(again.trainable_weights) == inner_paths(load(family).trainable_weights)


@pytest.mark.slow
def test_lora_is_trained_answers_and_is_exported(load, tmp_path):
    model = load("bert")
    texts = [text for text, _ in TRAIN[:3]]
    first = model.predict(texts)  # a graph without LoRA, to be forgotten
    model.compile(learning_rate=3e-2)
    model.enable_lora(rank=4)
    base = [np.array(w.value) for w in model.encoder.weights if "lora_" not in w.name]
    model.fit(TRAIN, epochs=3, batch_size=3, verbose=0)
    assert all(np.any(weight.value) for weight in model.encoder.trainable_weights)
    assert len(model.optimizer.variables) == 1 + 2 * len(model.trainable_weights)
    after = [w.value for w in model.encoder.weights if "lora_" not in w.name]
    for old, new in zip(base, after, strict=True):
        np.testing.assert_array_equal(old, new)
    answers = np.stack([a["probabilities"] for a in model.predict(texts)])
    ids = model.preprocessor(texts)
    np.testing.assert_allclose(answers, tf.nn.softmax(model(ids)), atol=1e-6)
    assert np.abs(answers - np.stack([a["probabilities"] for a in first])).max() > 1e-3

    folder = kb.export.saved_model(model, str(tmp_path / "saved"))
    served = tf.saved_model.load(folder).signatures["serving_default"]
    outputs = served(**{next(iter(served.structured_input_signature[1])): tf.constant(texts)})
    np.testing.assert_allclose(outputs["probabilities"], answers, atol=1e-5)

    model.save_pretrained(str(tmp_path / "huggingface"))
    again = kb.BertClassifier.from_pretrained(str(tmp_path / "huggingface"))
    np.testing.assert_allclose(again(ids), model(ids), atol=1e-5)
    assert model.encoder.lora is not None  # writing changed nothing here
    model.merge_lora()
    merged = np.stack([a["probabilities"] for a in model.predict(texts)])
    np.testing.assert_allclose(merged, answers, atol=1e-5)


def test_targets(load):
    model = load("bert")
    model.enable_lora(2, targets=("attention/output", "intermediate"))
    paths = {p.rsplit("/", 1)[0] for p in inner_paths(model.encoder.trainable_weights)}
    assert paths == {f"block_{i}/{p}" for i in (0, 1) for p in ("attention/output", "intermediate")}
    model.merge_lora()
    model.enable_lora(2, targets=["output"])  # of attention and of the feed-forward network
    assert len(model.encoder.trainable_weights) == 8
    with pytest.raises(ValueError, match="LoRA is on already"):
        model.enable_lora(2)
    model.merge_lora()
    with pytest.raises(ValueError, match="called 'key'; there are attention/query_key_value, att"):
        model.enable_lora(2, targets=("key", "output"))
    with pytest.raises(ValueError, match="whole number from 1 on"):
        model.enable_lora(0)
    assert model.encoder.lora is None and len(model.trainable_weights) == len(model.weights)


def test_a_pooler_without_a_past_goes_on_learning(load, fixtures):
    model = load("bert")
    model.load_report.fresh.append("pooler")
    model.enable_lora(2)
    assert "pooler/kernel" in inner_paths(model.trainable_weights)
    again = type(model).from_config(model.get_config())
    assert inner_paths(again.trainable_weights) == inner_paths(model.trainable_weights)


def test_lora_and_frozen_layers_together(load, tmp_path):
    model = load("bert")
    model.enable_lora(2)
    model.freeze(1)
    expected = [f"block_1/attention/query_key_value/lora_kernel_{side}" for side in "ab"]
    assert inner_paths(model.encoder.trainable_weights) == expected
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert inner_paths(again.encoder.trainable_weights) == expected
    model.unfreeze()
    assert len(model.encoder.trainable_weights) == 4
    model.merge_lora()
    assert len(model.trainable_weights) == len(model.weights)


def test_the_encoder_alone_is_saved_with_it(load, tmp_path):
    encoder = load("bert").encoder
    encoder.enable_lora(2)
    fill(encoder.trainable_weights)
    encoder.freeze(1)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.saving.load_model(tmp_path / "encoder.keras")
    assert inner_paths(again.trainable_weights) == inner_paths(encoder.trainable_weights)
    ours, theirs = (e(IDS)["sequence_output"] for e in (encoder, again))
    np.testing.assert_array_equal(ours, theirs)


def test_a_plain_encoder_says_nothing_of_it(load):
    assert set(load("bert").encoder.get_config()) == {"name", "dtype", "config"}


# Other models, other precisions.


def test_models_that_are_not_compiled(fixtures):
    model = kb.DualEncoder.from_pretrained(str(fixtures / FAMILIES["bert"]))
    texts = ["very good", "bad"]
    before = model.encode(texts)
    model.enable_lora(2)
    np.testing.assert_array_equal(model.encode(texts), before)
    fill(model.trainable_weights)
    changed = model.encode(texts)
    assert np.abs(changed - before).max() > 1e-3
    model.merge_lora()
    np.testing.assert_allclose(model.encode(texts), changed, atol=1e-5)
    model.freeze()
    assert not any("block" in weight.path for weight in model.trainable_weights)
    assert not model.compiled


@pytest.mark.slow
def test_half_precision_and_xla(fixtures):
    """With gradients of two batches to a step: all that adds to a step, at once."""
    model = kb.BertClassifier.from_pretrained(
        str(fixtures / FAMILIES["bert"]), labels=LABELS, dtype="mixed_float16"
    )
    model.compile(learning_rate=1e-2, layer_decay=0.9, accumulate=2, jit_compile=True)
    model.enable_lora(2)
    assert model.jit_compile
    before = [np.array(weight.value) for weight in model.trainable_weights]
    model.fit([("very good", "a"), ("very bad", "b")] * 3, batch_size=2, epochs=2, verbose=0)
    assert int(model.optimizer.inner_optimizer.iterations) == 4
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert np.all(np.isfinite(weight.value)) and np.any(old != weight.value), weight.path


def test_rates_of_layers_are_those_of_a_saved_model_too(load, tmp_path):
    model = load("bert")
    model.compile(layer_decay=0.5)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer._rate_factors == model.optimizer._rate_factors
    assert set(again.optimizer._rate_factors) == {0.125, 0.25, 0.5, 1.0}
    names = inner_paths(again.trainable_variables)
    factors = dict(zip(names, again.optimizer._rate_factors, strict=True))
    assert factors["embeddings/word_embeddings"] == 0.125 and factors["logits/kernel"] == 1.0
