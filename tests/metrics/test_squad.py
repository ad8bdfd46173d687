"""SQuAD's scores, against the official rules as others have them."""

import gzip
import json
import os
from pathlib import Path

import pytest

from keras_bert.metrics.squad import (
    best_threshold,
    exact_match,
    normalize_answer,
    squad2_scores,
    squad_scores,
    token_f1,
)

#: A folder with ``squad_v11/eval.json`` and ``test_assets/squad_metric_golden/eval``.
DATA = Path(os.environ.get("KERAS_BERT_DATA") or "build/data")


@pytest.fixture(scope="module")
def golden(fixtures):
    return json.loads(gzip.decompress((fixtures / "squad" / "metrics.json.gz").read_bytes()))


def test_five_systems_score_as_officially(golden):
    assert len(golden["systems"]) == 5
    for name, system in golden["systems"].items():
        scores = squad_scores(golden["answers"], system["predictions"])
        assert scores["total"] == 60
        for score in ("exact_match", "f1"):
            assert scores[score] == pytest.approx(system[score], abs=1e-9), (name, score)
    missing = [60 - len(system["predictions"]) for system in golden["systems"].values()]
    assert max(missing) > 0


def test_squad2_scores_as_officially(golden):
    for case in golden["squad2"]:
        given = {name: value for name, value in case.items() if name != "expected"}
        expected = case["expected"]
        assert squad2_scores(**given) == pytest.approx(expected, abs=1e-9)
        without = squad2_scores(case["answers"], case["predictions"])
        assert "best_f1" not in without and without["total"] == expected["total"]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="set KERAS_BERT_DATA to a folder with SQuAD's data")
def test_whole_prediction_files():
    data = json.loads((DATA / "squad_v11" / "eval.json").read_text("utf-8"))["data"]
    questions = [qa for a in data for p in a["paragraphs"] for qa in p["qas"]]
    answers = {qa["id"]: [answer["text"] for answer in qa["answers"]] for qa in questions}
    folder = DATA / "test_assets" / "squad_metric_golden" / "eval"
    lines = [line.split() for line in (folder / "EXPECTED.txt").read_text().splitlines()[1:]]
    assert len(lines) == 5
    for name, *_, em, _, f1, _, total, _, missing in lines:
        predictions = json.loads((folder / name).read_text("utf-8"))
        scores = squad_scores(answers, predictions)
        assert scores["exact_match"] == pytest.approx(float(em), abs=5e-5), name
        assert scores["f1"] == pytest.approx(float(f1), abs=5e-5), name
        assert scores["total"] == int(total)
        assert len(answers.keys() - predictions.keys()) == int(missing)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Eiffel-Tower!", "eiffeltower"),
        ("an a the", ""),
        ("another anthem, a-the", "another anthem athe"),
        ("“Naïve”\u00a0café", "“naïve” café"),
        ("", ""),
    ],
)
def test_normalises(text, expected):
    assert normalize_answer(text) == expected


def test_the_best_gold_answer_counts():
    assert exact_match("a cat", ["dog", "the CAT."]) == 1.0
    assert token_f1("a red cat", ["dog", "red cat cat"]) == pytest.approx(0.8)
    assert token_f1("cat", []) == 0.0 and exact_match("", []) == 0.0


def test_nothing_left_is_no_f1_in_the_first_version_and_agreement_in_the_second():
    assert squad_scores([["the"]], ["a"]) == {"exact_match": 100.0, "f1": 0.0, "total": 1}
    assert squad2_scores([["the"]], ["a"])["HasAns_f1"] == 100.0


def test_missing_predictions_score_nothing():
    answers = {"a": ["x"], "b": ["y"], "c": []}
    assert squad_scores(answers, {"a": "x", "z": "y"})["f1"] == pytest.approx(100 / 3)
    assert squad_scores([["x"], ["y"]], ["x", None])["f1"] == 50.0
    scores = squad2_scores(answers, {"a": "x"}, {"a": 0.5, "b": 0.1, "c": 9.0})
    assert scores["NoAns_exact"] == 0.0 and scores["HasAns_exact"] == 50.0
    assert scores["best_exact"] == pytest.approx(100 / 3) and scores["best_exact_thresh"] == 0.5


def test_best_threshold_stays_at_zero_where_no_answer_helps():
    assert best_threshold({"a": []}, {"a": "x"}, {"a": 0.0}, {"a": -7.0}) == (100.0, 0.0)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="no questions"):
        squad_scores({}, {})
    with pytest.raises(ValueError, match="2 questions and 1 predictions"):
        squad_scores([["x"], ["y"]], ["x"])
