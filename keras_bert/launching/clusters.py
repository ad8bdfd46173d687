"""Which workers train together, and which of them this process is: what the environment says.

Nothing here imports TensorFlow, and nothing asks a service: environment variables only.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

from keras_bert.launching import kubernetes, slurm
from keras_bert.launching.addresses import Addresses, address_problem

__all__ = [
    "STRATEGIES",
    "check_strategy",
    "find_cluster",
    "from_tf_config",
    "tf_config",
]

#: Names of ``keras_bert.training.strategy``.
STRATEGIES = ("auto", "none", "mirrored", "multi_worker", "tpu")
_NO_PARAMETER_SERVERS = (
    "parameter servers are not supported: their workers update the weights whenever they are done, "
    "so that results depend on who was faster, and Keras 3 cannot fit under "
    "ParameterServerStrategy. Workers that wait for each other do the same work: multi_worker."
)
# "master" is what the first TFJobs called their chief.
_CHIEFS = ("chief", "master")
_JOBS = (*_CHIEFS, "worker", "evaluator", "ps")


def check_strategy(name: str) -> None:
    """Refuses what is no name of a strategy, parameter servers with the reason.

    Raises:
        ValueError: If it is none of ``STRATEGIES``.

    Example:
        >>> check_strategy("mirrored")
    """
    if name == "parameter_server":
        raise ValueError(f"strategy {name!r}: {_NO_PARAMETER_SERVERS}")
    if name not in STRATEGIES:
        raise ValueError(f"strategy is one of {', '.join(STRATEGIES)}; received {name!r}.")


def find_cluster(
    environment: Mapping[str, str] | None = None, hostname: str | None = None
) -> Addresses | None:
    """The cluster that this process is a worker of; None where it is alone.

    Looked for in this order: ``TF_CONFIG``, the step of a Slurm job, ``KERAS_BERT_WORKERS`` (pods
    of Kubernetes).

    Args:
        environment: Default: ``os.environ``.
        hostname: Default: this machine's; pods of Kubernetes carry their number in it.

    Raises:
        ValueError: If what is there cannot be read; the message names the variable and the key.

    Example:
        >>> workers = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", '
        >>> find_cluster({"TF_CONFIG": workers + '"index": 1}}'}).task_id
        1
    """
    environment = os.environ if environment is None else environment
    if environment.get("TF_CONFIG", "").strip():
        return from_tf_config(environment["TF_CONFIG"])
    found = slurm.find_cluster(environment)
    return found or kubernetes.find_cluster(environment, hostname or socket.gethostname())


def from_tf_config(text: str) -> Addresses | None:
    """Reads ``TF_CONFIG``; None if it speaks of one worker alone, or of no cluster.

    Args:
        text: JSON: ``{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker",
            "index": 0}}``. A ``chief`` comes before all workers.

    Raises:
        ValueError: If it is anything else; the message names the key.

    Source: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG; Kubeflow's TFJob
    controller, which leaves evaluators out of ``cluster``.
    """
    config = _parsed(text)
    if "sparseCluster" in config:
        _refuse("sparseCluster", "workers that come and go need parameter servers, and "
                + _NO_PARAMETER_SERVERS)  # fmt: skip
    jobs = _jobs(config.get("cluster", {}))
    if not jobs:
        return None
    if "ps" in jobs:
        _refuse("cluster.ps", _NO_PARAMETER_SERVERS)
    task = config.get("task")
    if not isinstance(task, dict):
        _refuse("task", f'expected {{"type": "worker", "index": 0}}; received {task!r}')
    kind, index = task.get("type"), task.get("index")
    if kind == "evaluator":
        _refuse(
            "task.type",
            "an evaluator has nothing to do here: training scores its validation data itself. "
            "Leave the evaluator out",
        )
    if kind not in jobs:
        _refuse("task.type", f"expected one of {', '.join(jobs)}; received {kind!r}")
    index = _index(index, len(jobs[kind]), f"cluster.{kind}")
    chiefs = [jobs[name] for name in _CHIEFS if name in jobs]
    if len(chiefs) > 1 or any(len(chief) > 1 for chief in chiefs):
        _refuse("cluster.chief", "expected one chief at most")
    before = sum(map(len, chiefs)) if kind == "worker" else 0
    workers = [address for job in [*chiefs, jobs.get("worker", [])] for address in job]
    return None if len(workers) == 1 else Addresses(tuple(workers), before + index, "TF_CONFIG")


def _parsed(text):
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ValueError(f"TF_CONFIG is no JSON: {error}; it is {_short(text)}") from error
    if not isinstance(config, dict):
        raise ValueError(f"TF_CONFIG: expected an object {{...}}; received {_short(text)}")
    return config


def _jobs(cluster):
    """Job → its addresses, without jobs that have none and without evaluators."""
    if not isinstance(cluster, dict):
        _refuse("cluster", f'expected {{"worker": ["host:port", ...]}}; received {cluster!r}')
    seen = {}
    for name, addresses in cluster.items():
        key = f"cluster.{name}"
        if name not in _JOBS:
            _refuse(key, f"there are no such tasks; expected {', '.join(_JOBS)}")
        if not isinstance(addresses, list):
            _refuse(key, f'expected a list ["host:port", ...]; received {addresses!r}')
        for place, address in enumerate(addresses):
            problem = address_problem(address)
            if problem:
                _refuse(f"{key}[{place}]", problem)
            if address in seen:
                _refuse(f"{key}[{place}]", f"{address!r} is {seen[address]} already")
            seen[address] = f"{key}[{place}]"
    return {name: found for name, found in cluster.items() if found and name != "evaluator"}


def _index(index, count, key):
    number = int(index) if isinstance(index, str) and index.isdecimal() else index
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < count:
        _refuse("task.index", f"expected 0 to {count - 1}, a place in {key}; received {index!r}")
    return number


def _refuse(key, problem):
    raise ValueError(f"TF_CONFIG: {key}: {problem}.")


def _short(text):
    return repr(text if len(text) <= 80 else f"{text[:80]}…")


def tf_config(addresses: Addresses) -> str:
    """``TF_CONFIG`` of one worker, whose first is the chief.

    Example:
        >>> print(tf_config(Addresses(("a:1", "b:1"), 1, "Slurm")))
        {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    """
    task = {"type": "worker", "index": addresses.task_id}
    return json.dumps({"cluster": {"worker": list(addresses.workers)}, "task": task})
