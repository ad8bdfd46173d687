"""Counting what a run goes through, by a clock that tests set."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.batch_plan import BatchPlan
from keras_bert.training.runs.pace import Amounts, Pace


class Clock:
    """Seconds as tests say."""

    now = 100.0

    def __call__(self):
        return self.now


class Rows:
    lengths = np.array([2, 4, 6, 8, 10, 10])


#: Pass → batches: examples 2, 2, 1, 1; tokens 6, 14, 10, 10; positions 8, 16, 10, 10.
def batches(number):
    parts = [np.array(part) for part in ([0, 1], [2, 3], [4], [5])]
    return parts[::-1] if number % 2 else parts


def run(pace, clock, epochs=2, steps=4, validation=0.0, until=None, per_execution=1, seconds=None):
    """Takes a second per 10 positions; the first step of all 30 s more."""
    pace.set_params({"epochs": epochs, "steps": steps})
    pace.on_train_begin()
    taken = 0
    for epoch in range(epochs):
        pace.on_epoch_begin(epoch)
        for step in range(0, 4, per_execution):
            pace.on_train_batch_begin(step)
            positions = [len(b) * Rows.lengths[b].max() for b in batches(epoch)]
            clock.now += sum(positions[step : step + per_execution]) / 10 + 30 * (not taken)
            pace.on_train_batch_end(step + per_execution - 1)
            taken += per_execution
            if taken == until:
                return
        clock.now += validation
        pace.on_epoch_end(epoch)


def paced(**options):
    clock = Clock()
    return Pace(BatchPlan(Rows, batches, list("abcdef")), clock=clock, **options), clock


def test_counts_by_the_plan():
    pace, clock = paced()
    run(pace, clock, until=3)
    assert pace.done == Amounts(3, 5, 30, 34, pytest.approx(33.4))
    assert pace.done.padding == pytest.approx(4 / 34)
    assert pace.total_steps == 3
    np.testing.assert_array_equal(pace.rows(), [4])
    numbers, texts = pace.examples_of(pace.rows())
    assert list(numbers) == [4] and texts == ["e"]


def test_the_first_step_counts_for_no_rate():
    pace, clock = paced()
    run(pace, clock, until=1)
    assert pace.recent().rates() == {} and pace.left() is None
    # Alone it is all there is.
    assert pace.epoch_rates()["examples_per_second"] == pytest.approx(2 / 30.8)
    run(pace, clock, until=3)
    expected = {"examples_per_second": 3 / 2.6, "tokens_per_second": 24 / 2.6, "padding": 2 / 26}
    assert pace.recent().rates() == pytest.approx(expected)
    assert pace.epoch_rates() == pytest.approx(expected)


def test_time_left_goes_by_positions_and_counts_validation():
    pace, clock = paced()
    run(pace, clock, epochs=3, validation=5.0, until=3)
    # 10 of 44 positions; two epochs of 4.4 s; no validation seen yet.
    assert pace.left() == pytest.approx((1.0, 9.8))
    run(pace, clock, epochs=3, validation=5.0, until=5)
    # The second pass has its batches the other way round: 10 of 44 positions are done.
    assert pace.left() == pytest.approx((3.4, 3.4 + 5 + 4.4 + 5))
    run(pace, clock, epochs=3, validation=5.0, until=12)
    assert pace.left() == pytest.approx((0.0, 5.0))


def test_an_epoch_that_just_began_has_the_rates_of_the_one_before():
    pace, clock = paced()
    run(pace, clock, until=4)
    before = pace.epoch_rates()
    pace.on_epoch_end(0)
    clock.now += 60
    pace.on_epoch_begin(1)
    assert pace.recent().rates() == pytest.approx(before)


def test_several_steps_in_one():
    pace, clock = paced()
    run(pace, clock, per_execution=2, until=4)
    assert pace.done == Amounts(4, 6, 40, 44, pytest.approx(34.4))
    np.testing.assert_array_equal(pace.rows(), [4, 5])
    pace.on_train_begin()
    pace.on_epoch_begin(0)
    pace.on_train_batch_begin(3)
    pace.on_train_batch_end(5)  # three at once, of which there is one
    assert (pace.step, pace.done.steps, pace.done.examples) == (4, 1, 1)


def test_a_window_of_ten_seconds():
    pace, clock = paced()
    pace.set_params({"epochs": 1, "steps": 4000})
    pace._plan = None
    pace.set_model(types.SimpleNamespace(last_step=None))
    pace.on_train_begin()
    pace.on_epoch_begin(0)
    for step in range(100):
        clock.now += 1.0 if step < 50 else 0.25
        pace.on_train_batch_begin(step)
        pace.on_train_batch_end(step)
    recent = pace.recent()
    assert recent.steps / recent.seconds == pytest.approx(4.0)
    assert 9.0 <= recent.seconds <= 11.0


def test_epochs_that_are_parts_of_a_pass():
    """With ``steps_per_epoch`` Keras goes on in a pass where the epoch before has ended."""
    pace, _ = paced(repeats=False)
    pace.set_params({"epochs": 3, "steps": 3})
    pace.on_train_begin()
    seen = []
    for epoch in range(3):
        pace.on_epoch_begin(epoch)
        for step in range(3):
            pace.on_train_batch_begin(step)
            pace.on_train_batch_end(step)
            seen.append(pace.rows().tolist())
    expected = [b.tolist() for number in (0, 1, 2) for b in batches(number)]
    assert seen == expected[:9]


def test_begun_in_the_midst_of_an_epoch():
    pace, _ = paced()
    pace.set_params({"epochs": 3, "steps": 4})
    pace.on_train_begin()
    pace.on_epoch_begin(0)
    pace.on_train_batch_begin(2)
    pace.on_train_batch_end(2)
    assert pace.rows().tolist() == [4] and pace.total_steps == 3


def test_without_a_plan_the_mask_is_counted():
    pace = Pace()
    batch = {"input_word_ids": tf.ones((3, 5)), "input_mask": tf.constant([[1, 1, 0, 0, 0]] * 3)}
    pace.set_model(types.SimpleNamespace(last_step=types.SimpleNamespace(batch=batch)))
    run(pace, Clock(), until=2)
    assert pace.done.examples == 6 and pace.done.tokens == 12 and pace.done.positions == 30
    assert pace.rows() is None
    batch.pop("input_mask")
    run(pace, Clock(), until=2)
    assert pace.done.examples == 6 and pace.done.padding is None


def test_columns_of_masks():
    pace = Pace()
    batch = {f"{i}/input_mask": tf.ones((3, 2 + i), tf.int32) for i in range(2)}
    pace.set_model(types.SimpleNamespace(last_step=types.SimpleNamespace(batch=batch)))
    run(pace, Clock(), until=1)
    assert (pace.done.examples, pace.done.positions) == (3, 15)


def test_nothing_known():
    pace, clock = Pace(), Clock()
    pace.set_model(types.SimpleNamespace())
    run(pace, clock, steps=None, epochs=2)
    assert pace.done.examples is None and pace.recent().rates() == {}
    assert pace.steps == 4 and pace.total_steps == 8


@pytest.mark.parametrize("schedule", [True, False])
def test_learning_rate(schedule):
    rate = keras.optimizers.schedules.PolynomialDecay(0.5, 10) if schedule else 0.5
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    pace = Pace()
    pace.set_model(model)
    assert pace.learning_rate() == pytest.approx(0.5)
    model.optimizer.iterations.assign(5)
    if not schedule:
        model.optimizer.learning_rate = 0.25
    assert pace.learning_rate() == pytest.approx(0.25, rel=1e-3)
