import copy
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import WarmupConstant, WarmupCosineDecay, WarmupLinearDecay
from keras_bert.training import WarmupPolynomialDecay as Polynomial
from keras_bert.training.schedules import SCHEDULES

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
#: By transformers; see fixtures/make/schedules.py.
THEIRS = json.loads((FIXTURES / "schedules" / "transformers.json").read_text())


@pytest.mark.parametrize("case", THEIRS, ids=lambda case: case["name"])
def test_rates_are_those_of_transformers(case):
    schedule = SCHEDULES[case["name"]](**case["options"])
    ours = [float(schedule(step)) for step in range(len(case["rates"]))]
    np.testing.assert_allclose(ours, case["rates"], rtol=2e-6, atol=1e-7 * case["options"]["peak"])


@pytest.mark.parametrize("kind", SCHEDULES.values(), ids=SCHEDULES)
def test_share_and_number_of_warmup_steps(kind):
    share, number = kind(1.0, 20, warmup=0.3), kind(1.0, 20, warmup_steps=6)
    for step in range(21):
        assert float(share(step)) == float(number(step))
    number.start_run(5, 40)
    assert (number.first_step, number.total_steps) == (5, 40)
    assert float(number(5 + 3)) == 0.5 and float(number(5 + 6)) == 1.0


@pytest.mark.parametrize("kind", SCHEDULES.values(), ids=SCHEDULES)
def test_decay_during_warmup_starts_with_the_run(kind):
    late, early = (kind(2.0, 20, 0.25, decay_during_warmup=on) for on in (False, True))
    whole = kind(2.0, 20, warmup=0.0)
    for step in range(5):
        assert float(early(step)) == float(late(step)) == pytest.approx(2 * step / 5)
    for step in range(5, 21):
        assert float(early(step)) == pytest.approx(float(whole(step)))
    assert kind is WarmupConstant or float(early(5)) < float(late(5)) == 2.0


@pytest.mark.parametrize(
    "schedule",
    [
        WarmupLinearDecay(1e-3, 50, decay_during_warmup=True),
        Polynomial(1e-3, 50, warmup_steps=7, end_rate=1e-4, power=2.0),
        WarmupCosineDecay(1e-3, warmup=0.2, end_rate=1e-5),
        WarmupConstant(1e-3, warmup_steps=3),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_round_trips(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    assert copy.deepcopy(schedule).get_config() == schedule.get_config()


def test_what_was_saved_before_is_read():
    old = {"peak": 1e-3, "total_steps": 50, "warmup": 0.2}
    assert WarmupLinearDecay.from_config(old).get_config().items() >= old.items()


def test_constant_rates_need_no_length():
    assert float(WarmupConstant(1.0, warmup=0.0)(10**6)) == 1.0
    assert float(WarmupConstant(1.0, warmup_steps=4)(1)) == 0.25
    with pytest.raises(ValueError, match="WarmupConstant does not know the number of steps"):
        WarmupConstant(1.0)(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WarmupLinearDecay(-1.0), "peak is .* received -1"),
        (lambda: WarmupLinearDecay(1.0, warmup_steps=0.1), "received 0.1. A share of the run is w"),
        (lambda: WarmupLinearDecay(1.0, warmup_steps=-2), "from 0 on; received -2"),
        (lambda: WarmupCosineDecay(1.0, end_rate=2.0), "from 0 to the peak of 1.0; received 2.0"),
        (lambda: Polynomial(1.0, power=0), "power is above 0; received 0"),
    ],
)
def test_wrong_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_warms_up_and_decays():
    schedule = WarmupLinearDecay(2.0, total_steps=10, warmup=0.2)
    rates = [float(schedule(step)) for step in range(12)]
    expected = [0, 1, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25, 0, 0]
    np.testing.assert_allclose(rates, expected, atol=1e-6)


@pytest.mark.parametrize(("warmup", "first"), [(0.0, 1.0), (1.0, 0.0)])
def test_ends_of_warmup(warmup, first):
    assert float(WarmupLinearDecay(1.0, 10, warmup)(0)) == first


def test_one_step():
    assert 0 <= float(WarmupLinearDecay(1.0, 1)(0)) <= 1


def test_new_run_is_seen_by_a_traced_function():
    schedule = WarmupLinearDecay(1.0, total_steps=10, warmup=0.0)
    traced = tf.function(schedule)
    assert float(traced(tf.constant(10))) == 0.0
    schedule.start_run(first_step=10, total_steps=4)
    np.testing.assert_allclose(
        [float(traced(tf.constant(step))) for step in (10, 12, 14)], [1.0, 0.5, 0.0]
    )


def test_needs_the_number_of_steps():
    with pytest.raises(ValueError, match="does not know the number of steps"):
        WarmupLinearDecay(1.0)(0)


def test_warmup_is_a_share():
    with pytest.raises(ValueError, match=r"share of the run in \[0, 1\]; received 100"):
        WarmupLinearDecay(1.0, warmup=100)
