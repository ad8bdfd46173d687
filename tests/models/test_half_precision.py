"""Every task model in half precision: what stays in float32, training, saving, exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.export import ask

SLOW = pytest.mark.slow
LABELS = ["question", "complaint", "praise"]
TAGS = ["O", "B-X"]

# Task model → arguments, examples to train on, and what predict takes.
TASKS = {
    "BertClassifier": (
        {"labels": LABELS},
        [("how are you", "question"), ("it is bad", "complaint"), ("so good", "praise")],
        "the card is late",
    ),
    "BertTokenClassifier": (
        {"labels": TAGS},
        [(["my", "card", "is", "late"], ["O", "B-X", "O", "O"]), (["good"], ["O"])],
        "the card is late",
    ),
    "BertSpanLabeler": (
        {},
        [(("what is late", "my card is late"), {"text": "card", "start": 3})],
        ("what is late", "my card is late"),
    ),
    "BertMultipleChoice": (
        {},
        [(("my card", ["is late", "good"]), 0), (("food", ["is late", "is good"]), 1)],
        ("my card", ["is late", "good"]),
    ),
    "BertMaskedLM": ({}, ["how are you", "my card is late", "the food is good"], "my [MASK]"),
    "DualEncoder": (
        {"pooling": "mean"},
        [(("my card", "card"), 1.0), (("my card", "food"), 0.0)],
        "my card",
    ),
}
POLICIES = ["mixed_bfloat16", "mixed_float16"]


def made(name, folder, dtype):
    keras.utils.set_random_seed(3)
    return getattr(kb, name).from_pretrained(str(folder), dtype=dtype, **TASKS[name][0])


def raw(model):
    ids = tf.constant([[2, 7, 9, 3], [2, 8, 3, 0]], tf.int32)
    inputs = {"input_word_ids": ids, "input_mask": tf.cast(ids > 0, tf.int32)}
    if isinstance(model, kb.BertMultipleChoice):
        inputs = {name: x[None] for name, x in inputs.items()}
    return [x for x in keras.tree.flatten(model(inputs)) if x is not None]


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", TASKS)
def test_what_leaves_a_model_is_float32(name, policy, tiny_checkpoint):
    model, whole = (made(name, tiny_checkpoint, dtype) for dtype in (policy, "float32"))
    assert model.dtype_policy.name == model.encoder.dtype_policy.name == policy
    assert {w.dtype for w in model.weights if w.dtype != "int64"} == {"float32"}
    for one, other in zip(raw(model), raw(whole), strict=True):
        assert one.dtype == tf.float32
        assert np.abs(one - other).max() < 0.02 * max(1.0, np.abs(other).max())


@SLOW
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", TASKS)
def test_training_tracks_float32(name, policy, tiny_checkpoint, tmp_path):
    losses = []
    for dtype in ("float32", policy):
        model = made(name, tiny_checkpoint, dtype)
        data = TASKS[name][1] * 4
        history = model.fit(data, batch_size=4, epochs=3, verbose=0)
        losses.append(history.history["loss"])
    assert np.all(np.isfinite(losses))
    # bfloat16 has 8 bits: a loss of a few tenths is right to about one in a hundred.
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02, atol=0.01)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.dtype_policy.name == again.encoder.dtype_policy.name == policy
    for one, other in zip(raw(again), raw(model), strict=True):
        np.testing.assert_array_equal(one, other)


@SLOW
@pytest.mark.parametrize("name", TASKS)
def test_exports_answer_as_the_model(name, tiny_checkpoint, tmp_path):
    model = made(name, tiny_checkpoint, "mixed_bfloat16")
    loaded = ask.load(kb.export.saved_model(model, tmp_path / "export"))
    answer = ask.ask(loaded, [TASKS[name][2]])[0]
    for value in answer.values():
        assert getattr(value, "dtype", None) != tf.bfloat16


def test_loss_scaling_skips_a_step_that_overflows(tiny_checkpoint):
    model = made("BertClassifier", tiny_checkpoint, "mixed_float16")
    model.compile(optimizer=kb.AdamW(0.1), run_eagerly=False)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    before = [w.numpy() for w in model.trainable_variables]
    scale = float(optimizer.dynamic_scale)
    gradients = [tf.zeros(v.shape) for v in model.trainable_variables]
    gradients[3] = tf.fill(gradients[3].shape, np.inf)
    tf.function(lambda: optimizer.apply(gradients, model.trainable_variables))()
    assert float(optimizer.dynamic_scale) == scale / 2
    for one, other in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(one, other)
