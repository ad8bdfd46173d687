"""Scores of entities against seqeval's."""

import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from keras_bert.metrics.entities import (
    SCHEMES,
    entities_of,
    entity_scores,
    span_scores,
    token_accuracy,
)

NAMES = ("precision", "recall", "f1", "support")


@pytest.fixture(scope="module")
def cases(fixtures):
    with gzip.open(fixtures / "ner" / "seqeval.json.gz") as file:
        return json.load(file)["cases"]


@pytest.mark.parametrize("scheme", [None, *SCHEMES])
def test_random_tags_as_seqeval(cases, scheme):
    cases = [case for case in cases if case["scheme"] == scheme]
    assert len(cases) > 80
    for case in cases:
        for rows, spans in zip((case["true"], case["predicted"]), case["spans"], strict=True):
            for tags, expected in zip(rows, spans, strict=True):
                assert entities_of(tags, scheme) == [tuple(span) for span in expected], tags
        scores = entity_scores(case["true"], case["predicted"], scheme)
        expected = case["scores"]
        accuracy = expected.pop("accuracy", 0.0)
        assert scores["accuracy"] == pytest.approx(accuracy, abs=1e-12)
        assert set(scores["types"]) == set(expected.get("types", {}))
        for kind, row in expected.pop("types", {}).items():
            assert [scores["types"][kind][n] for n in NAMES] == pytest.approx(row, abs=1e-12)
        for average, row in expected.items():
            assert [scores[average][n] for n in NAMES] == pytest.approx(row, abs=1e-12), average


def golden(file):
    true, predicted = [[]], [[]]
    for row in csv.reader(file, delimiter="\t"):
        if row:
            true[-1].append(row[0])
            predicted[-1].append(row[1])
        else:
            true.append([])
            predicted.append([])
    return true, predicted


@pytest.mark.parametrize("scheme", [None, "IOB2"])
def test_tags_of_a_real_model(fixtures, scheme):
    """The first 300 sentences of the file below, as seqeval scores them."""
    with gzip.open(fixtures / "ner" / "albert_ner_tags.tsv.gz", "rt") as file:
        true, predicted = golden(file)
    expected = json.loads((fixtures / "ner" / "albert_ner_scores.json").read_text())
    scores = entity_scores(true, predicted, scheme)
    assert scores.pop("accuracy") == pytest.approx(expected["accuracy"], abs=1e-12)
    types = scores.pop("types")
    for name, row in {**scores, **types}.items():
        assert [row[n] for n in NAMES] == pytest.approx(expected[name], abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [None, "IOB2"])
def test_what_conlleval_says(scheme):
    """214,621 tags and what the Perl script says of them (set NER_GOLDEN to their folder)."""
    path = Path(os.environ.get("NER_GOLDEN", "missing"), "gold_pred_tags.tsv")
    if not path.exists():
        pytest.skip("NER_GOLDEN is no folder with gold_pred_tags.tsv")
    with path.open() as file:
        scores = entity_scores(*golden(file), scheme)
    said = {"micro": (86.89, 87.81, 87.35, 7450), "LOC": (87.79, 87.01, 87.40, 3464)}
    said |= {"ORG": (81.44, 85.92, 83.62, 2166), "PER": (92.05, 91.59, 91.82, 1820)}
    scores = {**scores, **scores["types"]}
    for name, row in said.items():
        *found, support = [scores[name][n] for n in NAMES]
        assert [round(100 * value, 2) for value in found] == list(row[:3]) and support == row[3]
    assert round(100 * scores["accuracy"], 2) == 98.27


def test_nothing_found_and_nothing_there():
    scores = entity_scores([["O", "B-X"]], [["O", "O"]])
    assert scores["micro"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert scores["accuracy"] == 0.5
    nothing = entity_scores([], [])
    assert nothing["types"] == {} and nothing["accuracy"] == 0
    for average in ("micro", "macro", "weighted"):
        assert nothing[average] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_spans_of_two_texts_are_two():
    scores = span_scores([[("X", 0, 2)], []], [[], [("X", 0, 2)]])
    assert scores["micro"]["f1"] == 0
    assert span_scores([{("X", 0, 2)}], [[("X", 0, 2)]])["types"]["X"]["f1"] == 1


@pytest.mark.parametrize(
    ("true", "predicted", "scheme", "message"),
    [
        ([["O"]], [], None, "1 rows of right tags and 0 predicted"),
        ([["O"], ["O"]], [["O"], []], None, "Row 1 has 1 right tags and 0 predicted"),
        ([["O"], ["O", ""]], [["O"], ["O", "O"]], None, "Row 1: tag 1 is ''"),
        ([["S-X"]], [["O"]], "IOB2", "Row 0: tag 0 is 'S-X'. Its first letter is none of IOB"),
        ([["O"]], [["O"]], "IOB3", "scheme='IOB3'. Expected None or one of IOB1, IOB2"),
    ],
)
def test_bad_rows(true, predicted, scheme, message):
    with pytest.raises(ValueError, match=message):
        entity_scores(true, predicted, scheme)


def test_accuracy_of_tags_without_entities():
    assert token_accuracy([["DET", "NOUN"], ["VERB"]], [["DET", "NOUN"], ["NOUN"]]) == 2 / 3
