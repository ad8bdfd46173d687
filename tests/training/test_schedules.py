import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import WarmupLinearDecay


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
