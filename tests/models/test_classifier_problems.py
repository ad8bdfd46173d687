"""BertClassifier with any number of labels per text, and with a number per text."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.metrics import pearson, spearman

TAGS = ["good", "slow", "card"]
TAGGED = [
    ("very good and fast", ["good"]),
    ("slow, never again", {"slow"}),
    ("good card", ["good", "card"]),
    ("my card is slow", ("slow", "card")),
    ("slow but good", "good|slow"),
    ("what is this", []),
]
RATED = [("worst of all", 0), ("bad", 1.0), ("nice", "3.5"), ("good", 4), ("best of all", 5.0)]


def load(checkpoint, **kwargs):
    return kb.BertClassifier.from_pretrained(str(checkpoint), **kwargs)


@pytest.fixture(scope="module")
def tagger(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = load(tiny_checkpoint, labels=TAGS, multi_label=True)
    model.compile(learning_rate=1e-2)
    model.fit(TAGGED, epochs=25, batch_size=3, verbose=0)
    return model


@pytest.fixture(scope="module")
def rater(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = load(tiny_checkpoint, num_labels=1)
    model.compile(learning_rate=5e-3)
    model.fit(RATED, epochs=20, batch_size=3, verbose=0)
    return model


# Any number of labels.


def test_learns_any_number_of_labels(tagger):
    answers = tagger.predict([text for text, _ in TAGGED])
    assert [set(a["labels"]) for a in answers] == [
        set(labels.split("|")) if isinstance(labels, str) else set(labels) for _, labels in TAGGED
    ]
    for answer in answers:
        named = {TAGS[i] for i in np.flatnonzero(answer["probabilities"] >= 0.5)}
        assert named == set(answer["labels"]) and type(answer["labels"]) is list
    scores = tagger.evaluate(TAGGED, verbose=0)
    assert scores.keys() == {"loss", "micro_f1", "macro_f1", "subset_accuracy"}
    assert scores["micro_f1"] == scores["macro_f1"] == scores["subset_accuracy"] == 1.0


def test_threshold_says_what_is_answered(tagger, tiny_checkpoint):
    texts = [text for text, _ in TAGGED]
    highest = max(answer["probabilities"].max() for answer in tagger.predict(texts))
    tagger.threshold = 0.0
    try:
        assert all(answer["labels"] == TAGS for answer in tagger.predict(texts))
        tagger.threshold = min(1.0, float(highest) + 1e-3)
        assert all(answer["labels"] == [] for answer in tagger.predict(texts))
        with pytest.raises(ValueError, match="threshold=2"):
            tagger.threshold = 2
    finally:
        tagger.threshold = 0.5
    with pytest.raises(ValueError, match="Only a model with multi_label=True"):
        load(tiny_checkpoint).threshold = 0.3


def test_many_labels_from_tf_data(tagger):
    texts = [text for text, _ in TAGGED]
    marks = tagger.targets([labels for _, labels in TAGGED])
    names = [[TAGS[i] for i in np.flatnonzero(row)] for row in marks]
    wanted = tagger.evaluate(TAGGED, verbose=0)
    for labels in (marks, tf.ragged.constant(names), ["|".join(n) for n in names]):
        dataset = tf.data.Dataset.from_tensor_slices((texts, labels))
        for data in (dataset, dataset.batch(2)):
            assert tagger.evaluate(data, verbose=0) == pytest.approx(wanted, abs=1e-5)


def test_class_weight_of_many_labels(tiny_checkpoint, monkeypatch):
    model = load(tiny_checkpoint, labels=TAGS, multi_label=True)
    weights, compute = [], kb.BertClassifier.compute_loss

    def watched(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        weights.append(None if sample_weight is None else sample_weight.numpy())
        return compute(self, x, y, y_pred, sample_weight, **kwargs)

    monkeypatch.setattr(kb.BertClassifier, "compute_loss", watched)
    model.compile(run_eagerly=True)
    model.fit(TAGGED, class_weight={"card": 3}, validation_data=TAGGED, epochs=1, verbose=0)
    trained, validated = weights
    # Only of labels that are there, and only in training.
    assert sorted(trained.sum(axis=1)) == [3, 3, 3, 3, 5, 5] and validated is None
    dataset = tf.data.Dataset.from_tensor_slices(([t for t, _ in TAGGED], ["card"] + [""] * 5))
    model.fit(dataset, class_weight="balanced", epochs=1, verbose=0)
    assert weights[-1].tolist() == [[1, 1, 5]] + [[1, 1, 1]] * 5
    model.fit(TAGGED, epochs=1, verbose=0)
    assert weights[-1] is None
    with pytest.raises(ValueError, match="needs text, not ids"):
        model.fit({"input_word_ids": np.ones((1, 2))}, np.ones((1, 3)), class_weight={"card": 3})


def test_unknown_labels_are_named(tagger):
    with pytest.raises(ValueError, match="Example 1 has the unknown label 'ugly'"):
        tagger.fit([("a", ["good"]), ("b", ["card", "ugly"])], verbose=0)


# A number.


def test_learns_numbers(rater):
    texts, numbers = zip(*RATED, strict=True)
    values = [answer["value"] for answer in rater.predict(list(texts))]
    assert all(type(value) is float for value in values)
    numbers = [float(number) for number in numbers]
    scores = rater.evaluate(RATED, batch_size=2, verbose=0)
    assert scores.keys() == {"loss", "mse", "pearson", "spearman"}
    assert scores["pearson"] == pytest.approx(pearson(numbers, values), abs=1e-3)
    assert scores["spearman"] == pytest.approx(spearman(numbers, values))
    assert scores["mse"] == pytest.approx(np.mean(np.subtract(numbers, values) ** 2), rel=1e-3)
    assert scores["loss"] == pytest.approx(scores["mse"], rel=1e-3)
    assert scores["pearson"] > 0.8


def test_pairs_and_validation_by_spearman(tiny_checkpoint):
    model = load(tiny_checkpoint, num_labels=1)
    model.compile(run_eagerly=True)
    pairs = [((text, "good"), number) for text, number in RATED]
    history = model.fit(pairs, validation_data=pairs, epochs=2, verbose=0).history
    assert {"val_pearson", "val_spearman", "val_mse"} < history.keys()
    assert len(history["val_spearman"]) == 2


def test_one_text_has_no_correlation(rater):
    scores = rater.evaluate(RATED[:1], verbose=0)
    assert np.isnan(scores["pearson"]) and np.isnan(scores["spearman"])
    assert np.isfinite(scores["mse"])


def test_numbers_from_tf_data(rater):
    texts, numbers = zip(*RATED, strict=True)
    dataset = tf.data.Dataset.from_tensor_slices((list(texts), [float(n) for n in numbers]))
    wanted = rater.evaluate(RATED, verbose=0)
    found = rater.evaluate(dataset, verbose=0)
    assert found == pytest.approx(wanted, abs=1e-3)
    # Of a dataset without end not all can be ranked.
    assert "spearman" not in rater.evaluate(dataset.repeat(), steps=2, verbose=0)


@pytest.mark.parametrize("number", ["much", None, np.nan, True])
def test_what_is_no_number_is_named(rater, number):
    with pytest.raises(ValueError, match="Example 1 has the label .*expected a finite number"):
        rater.fit([("a", 1.0), ("b", number)], verbose=0)


def test_a_number_has_no_class_weights(rater):
    with pytest.raises(ValueError, match="there are no classes"):
        rater.fit(RATED, class_weight="balanced", verbose=0)


# One label.


@pytest.mark.slow
def test_class_weight_by_name_is_keras_by_number(tiny_checkpoint):
    data = [("good", "praise"), ("what", "question"), ("bad", "complaint"), ("nice", "praise")]
    losses = []
    for weights in ({"praise": 0.25, "question": 2}, {2: 0.25, 0: 2, 1: 1}, "balanced", None):
        keras.utils.set_random_seed(1)
        model = load(tiny_checkpoint)
        model.compile(optimizer="sgd", run_eagerly=True)
        model.fit(data, class_weight=weights, epochs=1, verbose=0)
        losses.append(model.history.history["loss"][0])
    assert losses[0] == losses[1] and len(set(losses)) == 3
    ids, numbers = model.preprocessor([text for text, _ in data]), np.array([2, 0, 1, 2])
    model.fit(dict(ids), numbers, class_weight="balanced", verbose=0)
    with pytest.raises(ValueError, match="has the label 'ugly'; the model knows question"):
        model.fit(data, class_weight={"ugly": 1.0}, verbose=0)
    weighted = tf.data.Dataset.from_tensor_slices((["a", "b"], [0, 1], [1.0, 2.0]))
    with pytest.raises(ValueError, match="weights of its own"):
        model.fit(weighted, class_weight="balanced", verbose=0)


# Saved and loaded.


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tagger", "rater"])
def test_saves_and_reloads(kind, request, tmp_path):
    model = request.getfixturevalue(kind)
    path, texts = str(tmp_path / "model.keras"), ["good card", "slow"]
    model.save(path)
    data = {"tagger": TAGGED, "rater": RATED}[kind]
    for again in (keras.saving.load_model(path), kb.BertClassifier.from_pretrained(path)):
        assert again.problem_type == model.problem_type and again.labels == model.labels
        assert not again.head_is_fresh and again.get_config().keys() == model.get_config().keys()
        for one, other in zip(again.predict(texts), model.predict(texts), strict=True):
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
        assert again.evaluate(data, verbose=0) == pytest.approx(model.evaluate(data, verbose=0))


def test_settings_are_saved(tiny_checkpoint, tmp_path):
    settings = {"threshold": 0.3, "window_pooling": "max"}
    model = load(tiny_checkpoint, multi_label=True, **settings)
    assert not model.head_is_fresh
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.threshold, again.window_pooling) == (0.3, "max")
    again = load(tmp_path)
    assert (again.threshold, again.window_pooling, again.multi_label) == (0.3, "max", True)
    assert load(tmp_path, threshold=0.4).threshold == 0.4
    # Trained for any number of labels, the head is none for exactly one.
    assert load(tmp_path, multi_label=False).head_is_fresh


@pytest.mark.parametrize("kind", ["tagger", "rater"])
def test_what_transformers_reads_can_be_read_again(kind, request, tmp_path):
    model = request.getfixturevalue(kind)
    model.save_pretrained(tmp_path / "theirs")
    again = kb.BertClassifier.from_pretrained(str(tmp_path / "theirs"), verify=True)
    assert again.problem_type == model.problem_type and again.labels == model.labels
    kb.checkpoints.convert(str(tmp_path / "theirs"), str(tmp_path / "converted"))
    converted = load(tmp_path / "converted")
    assert converted.problem_type == model.problem_type and not converted.head_is_fresh


def test_an_unknown_problem_in_a_config(tiny_checkpoint, tmp_path):
    model = load(tiny_checkpoint)
    model.save_pretrained(tmp_path / "theirs")
    config = tmp_path / "theirs" / "config.json"
    config.write_text(config.read_text().replace(model.problem_type, "ranking"))
    with pytest.raises(kb.CheckpointError, match="problem_type='ranking'; expected 'single"):
        load(tmp_path / "theirs")
