"""Exact nearest neighbours among embeddings, tile by tile, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

__all__ = ["nearest", "neighbour_places", "unit_vectors"]

#: Rows of queries and of the corpus whose products are in memory at once: 64 MiB of cosines.
QUERY_TILE, CORPUS_TILE = 1024, 16384


def unit_vectors(vectors) -> np.ndarray:
    """Embeddings of length 1, float32; one of zeros stays so.

    Raises:
        ValueError: If the shape is not (texts, dim).
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2:
        raise ValueError(f"Expected embeddings (texts, dim); received shape {vectors.shape}.")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def nearest(queries, corpus, top_k: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings with the largest cosines with each query; all are compared.

    Args:
        queries: (queries, dim).
        corpus: (texts, dim), any array that can be sliced, such as a ``numpy.memmap``.
        top_k: How many; at most all.

    Returns:
        Numbers of the texts (queries, top_k) int64, nearest first, of equal ones the lower number
        first; and their cosines, float32.

    Raises:
        ValueError: If the shapes do not fit, or ``top_k`` is not positive.

    Example:
        >>> numbers, cosines = nearest([[1.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]], top_k=1)
        >>> numbers.tolist(), cosines.tolist()
        ([[1]], [[1.0]])
    """
    if top_k < 1:
        raise ValueError(f"top_k={top_k}; expected 1 or more.")
    queries = _checked(queries, corpus)
    top_k = min(top_k, len(corpus))
    numbers = np.empty((len(queries), top_k), np.int64)
    cosines = np.empty((len(queries), top_k), np.float32)
    for rows in _tiles(len(queries), QUERY_TILE):
        best = np.empty((rows.stop - rows.start, 0), np.float32)
        at = np.empty(best.shape, np.int64)
        for first, found in _cosine_tiles(queries[rows], corpus):
            found, places = _largest(found, top_k)
            at = np.concatenate([at, places + first], axis=1)
            # Those of earlier tiles have lower numbers, and of equal ones the first is taken.
            best, places = _largest(np.concatenate([best, found], axis=1), top_k)
            at = np.take_along_axis(at, places, axis=1)
        numbers[rows], cosines[rows] = at, best
    return numbers, cosines


def neighbour_places(queries, corpus, pairs) -> np.ndarray:
    """Where texts stand when all are ordered by their cosine with a query, nearest first.

    Args:
        queries: (queries, dim).
        corpus: (texts, dim).
        pairs: (pairs, 2) int: numbers of a query and of a text.

    Returns:
        (pairs,) float64: places from 1; of texts with equal cosines the lower number is first.

    Example:
        >>> neighbour_places([[1.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]], [[0, 0], [0, 1]]).tolist()
        [2.0, 1.0]
    """
    queries, pairs = _checked(queries, corpus), np.asarray(pairs, int)
    places = np.ones(len(pairs))
    for rows in _tiles(len(queries), QUERY_TILE):
        here = np.flatnonzero((pairs[:, 0] >= rows.start) & (pairs[:, 0] < rows.stop))
        query, text = pairs[here, 0] - rows.start, pairs[here, 1]
        own = np.empty(len(here), np.float32)
        for first, found in _cosine_tiles(queries[rows], corpus):
            inside = (text >= first) & (text < first + found.shape[1])
            own[inside] = found[query[inside], text[inside] - first]
        for first, found in _cosine_tiles(queries[rows], corpus):
            numbers = np.arange(first, first + found.shape[1])
            for place, q, t, cosine in zip(here, query, text, own, strict=True):
                ahead = (found[q] > cosine) | ((found[q] == cosine) & (numbers < t))
                places[place] += np.count_nonzero(ahead)
    return places


def _checked(queries, corpus) -> np.ndarray:
    queries = unit_vectors(queries)
    shape = np.shape(corpus)
    if len(shape) != 2 or shape[1] != queries.shape[1] or not shape[0]:
        raise ValueError(
            f"Expected embeddings (texts, {queries.shape[1]}) of a corpus; received shape {shape}."
        )
    return queries


def _tiles(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _cosine_tiles(queries, corpus) -> Iterator[tuple[int, np.ndarray]]:
    """Number of a tile's first text, and cosines (queries, texts of the tile)."""
    for tile in _tiles(len(corpus), CORPUS_TILE):
        yield tile.start, queries @ unit_vectors(corpus[tile]).T


def _largest(values, top_k):
    """The largest values of each row and their places; of equal ones the first."""
    found = tf.math.top_k(values, min(top_k, values.shape[1]))
    return found.values.numpy(), found.indices.numpy().astype(np.int64)
