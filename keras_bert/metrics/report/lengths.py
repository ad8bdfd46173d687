"""Scores by the length of texts: whether a model fails on the short or on the long ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_bert.metrics.report.sections import Column, Table, percent
from keras_bert.metrics.report.texts import plain_text

__all__ = ["interval", "length_groups", "length_table"]


def length_groups(lengths, most: int = 6) -> list[tuple[int, int, np.ndarray]]:
    """Splits texts by length into groups of about the same size.

    Args:
        lengths: (texts,) int.
        most: Number of groups at most; texts of one length are never parted.

    Returns:
        Shortest length, longest length and the places of the texts of each group, rising.

    Example:
        >>> [(low, high, len(places)) for low, high, places in length_groups([5, 1, 5, 9], 2)]
        [(1, 5, 3), (9, 9, 1)]
    """
    lengths = np.asarray(lengths)
    cuts = np.quantile(lengths, np.linspace(0, 1, most + 1)[1:-1], method="lower")
    groups = np.searchsorted(np.unique(cuts), lengths)
    found = (np.flatnonzero(groups == group) for group in np.unique(groups))
    return [(int(lengths[p].min()), int(lengths[p].max()), p) for p in found]


def length_table(
    texts: Sequence,
    scores: Mapping[str, Callable[[np.ndarray], float | str]],
    share: str | None = None,
    title: str = "By length of the text",
) -> Table:
    """A table of scores for each group of lengths.

    Args:
        texts: Texts or pairs of them.
        scores: Name of a column → function of the places of texts that gives its value.
        share: The column that is drawn as bars; None for none.
        title: The section's title.
    """
    lengths = [_length(text) for text in texts]
    rows = [
        [
            f"{low:,}" if low == high else f"{low:,} to {high:,}",
            len(places),
            *(score(places) for score in scores.values()),
        ]
        for low, high, places in length_groups(lengths)
    ]
    columns = [Column("characters"), Column("texts", "number")]
    columns += [Column(name, "share" if name == share else "number") for name in scores]
    return Table(
        title,
        "Texts in groups of about the same size, from the shortest to the longest. The fewer texts "
        "in a group, the less its score says.",
        columns,
        rows,
    )


def interval(right) -> str:
    """What a share of right answers may be: its 95 % interval, in percent.

    Args:
        right: (n,) bool.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Example:
        >>> print(interval([True] * 9 + [False]))
        59.6 % to 98.2 %
    """
    n, share, z = len(right), float(np.mean(right)), 1.959964
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{percent(max(low, 0))} to {percent(min(high, 1))}"


def _length(text):
    text = plain_text(text)
    return len(text) if isinstance(text, str) else sum(map(len, text))
