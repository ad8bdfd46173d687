"""What trains together under a strategy: which workers, and whether all of them are still there."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator

import tensorflow as tf

from keras_bert.launching.addresses import Addresses
from keras_bert.launching.peers import PeerLost

__all__ = ["Cluster", "PeerLost", "cluster_of", "lost_peers", "wait"]

# What is in TensorFlow's messages when a worker is lost; others speak of files, memory, NaN.
_SIGNS = (
    "collective ops is aborted",
    "coordinationservice",
    "coordination service",
    "heartbeat",
    "remote target /job:",
    "nccl",
)
# Workers that do not do the same: a mistake in the program, with all of them there.
_DIFFERENCE = re.compile(r"collective instance \d+ (expected|but)|in the collective instance", re.I)
_TASK = re.compile(r"/job:worker/(?:replica:0/)?task:(\d+)")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What trains together under a strategy.

    Attributes:
        is_chief: Whether this process is the one that writes files and prints.
        task_id: Number of this process, from 0 on; the chief is 0.
        workers: How many processes.
        replicas: How many copies of the model, in all processes.
        local_replicas: How many in this process.
    """

    is_chief: bool
    task_id: int
    workers: int
    replicas: int
    local_replicas: int


def cluster_of(strategy: tf.distribute.Strategy | None = None) -> Cluster:
    """What trains together under a strategy.

    Args:
        strategy: Default: the one whose scope this is called in.

    Example:
        >>> cluster_of()
        Cluster(is_chief=True, task_id=0, workers=1, replicas=1, local_replicas=1)
    """
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    task_id, workers = 0, 1
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        task_id, workers = _task_of(strategy.cluster_resolver)
    replicas = strategy.num_replicas_in_sync
    # All workers have as many devices: under another number TensorFlow does not train.
    return Cluster(task_id == 0, task_id, workers, replicas, replicas // workers)


def _task_of(resolver):
    """(this task, number of tasks), with a chief counted as the first."""
    jobs = resolver.cluster_spec().as_dict()
    chiefs, others = len(jobs.get("chief", ())), len(jobs.get("worker", ()))
    if chiefs + others < 2:
        return 0, 1
    return resolver.task_id + (chiefs if resolver.task_type == "worker" else 0), chiefs + others


def wait(strategy: tf.distribute.Strategy | None = None) -> None:
    """Returns when all workers of a cluster have called it; at once where there is one.

    So that none leaves while the chief still writes: TensorFlow would take it for lost.

    Args:
        strategy: Default: the one whose scope this is called in.

    Raises:
        PeerLost: If another worker is lost meanwhile.

    Example:
        >>> wait()
    """
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    if cluster_of(strategy).workers > 1:
        with lost_peers(strategy):
            strategy.reduce("SUM", tf.ones(()), axis=None)


@contextlib.contextmanager
def lost_peers(strategy: tf.distribute.Strategy | None = None) -> Iterator[None]:
    """Makes what TensorFlow raises when a worker is lost a ``PeerLost`` that says so.

    Args:
        strategy: Default: the one whose scope this is entered in.

    Raises:
        PeerLost: In place of TensorFlow's error; others pass as they are.

    Example:
        >>> with lost_peers():
        ...     pass
    """
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    cluster = cluster_of(strategy)
    if cluster.workers == 1:
        yield
        return
    try:
        yield
    except tf.errors.OpError as error:
        message = error.message or str(error)
        if not any(sign in message.lower() for sign in _SIGNS) or _DIFFERENCE.search(message):
            raise
        raise PeerLost(
            f"worker {cluster.task_id} lost {_who(strategy, cluster, message)}, which ended or "
            "does not answer. Start all workers again: training goes on from the last checkpoint. "
            f"(TensorFlow: {_first_reason(message)})"
        ) from error


def _who(strategy, cluster, message):
    """The lost worker's name, where the message tells."""
    jobs = strategy.cluster_resolver.cluster_spec().as_dict()
    addresses = (*jobs.get("chief", ()), *jobs.get("worker", ()))
    told = {int(number) for number in _TASK.findall(message)} - {cluster.task_id}
    named = Addresses(tuple(addresses), cluster.task_id, "")
    names = [named.name(number) for number in sorted(told) if number < len(addresses)]
    if not names and "CoordinationService" in message:  # the chief is asked, and is silent
        names = [named.name(0)]
    return " and ".join(names) or "another worker"


def _first_reason(message):
    match = re.search(r"Collective ops is aborted by: ([^\n]+)", message)
    return match[1] if match else message.strip().splitlines()[0]
