"""The workers of a Slurm job step, from what ``srun`` puts into the environment.

TensorFlow has a ``SlurmClusterResolver``. It is not used, because it

* sorts the nodes as words, so that of n9 and n10 each takes itself for the other;
* takes every layout for ``--distribution=block``, and refuses names such as ``rack[1-2]n[1-4]``;
* asks for ``nvidia-smi``, and breaks where there is none or ``CUDA_VISIBLE_DEVICES`` is empty;
* takes port 8888 for every job, so that two jobs on one node get into each other's way;
* sets ``CUDA_VISIBLE_DEVICES``, even where Slurm has bound a GPU to each task.

Source: the variables are set by ``setup_env`` and ``env_array_for_step`` in Slurm's
``src/common/env.c``; man page of srun, "Output environment variables" and ``--distribution``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from keras_bert.launching.addresses import Addresses

__all__ = ["find_cluster", "is_outside_a_step"]

# Below the ports that Linux hands out to connections (32768 on), 16 tasks of 1,000 jobs.
_FIRST_PORT, _JOBS, _TASKS_PER_JOB = 12_000, 1_000, 16


def find_cluster(environment: Mapping[str, str]) -> Addresses | None:
    """The tasks of this step, rank by rank; None outside a step, or in one of a single task.

    Raises:
        ValueError: If the variables do not fit together; the message names one.

    Example:
        >>> step = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_JOB_ID": "7",
        ...         "SLURM_STEP_NODELIST": "n[9-10]", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}
        >>> find_cluster(step).workers
        ('n9:12112', 'n10:12112')
    """
    if "SLURM_PROCID" not in environment or "SLURM_STEP_NUM_TASKS" not in environment:
        return None
    count = _number(environment, "SLURM_STEP_NUM_TASKS")
    if count == 1:
        return None
    hosts = expand_hosts(_value(environment, "SLURM_STEP_NODELIST"))
    tasks = expand_tasks(_value(environment, "SLURM_STEP_TASKS_PER_NODE"))
    if len(hosts) != len(tasks) or sum(tasks) != count:
        raise ValueError(
            f"SLURM_STEP_TASKS_PER_NODE={environment['SLURM_STEP_TASKS_PER_NODE']} does not go "
            f"with the nodes SLURM_STEP_NODELIST={environment['SLURM_STEP_NODELIST']} and the "
            f"{count} tasks of SLURM_STEP_NUM_TASKS."
        )
    places = _layout(environment, tasks)
    rank = _number(environment, "SLURM_PROCID")
    if not 0 <= rank < count:
        raise ValueError(f"SLURM_PROCID={rank} is not among the {count} tasks of this step.")
    _check_own_place(environment, places[rank])
    first = _first_port(environment)
    workers = tuple(f"{hosts[node]}:{first + local}" for node, local in places)
    return Addresses(workers, rank, "Slurm")


def is_outside_a_step(environment: Mapping[str, str]) -> bool:
    """Whether this is a job's script itself, whose tasks only ``srun`` would start."""
    tasks = environment.get("SLURM_NTASKS", "1")
    in_a_step = "SLURM_STEP_NUM_TASKS" in environment
    return "SLURM_JOB_ID" in environment and not in_a_step and tasks.isdecimal() and int(tasks) > 1


def expand_hosts(text: str) -> list[str]:
    """The nodes of a list as Slurm writes it, in its order, which is that of the ranks.

    Raises:
        ValueError: If it is no such list.

    Example:
        >>> expand_hosts("a,n[08-10,12],r[1-2]n[3-4]x")
        ['a', 'n08', 'n09', 'n10', 'n12', 'r1n3x', 'r1n4x', 'r2n3x', 'r2n4x']
    """
    names = re.findall(r"(?:[^\[\],\s]|\[[^\[\]]*\])+", text)
    if ",".join(names) != text or not names:
        raise ValueError(f"SLURM_STEP_NODELIST={text} is no list of nodes.")
    hosts = []
    for name in names:
        parts = re.split(r"\[([^\]]*)\]", name)  # at odd places: what was in brackets
        options = [_numbers(part, text) if i % 2 else [part] for i, part in enumerate(parts)]
        hosts += map("".join, itertools.product(*options))
    return hosts


def _numbers(ranges, text):
    """``"08-10,12"`` → ``["08", "09", "10", "12"]``."""
    numbers = []
    for part in ranges.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not match:
            raise ValueError(f"SLURM_STEP_NODELIST={text}: [{ranges}] is no list of numbers.")
        first, last = match[1], match[2] or match[1]
        numbers += [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    return numbers


def expand_tasks(text: str) -> list[int]:
    """Tasks of each node.

    Raises:
        ValueError: If it is not written as Slurm does.

    Example:
        >>> expand_tasks("2(x3),1")
        [2, 2, 2, 1]
    """
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not match:
            raise ValueError(f'SLURM_STEP_TASKS_PER_NODE={text}: expected such as "2(x3),1".')
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _layout(environment, tasks):
    """(node, task on that node) of each rank."""
    # Of "block:cyclic,pack" the first part says how tasks go to nodes, the rest how to cores.
    how = re.split("[:,]", environment.get("SLURM_DISTRIBUTION", "").lower())[0] or "block"
    by_node = [(node, local) for node, count in enumerate(tasks) for local in range(count)]
    if how == "block":
        return by_node
    if how == "cyclic":
        return sorted(by_node, key=lambda place: (place[1], place[0]))
    raise ValueError(
        f"SLURM_DISTRIBUTION={environment['SLURM_DISTRIBUTION']}: which task runs on which node is "
        "known for block and cyclic; start with srun --distribution=block."
    )


def _check_own_place(environment, place):
    for name, expected in zip(("SLURM_NODEID", "SLURM_LOCALID"), place, strict=True):
        if name in environment and _number(environment, name) != expected:
            raise ValueError(
                f"{name}={environment[name]}, and from SLURM_STEP_TASKS_PER_NODE and "
                f"SLURM_DISTRIBUTION it should be {expected}: the tasks are laid out in a way that "
                "is not known here; start with srun --distribution=block."
            )


def _first_port(environment):
    """Of the first task on each node; the same for all tasks, and different for most jobs."""
    if "KERAS_BERT_PORT" in environment:
        return _number(environment, "KERAS_BERT_PORT")
    reserved = re.match(r"(\d+)", environment.get("SLURM_STEP_RESV_PORTS", ""))
    if reserved:  # srun --resv-ports
        return int(reserved[1])
    return _FIRST_PORT + _number(environment, "SLURM_JOB_ID") % _JOBS * _TASKS_PER_JOB


def _value(environment, name):
    if not environment.get(name):
        raise ValueError(f"{name} is not set, and this is a step of a Slurm job.")
    return environment[name]


def _number(environment, name):
    value = _value(environment, name)
    if not value.isdecimal():
        raise ValueError(f"{name}={value} is no number.")
    return int(value)
