"""What replicas and workers have to agree on before a run."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert.models.windows import DOCUMENT_WINDOWS

__all__ = ["check_parts", "check_scope", "shared_by_examples", "shared_number"]


def check_scope(model):
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


def shared_by_examples(dataset: tf.data.Dataset, replicas: int = 1) -> tf.data.Dataset:
    """The dataset, each batch of which a strategy is to cut into its replicas' parts.

    So that a step has the same examples on any number of devices. Of files, TensorFlow would give
    each worker some, and so other batches.

    Args:
        dataset: Of batches.
        replicas: How many parts a batch is cut into.

    Raises:
        ValueError: As ``check_parts``.
    """
    check_parts(dataset.element_spec, replicas)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def check_parts(batch_spec, replicas: int):
    """Raises where a batch has no parts.

    Args:
        batch_spec: What a batch is made of, a nest.
        replicas: How many parts it would be cut into.

    Raises:
        ValueError: If ids are of windows and targets of texts, which would be cut apart.
    """
    names = {path[-1] for path, _ in keras.tree.flatten_with_path(batch_spec) if path}
    if replicas > 1 and names & {"window_source", DOCUMENT_WINDOWS}:
        raise ValueError(
            f"A batch of texts in windows (stride=...) cannot be cut into {replicas} replicas' "
            "parts: it has more windows than texts. Score such a model on one device: save it, "
            "load it outside the strategy's scope and evaluate it there."
        )
