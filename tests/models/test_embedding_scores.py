import numpy as np
import pytest

from keras_bert.models import embedding_scores as scores


def test_correlations():
    """As scipy 1.17 has it: pearsonr and spearmanr of the same numbers."""
    first, second = [1, 2, 2, 5, 4], [2.0, 1.0, 3.0, 3.0, 8.0]
    found = scores.correlations(first, second)
    assert found["pearson"] == pytest.approx(0.5293276130795973, abs=1e-12)
    assert found["spearman"] == pytest.approx(0.605263157894737, abs=1e-12)
    assert np.isnan(list(scores.correlations([1, 1], [1, 2]).values())).all()


def test_cosines():
    found = scores.cosines(np.array([[[2.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [2.0, 2.0]]]))
    np.testing.assert_allclose(found, [0.0, 1.0], atol=1e-6)


def test_what_belongs_together_is_looked_for_among_all_texts():
    east, north, west = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]
    texts = [("a", "b", "c"), ("d", "e", "b")]
    embeddings = np.array([[east, north, east], [north, north, north]])
    # "a" finds "c" before "b"; "d" finds "b" and "e" alike, and "b" came first.
    found = scores.retrieval_scores(texts, embeddings)
    assert found == {"recall@1": 0.0, "recall@5": 1.0, "recall@10": 1.0, "mrr": 0.5}
    # One query with two answers, the second of them last of all.
    texts = [("a", "b"), ("a", "c"), ("d", "e")]
    embeddings = np.array([[east, east], [east, west], [north, north]])
    found = scores.retrieval_scores(texts, embeddings)
    assert found["recall@1"] == pytest.approx((0.5 + 1) / 2) and found["mrr"] == 1.0
