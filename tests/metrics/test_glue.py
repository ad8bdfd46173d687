"""GLUE's tasks and scores."""

import math

import numpy as np
import pytest

from keras_bert.metrics import GLUE, glue_scores, glue_task

# Table 1 of Wang et al. 2018.
REPORTED = {
    "cola": {"matthews_correlation"},
    "sst2": {"accuracy"},
    "mrpc": {"accuracy", "f1"},
    "qqp": {"accuracy", "f1"},
    "stsb": {"pearson", "spearman"},
    "mnli": {"accuracy"},
    "mnli_matched": {"accuracy"},
    "mnli_mismatched": {"accuracy"},
    "qnli": {"accuracy"},
    "rte": {"accuracy"},
    "wnli": {"accuracy"},
    "ax": {"matthews_correlation"},
}


def test_every_task_has_its_scores():
    assert {name: set(task.scores) for name, task in GLUE.items()} == REPORTED
    for name, task in GLUE.items():
        count = max(len(task.labels), 2)
        labels = list(range(count)) * 3
        scores = glue_scores(name, labels, labels)
        assert scores == pytest.approx(dict.fromkeys(REPORTED[name], 1.0))
        assert task.is_regression == (name == "stsb")


def test_scores_are_scikit_learns_and_scipys(golden):
    pairs = [case for case in golden["one_label"] if case["classes"] == 2]
    for case in pairs:
        answers = case["labels"], case["predictions"]
        scores = {**glue_scores("mrpc", *answers), **glue_scores("cola", *answers)}
        assert scores == pytest.approx({name: case["plain"][name] for name in scores}, abs=1e-12)
        three = glue_scores("ax", *answers)
        assert three["matthews_correlation"] == pytest.approx(scores["matthews_correlation"])
    for case in golden["numbers"]:
        scores = glue_scores("stsb", case["labels"], case["predictions"])
        wanted = {name: case[name] for name in scores}
        assert scores == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_names_numbers_and_spellings():
    by_name = glue_scores("QQP", ["duplicate", "not_duplicate", 1], [1, np.int64(1), "duplicate"])
    assert by_name == glue_scores("qqp", [1, 0, 1], [1, 1, 1])
    spelled = ["CoLA", "SST-2", "STS-B", "MNLI-mm", "mnli_mismatched", "AX"]
    meant = ["cola", "sst2", "stsb", "mnli_mismatched", "mnli_mismatched", "ax"]
    for name, task in zip(spelled, meant, strict=True):
        assert glue_task(name) is GLUE[task]
    assert glue_scores("stsb", ["1.5", 2, 3.0], [1, 2, 3])["spearman"] == pytest.approx(1)


def test_what_is_not_defined():
    assert glue_scores("cola", [1, 1, 0], [1, 1, 1]) == {"matthews_correlation": 0.0}
    assert glue_scores("mrpc", [0, 0], [0, 0]) == {"accuracy": 1.0, "f1": 0.0}
    assert all(map(math.isnan, glue_scores("stsb", [1, 2], [3, 3]).values()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("snli", [0], [0]), "GLUE has no task 'snli'; it has cola"),
        (("rte", [0, "maybe"], [0, 1]), r"labels\[1\] is 'maybe'; expected one of entailment"),
        (("rte", [0, 1], [0, 2]), r"predictions\[1\] is 2; expected .* 0 to 1"),
        (("rte", [-1], [0]), r"labels\[0\] is -1; .*test sets, labelled -1"),
        (("rte", [0.5], [0]), r"labels\[0\] is 0.5"),
        (("cola", [True], [0]), r"labels\[0\] is True"),
        (("stsb", [1, None], [1, 2]), r"labels\[1\] is None; expected a number"),
        (("stsb", [1, 2], [1]), "one prediction per label"),
        (("sst2", [1, 1], [1]), "one prediction per label"),
        (("sst2", [], []), "one label at least"),
    ],
)
def test_bad_answers(call, message):
    with pytest.raises(ValueError, match=message):
        glue_scores(*call)
