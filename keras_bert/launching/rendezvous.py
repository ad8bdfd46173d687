"""All workers of a cluster meet before TensorFlow starts its servers.

TensorFlow 2.20's chief waits for a worker that never comes without end: it keeps to no timeout, and
Python, Ctrl-C with it, stands still meanwhile. So the workers first meet here: the chief listens on
the port that its TensorFlow will have, the others come to it and say who they are, and when all are
there, it lets them go. Who is missing is said by name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import socket
import time

from keras_bert.launching.addresses import Addresses, split_address
from keras_bert.launching.peers import PeerLost

__all__ = ["meet"]

_GO = b"go\n"
_LONGEST_LINE = 4096
# Seconds between two tries to reach the chief, and for one of them.
_PAUSE, _TRY = 0.2, 5.0
# Seconds that the others wait longer than the chief, so that it counts them among those who came.
_PATIENCE = 2.0


def meet(addresses: Addresses, timeout: float) -> None:
    """Returns when all workers of the cluster have called it.

    Args:
        addresses: The same workers for all; each its own ``task_id``.
        timeout: Seconds to wait for the others.

    Raises:
        PeerLost: If others do not come in time; on the chief the message names them.
        ValueError: If another worker has other addresses, or the same ``task_id``.

    Example:
        >>> meet(Addresses(("localhost:2222",), 0, "TF_CONFIG"), timeout=1)
    """
    deadline = time.monotonic() + timeout
    if addresses.is_chief:
        with contextlib.closing(_Door(addresses, timeout)) as door:
            door.wait_for_all(deadline)
    else:
        _come(addresses, deadline + _PATIENCE, timeout)


@dataclasses.dataclass
class _Guest:
    connection: socket.socket
    heard: bytes = b""
    task_id: int | None = None


class _Door:
    """The chief's side."""

    def __init__(self, addresses, timeout):
        self._addresses = addresses
        self._timeout = timeout
        self._socket = None
        self._guests: list[_Guest] = []

    def wait_for_all(self, deadline):
        others = set(range(1, len(self._addresses.workers)))
        while True:
            missing = others - {guest.task_id for guest in self._guests}
            if not missing:
                break
            if time.monotonic() > deadline:
                raise PeerLost(self._absence(sorted(missing)))
            self._open(deadline)
            self._accept()
            self._guests = [guest for guest in self._guests if self._hear(guest)]
        for guest in self._guests:
            _send(guest.connection, _GO)

    def _open(self, deadline):
        if self._socket is not None:
            return
        host, port = split_address(self._addresses.workers[0])
        try:
            self._socket = _listen(host, port)
            self._socket.settimeout(_PAUSE)
        except OSError as error:
            # A worker that was here before may take a moment to go.
            if time.monotonic() + _PAUSE > deadline:
                raise PeerLost(
                    f"port {port} of this machine, which {self._addresses.source} gives the chief, "
                    f"cannot be had: {error.strerror or error}."
                ) from error
            time.sleep(_PAUSE)

    def _accept(self):
        if self._socket is None:
            return
        with contextlib.suppress(TimeoutError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)
            self._guests.append(_Guest(connection))

    def _hear(self, guest):
        """Reads what a guest has said by now; False if it has gone, or has no place here."""
        try:
            while part := guest.connection.recv(_LONGEST_LINE):
                guest.heard += part
            gone = True
        except BlockingIOError:
            gone = len(guest.heard) > _LONGEST_LINE
        except OSError:
            gone = True
        if not gone and guest.task_id is None and guest.heard.endswith(b"\n"):
            gone = not self._place(guest)
        if gone:
            guest.connection.close()
        return not gone

    def _place(self, guest):
        try:
            said = json.loads(guest.heard)
            cluster, task_id = said["cluster"], int(said["task_id"])
        except (ValueError, TypeError, KeyError):
            return False  # no worker: a port scanner, a health check
        problem = None
        if cluster != _fingerprint(self._addresses) or not 0 < task_id < len(
            self._addresses.workers
        ):
            problem = "the chief has other addresses of workers than this one"
        elif any(task_id == other.task_id for other in self._guests):
            problem = f"there is another worker {task_id} already: two with the same number"
        if problem:
            _send(guest.connection, json.dumps({"problem": problem}).encode() + b"\n")
            return False
        guest.task_id = task_id
        return True

    def _absence(self, missing):
        names = ", ".join(map(self._addresses.name, missing))
        come = len(self._addresses.workers) - len(missing)
        return (
            f"waited {self._timeout:g} s for all workers, and {come} of "
            f"{len(self._addresses.workers)} came (this one counted); missing: {names}. Do they "
            "run, and can they reach this one?"
        )

    def close(self):
        for guest in self._guests:
            guest.connection.close()
        if self._socket is not None:
            self._socket.close()


def _come(addresses, deadline, timeout):
    """A worker's side: goes to the chief until it is let go."""
    why = "it was not tried"
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection(
                split_address(addresses.workers[0]), timeout=min(_TRY, left)
            ) as connection:
                why = _talk(addresses, connection, deadline)
        except OSError as error:  # not there yet, or its name not in the DNS
            why = error.strerror or str(error)
        if why is None:
            return
        time.sleep(_PAUSE)
    raise PeerLost(
        f"waited {timeout:g} s for all workers, and {addresses.name(0)} did not let this one, "
        f"{addresses.name(addresses.task_id)}, begin: {why}."
    )


def _talk(addresses, connection, deadline):
    """Says who this is and waits for the answer; returns what went wrong, None if nothing."""
    said = {"cluster": _fingerprint(addresses), "task_id": addresses.task_id}
    connection.sendall(json.dumps(said).encode() + b"\n")
    heard = b""
    while not heard.endswith(b"\n"):
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            part = connection.recv(_LONGEST_LINE)
        except TimeoutError:
            return "other workers are missing; the chief names them"
        if not part:
            return "it closed the connection"
        heard += part
        if len(heard) > _LONGEST_LINE:
            break
    if heard == _GO:
        return None
    try:
        problem = json.loads(heard)["problem"]
    except (ValueError, TypeError, KeyError):
        return "something else answers there"
    raise ValueError(f"{addresses.source}: {problem}: {', '.join(addresses.workers)}.")


def _listen(host, port):
    if host == "localhost" or host.startswith("127."):  # all on this machine: nobody else's matter
        return socket.create_server((host, port))
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # a kernel that knows IPv6 and has it switched off
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _send(connection, line):
    with contextlib.suppress(OSError):  # has gone: TensorFlow will notice
        connection.setblocking(True)
        connection.sendall(line)


def _fingerprint(addresses):
    return hashlib.sha256(json.dumps(addresses.workers).encode()).hexdigest()
