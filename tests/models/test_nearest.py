import numpy as np
import pytest

from keras_bert.models import nearest


@pytest.fixture
def embeddings():
    random = np.random.default_rng(2)
    queries, corpus = random.normal(size=(11, 5)), random.normal(size=(50, 5))
    # Copies at other places, in the same tile and in another one, that tie.
    corpus[[3, 20, 49]] = corpus[7]
    corpus[12] = 0.0
    return queries.astype(np.float32), corpus.astype(np.float32)


def all_cosines(queries, corpus):
    return nearest.unit_vectors(queries) @ nearest.unit_vectors(corpus).T


@pytest.mark.parametrize("tiles", [(1024, 16384), (3, 7), (11, 1)])
@pytest.mark.parametrize("top_k", [1, 10, 50, 90])
def test_all_are_compared_whatever_the_tiles(embeddings, monkeypatch, tiles, top_k):
    monkeypatch.setattr(nearest, "QUERY_TILE", tiles[0])
    monkeypatch.setattr(nearest, "CORPUS_TILE", tiles[1])
    queries, corpus = embeddings
    numbers, cosines = nearest.nearest(queries, corpus, top_k)
    expected = all_cosines(queries, corpus)
    order = np.argsort(-np.round(expected, 5), axis=1, kind="stable")[:, :top_k]
    # In tiles of other shapes the last bits differ, and copies tie no longer.
    close = np.take_along_axis(expected, numbers, 1)
    np.testing.assert_allclose(close, np.take_along_axis(expected, order, 1), atol=1e-5)
    np.testing.assert_allclose(cosines, close, atol=1e-6)
    assert all(len(set(row)) == len(row) == min(top_k, 50) for row in numbers.tolist())


def test_of_equal_ones_the_lower_number_is_first():
    corpus = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [4.0, 0.0]], np.float32)
    assert nearest.nearest([[1.0, 0.0]], corpus, 3)[0].tolist() == [[1, 2, 3]]
    pairs = [(0, 3), (0, 1), (0, 2), (0, 0)]
    assert nearest.neighbour_places([[1.0, 0.0]], corpus, pairs).tolist() == [3, 1, 2, 4]


@pytest.mark.parametrize("tiles", [(1024, 16384), (4, 9)])
def test_places(embeddings, monkeypatch, tiles):
    monkeypatch.setattr(nearest, "QUERY_TILE", tiles[0])
    monkeypatch.setattr(nearest, "CORPUS_TILE", tiles[1])
    queries, corpus = embeddings
    corpus = np.delete(corpus, [3, 20, 49], axis=0)
    order = np.argsort(-all_cosines(queries, corpus), axis=1)
    pairs = [(q, t) for q in range(11) for t in (0, 12, 30)]
    expected = [int(np.flatnonzero(order[q] == t)[0]) + 1 for q, t in pairs]
    assert nearest.neighbour_places(queries, corpus, pairs).tolist() == expected


def test_bad_arguments():
    with pytest.raises(ValueError, match="top_k=0; expected 1 or more"):
        nearest.nearest([[1.0]], [[1.0]], 0)
    for corpus in ([[1.0, 2.0]], [1.0], np.zeros((0, 1))):
        with pytest.raises(
            ValueError, match=r"embeddings \(texts, 1\) of a corpus; received shape"
        ):
            nearest.nearest([[1.0]], corpus, 1)
