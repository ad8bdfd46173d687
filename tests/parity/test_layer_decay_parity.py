"""A learning rate per layer against PyTorch's groups of parameters; see make/layer_decay.py."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FOLDER = FIXTURES / "layer_decay"
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
STARTS = {"bert": FIXTURES / "adamw" / "start", "albert": FOLDER / "albert" / "start"}
LABELS = ["a", "b", "c"]
#: As in test_adamw_parity.py: of the largest change of a tensor. Of a factor that is off by one
#: layer the change is off by 0.3.
CHANGE_TOLERANCE = 5e-3


def read(family, folder, file=None):
    """A model of the start, or of weights that have its names."""
    if file is not None:
        shutil.copytree(STARTS[family], folder)
        shutil.copyfile(file, folder / "model.safetensors")
    return kb.BertClassifier.from_pretrained(str(folder), labels=LABELS)


def batch_of(family, settings, step):
    letter = "ab"[step % 2]
    if family == "bert":
        arrays = np.load(FIXTURES / "adamw" / "batches.npz")
        labels = arrays[f"{letter}/{settings['labels'][letter]}_labels"]
    else:
        arrays = np.load(FOLDER / "albert" / "batches.npz")
        labels = arrays[f"{letter}/labels"]
    return {name: tf.constant(arrays[f"{letter}/{name}"]) for name in INPUTS}, labels


def arrays_of(model):
    return {v.path.partition("/")[2]: v.value.numpy() for v in model.trainable_variables}


def without_key_biases(path, array):
    """They have no gradient but rounding, which Adam blows up; see test_adamw_parity.py."""
    if not path.endswith("query_key_value/bias"):
        return array
    width = len(array) // 3
    return np.concatenate([array[:width], array[2 * width :]])


def compare(ours, theirs, start, steps, tolerance):
    for path in theirs:
        one, other, first = (without_key_biases(path, x[path]) for x in (ours, theirs, start))
        rounding = 2 * steps * np.spacing(np.abs(other))
        off = np.clip(np.abs(one - other) - rounding, 0, None).max()
        assert off <= tolerance * np.abs(other - first).max(), path


@pytest.mark.parametrize("family", ["bert", "albert"])
@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_one_and_five_steps(family, tmp_path):
    settings = json.loads((FOLDER / "case.json").read_text())
    names = ("learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon", "global_clipnorm")
    optimizer = kb.AdamW(
        **{name: settings[name] for name in names}, layer_decay=settings["layer_decay"]
    )
    model = read(family, STARTS[family])
    start = arrays_of(model)
    for step in range(5):
        inputs, labels = batch_of(family, settings, step)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(
                    labels, model(inputs, training=True), from_logits=True
                )
            )
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        if step + 1 in (1, 5):
            file = FOLDER / family / f"after_{step + 1}.safetensors"
            theirs = arrays_of(read(family, tmp_path / f"{step}", file))
            compare(arrays_of(model), theirs, start, step + 1, CHANGE_TOLERANCE)
    with pytest.raises(AssertionError):
        compare(start, theirs, start, 5, 0.1)
