"""Scores of any number of labels per text against scikit-learn; see fixtures/make/metrics.py."""

import keras
import numpy as np
import pytest

from keras_bert.metrics import MultiLabelMacroF1, MultiLabelMicroF1, SubsetAccuracy

METRICS = {
    "micro_f1": MultiLabelMicroF1,
    "macro_f1": MultiLabelMacroF1,
    "subset_accuracy": lambda count, **kwargs: SubsetAccuracy(**kwargs),
}


@pytest.mark.parametrize("name", METRICS)
def test_streamed_scores_are_scikit_learns(golden, name):
    random = np.random.default_rng(5)
    for case in golden["many_labels"]:
        marks, guesses = np.array(case["marks"], np.float32), np.array(case["guesses"])
        # On the right side of 0 each, near it or far.
        logits = (2 * guesses - 1) * random.uniform(0.001, 5, guesses.shape)
        for kind, weights in (("plain", None), ("weighted", np.array(case["weights"]))):
            metric = METRICS[name](marks.shape[1])
            for i in range(0, len(marks), 17):
                part = slice(i, i + 17)
                weight = None if weights is None else weights[part]
                metric.update_state(marks[part], logits[part], sample_weight=weight)
            assert float(metric.result()) == pytest.approx(case[kind][name], abs=1e-6), kind


@pytest.mark.parametrize("make", METRICS.values())
def test_threshold(make):
    logits = np.log([[0.4 / 0.6, 0.2 / 0.8]])
    scores = []
    for threshold in (0.3, 0.5):
        metric = make(2, threshold=threshold)
        metric.update_state([[1.0, 0.0]], logits)
        scores.append(float(metric.result()))
    assert scores[0] > scores[1] == 0.0


@pytest.mark.parametrize("make", METRICS.values())
def test_nothing_counted(make):
    assert float(make(2).result()) == 0.0


@pytest.mark.parametrize("make", METRICS.values())
def test_settings_are_kept(make):
    metric = make(4, threshold=0.25)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.threshold == 0.25 and again.get_config() == metric.get_config()
