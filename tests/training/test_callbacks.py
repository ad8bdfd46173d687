"""Stopping early, best weights, gradients of several batches, logs: what fit is asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.training.callbacks import BestEpoch

LABELS = ["bad", "good"]
TRAIN = [(f"very {word}", word) for word in LABELS] * 4
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(scope="module")
def model(tiny_checkpoint):
    """One for all tests that only ask when training stops: it is traced once."""
    return kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)


class Script(keras.callbacks.Callback):
    """Writes scores into the logs, keeps the weights of every epoch, interrupts after one."""

    def __init__(self, name, scores, interrupt_after=None):
        super().__init__()
        self.name, self.scores, self.interrupt_after = name, scores, interrupt_after
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.scores[epoch]
        self.weights.append(self.model.get_weights())
        # Before the callbacks of fit see this epoch.
        if epoch == self.interrupt_after:
            raise KeyboardInterrupt


def fit(model, script, **options):
    options = {"epochs": len(script.scores), "validation_data": TRAIN[:2], **options}
    return model.fit(TRAIN, batch_size=4, verbose=0, callbacks=[script], **options)


def assert_weights(model, expected):
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "monitor, scores, epochs, best",
    [
        (None, [0.5, 0.7, 0.6, 0.7, 0.9], 4, 1),
        ("accuracy", [0.5, 0.7, 0.8, 0.6, 0.5], 5, 2),
        ("val_loss", [0.5, 0.4, 0.6, 0.5, 0.1], 4, 1),
    ],
)
def test_stops_and_gives_the_best_weights_back(model, monitor, scores, epochs, best):
    name = "val_loss" if monitor == "val_loss" else "val_accuracy"
    script = Script(name, scores)
    history = fit(model, script, monitor=monitor, patience=2)
    assert len(history.epoch) == epochs
    assert_weights(model, script.weights[best])


def test_goes_on_without_patience_and_keeps_the_last_without_restoring(model):
    script = Script("val_accuracy", [0.5, 0.9, 0.1, 0.1])
    assert len(fit(model, script, restore_best=True).epoch) == 4
    assert_weights(model, script.weights[1])
    script = Script("val_accuracy", [0.5, 0.9, 0.1, 0.1])
    assert len(fit(model, script, patience=1, restore_best=False).epoch) == 3
    assert_weights(model, script.weights[2])


@pytest.mark.parametrize("options", [{"patience": 5}, {}])
def test_interrupt_leaves_the_best_so_far(model, options):
    """By the score that is watched; by validation loss where none is."""
    name, scores = "val_accuracy", [0.6, 0.9, 0.2, 0.3]
    if not options:
        name, scores = "val_loss", [0.6, 0.1, 0.8, 0.7]
    script = Script(name, scores, interrupt_after=3)
    with pytest.raises(KeyboardInterrupt):
        fit(model, script, **options)
    assert_weights(model, script.weights[1])


def test_what_cannot_be_watched(model):
    with pytest.raises(ValueError, match="patience=3 goes by scores of validation data, and there"):
        model.fit(TRAIN, patience=3)
    with pytest.raises(ValueError, match="restore_best=True goes by scores"):
        model.fit(TRAIN, restore_best=True)
    with pytest.raises(ValueError, match="patience is a number of epochs"):
        model.fit(TRAIN, patience=-1, validation_data=TRAIN)
    with pytest.raises(ValueError, match="give one of them"):
        model.fit(TRAIN, monitor="val_loss", validation_data=TRAIN)
    with pytest.raises(ValueError, match="Its name does not tell"):
        model.fit(TRAIN, monitor="val_length", patience=1, validation_data=TRAIN)
    with pytest.raises(ValueError, match="no score 'val_f1' to stop by; there are val_") as error:
        model.fit(TRAIN, monitor="f1", patience=1, validation_data=TRAIN, verbose=0)
    assert all(name in str(error.value) for name in ("val_loss", "val_accuracy", "val_macro_f1"))


def test_epochs_without_validation_do_not_count():
    watch = BestEpoch("val_f1", patience=1)
    assert watch.get_monitor_value({"loss": 1.0}) is None
    assert watch.get_monitor_value({"loss": 1.0, "val_f1": 0.5}) == 0.5


# Gradients of several batches.


@pytest.fixture(scope="module")
def start(fixtures):
    """A classifier without dropout, and ids with labels for it."""
    arrays = np.load(fixtures / "adamw" / "batches.npz")
    ids = {name: arrays[f"a/{name}"] for name in INPUTS}
    return lambda: kb.BertClassifier.from_pretrained(str(fixtures / "adamw" / "start")), (
        {name: np.concatenate([x, x[::-1]]) for name, x in ids.items()},
        np.concatenate([arrays["a/wrong_labels"], arrays["a/right_labels"]]),
    )


def dataset(examples, batch):
    return tf.data.Dataset.from_tensor_slices(examples).batch(batch)


def kernels(model):
    """All but biases, among which are those of keys, that have no gradient but rounding."""
    return {
        v.path.partition("/")[2]: np.asarray(v.value) for v in model.weights if v.name != "bias"
    }


SETTINGS = {"learning_rate": 1e-3, "warmup": 0.5}


@pytest.fixture(scope="module")
def large(start):
    make, examples = start
    large = make()
    large.compile(**SETTINGS)
    large.fit(dataset(examples, 6), epochs=2, shuffle=False, verbose=0)
    return large


@pytest.mark.parametrize("how", ["compile", "fit"])
def test_several_batches_are_one_large_one(start, large, how):
    """10 rows: batches of 2, three to a step, against batches of 6; the last group is smaller.

    A gradient is clipped at norm 1, weights decay, and the rate rises and falls: all of it once per
    step, or else the weights would differ.
    """
    make, examples = start
    small = make()
    small.compile(**SETTINGS, **({"accumulate": 3} if how == "compile" else {}))
    options = {"accumulate": 3} if how == "fit" else {}
    small.fit(dataset(examples, 2), epochs=2, shuffle=False, verbose=0, **options)
    assert int(small.optimizer.iterations) == int(large.optimizer.iterations) == 4
    changed = kernels(make())
    for path, weight in kernels(large).items():
        change = np.abs(weight - changed[path]).max()
        assert change > 1e-4, path
        assert np.abs(kernels(small)[path] - weight).max() < 1e-5, path


def test_what_an_interrupted_run_left_is_forgotten(start):
    make, examples = start
    model = make()

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model.compile(learning_rate=1e-3, accumulate=3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(dataset(examples, 2), verbose=0, callbacks=[Interrupt()])
    assert any(np.any(v.value) for v in model.optimizer._accumulated_gradients)
    model.fit(dataset(examples, 2), shuffle=False, epochs=0, verbose=0)
    assert not any(np.any(v.value) for v in model.optimizer._accumulated_gradients)
    assert int(model.optimizer._iterations) == 0


@pytest.mark.slow
def test_accumulation_is_saved_and_can_be_ended(start, tmp_path):
    make, examples = start
    model = make()
    model.fit(dataset(examples, 2), accumulate=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer.gradient_accumulation_steps == 2
    assert int(again.optimizer.iterations) == 3
    again.fit(dataset(examples, 2), verbose=0)
    assert int(again.optimizer.iterations) == 6
    again.fit(dataset(examples, 2), accumulate=1, verbose=0)
    assert again.optimizer.gradient_accumulation_steps is None
    assert int(again.optimizer.iterations) == 5


def test_wrong_numbers_of_batches(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)
    for wrong in (0, -1, 2.5):
        with pytest.raises(ValueError, match="accumulate is a number of batches"):
            model.fit(TRAIN, accumulate=wrong)
    with pytest.raises(ValueError, match="of the default optimiser"):
        model.compile(optimizer="adam", accumulate=2)
    model.compile(optimizer="adam")
    with pytest.raises(ValueError, match=r"accumulate goes with kb.AdamW and .* with Adam\."):
        model.fit(TRAIN, accumulate=2)


@pytest.mark.slow
def test_accumulates_in_float16(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(
        str(tiny_checkpoint), labels=LABELS, dtype="mixed_float16"
    )
    model.fit(TRAIN, batch_size=2, accumulate=3, epochs=2, verbose=0)
    assert int(model.optimizer.inner_optimizer.iterations) == 4


# TensorBoard.


def tags_of(folder):
    tags = {}
    for file in folder.rglob("events*"):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append(
                    (event.step, float(tf.make_ndarray(value.tensor)))
                )
    return tags


def test_logs_for_tensorboard(model, tmp_path):
    model.fit(TRAIN, batch_size=2, epochs=6, verbose=0, tensorboard=tmp_path, validation_data=TRAIN)
    tags = tags_of(tmp_path)
    assert {"epoch_loss", "epoch_accuracy", "epoch_learning_rate", "batch_loss"} <= set(tags)
    schedule = model.optimizer._learning_rate
    begin = float(schedule._first_step)
    assert [step for step, _ in tags["batch_learning_rate"]] == [10, 20]
    for name in ("examples_per_second", "tokens_per_second", "padding"):
        assert [step for step, _ in tags[f"batch_{name}"]] == [10, 20]
    assert all(rate > 0 for _, rate in tags["batch_tokens_per_second"])
    assert all(share == 0 for _, share in tags["batch_padding"])
    for step, rate in tags["batch_learning_rate"]:
        assert rate == pytest.approx(float(schedule(begin + step)), rel=1e-5)
