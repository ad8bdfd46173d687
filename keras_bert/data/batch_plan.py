"""What the batches of a run hold, known on the host before a step is taken."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from keras_bert.data.batching import rows_of

__all__ = ["BatchPlan", "BatchSizes", "batch_sizes"]


@dataclasses.dataclass(frozen=True)
class BatchSizes:
    """What each batch of a pass holds: arrays of (batches,) int64.

    Attributes:
        examples: Rows of the data.
        tokens: Real tokens, special ones among them, without padding.
        positions: Tokens and padding: what is computed.
    """

    examples: np.ndarray
    tokens: np.ndarray
    positions: np.ndarray


class BatchPlan:
    """Which rows each batch of each pass holds, and how much that is.

    Args:
        rows: Rows of ids, such as ``TokenizedTexts`` or ``PackedRows``: it has ``lengths``; where
            an example is several texts ``text_lengths`` and ``apart``; where rows are not one per
            example ``examples`` or ``source``.
        batches: Number of a pass → arrays of row numbers, one per batch; a pure function.
        texts: The examples that the rows are of; None: not known.

    Example:
        >>> rows = TokenizedTexts(preprocessor, texts)                     # doctest: +SKIP
        >>> plan = BatchPlan(rows, lambda number: sorted_batches(rows.lengths, 32), texts)
        ...                                                                # doctest: +SKIP
        >>> int(plan.sizes(0).tokens[0])                                   # doctest: +SKIP
        412
    """

    def __init__(self, rows, batches, texts=None):
        self._rows = rows
        self._texts = texts
        # tf.data and whoever watches the run ask for the same pass at about the same time.
        self.batches = functools.lru_cache(maxsize=2)(batches)
        self.sizes = functools.lru_cache(maxsize=2)(self._sizes)

    def _sizes(self, number: int) -> BatchSizes:
        return batch_sizes(self._rows, self.batches(number))

    def rows(self, number: int, first: int, last: int) -> np.ndarray:
        """Numbers of the rows in some batches of a pass, from the first to the last: int64."""
        batches = self.batches(number)[first : last + 1]
        return np.concatenate(batches) if batches else np.zeros(0, np.int64)

    def batch(self, rows):
        """What a model is given of some rows, made anew: ``(ids, targets)``, or ids alone.

        None where it cannot be made again, since tokens are hidden in it by chance.
        """
        if not hasattr(self._rows, "batch"):
            return None
        ids, targets = self._rows.batch(rows), getattr(self._rows, "targets", None)
        if targets is None:
            return ids
        targets_of = getattr(self._rows, "targets_of", None) or rows_of(targets)
        return ids, targets_of(rows)

    def examples_of(self, rows) -> np.ndarray:
        """Numbers of the examples, as ``fit`` was given them, that rows are of."""
        examples = getattr(self._rows, "examples", None)
        examples = getattr(self._rows, "source", None) if examples is None else examples
        return np.asarray(rows) if examples is None else np.asarray(examples)[rows]

    def texts_of(self, rows) -> list | None:
        """The text of each of some rows, or what an example is in its place; None: not known."""
        if self._texts is None:
            return None
        return [self._texts[example] for example in self.examples_of(rows)]


def batch_sizes(rows, batches) -> BatchSizes:
    """What batches hold.

    Args:
        rows: As ``BatchPlan`` takes it.
        batches: Arrays of row numbers.

    Example:
        >>> class Rows:
        ...     lengths = np.array([5, 3, 9])
        >>> batch_sizes(Rows, [np.array([0, 1]), np.array([2])])
        BatchSizes(examples=array([2, 1]), tokens=array([8, 9]), positions=array([10,  9]))
    """
    examples = np.array([len(batch) for batch in batches], np.int64)
    if not len(examples):
        return BatchSizes(examples, examples, examples)
    order = np.concatenate(batches)
    starts = np.cumsum(examples) - examples
    lengths = getattr(rows, "text_lengths", None)
    lengths = np.asarray(rows.lengths)[:, None] if lengths is None else lengths
    lengths = lengths[order].astype(np.int64)
    longest = np.maximum.reduceat(lengths, starts)
    width = longest.sum(1) if getattr(rows, "apart", True) else _together(lengths, longest, starts)
    return BatchSizes(examples, np.add.reduceat(lengths.sum(1), starts), examples * width)


def _together(lengths, longest, starts):
    """Positions per example where all its texts are padded to one length, the longest's."""
    texts = np.maximum.reduceat((lengths > 0).sum(1), starts)
    return texts * longest.max(1)
