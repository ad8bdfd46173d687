"""Steps by summed gradients: two replicas against one device, in a process of their own."""

import inspect
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import AdamW, apply_reduced
from keras_bert.training.distribution.replicated import _HOOKS, on_this_replica

ROOT = Path(__file__).resolve().parents[3]
#: Largest difference of a weight after eight steps, in float32.
TOLERANCE = 1e-6
CLIPPED = {"global_clipnorm": 0.5}
AVERAGED = {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3}


def results(cases, timeout=600):
    """What tests/training/distribution/two_replicas.py finds out about cases."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("two_replicas.py")), json.dumps(cases)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(case, found):
    __tracebackhide__ = True
    if case.get("fit"):
        assert found["difference"] <= TOLERANCE, case
        return
    assert found["finite"] and found["moved"] > 1e-4, (case, found)
    assert found["difference"] <= TOLERANCE and found["copies_equal"], (case, found)
    assert found["state_difference"] <= TOLERANCE, (case, found)
    group = case.get("options", {}).get("gradient_accumulation_steps") or 1
    # One of eight batches is not finite: its step is skipped.
    batches = 7 if case.get("loss_scale") else 8
    steps = -(-batches // group) if case.get("finish") else batches // group
    assert found["iterations"] == [steps, steps], (case, found)
    if case.get("loss_scale"):
        # 1024, doubled after each two finite steps, halved for the fourth.
        assert found["scale"] == 1024 * 2 / 2 * 4, (case, found)


@pytest.mark.slow
def test_two_replicas_are_one_device():
    """Some of the matrix below, and an incomplete group; the script's start is most of the time."""
    cases = [
        {"optimizer": "SGD", "options": {**CLIPPED, "gradient_accumulation_steps": 2}},
        {
            "optimizer": "AdamW",
            "options": {**CLIPPED, **AVERAGED, "gradient_accumulation_steps": 3},
            "loss_scale": True,
            "finish": True,
        },
        {
            "optimizer": "LAMB",
            "options": {**CLIPPED, **AVERAGED, "gradient_accumulation_steps": 2},
            "loss_scale": True,
            "jit": True,
        },
        {"optimizer": "AdamW", "fit": True, "options": {"learning_rate": 0.05, **CLIPPED}},
    ]
    for case, found in zip(cases, results(cases), strict=True):
        check(case, found)


def matrix(optimizer):
    for clip, accumulate, average, scale, jit in itertools.product([False, True], repeat=5):
        options = {
            **({"global_clipnorm": 0.5 if clip else None}),
            **(AVERAGED if average else {}),
            **({"gradient_accumulation_steps": 2} if accumulate else {}),
        }
        yield {"optimizer": optimizer, "options": options, "loss_scale": scale, "jit": jit}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "LAMB"])
def test_all_that_goes_together(optimizer):
    cases = list(matrix(optimizer))
    for case, found in zip(cases, results(cases, timeout=1800), strict=True):
        check(case, found)


@pytest.mark.slow
def test_any_optimizer_of_keras():
    kinds = ("Adam", "Adamax", "Adagrad", "Adadelta", "Adafactor", "Lion", "Nadam")
    kinds += ("RMSprop", "Muon", "Lamb", "ScheduleFreeAdamW")
    cases = [{"optimizer": kind, "options": CLIPPED} for kind in kinds]
    cases += [
        {"optimizer": "Ftrl", "options": CLIPPED, "schedule": False},  # divides by the rate
        {"optimizer": "Adam", "options": {"clipnorm": 0.1, "weight_decay": 0.1}, "jit": True},
        {"optimizer": "SGD", "options": {"clipvalue": 0.1, "momentum": 0.9}, "loss_scale": True},
        {"optimizer": "Adam", "options": {"amsgrad": True}, "schedule": False},
        {"optimizer": "MultiOptimizer"},
        {"optimizer": "MultiOptimizer", "jit": True},
        {"optimizer": "LAMB", "options": {"layer_decay": 0.9, "bias_correction": False}},
        {
            "optimizer": "LAMB",
            "options": {"gradient_accumulation_steps": 3, **AVERAGED},
            "finish": True,
        },
    ]
    for case, found in zip(cases, results(cases, timeout=1800), strict=True):
        check(case, found)


# On one device, and without a strategy.


def variable(array, name="kernel"):
    return keras.Variable(array, name=name, dtype="float32")


@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.AdamW, AdamW])
def test_rows_used_twice_are_summed_first(kind):
    tables = [variable(np.ones((5, 2))) for _ in range(2)]
    values = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32)
    dense = np.zeros((5, 2), np.float32)
    np.add.at(dense, [1, 1, 4], values)
    sparse = tf.IndexedSlices(values, tf.constant([1, 1, 4]), dense_shape=(5, 2))
    for table, gradient in zip(tables, (sparse, tf.constant(dense)), strict=True):
        optimizer = kind(0.1)
        for _ in range(3):
            apply_reduced(optimizer, [gradient], [table])
    np.testing.assert_array_equal(*tables)


def test_a_view_has_the_optimizers_own_state():
    weight, optimizer = variable(np.ones(3)), keras.optimizers.Adam(0.1)
    optimizer.build([weight])
    view = on_this_replica(optimizer)
    assert isinstance(view, keras.optimizers.Adam) and on_this_replica(view) is view
    view.apply([tf.ones(3)], [weight])
    optimizer.apply([tf.ones(3)], [weight])
    view.learning_rate = 0.5
    assert int(optimizer.iterations) == int(view.iterations) == 2
    assert float(optimizer.learning_rate) == 0.5
    assert [v is w for v, w in zip(view.variables, optimizer.variables, strict=True)] == [True] * 4


def test_weights_without_gradients_stay():
    weights = [variable(np.ones(2)) for _ in range(2)]
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        apply_reduced(AdamW(0.1), [tf.ones(2), None], weights)
    assert float(weights[0][0]) < 1 and float(weights[1][0]) == 1


def test_what_is_not_finite_is_skipped():
    weight = variable(np.ones(2))
    optimizer = keras.optimizers.LossScaleOptimizer(AdamW(0.1), initial_scale=8.0)
    apply_reduced(optimizer, [tf.constant([1.0, np.inf])], [weight])
    assert weight.numpy().tolist() == [1.0, 1.0] and float(optimizer.dynamic_scale) == 4.0
    apply_reduced(optimizer, [tf.constant([1.0, 2.0])], [weight])
    assert (weight.numpy() < 1).all() and int(optimizer.iterations) == 1


def test_only_in_replica_functions():
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        weight, optimizer = variable(np.ones(2)), AdamW(0.1)
        optimizer.build([weight])
        with pytest.raises(ValueError, match=r"for replica functions: strategy.run\(step\)"):
            apply_reduced(optimizer, [tf.ones(2)], [weight])
    strategy.run(lambda: apply_reduced(optimizer, [tf.ones(2)], [weight]))
    assert int(optimizer.iterations) == 1


# Keras' private parts: what must be looked at again when one of these fails.


def test_keras_has_changed_nothing_that_is_replaced():
    """``replicated.py`` replaces all of ``TFOptimizer`` that reaches for other replicas' copies."""
    with_strategies, without = keras.optimizers.Optimizer.__bases__
    looked_through = {
        "__init__",  # notes the strategy
        "add_variable_from_reference",  # makes a variable where another is
        "stateless_apply",  # raises
        "assign",  # these three assign the copy at hand
        "assign_add",
        "assign_sub",
        "_var_key",  # of all copies the same
        "_distributed_tf_update_step",  # these two are called by what is replaced
        "_all_reduce_sum_gradients",
        "_clip_by_norm",  # no copies in it
    }
    methods = {name for name, value in vars(with_strategies).items() if inspect.isfunction(value)}
    assert methods == looked_through | set(_HOOKS), (
        f"Keras {keras.__version__} has other methods in {with_strategies.__name__} than 3.15: "
        "see whether they merge replicas, and whether training/distribution/replicated.py must "
        "replace them."
    )
    assert set(_HOOKS) <= set(vars(without))


def test_keras_counts_and_wraps_as_it_did():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    assert {"_iterations", "inner_optimizer", "_distribution_strategy"} <= set(vars(optimizer))
    names = ("_tf_apply", "_common_apply")
    assert all(inspect.isfunction(vars(keras.optimizers.LossScaleOptimizer)[n]) for n in names)
    multiple = keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD(0.1))
    assert isinstance(vars(multiple)["_inner_optimizers"], list)
    assert inspect.isfunction(keras.Variable._direct_assign)
