"""Where a run stands in its data: passes in random order that can begin in the middle."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from keras_bert.data.batching import (
    dataset_of_batches,
    length_grouped_batches,
    without_autotuning,
)

__all__ = [
    "Position",
    "array_batches",
    "from_position",
    "moving_on",
    "numbered",
    "random_pass",
    "random_passes",
    "rest_of",
]

#: Batches of a pass, at most, whose numbers are no other pass's.
MOST_BATCHES = 2**24


class Position:
    """Where the next pass over training data begins.

    Datasets look here when an iterator of theirs is asked for its first batch, not when they are
    made, so that a run can begin anywhere without the batches before being read or tokenized.

    Attributes:
        epoch: Number of the pass, from 0. The order of its batches and the tokens that are hidden
            in them are functions of it and of a seed.
        batch: Batches of the pass that are left out at its start.
        stream: Whether the data never ends and is read in one pass, whatever is called an epoch.
        examples: (texts, labels) that the data is made of, where there are such.

    Example:
        >>> position = Position()
        >>> batches = random_passes([3] * 8, batch_size=2, seed=1, position=position)
        >>> whole = batches()
        >>> position.batch = 3
        >>> [batch.tolist() for batch in batches()] == [whole[3].tolist()]
        True
    """

    def __init__(self):
        self.epoch, self.batch, self.stream, self.examples = 0, 0, False, None

    @property
    def first_number(self) -> int:
        """A number for the first batch that comes; those behind it count on from there."""
        return (0 if self.stream else self.epoch * MOST_BATCHES) + self.batch


def random_pass(lengths, batch_size: int, seed: int, number: int) -> list[np.ndarray]:
    """The batches of one pass, whole.

    Args:
        lengths: As ``length_grouped_batches`` takes it.
        batch_size: As ``length_grouped_batches`` takes it.
        seed: Decides the order, together with the number of the pass.
        number: The pass, from 0.
    """
    # Counted from 1: models trained with a seed stay what they were.
    return length_grouped_batches(lengths, batch_size, seed=seed + 1 + number)


def rest_of(pass_of, position: Position):
    """What makers of datasets call ``batches``: those of the pass that comes, from the position on.

    Args:
        pass_of: Number of a pass → its batches, whole.
        position: Which pass that is, and where it begins.
    """
    return lambda: pass_of(position.epoch)[position.batch :]


def random_passes(lengths, batch_size: int, seed: int, position: Position):
    """``rest_of`` passes in random order.

    Args:
        lengths: As ``length_grouped_batches`` takes it.
        batch_size: As ``length_grouped_batches`` takes it.
        seed: Decides the order, together with the number of the pass.
        position: Which pass that is, and where it begins.

    Returns:
        A function that returns arrays of row numbers, int64.
    """
    return rest_of(functools.partial(random_pass, lengths, batch_size, seed), position)


def array_batches(arrays, batch_size: int, seed: int | None, position: Position) -> tf.data.Dataset:
    """Batches of arrays, in passes that can begin in the middle.

    Args:
        arrays: A nest of arrays (rows, ...).
        batch_size: Rows of a batch.
        seed: Decides their order; None: it is that of the arrays.
        position: Where a pass begins.

    Returns:
        Elements as the nest; the cardinality is known.
    """
    tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
    count = len(tf.nest.flatten(tensors)[0])
    if seed is None:
        whole = [np.arange(i, min(i + batch_size, count)) for i in range(0, count, batch_size)]
        batches = rest_of(lambda number: whole, position)
    else:
        batches = random_passes(np.ones(count), batch_size, seed, position)
    return dataset_of_batches(
        batches, lambda rows: tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), tensors)
    )


def from_position(dataset: tf.data.Dataset, position: Position) -> tf.data.Dataset:
    """A dataset of batches of which each iterator begins at the position.

    What comes before is read, as ``tf.data`` cannot jump, but nothing that is mapped behind.

    Args:
        dataset: Gives the same batches in the same order whenever it is iterated over.
        position: Where to begin.

    Returns:
        The dataset; of the same cardinality, which is that of a pass from its start on.
    """

    def rest(_):
        skipped = tf.numpy_function(lambda: np.int64(position.batch), [], tf.int64)
        return dataset.skip(tf.ensure_shape(skipped, ()))

    moved = tf.data.Dataset.from_tensors(0).flat_map(rest)
    return _of_size(moved, int(dataset.cardinality()))


def moving_on(dataset: tf.data.Dataset, position: Position) -> tf.data.Dataset:
    """A dataset of which each iterator goes through the next pass, the first through this one.

    Args:
        dataset: Looks at the position.
        position: Is moved.
    """
    begun = False

    def next_pass():
        nonlocal begun
        position.epoch, begun = position.epoch + begun, True
        return np.int64(0)

    def whole(_):
        nothing = tf.numpy_function(next_pass, [], tf.int64)
        return dataset.skip(tf.ensure_shape(nothing, ()))

    moved = tf.data.Dataset.from_tensors(0).flat_map(whole)
    return without_autotuning(_of_size(moved, int(dataset.cardinality())))


def numbered(dataset: tf.data.Dataset, position: Position) -> tf.data.Dataset:
    """Batches with a number that no other has, in this pass or another.

    Args:
        dataset: Begins at the position.
        position: Where that is.

    Returns:
        Elements (int64, batch).
    """

    def numbers(_):
        first = tf.numpy_function(lambda: np.int64(position.first_number), [], tf.int64)
        return tf.data.Dataset.range(tf.ensure_shape(first, ()), tf.int64.max)

    count = tf.data.Dataset.from_tensors(0).flat_map(numbers)
    return _of_size(tf.data.Dataset.zip(count, dataset), int(dataset.cardinality()))


def _of_size(dataset, size):
    """The dataset, with a size that ``tf.data`` has lost sight of."""
    if size == tf.data.UNKNOWN_CARDINALITY:
        return dataset
    return dataset.apply(tf.data.experimental.assert_cardinality(size))
