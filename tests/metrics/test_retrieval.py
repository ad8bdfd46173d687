"""Scores of rankings against sentence-transformers and scikit-learn; see make/retrieval.py."""

import json

import numpy as np
import pytest

from keras_bert.metrics import retrieval

AT = (1, 3, 5, 10)


@pytest.fixture(scope="module")
def queries(fixtures):
    return json.loads((fixtures / "metrics" / "retrieval.json").read_text())


def test_scores_at_k(queries):
    ours = {
        "accuracy@k": retrieval.hit,
        "precision@k": retrieval.precision,
        "recall@k": retrieval.recall,
        "mrr@k": retrieval.reciprocal_rank,
        "map@k": retrieval.average_precision,
        "ndcg@k": retrieval.ndcg,
    }
    for query in queries:
        found = retrieval.places_by_score(query["scores"], query["relevant"])
        for name, function in ours.items():
            for k in AT:
                expected = query["at"][name][str(k)]
                assert function(found, k) == pytest.approx(expected, abs=1e-12), (name, k)


def test_scores_of_whole_rankings(queries):
    for query in queries:
        found = retrieval.places_by_score(query["scores"], query["relevant"])
        average, gain = retrieval.average_precision(found), retrieval.ndcg(found)
        assert average == pytest.approx(query["average_precision"], abs=1e-12)
        assert gain == pytest.approx(query["ndcg"], abs=1e-12)
        for k, name in ((None, "graded_ndcg"), (5, "graded_ndcg@5")):
            gain = retrieval.ndcg(found, k, query["gains"])
            assert gain == pytest.approx(query[name], abs=1e-12)


def test_places_of_a_ranking_are_those_of_its_scores():
    random = np.random.default_rng(3)
    for _ in range(20):
        scores = random.integers(0, 4, 12)  # with ties
        relevant = random.choice(12, 4, replace=False)
        ranking = np.argsort(-scores, kind="stable").tolist()
        by_score = retrieval.places_by_score(scores, relevant)
        np.testing.assert_array_equal(by_score, retrieval.places(ranking, relevant.tolist()))


def test_of_equal_scores_the_first_stands_higher():
    assert retrieval.places_by_score([0.5, 0.5, 0.5], [0, 1, 2]).tolist() == [1, 2, 3]


def test_nothing_found_and_nothing_relevant():
    nowhere = retrieval.places(["a", "b"], ["c"])
    for function in (retrieval.recall, retrieval.reciprocal_rank, retrieval.average_precision):
        assert function(nowhere) == function(nowhere, 5) == function([]) == 0.0
    assert retrieval.ndcg(nowhere) == retrieval.ndcg([]) == retrieval.hit(nowhere) == 0.0
    assert retrieval.recall(retrieval.places(["a", "b"], ["a", "c"]), 2) == 0.5


def test_means():
    found = [[1.0], [3.0, 6.0], [np.inf]]
    scores = retrieval.mean_scores(found)
    assert list(scores) == ["recall@1", "recall@5", "recall@10", "mrr"]
    assert list(scores.values()) == pytest.approx([1 / 3, 0.5, 2 / 3, 4 / 9])


def test_bad_arguments():
    with pytest.raises(ValueError, match="has 'a' twice"):
        retrieval.places(["a", "b", "a"], ["a"])
    with pytest.raises(ValueError, match="1 gains and 2 relevant items"):
        retrieval.ndcg([1, 2], gains=[1])
