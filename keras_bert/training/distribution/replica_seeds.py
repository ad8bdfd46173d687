"""Other random numbers on every replica."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["part_seeds"]

#: From one replica's first random number to the next one's: about the golden section of the 2³¹
#: that ``Dropout`` takes seeds modulo, so that the replicas' stay apart whatever their number.
DISTANCE = 1_327_217_885


def part_seeds(model):
    """Gives every replica's copy of the dropout layers' states a place of its own.

    Keras gives them all the same, so that a batch's examples on different replicas lose the same
    units. The first replica's stay as they are: from those a run is resumed.
    """
    strategy = model.distribute_strategy
    states = [v.value for v in model.non_trainable_variables if v.name == "seed_generator_state"]
    if strategy.num_replicas_in_sync == 1 or not states:
        return
    first = [tf.identity(state) for state in states]

    def part():
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        for state, value in zip(states, first, strict=True):
            state.assign(value + tf.stack([tf.zeros((), tf.int64), replica * DISTANCE]))

    strategy.run(tf.function(part))
