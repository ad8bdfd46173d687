"""Correlations against SciPy; see fixtures/make/metrics.py."""

import keras
import numpy as np
import pytest

from keras_bert.metrics import PearsonCorrelation, pearson, spearman
from keras_bert.metrics.regression import mean_squared_error


def streamed(labels, predictions, weights=None, batch=13):
    metric = PearsonCorrelation()
    for i in range(0, len(labels), batch):
        part = slice(i, i + batch)
        weight = None if weights is None else weights[part]
        metric.update_state(
            np.float32(labels[part]), np.float32(predictions[part])[:, None], sample_weight=weight
        )
    return float(metric.result())


def test_scores_of_whole_sets_are_scipys(golden):
    for case in golden["numbers"]:
        pair = case["labels"], case["predictions"]
        for name, function in (("pearson", pearson), ("spearman", spearman)):
            assert function(*pair) == pytest.approx(case[name], abs=1e-12, nan_ok=True), name
        assert mean_squared_error(*pair) == pytest.approx(case["mse"], rel=1e-12)


@pytest.mark.parametrize("batch", [1, 13, 1000])
def test_streamed_scores_are_scipys(golden, batch):
    for case in golden["numbers"]:
        if batch == 1 and len(case["labels"]) > 60:
            continue  # slow, and no other
        pair = case["labels"], case["predictions"]
        weighted = streamed(*pair, case["weights"], batch)
        assert streamed(*pair, batch=batch) == pytest.approx(case["pearson"], abs=2e-7, nan_ok=True)
        assert weighted == pytest.approx(case["weighted_pearson"], abs=2e-7, nan_ok=True)


def test_far_from_zero_nothing_is_lost():
    """Sums of squares would cancel: 1e7² has no room for the differences, even in float64."""
    random = np.random.default_rng(0)
    labels = np.float32(1.5e7 + random.integers(0, 4, 300))
    predictions = labels + random.integers(0, 2, 300).astype(np.float32)
    assert streamed(labels, predictions) == pytest.approx(pearson(labels, predictions), abs=1e-6)


def test_what_is_not_defined():
    for function in (pearson, spearman, streamed):
        for pair in (([], []), ([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0])):
            assert np.isnan(function(*pair)), (function, pair)
    for function in (pearson, spearman):
        assert np.isnan(function([1.0, np.nan, 2.0], [1.0, 2.0, 3.0]))
    assert np.isnan(mean_squared_error([], []))


def test_a_constant_whose_mean_is_rounded():
    """The weighted mean of 0.1 is not 0.1, so that there are differences, of rounding alone."""
    random = np.random.default_rng(1)
    weights = random.random(50)
    assert np.isnan(streamed(np.full(50, 0.1), random.normal(size=50), weights))


@pytest.mark.parametrize("function", [pearson, spearman, mean_squared_error])
def test_not_as_many_of_both(function):
    with pytest.raises(ValueError, match=r"shape \(2,\) and predictions of shape \(1,\)"):
        function([1, 2], [1])


def test_extreme_numbers():
    assert pearson([1e-200, 2e-200, 3e-200], [1e200, 3e200, 2e200]) == pytest.approx(0.5)


def test_weights_of_nothing_change_nothing():
    metric = PearsonCorrelation()
    metric.update_state([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    metric.update_state([7.0, 8.0], [0.0, 1.0], sample_weight=[0.0, 0.0])
    assert float(metric.result()) == pytest.approx(0.5)
    metric.reset_state()
    assert np.isnan(float(metric.result()))


def test_settings_are_kept():
    metric = PearsonCorrelation(name="r")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()
