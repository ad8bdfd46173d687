"""LAMB against the Model Garden's, step by step; see fixtures/make/lamb.py."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import LAMB

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "lamb"
CASES = json.loads((FOLDER / "cases.json").read_text())
NAMES = ("word_embeddings", "kernel", "zeros", "bias", "gamma")
#: Of the largest weight of a variable.
TOLERANCE = 2e-6


@pytest.mark.parametrize(("name", "jit"), [*((name, False) for name in CASES), ("strong", True)])
def test_takes_the_gardens_steps(name, jit):
    arrays = np.load(FOLDER / f"{name}.npz")
    weights = [keras.Variable(arrays[f"start/{n}"], name=n, dtype="float32") for n in NAMES]
    optimizer = LAMB(**CASES[name])
    optimizer.build(weights)

    @tf.function(jit_compile=jit)
    def take(values, rows, *dense):
        table = tf.IndexedSlices(values, rows, dense_shape=tf.constant([7, 4]))
        optimizer.apply([table, *dense], weights)

    for step in range(6):
        gradients = [tf.constant(arrays[f"gradients/{step}/{n}"]) for n in NAMES]
        take(gradients[0], tf.constant(arrays[f"rows/{step}"], tf.int32), *gradients[1:])
        for weight in weights:
            theirs = arrays[f"after/{step}/{weight.name}"]
            limit = TOLERANCE * np.abs(theirs).max()
            np.testing.assert_allclose(weight, theirs, rtol=0, atol=limit, err_msg=weight.name)


def test_cases_tell_usual_mistakes_apart():
    """With another setting a case ends elsewhere, so that the test above can fail."""
    arrays = np.load(FOLDER / "strong.npz")
    for change in (
        {"not_decayed": []},
        {"not_adapted": None},
        {"not_adapted": []},
        {"bias_correction": False},
        {"weight_decay": 0.0},
        {"epsilon": 1e-6},
    ):
        weights = [keras.Variable(arrays[f"start/{n}"], name=n, dtype="float32") for n in NAMES]
        optimizer = LAMB(**{**CASES["strong"], **change})
        for step in range(2):
            gradients = [tf.constant(arrays[f"gradients/{step}/{n}"]) for n in NAMES]
            gradients[0] = tf.IndexedSlices(
                gradients[0], tf.constant(arrays[f"rows/{step}"]), tf.constant([7, 4])
            )
            optimizer.apply(gradients, weights)
        theirs = [arrays[f"after/1/{n}"] for n in NAMES]
        off = max(np.abs(w - t).max() for w, t in zip(weights, theirs, strict=True))
        assert off > 1e-4, change
