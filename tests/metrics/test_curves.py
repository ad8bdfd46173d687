"""Curves against scikit-learn, and what they make of too little."""

import json

import numpy as np
import pytest

from keras_bert.metrics.curves import precision_recall_curve, reliability, roc_curve


@pytest.fixture(scope="module")
def cases(fixtures):
    return json.loads((fixtures / "curves" / "expected.json").read_text())


def test_roc_equals_scikit_learn(cases):
    for case in cases:
        curve = roc_curve(case["truth"], case["scores"])
        for name in ("false_positive_rate", "true_positive_rate"):
            np.testing.assert_allclose(getattr(curve, name), case[name], atol=1e-12)
        assert curve.thresholds[0] == np.inf
        np.testing.assert_array_equal(curve.thresholds[1:], case["thresholds"])
        assert curve.area == pytest.approx(case["roc_area"], abs=1e-12)


def test_precision_and_recall_equal_scikit_learn(cases):
    for case in cases:
        curve = precision_recall_curve(case["truth"], case["scores"])
        # scikit-learn's curve ends where everything is found; so does this one.
        np.testing.assert_allclose(curve.recall, case["recall"], atol=1e-12)
        np.testing.assert_allclose(curve.precision, case["precision"], atol=1e-12)
        assert curve.average_precision == pytest.approx(case["average_precision"], abs=1e-12)


def test_reliability_equals_scikit_learn(cases):
    for case in cases:
        found = reliability(case["scores"], case["truth"], bins=case["bins"])
        filled = found.counts > 0
        assert found.counts.sum() == len(case["scores"])
        np.testing.assert_allclose(found.accuracy[filled], case["accuracy"], atol=1e-12)
        np.testing.assert_allclose(found.confidence[filled], case["confidence"], atol=1e-12)
        assert np.isnan(found.accuracy[~filled]).all()
        assert found.expected_error == pytest.approx(case["expected_error"], abs=1e-12)
        assert found.largest_error == pytest.approx(case["largest_error"], abs=1e-12)


def test_area_is_the_chance_of_a_higher_score():
    random = np.random.default_rng(2)
    truth, scores = random.random(80) < 0.3, random.integers(0, 12, 80)
    true, false = scores[truth][:, None], scores[~truth][None]
    chance = np.mean((true > false) + 0.5 * (true == false))
    assert roc_curve(truth, scores).area == pytest.approx(chance, abs=1e-12)


def test_all_scores_equal():
    assert roc_curve([0, 1, 1], [2, 2, 2]).area == 0.5
    assert precision_recall_curve([0, 1, 1], [2, 2, 2]).average_precision == pytest.approx(2 / 3)


@pytest.mark.parametrize("truth", [[0, 0], [1, 1]])
def test_one_class_alone_has_no_area(truth):
    assert np.isnan(roc_curve(truth, [0.2, 0.3]).area)
    average = precision_recall_curve(truth, [0.2, 0.3]).average_precision
    assert average == 1 if truth[0] else np.isnan(average)


def test_one_answer_is_calibrated_or_not():
    assert reliability([1.0], [1]).expected_error == 0
    assert reliability([0.75], [0]).expected_error == 0.75
    assert reliability(np.float32([1 + 1e-7]), [1], bins=3).counts.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "curve", [roc_curve, precision_recall_curve, lambda t, s: reliability(s, t)]
)
@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([], [], "one at least; received shapes"),
        ([1, 0], [0.5], r"shapes \(2,\) and \(1,\)"),
        ([[1]], [[0.5]], "received shapes"),
        ([1, 2], [0.5, 0.5], "truths that are 0 or 1"),
        ([1, 0], [0.5, np.nan], "finite scores"),
    ],
)
def test_what_is_no_curve(curve, truth, scores, message):
    with pytest.raises(ValueError, match=message):
        curve(truth, scores)


def test_confidence_is_a_share():
    with pytest.raises(ValueError, match="from 0 to 1; received values from -2 to 3"):
        reliability([-2, 3], [0, 1])
