"""How workers on one machine share it: ports, cores, GPUs."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
from collections.abc import Mapping
from pathlib import Path

__all__ = ["core_count", "free_ports", "gpu_shares", "thread_settings"]

# Below the ports that Linux hands out to connections: one of the workers' own connections would
# otherwise take the port of a worker that has not opened it yet.
_PORTS = range(10_000, 32_768)
_TRIES = 200


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Ports that nobody on this machine listens on.

    Args:
        count: How many.
        first: The first of consecutive ones; None: any.

    Raises:
        OSError: If one of those asked for is taken, or none are free.

    Example:
        >>> len(set(free_ports(3)))
        3
    """
    wanted = range(first, first + count) if first is not None else random.sample(_PORTS, _TRIES)
    found: list[int] = []
    with contextlib.ExitStack() as stack:  # all are held until all are found
        for port in wanted:
            if len(found) == count:
                break
            try:
                stack.enter_context(_bound(port))
                found.append(port)
            except OSError as error:
                if first is not None:
                    raise OSError(
                        f"port {port} cannot be had: {error.strerror or error}; without a first "
                        "port, free ones are looked for"
                    ) from error
    if len(found) < count:
        raise OSError(f"no {count} free ports among {_PORTS[0]} to {_PORTS[-1]}")
    return found


def _bound(port):
    return socket.create_server(("", port))


def core_count() -> int:
    """Cores that this process may use, a container's limit counted."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(OSError, ValueError):  # no cgroup, or "max"
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores or 1, max(1, round(int(quota) / int(period))))
    return cores or 1


def thread_settings(workers: int, environment: Mapping[str, str], cores: int) -> dict[str, str]:
    """Threads of each worker, so that all together keep every core busy once.

    Args:
        workers: How many share the machine.
        environment: What is set there is left as it is.
        cores: Of the machine.

    Returns:
        Variables to set, which TensorFlow and OpenMP read when they start.

    Example:
        >>> thread_settings(4, {"OMP_NUM_THREADS": "3"}, cores=8)
        {'TF_NUM_INTRAOP_THREADS': '2', 'TF_NUM_INTEROP_THREADS': '2'}
    """
    share = max(1, cores // workers)
    settings = {
        "OMP_NUM_THREADS": share,
        "TF_NUM_INTRAOP_THREADS": share,
        # One waits for the other workers while another computes.
        "TF_NUM_INTEROP_THREADS": max(2, share),
    }
    return {name: str(value) for name, value in settings.items() if name not in environment}


def gpu_shares(
    workers: int, environment: Mapping[str, str], devices: str | Path = "/dev"
) -> list[str | None]:
    """``CUDA_VISIBLE_DEVICES`` of each worker; None where there are no GPUs to share.

    Args:
        workers: How many share the GPUs.
        environment: Its ``CUDA_VISIBLE_DEVICES`` says which there are, if set; empty: none.
        devices: Where the system lists its devices.

    Raises:
        ValueError: If there are fewer GPUs than workers.

    Example:
        >>> gpu_shares(2, {"CUDA_VISIBLE_DEVICES": "0,1,2,3"})
        ['0,1', '2,3']
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        names = [path.name for path in Path(devices).glob("nvidia*")]
        found = sorted(int(n[6:]) for n in names if re.fullmatch(r"nvidia\d+", n))
        gpus = [str(number) for number in found]
    else:
        gpus = [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    if not gpus:
        return [None] * workers
    if len(gpus) < workers:
        raise ValueError(
            f"{workers} workers and {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}: each worker "
            "needs one of its own. CUDA_VISIBLE_DEVICES= (empty) has them run on the CPU."
        )
    share = len(gpus) // workers
    return [",".join(gpus[i * share : (i + 1) * share]) for i in range(workers)]
