"""CMRC 2018's scores, against its rule with NLTK's words."""

import gzip
import json

import pytest

from keras_bert.metrics.cmrc import cmrc_exact_match, cmrc_f1, mixed_segmentation
from keras_bert.metrics.squad import cmrc_scores


@pytest.fixture(scope="module")
def golden(fixtures):
    return json.loads(gzip.decompress((fixtures / "squad" / "metrics.json.gz").read_bytes()))


def test_words_are_those_of_nltk(golden):
    words = golden["words"]
    assert len(words) > 500
    dropped = set("-:_*^/\\~`+=")
    for stretch, expected in words.items():
        if not dropped & set(stretch):
            assert mixed_segmentation(stretch) == expected, stretch


def test_scores_are_those_of_the_rule(golden):
    cases = golden["cmrc"]
    for case in cases:
        assert cmrc_exact_match(case["prediction"], case["answers"]) == case["exact_match"], case
        assert cmrc_f1(case["prediction"], case["answers"]) == pytest.approx(case["f1"]), case
    scores = cmrc_scores([c["answers"] for c in cases], [c["prediction"] for c in cases])
    assert scores["f1"] == pytest.approx(100 * sum(c["f1"] for c in cases) / len(cases))
    assert scores["total"] == len(cases)


def test_common_words_count_in_one_piece_only():
    assert cmrc_f1("任天堂游戏", ["任天堂的游戏"]) == pytest.approx(2 * 3 / 11)


def test_case_and_marks_do_not_count():
    assert cmrc_exact_match("光荣和ω-force。", ["光荣和ω－Force"]) == 1.0
    assert cmrc_f1("", ["。"]) == 0.0 and cmrc_exact_match("", ["。"]) == 1.0


def test_questions_without_answer_are_right_with_nothing():
    assert cmrc_scores([[], []], ["", "有"])["f1"] == 50.0
