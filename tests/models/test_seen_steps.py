"""What training steps leave behind: each one's loss and batch, and nothing else changed by it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.models.seen_steps import SeenSteps, named_tensors

IDS = np.arange(28).reshape(7, 4) % 5
LABELS = np.array([1, 0, 1, 0, 1, 0, 0])


@keras.saving.register_keras_serializable("tests")
class Small(SeenSteps, keras.Model):
    """What the mixin is to a task model, without the seconds of an encoder."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding, self.head = keras.layers.Embedding(5, 3), keras.layers.Dense(2)

    def call(self, inputs):
        return self.head(keras.ops.mean(self.embedding(inputs["input_word_ids"]), axis=1))

    def build(self, shapes):
        self.embedding.build((None, 4))
        self.head.build((None, 3))
        self.built = True


def compiled(model, jit_compile=False, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=jit_compile, **options)


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        last = self.model.last_step
        ids = {name: np.array(value) for name, value in last.batch.items()}
        self.steps.append((float(last.loss), logs["loss"], ids, last.previous, set(logs)))


@pytest.fixture
def model():
    model = Small()
    model.build(None)
    return model


@pytest.fixture
def data():
    ids = {"input_word_ids": IDS, "input_mask": np.ones_like(IDS)}
    return tf.data.Dataset.from_tensor_slices((ids, LABELS)).batch(3)


def check(seen, batches):
    """The running mean that Keras tells is that of the losses of the steps so far."""
    total, count = 0.0, 0
    for (loss, mean, ids, _, names), (expected, labels) in zip(seen.steps, batches, strict=True):
        total, count = total + loss * len(labels), count + len(labels)
        assert mean == pytest.approx(total / count, rel=1e-5)
        assert set(ids) == {*expected, "targets"}
        for name, value in expected.items():
            np.testing.assert_array_equal(ids[name], value)
        np.testing.assert_array_equal(ids["targets"], labels)
        assert not any("seen" in name for name in names)


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}, {"jit_compile": True}])
def test_loss_and_batch_of_each_step(model, data, options):
    """Should this fail after an update of Keras, it no longer calls ``_compute_loss``."""
    compiled(model, **options)
    seen = Seen()
    history = model.fit(data, verbose=0, callbacks=[seen], shuffle=False)
    check(seen, list(data.as_numpy_iterator()))
    assert seen.steps[0][3] is None and seen.steps[1][3] is not None
    assert set(history.history) == {"loss", "accuracy"}


def test_several_steps_in_one(model, data):
    compiled(model, steps_per_execution=2)
    seen = Seen()
    model.fit(data, verbose=0, callbacks=[seen], shuffle=False)
    assert [len(ids["targets"]) for _, _, ids, _, _ in seen.steps] == [3, 1]
    assert all(np.isfinite(loss) for loss, *_ in seen.steps)


def test_the_function_is_made_once(model, data):
    compiled(model)
    model.fit(data, verbose=0, shuffle=False)
    function = model.train_function
    model.fit(data, verbose=0, shuffle=False)
    assert model.train_function is function
    model.make_train_function(force=True)
    assert model.train_function is not function


def test_saved_as_it_was(model, data, tmp_path):
    compiled(model)
    model.fit(data, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.last_step.loss is None and len(again.weights) == len(model.weights)


def test_names():
    one = tf.constant([1])
    assert list(named_tensors(({"a": one, "b": one}, {"x": one}, one))) == [
        *("a", "b", "targets/x", "sample_weight")
    ]
    assert list(named_tensors((({"a": one}, {"a": one}), one))) == ["0/a", "1/a", "targets"]
    assert list(named_tensors(one)) == ["inputs"]
    assert list(named_tensors((one, None, one))) == ["inputs", "sample_weight"]
