"""AdamW without bias correction and the schedule of 2018 against Google's own; see
fixtures/make/original_optimizer.py.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import AdamW, WarmupLinearDecay

STEPS = Path(__file__).resolve().parent.parent / "fixtures" / "original_optimizer" / "steps.npz"


@pytest.fixture(scope="module")
def arrays():
    return np.load(STEPS)


def schedule(arrays, **kwargs):
    total, warmup = int(arrays["steps"]), int(arrays["warmup"])
    return WarmupLinearDecay(float(arrays["rate"]), total, warmup_steps=warmup, **kwargs)


def test_rates(arrays):
    ours = schedule(arrays, decay_during_warmup=True)
    found = [float(ours(step)) for step in range(int(arrays["steps"]))]
    np.testing.assert_allclose(found, arrays["rates"], rtol=1e-6)
    # The other variant is another from the end of the warm-up on.
    other = schedule(arrays)
    assert abs(float(other(5)) - found[5]) > 1e-3


def test_steps(arrays):
    names = [key.removeprefix("start/") for key in arrays if key.startswith("start/")]
    weights = [
        keras.Variable(arrays[f"start/{n}"], name=n.rpartition("/")[2], dtype="float32")
        for n in names
    ]
    optimizer = AdamW(schedule(arrays, decay_during_warmup=True), bias_correction=False)
    for step in range(int(arrays["steps"])):
        gradients = [tf.constant(arrays[f"gradients/{step}/{n}"]) for n in names]
        optimizer.apply(gradients, weights)
        for name, weight in zip(names, weights, strict=True):
            theirs = arrays[f"after/{step}/{name}"]
            np.testing.assert_allclose(weight, theirs, rtol=0, atol=1e-6, err_msg=name)
