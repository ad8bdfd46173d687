"""Scores of one label per text against scikit-learn; see fixtures/make/metrics.py."""

import keras
import numpy as np
import pytest

from keras_bert.metrics import BinaryF1, MacroF1, MatthewsCorrelation, MicroF1
from keras_bert.metrics.classification import accuracy, f1, matthews_correlation

METRICS = {
    "macro_f1": MacroF1,
    "micro_f1": MicroF1,
    "matthews_correlation": MatthewsCorrelation,
    "f1": lambda classes: BinaryF1(num_classes=classes),
}


def streamed(metric, labels, outputs, weights=None):
    """The score after batches of 37."""
    for i in range(0, len(labels), 37):
        part = slice(i, i + 37)
        weight = None if weights is None else weights[part]
        metric.update_state(labels[part], outputs[part], sample_weight=weight)
    return float(metric.result())


@pytest.mark.parametrize("name", METRICS)
def test_streamed_scores_are_scikit_learns(golden, name):
    for case in golden["one_label"]:
        logits = np.eye(case["classes"])[case["predictions"]] * 3.0
        labels, weights = np.array(case["labels"]), np.array(case["weights"])
        for kind, weight in (("plain", None), ("weighted", weights)):
            score = streamed(METRICS[name](case["classes"]), labels, logits, weight)
            assert score == pytest.approx(case[kind][name], abs=1e-6), (name, kind)


def test_scores_of_whole_sets_are_scikit_learns(golden):
    for case in golden["one_label"]:
        pair = case["labels"], case["predictions"]
        for function in (accuracy, f1, matthews_correlation):
            assert function(*pair) == pytest.approx(case["plain"][function.__name__], abs=1e-12)


def test_names_score_as_numbers():
    names, guesses = ["a", "b", "b", "c"], ["a", "b", "c", "c"]
    assert matthews_correlation(names, guesses) == matthews_correlation([0, 1, 1, 2], [0, 1, 2, 2])
    assert f1(names, guesses, positive="b") == pytest.approx(2 / 3)


@pytest.mark.parametrize("pair", [([], []), ([1], [1, 2]), ([[1]], [[1]])])
def test_what_is_no_pair_of_series(pair):
    with pytest.raises(ValueError, match="one prediction per label"):
        accuracy(*pair)


@pytest.mark.parametrize("make", METRICS.values())
def test_nothing_counted_and_a_new_start(make):
    metric = make(3)
    assert float(metric.result()) == 0.0
    metric.update_state([1, 2], np.eye(3)[[1, 2]])
    assert float(metric.result()) == 1.0
    metric.reset_state()
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize("make", METRICS.values())
def test_settings_are_kept(make):
    metric = make(4)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


def test_classes_that_never_appear_are_left_out():
    metric = MacroF1(10)
    metric.update_state([1, 2], np.eye(10)[[1, 2]])
    assert float(metric.result()) == 1.0


def test_sample_weights_count_texts():
    weighted, repeated = MacroF1(3), MacroF1(3)
    true, logits = np.array([0, 1, 2, 1]), np.eye(3)[[0, 2, 2, 1]]
    weighted.update_state(true, logits, sample_weight=[1, 3, 0, 2])
    rows = [0, 1, 1, 1, 3, 3]
    repeated.update_state(true[rows], logits[rows])
    assert abs(float(weighted.result()) - float(repeated.result())) < 1e-6
