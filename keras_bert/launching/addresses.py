"""Addresses of the workers of a cluster."""

from __future__ import annotations

import dataclasses

__all__ = ["Addresses", "address_problem"]


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where the workers of a cluster are, and which of them this process is.

    Attributes:
        workers: "host:port" of each; the first is the chief.
        task_id: This process's place among them.
        source: What said so, for messages: "TF_CONFIG", "Slurm" or "Kubernetes".
    """

    workers: tuple[str, ...]
    task_id: int
    source: str

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes files and prints."""
        return self.task_id == 0

    def name(self, task_id: int) -> str:
        """A worker, for messages: ``"worker 1 (node7:2222)"``."""
        chief = ", the chief" if task_id == 0 else ""
        return f"worker {task_id} ({self.workers[task_id]}{chief})"


def split_address(address: str) -> tuple[str, int]:
    """``"host:port"`` → host, port; brackets around an IPv6 address are taken off."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def address_problem(address) -> str | None:
    """What is wrong with an address, or None."""
    expected = f'expected "host:port"; received {address!r}'
    if not isinstance(address, str):
        return expected
    host, _, port = address.rpartition(":")
    if not host or any(c.isspace() or c in "/," for c in host) or not port.isascii():
        return expected
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        return f"{expected}, whose port is no number from 1 to 65535"
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return f"{expected}; an IPv6 address goes in brackets"
    return None
