"""Workers as processes of this machine: started, listened to, ended."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from keras_bert.launching import keeper

__all__ = ["Keeper", "Worker"]

_LAST_LINES = 10
_LONGEST_LINE = 1 << 16
# Seconds in which what a worker has written is still read after it has ended.
_LEFTOVERS = 1.0


class Keeper:
    """The process that ends the workers should this one not be able to.

    Attributes:
        mark: What the environment of each worker is to hold under ``keeper.MARK``.
    """

    def __init__(self):
        self.mark = uuid.uuid4().hex
        # A session of its own: what ends the launcher's whole group does not end it. -I -S: it
        # needs no packages.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def tell(self, sign: str, group: int) -> None:
        """Tells it of a process group that has begun ("+") or ended ("-")."""
        with contextlib.suppress(OSError):  # it was killed itself
            self._process.stdin.write(f"{sign}{group}\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Has it end; returns when it has."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()


class Worker:
    """One worker: a process in a session of its own, and two threads that read what it writes.

    Attributes:
        task_id: Its number.
        group: Its process group.
        code: As ``subprocess`` has it; None while it runs.
        last_lines: What it wrote last, on either stream.
    """

    def __init__(
        self,
        task_id: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        write: Callable[[int, str, str], None],
        ended: Callable[[int], None],
        log: Path | None = None,
    ):
        """Starts it.

        Args:
            task_id: Its number.
            command: Program and arguments.
            environment: All of it.
            write: Called with the number, "stdout" or "stderr", and each line without its end.
            ended: Called with the number when the process has ended and its lines are read.
            log: File that all its lines are added to.
        """
        self.task_id = task_id
        self.code: int | None = None
        self.last_lines: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        self._write, self._ended = write, ended
        self._log = open(log, "ab") if log is not None else None
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.group = self._process.pid
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._readers = [
            threading.Thread(target=self._read, args=item, daemon=True) for item in streams.items()
        ]
        for thread in (*self._readers, threading.Thread(target=self._wait, daemon=True)):
            thread.start()

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._started

    def send(self, number: int) -> None:
        """Sends a signal to the process and to what it has started in its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    def _wait(self):
        self.code = self._process.wait()
        # What it has left running would hold its pipes open.
        self.send(signal.SIGKILL)
        deadline = time.monotonic() + _LEFTOVERS
        for thread in self._readers:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._log is not None:
            with self._lock:
                self._log.close()
        self._ended(self.task_id)

    def _read(self, name: str, stream: IO[bytes]):
        rest = b""
        with stream:
            while part := stream.read1(_LONGEST_LINE):
                *lines, rest = (rest + part).split(b"\n")
                if len(rest) > _LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                self._take(name, lines)
            self._take(name, [rest] if rest else [])

    def _take(self, name, lines):
        for line in lines:
            with self._lock:
                if self._log is not None and not self._log.closed:
                    self._log.write(line + b"\n")
                    self._log.flush()
            text = as_seen(line.decode(errors="replace"))
            self.last_lines.append(text)
            self._write(self.task_id, name, text)


def as_seen(line: str) -> str:
    r"""A line as a terminal would show it at last, where it was written over.

    Example:
        >>> as_seen("1/9\r2/9\r\x1b[K")
        '2/9'
    """
    parts = [part for part in line.replace("\x1b[K", "").split("\r") if part]
    return parts[-1] if parts else ""
