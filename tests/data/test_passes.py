"""Passes over data in random order, that begin anywhere."""

import numpy as np
import tensorflow as tf

from keras_bert.data.batching import length_grouped_batches
from keras_bert.data.passes import (
    Position,
    array_batches,
    from_position,
    numbered,
    random_passes,
)

LENGTHS = np.random.default_rng(0).integers(3, 40, 50)


def listed(dataset):
    return [np.asarray(batch).tolist() for batch in dataset]


def test_a_pass_is_a_function_of_its_number():
    position = Position()
    batches = random_passes(LENGTHS, 8, 3, position)
    passes = []
    for epoch in (0, 1, 0):
        position.epoch = epoch
        passes.append([batch.tolist() for batch in batches()])
    assert passes[0] == passes[2] != passes[1]
    # What fit gave before passes had numbers.
    assert passes[0] == [batch.tolist() for batch in length_grouped_batches(LENGTHS, 8, seed=4)]
    position.batch = 5
    assert [batch.tolist() for batch in batches()] == passes[0][5:]


def test_batches_of_arrays():
    arrays = {"a": np.arange(10), "b": np.arange(20).reshape(10, 2)}
    position = Position()
    in_order = array_batches(arrays, 4, None, position)
    shuffled = array_batches((arrays, np.arange(10)), 4, 1, position)
    assert [batch["a"].numpy().tolist() for batch in in_order] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]
    assert in_order.cardinality() == shuffled.cardinality() == 3
    whole = [labels.numpy().tolist() for _, labels in shuffled]
    rows = [row for batch in whole for row in batch]
    assert sorted(rows) == list(range(10)) != rows
    position.batch = 1
    for (ids, labels), expected in zip(shuffled.take(2), whole[1:], strict=True):
        assert labels.numpy().tolist() == ids["a"].numpy().tolist() == expected
        assert (ids["b"].numpy()[:, 0] == 2 * labels.numpy()).all()


def test_datasets_begin_where_the_run_stands_when_they_are_read():
    position = Position()
    dataset = from_position(tf.data.Dataset.range(10).batch(3), position)
    assert dataset.cardinality() == 4
    assert listed(dataset) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    position.batch = 2
    # take: the rest is shorter than the dataset says it is, and is not asked for its end.
    assert listed(dataset.take(2)) == [[6, 7, 8], [9]]
    endless = from_position(tf.data.Dataset.range(4).repeat(), position)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    assert listed(endless.take(3)) == [2, 3, 0]
    unknown = tf.data.Dataset.range(10).filter(lambda x: x % 2 == 0)
    assert listed(from_position(unknown, position)) == [4, 6, 8]


def test_numbers_of_batches():
    position = Position()
    dataset = numbered(from_position(tf.data.Dataset.range(5), position), position)
    assert dataset.cardinality() == 5
    first = [int(number) for number, _ in dataset]
    assert first == list(range(5))
    position.epoch, position.batch = 2, 3
    rest = [(int(number), int(element)) for number, element in dataset.take(2)]
    assert [element for _, element in rest] == [3, 4]
    numbers = {number for number, _ in rest}
    position.batch = 0
    assert numbers < {int(number) for number, _ in dataset} and numbers.isdisjoint(first)
    # A stream has one pass, whatever is called an epoch.
    position.stream, position.batch = True, 3
    assert [int(number) for number, _ in dataset.take(2)] == [3, 4]
