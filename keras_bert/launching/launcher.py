"""Starts the workers of a cluster on this machine, and sees that they end together."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_bert.launching import exit_codes, keeper
from keras_bert.launching.addresses import Addresses
from keras_bert.launching.clusters import tf_config
from keras_bert.launching.shares import core_count, free_ports, gpu_shares, thread_settings
from keras_bert.launching.workers import Keeper, Worker

__all__ = ["launch"]

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP")
# Seconds that workers of a broken cluster get to say what happened, and then to end.
_AFTERMATH = 5.0


def launch(
    command: Sequence[str],
    workers: int,
    *,
    restarts: int = 0,
    port: int | None = None,
    log_dir: str | Path | None = None,
    bare_chief: bool = False,
    grace: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Runs a command in several processes on this machine that train together.

    Each gets ``TF_CONFIG``, its share of cores and GPUs, and no standard input; what it writes
    comes out here, with "[0] " and so on before each line. SIGINT, SIGTERM and SIGHUP are passed
    on. When one worker fails, the others are ended. Whatever happens, none is left behind, nor
    anything that they have started: where this process is killed, a small one beside it sees to it.

    Args:
        command: Program and arguments, the same for all.
        workers: How many.
        restarts: How often all are started again because one was killed or lost another.
        port: The first of their ports; default: any that are free, others at each start.
        log_dir: Folder that gets ``worker-0.log`` and so on, without the numbers.
        bare_chief: Whether lines of worker 0 come without "[0] ".
        grace: Seconds to end in, after a signal was passed on or one has stopped and saved; a
            second signal ends all at once.
        environment: Of the workers; default: this process's own.

    Returns:
        An exit code, see ``keras_bert.launching.exit_codes``: 0 when all are done; 42 when they
        were told to stop and saved; of one that failed; 128 + n after signal n.

    Raises:
        ValueError: If there are no workers to start, this process is a worker itself, or there are
            fewer GPUs than workers.
        OSError: If the program cannot be started, a port is taken, the folder not written to, or
            the system has no process groups (Windows).

    Example:
        >>> launch([sys.executable, "-c", "print('here')"], workers=2)  # doctest: +SKIP
        [1] here
        [0] here
        0
    """
    if workers < 1:
        raise ValueError(f"workers is a number from 1 on; received {workers}.")
    if os.name != "posix":
        raise OSError("workers are started on Linux and macOS only; WSL is the way on Windows")
    environment = dict(os.environ if environment is None else environment)
    if environment.get("TF_CONFIG", "").strip():
        raise ValueError(
            "TF_CONFIG is set, so this process is one worker of a cluster already and starts no "
            "others. Unset it, or run the command without launch."
        )
    if log_dir is not None:
        Path(log_dir).mkdir(parents=True, exist_ok=True)
    shares = gpu_shares(workers, environment)
    environment |= thread_settings(workers, environment, core_count())
    events: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    output = _Output(bare_chief, events)
    with contextlib.closing(Keeper()) as kept, _signals_into(events):
        environment |= {keeper.MARK: kept.mark, "PYTHONUNBUFFERED": "1"}
        for left in range(restarts, -1, -1):
            cluster = _Cluster(events, output, kept, grace)
            ports = free_ports(workers, port)
            cluster.start(command, _environments(environment, ports, shares), log_dir)
            code = cluster.run()
            again = exit_codes.is_worth_a_restart(code) and cluster.told is None
            if not again or not left:
                break
            output.say(f"starting all workers again; restart {restarts - left + 1} of {restarts}")
    return exit_codes.shell_code(code)


def _environments(environment, ports, gpus):
    """One for each worker."""
    workers = tuple(f"127.0.0.1:{port}" for port in ports)
    for task_id, gpu in enumerate(gpus):
        visible = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        cluster = tf_config(Addresses(workers, task_id, "keras-bert launch"))
        yield environment | visible | {"TF_CONFIG": cluster}


class _Output:
    """Lines of all workers on this process's streams, one at a time."""

    def __init__(self, bare_chief, events):
        self._bare_chief = bare_chief
        self._events = events
        self._lock = threading.Lock()
        self._is_read = True

    def line(self, task_id, name, text):
        prefix = "" if self._bare_chief and task_id == 0 else f"[{task_id}] "
        self._print(getattr(sys, name), prefix + text)

    def say(self, text):
        self._print(sys.stderr, f"keras-bert launch: {text}")

    def _print(self, stream, text):
        with self._lock:
            if not self._is_read:
                return
            try:
                print(text, file=stream, flush=True)
            except (OSError, ValueError):  # the reader has gone, as in `keras-bert launch … | head`
                self._is_read = False
                self._events.put(("signal", signal.SIGPIPE))


class _Cluster:
    """The workers from one start to their end.

    Attributes:
        told: The signal that this process was sent, or None.
    """

    def __init__(self, events, output, kept, grace):
        self._events, self._output, self._keeper, self._grace = events, output, kept, grace
        self._workers: list[Worker] = []
        self._running: set[int] = set()
        # Codes of those that ended before they were told to, in that order.
        self._own_codes: dict[int, int] = {}
        self._deadline: float | None = None
        self._last_word = False
        self.told: int | None = None

    def start(self, command, environments, log_dir):
        try:
            for task_id, environment in enumerate(environments):
                log = None if log_dir is None else Path(log_dir, f"worker-{task_id}.log")
                worker = Worker(
                    task_id,
                    command,
                    environment,
                    self._output.line,
                    lambda ended: self._events.put(("ended", ended)),
                    log,
                )
                self._keeper.tell("+", worker.group)
                self._workers.append(worker)
                self._running.add(task_id)
        except BaseException:
            self._end_for_good()
            raise

    def run(self):
        """Waits for the end of all; returns the code that stands for them."""
        try:
            while self._running:
                self._take(self._next())
        finally:
            self._end_for_good()
        return self._code()

    def _next(self):
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        try:
            return self._events.get(timeout=left)
        except queue.Empty:
            return "late", 0

    def _take(self, event):
        kind, number = event
        if kind == "ended" and number in self._running:
            self._ended(self._workers[number])
        elif kind == "signal":
            self._told(number)
        elif kind == "late":
            self._late()

    def _ended(self, worker):
        self._running.remove(worker.task_id)
        if self._last_word:
            return
        tells_more = all(_rank(worker.code) < _rank(code) for code in self._own_codes.values())
        self._own_codes[worker.task_id] = worker.code
        if worker.code != exit_codes.DONE and self.told is None:
            self._report(worker, tells_more and worker.code != exit_codes.PREEMPTED)
            # Those that save before they stop get their time; the others cannot go on.
            saves = worker.code == exit_codes.PREEMPTED
            self._wait(self._grace if saves else _AFTERMATH)

    def _report(self, worker, with_lines):
        text = f"worker {worker.task_id} {exit_codes.meaning(worker.code)}"
        text += f" after {worker.seconds:.0f} s"
        if with_lines and worker.last_lines:
            lines = "".join(f"\n    {line}" for line in worker.last_lines)
            text += f"; it wrote last:{lines}"
        self._output.say(text)

    def _told(self, number):
        if self.told is not None:  # once more: at once
            self._send(signal.SIGKILL)
            return
        self.told = number
        self._send(signal.SIGTERM if number == signal.SIGPIPE else number)
        self._wait(self._grace)

    def _late(self):
        """Time is up: SIGTERM to those who were not told yet, then SIGKILL."""
        names = " and ".join(f"worker {task_id}" for task_id in sorted(self._running))
        if self._last_word or self.told is not None:
            self._output.say(f"SIGKILL to {names}, out of time")
            self._last_word = True
            self._send(signal.SIGKILL)
            self._deadline = None
        else:
            self._output.say(f"ending {names}")
            self._last_word = True
            self._send(signal.SIGTERM)
            self._deadline = time.monotonic() + _AFTERMATH

    def _wait(self, seconds):
        if self._deadline is None and self._running:
            self._deadline = time.monotonic() + seconds

    def _send(self, number):
        for task_id in self._running:
            self._workers[task_id].send(number)

    def _end_for_good(self):
        groups = [worker.group for worker in self._workers]
        keeper.end_all(groups, self._keeper.mark)
        for group in groups:
            self._keeper.tell("-", group)

    def _code(self):
        """Of all codes the one that says most: an error, a signal, a lost peer, stopped, done."""
        codes = list(self._own_codes.values())
        if self.told is not None:
            finished = set(codes) <= {exit_codes.DONE, exit_codes.PREEMPTED} and not self._last_word
            return max(codes) if finished and codes else exit_codes.SIGNALLED + self.told
        return min(codes, key=_rank)


def _rank(code):
    """What an error says is lost where the cluster is started again; min keeps the first."""
    if exit_codes.died_of_signal(code) is not None:
        return 1
    return {exit_codes.PEER_LOST: 2, exit_codes.PREEMPTED: 3, exit_codes.DONE: 4}.get(code, 0)


@contextlib.contextmanager
def _signals_into(events):
    """Has signals to this process come as events; outside the main thread nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
    before = {
        n: signal.signal(n, lambda number, _: events.put(("signal", number))) for n in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
