"""Batches of fixed shapes, trained on and scored: the numbers are those without padding."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.fixed_shapes import PRESENT

WORDS = "the man went to a store and bought some milk for his old dog".split()


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return kb.Tokenizer.from_pretrained(str(tiny_checkpoint))


def encoder(tokenizer):
    keras.utils.set_random_seed(1)
    config = kb.EncoderConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=16,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        dropout_rate=0.0,
        attention_dropout_rate=0.0,
        classifier_dropout=0.0,
    )
    return kb.BertEncoder(config)


def texts(count, most=12):
    random = np.random.default_rng(count)
    return [" ".join(random.choice(WORDS, random.integers(1, most))) for _ in range(count)]


def tagged(count):
    words = [text.split() for text in texts(count)]
    return [(w, ["B-X" if "o" in word else "O" for word in w]) for w in words]


def questions(count):
    return [(("who went", f"{text} the man"), ["man"]) for text in texts(count)]


def choices(count):
    found = texts(count * 3, 6)
    return [(("what", found[i : i + 2 + i % 2]), i % 2) for i in range(count)]


def compared(count, of):
    found = texts(count * of, 6)
    return [tuple(found[i * of : i * of + of]) for i in range(count)]


def scored(count):
    return [(pair, (i % 3) / 2) for i, pair in enumerate(compared(count, 2))]


LABELS = ["a", "b", "c"]

#: Name → (class, its arguments, data, arguments of compile).
TASKS = {
    "single": (
        kb.BertClassifier,
        {"labels": LABELS},
        lambda n: [(text, LABELS[i % 3]) for i, text in enumerate(texts(n))],
        {},
    ),
    "multi": (
        kb.BertClassifier,
        {"labels": LABELS, "multi_label": True},
        lambda n: [(text, LABELS[: i % 4]) for i, text in enumerate(texts(n))],
        {},
    ),
    "regression": (
        kb.BertClassifier,
        {"num_labels": 1},
        lambda n: [(text, float(i % 5)) for i, text in enumerate(texts(n))],
        {},
    ),
    "tokens": (kb.BertTokenClassifier, {"labels": ["O", "B-X", "I-X"]}, tagged, {}),
    "span": (kb.BertSpanLabeler, {}, questions, {}),
    "choice": (kb.BertMultipleChoice, {}, choices, {}),
    "masked_lm": (kb.BertMaskedLM, {}, texts, {}),
    "negatives": (kb.DualEncoder, {}, lambda n: compared(n, 2), {"loss": "multiple_negatives"}),
    "hard_negatives": (kb.DualEncoder, {}, lambda n: compared(n, 3), {}),
    "margin": (kb.DualEncoder, {}, lambda n: compared(n, 2), {"loss": "additive_margin"}),
    "triplet": (kb.DualEncoder, {}, lambda n: compared(n, 3), {"loss": "triplet"}),
    "cosine": (kb.DualEncoder, {}, scored, {"loss": "cosine"}),
}


def model_of(name, tokenizer, **options):
    kind, arguments, data, compiled = TASKS[name]
    preprocessor = kb.Preprocessor(tokenizer, seq_length=24, **options)
    model = kind(encoder(tokenizer), preprocessor, head_is_fresh=False, **arguments)
    model.compile(keras.optimizers.SGD(0.1), **compiled)
    return model, data


def batches(model, data, batch_size=4, evaluated=False, **shapes):
    """The batches of an epoch; in training the same ones each time."""
    np.random.seed(3)
    if not evaluated:
        return list(model.training_dataset(data, batch_size=batch_size, **shapes))
    with model._padding(**{"pad_to": None, **shapes}):
        return list(model._labelled_data(data, None, batch_size)[1])


def gradients(model, batch):
    """Gradients and metrics of a training step, without the step."""
    x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), weights)
    found = tape.gradient(loss, model.trainable_variables)
    return float(loss), [tf.convert_to_tensor(g) for g in found if g is not None]


def scores(model, data):
    """Loss and metrics over the batches of an evaluation."""
    model.reset_metrics()
    for batch in data:
        model.test_step(batch)
    return {name: float(score) for name, score in model.get_metrics_result().items()}


def shapes_of(batch):
    return tf.nest.map_structure(lambda part: tuple(part.shape), batch)


#: By weights, and by targets; the others take as long and are much alike.
QUICK = ("single", "negatives")


def slow_but(names, quick):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", slow_but(TASKS, QUICK))
def test_the_same_numbers(name, tokenizer):
    """7 examples in batches of 4: as without the row that fills up."""
    model, data = model_of(name, tokenizer)
    data = data(7)
    plain, padded = batches(model, data), batches(model, data, pad_to="max")
    assert len(plain) == len(padded)
    assert all(shapes_of(batch) == shapes_of(padded[0]) for batch in padded)
    # The batch that is not full; of others there is nothing to leave out.
    uneven = min(range(len(plain)), key=lambda i: tf.nest.flatten(plain[i])[0].shape[0])
    assert not tf.reduce_all(padded[uneven][0][PRESENT])
    (loss, expected), (ours, found) = (gradients(model, b[uneven]) for b in (plain, padded))
    assert ours == pytest.approx(loss, rel=1e-6, abs=1e-6)
    for gradient, right in zip(found, expected, strict=True):
        # Longer rows are summed in another order: a few units in float32's last place.
        largest = max(1.0, float(tf.reduce_max(tf.abs(right))))
        np.testing.assert_allclose(gradient, right, rtol=0, atol=3e-6 * largest)

    plain, padded = (
        scores(model, batches(model, data, evaluated=True, **shapes))
        for shapes in ({}, {"pad_to": "max"})
    )
    assert plain.keys() == padded.keys()
    for score, value in plain.items():
        # Keras counts all rows where it shows the losses of several outputs one by one.
        if not score.endswith("_logits_loss"):
            assert padded[score] == pytest.approx(value, rel=2e-6, abs=1e-6), score


def test_weights_of_labels(tokenizer):
    """Weights of rows count beside: 0 is a row that is there, and one of those the mean is over."""
    model, data = model_of("single", tokenizer)
    data, weights = data(3), np.array([0.0, 2.0, 0.5], np.float32)
    found = []
    for shapes in ({}, {"pad_to": 24}):
        ((ids, labels),) = batches(model, data, **shapes)
        weighted = (ids, labels, model.problem.sample_weights(labels, weights))
        found.append(gradients(model, weighted))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6)
    for gradient, right in zip(found[1][1], found[0][1], strict=True):
        np.testing.assert_allclose(gradient, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", slow_but(["mean", "max"], ["max"]))
def test_texts_in_windows(pooling, tokenizer):
    preprocessor = kb.Preprocessor(tokenizer, seq_length=8, stride=2)
    model = kb.BertClassifier(
        encoder(tokenizer), preprocessor, labels=LABELS, window_pooling=pooling, head_is_fresh=False
    )
    model.compile(keras.optimizers.SGD(0.1))
    data = TASKS["single"][2](5)
    plain = batches(model, data, evaluated=True)
    padded = batches(model, data, evaluated=True, pad_to="max")
    assert all(shapes_of(batch) == shapes_of(padded[0]) for batch in padded)
    assert scores(model, padded) == pytest.approx(scores(model, plain), rel=2e-6, abs=1e-6)


def test_users_datasets(tokenizer):
    model, data = model_of("single", tokenizer)
    texts, labels = (list(column) for column in zip(*data(7), strict=True))
    dataset = tf.data.Dataset.from_tensor_slices((texts, labels))
    fixed = model.training_dataset(dataset, batch_size=4, pad_to=24)
    ids, targets = fixed.element_spec
    assert tuple(ids["input_word_ids"].shape) == (4, 24) and tuple(targets.shape) == (4,)
    present = [ids[PRESENT].numpy().tolist() for ids, _ in fixed]
    assert present == [[True] * 4, [True] * 3 + [False]]
    dropped = model.training_dataset(dataset, batch_size=4, pad_to=24, drop_remainder=True)
    assert len(list(dropped)) == 1
    with pytest.raises(ValueError, match="drop_remainder goes with pad_to"):
        model.training_dataset(dataset, drop_remainder=True)
    windows, _ = model_of("single", tokenizer, stride=2)
    with pytest.raises(ValueError, match="any number of rows.*Give the texts as a list"):
        windows.training_dataset(dataset, pad_to="max")


def test_users_datasets_of_masked_texts(tokenizer):
    model, data = model_of("masked_lm", tokenizer)
    dataset = tf.data.Dataset.from_tensor_slices(data(3)).batch(2)
    ids, hidden = model.training_dataset(dataset, batch_size=2, pad_to=24).element_spec
    assert tuple(hidden.shape) == tuple(ids["masked_lm_positions"].shape) == (2, 4)


def test_what_cannot_be_padded(tokenizer, monkeypatch):
    model, data = model_of("single", tokenizer)
    ids = {"input_word_ids": np.ones((2, 4), np.int32)}
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="pad_to='max' pads texts; this is dict without any"):
            method(ids, np.zeros(2), pad_to="max")
    replicas = types.SimpleNamespace(num_replicas_in_sync=8)
    monkeypatch.setattr(type(model), "distribute_strategy", replicas)
    monkeypatch.setattr(type(model), "_shared", lambda self, number: number)
    with pytest.raises(ValueError, match="batch_size=12 cannot be cut .* 8 replicas.*a multiple"):
        model.training_dataset(data(3), batch_size=12, pad_to="max")
    batch = next(iter(model.training_dataset(data(3), batch_size=16, pad_to="max")))
    assert tf.nest.flatten(batch)[0].shape[0] == 16


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", ["single", "masked_lm", "negatives"])
def test_trained_to_the_same_weights(name, jit_compile, tokenizer):
    """Two epochs by ``fit``, with validation data, plain and by XLA."""
    found = []
    for shapes in ({}, {"pad_to": [8, 24]}, {"pad_to": "max"}):
        model, data = model_of(name, tokenizer)
        model.compile(
            keras.optimizers.SGD(0.1), jit_compile=jit_compile and bool(shapes), **TASKS[name][3]
        )
        np.random.seed(3)
        history = model.fit(
            data(7), validation_data=data(5), epochs=2, batch_size=4, verbose=0, **shapes
        ).history
        found.append((history["loss"] + history["val_loss"], model.get_weights()))
    for losses, weights in found[1:]:
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-5)
        for weight, right in zip(weights, found[0][1], strict=True):
            np.testing.assert_allclose(weight, right, rtol=0, atol=2e-6)


@pytest.mark.parametrize("of_dataset", [False, True])
def test_every_pass_over_training_batches_is_another(of_dataset, tokenizer):
    model, data = model_of("masked_lm", tokenizer)
    texts = data(8)
    texts = tf.data.Dataset.from_tensor_slices(texts).batch(4) if of_dataset else texts
    dataset = model.training_dataset(texts, batch_size=4)
    passes = [[np.sort(hidden.numpy(), None).tolist() for _, hidden in dataset] for _ in range(3)]
    assert len({str(one) for one in passes}) == 3
    assert all(len(one) == 2 == int(dataset.cardinality()) for one in passes)
    assert model.data_position is None
