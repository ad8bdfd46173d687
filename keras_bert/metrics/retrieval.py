"""Scores of rankings: how near the top stands what was to be found.

All of them take the *places* of the relevant items of one query, from 1 at the top, which
``places`` and ``places_by_score`` give. Of items with equal scores, the one with the lower number
stands higher, so that scores do not depend on how a sort treats ties.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

__all__ = [
    "average_precision",
    "hit",
    "mean_scores",
    "ndcg",
    "places",
    "places_by_score",
    "precision",
    "recall",
    "reciprocal_rank",
]

#: The place of a relevant item that was not found at all.
NOWHERE = np.inf


def places(ranking: Sequence[Hashable], relevant: Iterable[Hashable]) -> np.ndarray:
    """Where the relevant items stand in a ranking.

    Args:
        ranking: Items, best first, none twice; it may end early.
        relevant: The items to be found.

    Returns:
        (relevant,) float64 in the order of ``relevant``: places from 1; infinite where an item is
        not in the ranking.

    Raises:
        ValueError: If an item is in the ranking twice.

    Example:
        >>> places(["b", "a", "c"], ["a", "d"]).tolist()
        [2.0, inf]
    """
    at = {item: place for place, item in enumerate(ranking, 1)}
    if len(at) != len(ranking):
        twice = next(item for place, item in enumerate(ranking, 1) if at[item] != place)
        raise ValueError(f"The ranking has {twice!r} twice; expected every item once.")
    return np.array([at.get(item, NOWHERE) for item in relevant], np.float64)


def places_by_score(scores, relevant: Sequence[int]) -> np.ndarray:
    """Where the relevant items stand when all are ordered by falling score.

    Args:
        scores: (items,): one score per item; of equal ones the first stands higher.
        relevant: Numbers of the items to be found.

    Returns:
        (relevant,) float64: places from 1.

    Example:
        >>> places_by_score([0.1, 0.9, 0.9], [2, 0]).tolist()
        [2.0, 3.0]
    """
    scores, relevant = np.asarray(scores), np.asarray(relevant, int)
    own = scores[relevant][:, np.newaxis]
    before = np.arange(len(scores)) < relevant[:, np.newaxis]
    return 1.0 + np.sum((scores > own) | ((scores == own) & before), axis=1)


def _top(found, k):
    """The places within the first ``k``, rising."""
    found = np.sort(np.asarray(found, np.float64))
    return found[found <= (np.finfo(float).max if k is None else k)]


def hit(found, k: int | None = None) -> float:
    """1 if any relevant item is among the first ``k``, else 0."""
    return float(len(_top(found, k)) > 0)


def recall(found, k: int | None = None) -> float:
    """Share of the relevant items that is among the first ``k``; 0 where nothing is relevant.

    Example:
        >>> recall([1, 7], k=5)
        0.5
    """
    return len(_top(found, k)) / max(len(found), 1)


def precision(found, k: int) -> float:
    """Share of the first ``k`` that is relevant; a ranking shorter than ``k`` counts as ``k``."""
    return len(_top(found, k)) / k


def reciprocal_rank(found, k: int | None = None) -> float:
    """1 / the place of the first relevant item; 0 where none is among the first ``k``.

    Source: Voorhees 1999, "The TREC-8 Question Answering Track Report".

    Example:
        >>> reciprocal_rank([4, 2])
        0.5
    """
    top = _top(found, k)
    return float(1.0 / top[0]) if len(top) else 0.0


def average_precision(found, k: int | None = None) -> float:
    """Mean of the precision at each relevant item; items beyond ``k`` count 0.

    The mean is over the relevant items, or over ``k`` if there are more.

    Source: ``InformationRetrievalEvaluator`` in sentence-transformers; without ``k`` this is
    ``sklearn.metrics.average_precision_score`` where no scores are equal.

    Example:
        >>> average_precision([1, 4])
        0.75
    """
    top = _top(found, k)
    possible = len(found) if k is None else min(k, len(found))
    return float(np.sum(np.arange(1, len(top) + 1) / top) / max(possible, 1))


def ndcg(found, k: int | None = None, gains=None) -> float:
    """Normalised discounted cumulative gain: Σ gain / log2(1 + place), over what is possible.

    Args:
        found: Places of the relevant items.
        k: How many of the first items count; None: all.
        gains: What each relevant item is worth, as many as ``found``; None: 1 each.

    Returns:
        0 to 1; 0 where nothing is relevant.

    Source: Järvelin & Kekäläinen 2002, with linear gains, as ``sklearn.metrics.ndcg_score``.

    Example:
        >>> round(ndcg([1, 3]), 4)
        0.9197
    """
    found = np.asarray(found, np.float64)
    gains = np.ones(len(found)) if gains is None else np.asarray(gains, np.float64)
    if len(gains) != len(found):
        raise ValueError(f"Received {len(gains)} gains and {len(found)} relevant items.")
    best = np.sort(gains)[::-1][:k]
    possible = np.sum(best / np.log2(np.arange(2, len(best) + 2)))
    within = found <= (np.finfo(float).max if k is None else k)
    gained = np.sum(gains[within] / np.log2(found[within] + 1.0))
    return float(gained / possible) if possible else 0.0


def mean_scores(found: Sequence, at: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """Means over queries: recall at some ``k``, and the mean reciprocal rank.

    Args:
        found: Per query the places of its relevant items.
        at: The ``k``s.

    Returns:
        ``{"recall@1": ..., "recall@5": ..., "recall@10": ..., "mrr": ...}``.

    Example:
        >>> mean_scores([[1], [2]], at=[1])
        {'recall@1': 0.5, 'mrr': 0.75}
    """
    scores = {f"recall@{k}": float(np.mean([recall(query, k) for query in found])) for k in at}
    return {**scores, "mrr": float(np.mean([reciprocal_rank(query) for query in found]))}
