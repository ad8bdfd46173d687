"""Scores of embeddings: of finding what belongs together, and of agreeing with people."""

from __future__ import annotations

import numpy as np

from keras_bert.metrics.regression import pearson, spearman
from keras_bert.metrics.retrieval import mean_scores
from keras_bert.models.nearest import neighbour_places, unit_vectors

__all__ = ["correlations", "cosines", "retrieval_scores"]


def cosines(embeddings) -> np.ndarray:
    """The cosine of each example's two embeddings: (examples, 2, dim) → (examples,) float64."""
    first, second = (unit_vectors(embeddings[:, side]) for side in (0, 1))
    return np.sum(first * second, axis=-1, dtype=np.float64)


def retrieval_scores(texts, embeddings) -> dict[str, float]:
    """How well first texts find their second ones among all other texts.

    Texts that come again are one: a first text with several second ones has to find all of them.

    Args:
        texts: (text, text, ...) per example.
        embeddings: (examples, texts, dim).

    Returns:
        ``recall@1``, ``recall@5``, ``recall@10``, ``mrr``.
    """
    queries, corpus, relevant = {}, {}, {}
    for row, (query, *others) in enumerate(texts):
        queries.setdefault(query, row)
        for column, text in enumerate(others, 1):
            corpus.setdefault(text, (row, column))
        relevant.setdefault(query, {})[others[0]] = None
    rows, columns = zip(*corpus.values(), strict=True)
    numbers = {text: number for number, text in enumerate(corpus)}
    wanted = [(q, numbers[t]) for q, query in enumerate(queries) for t in relevant[query]]
    places = neighbour_places(
        embeddings[list(queries.values()), 0], embeddings[list(rows), list(columns)], wanted
    )
    ends = np.cumsum([len(relevant[query]) for query in queries])
    return mean_scores(np.split(places, ends[:-1]))


def correlations(first, second) -> dict[str, float]:
    """Pearson's and Spearman's correlation of two lists of numbers; NaN where one does not vary.

    Example:
        >>> correlations([1, 2, 3], [1, 4, 9])["spearman"]
        1.0
    """
    return {"pearson": pearson(first, second), "spearman": spearman(first, second)}
