"""Putting windows together, and BertClassifier on texts longer than it reads at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from keras_bert.models.windows import in_chunks, merge_windows, with_documents

LABELS = ["bad", "good"]
LONG = [
    ("what a day " * 30 + "good", "good"),
    ("bad", "bad"),
    ("good " * 50, "good"),
    ("the worst of all " * 12, "bad"),
    ("", "bad"),
]
TEXTS = [text for text, _ in LONG]


def load(checkpoint, **kwargs):
    options = {"labels": LABELS, "seq_length": 16, "stride": 4, **kwargs}
    return kb.BertClassifier.from_pretrained(str(checkpoint), **options)


def logits_of(model, text):
    """The logits of a text, from those of its windows one by one."""
    single = kb.Preprocessor(model.preprocessor.tokenizer, seq_length=16, stride=4)
    ids = single(text if isinstance(text, tuple) else [text])
    count = len(ids["window_source"])
    rows = [{n: ids[n][i : i + 1] for n in ids if n.startswith("input_")} for i in range(count)]
    logits = np.concatenate([model(row).numpy() for row in rows])
    return {"mean": logits.mean(0), "max": logits.max(0)}[model.window_pooling]


# Putting together.


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_both_ways_to_merge_are_numpys(pooling):
    random = np.random.default_rng(0)
    outputs = random.normal(size=(7, 3)).astype(np.float32)
    source = np.array([0, 0, 1, 2, 2, 2, 3], np.int32)
    wanted = [getattr(outputs[source == i], pooling)(0) for i in range(4)]
    by_source = merge_windows(tf.constant(outputs), tf.constant(source), pooling)
    np.testing.assert_allclose(by_source, wanted, rtol=1e-5)
    ids = with_documents({"window_source": tf.constant(source), "window_start": 0, "a": 1}, 4)
    assert ids.keys() == {"document_windows", "a"} and sorted(ids)[0] != "input_word_ids"
    merge = tf.function(merge_windows, jit_compile=True)
    by_texts = merge(tf.constant(outputs), ids["document_windows"], pooling)
    np.testing.assert_allclose(by_texts, wanted, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_in_chunks(count):
    sizes, ids = [], {"a": tf.range(count * 2)[:, tf.newaxis][:count]}

    def call(rows):
        tf.py_function(lambda a: sizes.append(len(a)), [rows["a"]], [])
        return tf.cast(rows["a"], tf.float32) * tf.ones((1, 3))

    found = tf.function(lambda ids: in_chunks(call, ids, 4))(ids)
    np.testing.assert_array_equal(found, np.tile(np.arange(count)[:, None], 3))
    assert found.shape == (count, 3) and max(sizes) <= 4


# Answers and scores.


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_answers_are_of_texts(tiny_checkpoint, pooling):
    model = load(tiny_checkpoint, labels=None, window_pooling=pooling)
    wanted = np.array([logits_of(model, text) for text in TEXTS])
    np.testing.assert_allclose(model(model.preprocessor(TEXTS)), wanted, atol=1e-5)
    for batch_size in (2, 32):
        answers = model.predict(TEXTS, batch_size=batch_size)
        found = [answer["probabilities"] for answer in answers]
        np.testing.assert_allclose(found, tf.nn.softmax(wanted), atol=1e-5)
    cut = load(tiny_checkpoint, labels=None, stride=None)
    with pytest.warns(TruncationWarning):
        assert not np.allclose(cut.predict(TEXTS[:1])[0]["probabilities"], found[0], atol=1e-3)
    np.testing.assert_allclose(cut.predict(TEXTS[1:2])[0]["probabilities"], found[1], atol=1e-5)


@pytest.mark.slow
def test_scores_are_of_texts_and_not_of_windows(tiny_checkpoint):
    labels = ["question", "praise", "complaint", "complaint", "praise"]
    model = load(tiny_checkpoint, labels=None)
    model.compile(jit_compile=True)  # as on one GPU
    logits = np.array([logits_of(model, text) for text in TEXTS])
    numbers = model.targets(labels)
    each = -np.log(np.asarray(tf.nn.softmax(logits))[np.arange(5), numbers])
    wanted = {"loss": each.mean(), "accuracy": np.mean(logits.argmax(1) == numbers)}
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, labels))
    for data in (list(zip(TEXTS, labels, strict=True)), dataset, dataset.batch(3)):
        scores = model.evaluate(data, batch_size=2, verbose=0)
        assert {name: scores[name] for name in wanted} == pytest.approx(wanted, abs=1e-5)


def test_each_window_is_trained_with_its_texts_label(tiny_checkpoint, monkeypatch):
    seen, compute = [], kb.BertClassifier.compute_loss

    def watched(self, x=None, y=None, y_pred=None, sample_weight=None, training=True, **kwargs):
        seen.append((training, y.numpy().tolist(), len(y_pred)))
        return compute(self, x, y, y_pred, sample_weight, training=training, **kwargs)

    monkeypatch.setattr(kb.BertClassifier, "compute_loss", watched)
    model = load(tiny_checkpoint)
    windows = np.bincount(model.preprocessor(TEXTS)["window_source"])
    wanted = sorted(np.repeat([LABELS.index(label) for _, label in LONG], windows).tolist())
    model.compile(run_eagerly=True)
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, [label for _, label in LONG])).batch(2)
    for data in (LONG, dataset):
        seen.clear()
        model.fit(data, validation_data=LONG, epochs=1, batch_size=8, verbose=0)
        trained = [y for training, y, _ in seen if training]
        assert sorted(number for y in trained for number in y) == wanted
        assert sum(len(y) for training, y, _ in seen if not training) == len(LONG)
        assert all(len(y) == count for _, y, count in seen)
        assert data is dataset or max(map(len, trained)) == 8


@pytest.mark.slow
def test_learns_and_reloads(tiny_checkpoint, tmp_path):
    keras.utils.set_random_seed(2)
    model = load(tiny_checkpoint, window_pooling="max")
    model.compile(learning_rate=5e-3)
    history = model.fit(LONG, validation_data=LONG, epochs=8, batch_size=8, verbose=0).history
    assert history["val_accuracy"][-1] == 1.0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.preprocessor.stride == 4 and again.window_pooling == "max"
    for one, other in zip(again.predict(TEXTS), model.predict(TEXTS), strict=True):
        np.testing.assert_array_equal(one["probabilities"], other["probabilities"])
    again = kb.BertClassifier.from_pretrained(str(tmp_path))
    assert (again.preprocessor.stride, again.window_pooling) == (4, "max")
    whole = kb.BertClassifier.from_pretrained(str(tmp_path), stride=None)
    assert whole.preprocessor.stride is None and not whole.head_is_fresh
    # A text of 100,000 words, and one that is one long word.
    answers = model.predict(["bad " * 100_000, "x" * 5_000])
    assert answers[0]["label"] == "bad"


def test_pairs_with_windows_over_the_second_text(tiny_checkpoint):
    model = load(tiny_checkpoint, labels=None)
    pairs = [("good", "what a day " * 20), ("bad", "a"), ("is it", "")]
    wanted = [logits_of(model, ([first], [second])) for first, second in pairs]
    found = [answer["probabilities"] for answer in model.predict(pairs)]
    np.testing.assert_allclose(found, tf.nn.softmax(np.array(wanted)), atol=1e-5)
    model.compile(run_eagerly=True)
    model.fit([(pair, "praise") for pair in pairs], epochs=1, verbose=0)
    assert model.takes_pairs
    # A first text that leaves no room is cut, which is told.
    with pytest.warns(TruncationWarning, match="1 of 1 texts"):
        model.predict([("good " * 40, "bad " * 40)])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"multi_label": True}, {"num_labels": 1, "labels": None}])
def test_windows_of_other_problems(tiny_checkpoint, options):
    model = load(tiny_checkpoint, **options)
    model.compile(run_eagerly=True)
    labels = [1.0, 2.0, 3.0, 4.0, 5.0] if "num_labels" in options else ["good"] * 4 + [""]
    model.fit(TEXTS, labels, epochs=1, batch_size=8, verbose=0)
    logits = np.array([logits_of(model, text) for text in TEXTS])
    scores = model.evaluate(TEXTS, labels, verbose=0)
    answers = model.predict(TEXTS)
    if "num_labels" in options:
        np.testing.assert_allclose([a["value"] for a in answers], logits[:, 0], atol=1e-5)
        wanted = np.mean((logits[:, 0] - labels) ** 2)
    else:
        found = [a["probabilities"] for a in answers]
        np.testing.assert_allclose(found, tf.sigmoid(logits), atol=1e-5)
        marks = model.targets(labels)
        wanted = np.mean(np.log1p(np.exp(-np.where(marks, logits, -logits))))
    assert scores["loss"] == pytest.approx(wanted, rel=1e-4)


def test_settings_out_of_range(tiny_checkpoint):
    with pytest.raises(ValueError, match="window_pooling='sum'. Expected one of"):
        load(tiny_checkpoint, window_pooling="sum")
    with pytest.raises(ValueError, match="stride=14"):
        load(tiny_checkpoint, stride=14)
