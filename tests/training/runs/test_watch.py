"""A loss that goes bad: when, what is saved, and what is left of the model."""

import math
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.training import StopOnBadLoss, TrainingDiverged, read_run_log
from keras_bert.training.runs.watch import LossRule

LABELS = ["bad", "good"]
TRAIN = [(f"{'very ' * (i % 7)}{word}", word) for i in range(10) for word in LABELS]
PAIRS = [((text, "the card is late"), label) for text, label in TRAIN]


# When a loss is bad.


def verdicts(losses, **options):
    rule = LossRule(**options)
    return [rule.verdict(loss) for loss in losses]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_no_number_is_bad_at_once(loss):
    assert verdicts([loss]) == [f"is {loss:g}"]
    assert verdicts([0.5] * 9 + [loss])[-1] is not None


def test_exploded():
    found = verdicts([0.7] * 30 + [8.0] * 10)
    assert found == [None] * 39 + ["exploded"]
    # From the second step on, and however far it goes.
    assert verdicts([1.1] + [10.0**i for i in range(2, 12)])[-1] == "exploded"


def test_not_exploded():
    random = np.random.default_rng(5)
    ordinary = {
        "nine hard batches": [0.7] * 30 + [8.0] * 9 + [0.7] + [8.0] * 9,
        "falling": list(10 * 0.97 ** np.arange(300)),
        # Nearly everything is known by heart; what is not has the loss of a beginner.
        "sorted data": [1.1] * 20 + [0.001] * 200 + [3.0] * 50,
        "heavy tails": list(np.exp(random.normal(0, 1.0, 5000))),
        "rising slowly": list(np.linspace(1, 60, 400)),
        "negative": [-1.0] * 20 + [100.0] * 20,
        "zero": [0.0] * 20 + [1.0] * 20,
    }
    for name, losses in ordinary.items():
        assert not any(verdicts(losses)), name


def test_the_rule_can_be_set():
    assert verdicts([1.0, 2.5, 2.5], factor=2, steps=2)[-1] == "exploded"
    for wrong in ({"factor": 1.0}, {"steps": 0}, {"window": 0}, {"factor": math.nan}):
        with pytest.raises(ValueError, match="Expected factor > 1"):
            LossRule(**wrong)


def test_the_level_is_a_median():
    random, rule = np.random.default_rng(2), LossRule(window=31, steps=5)
    losses = list(random.uniform(1, 5, 200))
    for place, loss in enumerate(losses):
        assert rule.verdict(loss) is None
        median = np.quantile(losses[max(0, place - 30) : place + 1], 0.5, method="lower")
        first = np.quantile(losses[: min(5, place + 1)], 0.5, method="lower")
        assert rule.level == max(median, first)


# Any Keras model.


def dense(rate=0.01, **options):
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse", jit_compile=False, **options)
    return model


def explode(model, tmp_path, **options):
    x = np.random.default_rng(0).normal(size=(400, 2)).astype("float32")
    with pytest.raises(TrainingDiverged) as caught:
        watch = StopOnBadLoss(folder=tmp_path, **options)
        model.fit(x, x[:, :1] + 1, batch_size=2, epochs=2, verbose=0, callbacks=[watch])
    return caught.value


def test_a_rate_that_is_too_high(tmp_path):
    model = dense(rate=3.0)
    start = model.get_weights()
    error = explode(model, tmp_path)
    assert 10 < error.step < 60 and error.epoch == 1
    # Of a mean over the epoch, as Keras has it, an explosion is seen later, but seen.
    assert "has exploded" in str(error) and "it is 3" in str(error)
    np.testing.assert_array_equal(model.get_weights()[0], start[0])
    assert "weights back that epoch 1 began with" in str(error)
    saved = np.load(error.file)
    assert saved["step"] == error.step and saved["learning_rate"] == 3.0
    assert saved["losses"][-1] == error.loss > 10 * saved["losses"][0]
    assert explode(model, tmp_path).file != error.file  # both are kept


def test_without_a_copy(tmp_path):
    error = explode(dense(rate=3.0), tmp_path, keep_weights=False)
    assert "keeps the weights that it came to" in str(error)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    error = explode(dense(rate=3.0), tmp_path / "file" / "below")
    assert error.file is None and "could not be saved" in str(error)


def test_the_last_step_of_all(tmp_path):
    """Its loss is a number, its gradients are not: no later loss would tell."""
    model = dense()
    start = model.get_weights()

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.trainable_variables[0].assign([[1.0], [np.inf]])

    x = np.ones((6, 2), "float32")
    callbacks = [Spoil(), StopOnBadLoss(folder=tmp_path)]
    with pytest.raises(TrainingDiverged, match="left weights that are none in step 3") as caught:
        model.fit(x, x[:, :1], batch_size=2, verbose=0, callbacks=callbacks)
    assert math.isfinite(caught.value.loss)
    np.testing.assert_array_equal(model.get_weights()[0], start[0])


def test_the_error_travels():
    error = pickle.loads(pickle.dumps(TrainingDiverged("gone", 3, 1, math.inf)))
    assert (str(error), error.step, error.loss) == ("gone", 3, math.inf)


# Task models.


@pytest.fixture(scope="module")
def model(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)
    model.compile(run_eagerly=True)  # tracing anew after every stop would take longer
    return model


class Spoil(keras.callbacks.Callback):
    """Puts a number that is none into a weight before a step, as a bad gradient would."""

    def __init__(self, step):
        super().__init__()
        self.step, self.kept = step, None

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step:
            self.model.trainable_variables[-1].assign([np.nan, 0.0])


def test_text_rows_weights_and_log(model, tmp_path):
    before = model.get_weights()
    log = tmp_path / "run.jsonl"
    with pytest.raises(TrainingDiverged, match=r"is nan in step 3 \(epoch 1, batch 3 of 5\)") as e:
        model.fit(PAIRS, batch_size=4, verbose=0, log=log, callbacks=[Spoil(2)])
    error = e.value
    assert error.file.parent == tmp_path  # beside the log
    saved = np.load(error.file)  # without pickles
    rows = saved["rows"]
    assert saved["texts"].tolist() == [list(PAIRS[row][0]) for row in rows]
    assert saved["targets"].tolist() == [LABELS.index(PAIRS[row][1]) for row in rows]
    texts = zip(*(PAIRS[row][0] for row in rows), strict=True)
    ids = model.preprocessor(tuple(map(list, texts)))
    width = saved["input_word_ids"].shape[1]
    for name in ("input_word_ids", "input_mask", "input_type_ids"):
        np.testing.assert_array_equal(saved[name], ids[name][:, :width])
        assert f"previous/{name}" in saved
    assert math.isnan(saved["loss"])
    assert np.isnan(saved["losses"]).tolist() == [False, False, True]
    for ours, kept in zip(model.get_weights(), before, strict=True):
        if kept.dtype.kind == "f":
            np.testing.assert_array_equal(ours, kept)
    assert int(model.optimizer.iterations) == 0  # its moments are no numbers any more
    last = read_run_log(log)[-1]
    assert last["why"] == "diverged" and "is nan in step 3" in last["error"]


def test_ids_of_the_users_own_and_the_best_epoch(model, tmp_path):
    """The second epoch's first batch has a weight that is no number; the first was validated."""
    ids, labels = model.preprocessor([text for text, _ in TRAIN]), np.arange(20) % 2
    weights = np.ones(20, "float32")
    weights[7] = np.inf
    parts = [(ids, labels, np.ones(20, "float32")), (ids, labels, weights)]
    both = [tf.data.Dataset.from_tensor_slices(part).batch(4) for part in parts]
    data = both[0].concatenate(both[1])
    kept = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())

    with pytest.raises(TrainingDiverged, match="weights back of the best epoch") as caught:
        model.fit(
            *(data,),
            steps_per_epoch=5,
            epochs=2,
            validation_data=both[0],
            verbose=0,
            callbacks=[Keep()],
            stop_on_bad_loss=StopOnBadLoss(folder=tmp_path),
        )
    error = caught.value
    assert (error.step, error.epoch) == (7, 2)
    saved = np.load(error.file)
    np.testing.assert_array_equal(saved["sample_weight"], weights[4:8])
    np.testing.assert_array_equal(saved["previous/targets"], labels[:4])
    assert "texts" not in saved and "rows" not in saved
    for ours, best in zip(model.get_weights(), kept[0], strict=True):
        if best.dtype.kind == "f":
            np.testing.assert_array_equal(ours, best)


def test_switched_off(model):
    history = model.fit(
        *(TRAIN[:8],), batch_size=4, verbose=0, stop_on_bad_loss=False, callbacks=[Spoil(0)]
    )
    assert math.isnan(history.history["loss"][0])
    with pytest.raises(TypeError, match="stop_on_bad_loss is True, False or a"):
        model.fit(TRAIN, stop_on_bad_loss="yes")


def test_steps_left_out_in_float16_are_none_of_its_business(tiny_checkpoint):
    """The scale of the loss is so high at first that no gradient is finite."""
    model = kb.BertClassifier.from_pretrained(
        str(tiny_checkpoint), labels=LABELS, dtype="mixed_float16"
    )
    model.compile(run_eagerly=True)
    model.optimizer.initial_scale = 2.0**40
    model.fit(TRAIN[:12], batch_size=2, verbose=0)
    assert float(model.optimizer.dynamic_scale.value) < 2.0**40
    assert int(model.optimizer.iterations) < 6
