"""What replicas and workers have to agree on before a run."""

from __future__ import annotations

import tensorflow as tf

__all__ = ["check_strategy", "shared_by_examples", "shared_number"]


def check_strategy(model):
    """Raises where a model cannot be trained under the strategy that is in force.

    Raises:
        ValueError: If the strategy trains asynchronously, or the model was made under another one.
    """
    made = model._distribute_strategy  # None: it was made under no strategy
    if isinstance(made, tf.distribute.experimental.ParameterServerStrategy):
        raise ValueError(
            "ParameterServerStrategy is not supported: its workers train on old weights, each at "
            "its own pace, so that a run neither equals one device's nor can be repeated. Use "
            "MultiWorkerMirroredStrategy."
        )
    if not tf.distribute.has_strategy() or tf.distribute.get_strategy() is made:
        return
    raise ValueError(
        f"This model was made under {type(made).__name__ if made else 'no strategy'} and is used "
        f"under {type(tf.distribute.get_strategy()).__name__}. Make it within the scope that it is "
        "trained in: `with strategy.scope(): model = ...from_pretrained(...)`."
    )


def shared_number(strategy, number: int) -> int:
    """The first worker's number, on all workers, which call this together."""
    if strategy.num_replicas_in_sync == 1:
        return number

    @tf.function
    def of_first():
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        return tf.where(first, tf.constant(number, tf.int64), tf.zeros((), tf.int64))

    return int(strategy.reduce("SUM", strategy.run(of_first), axis=None))


def shared_by_examples(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset, each batch of which a strategy is to cut into its replicas' parts.

    So that a step has the same examples on any number of devices. Of files, TensorFlow would give
    each worker some, and so other batches.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)
