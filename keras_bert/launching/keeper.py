"""Ends processes for good; run as a file, it does so when the launcher has gone.

The launcher starts this file beside its workers, in a session of its own, and holds the other end
of its standard input. Whatever becomes of the launcher, SIGKILL too, that end closes with it, and
the workers are ended from here. Nothing but the standard library is imported: it is to be small and
quick to start.
"""

import contextlib
import os
import signal
import sys
import time

#: In the environment of every worker, and so of whatever it starts, in whatever session.
MARK = "KERAS_BERT_LAUNCH"
_POLL = 0.1
# Between SIGTERM and SIGKILL to workers whose launcher has gone.
_GRACE = 5.0


def end_all(groups, mark, grace=0.0):
    """Ends process groups, and all processes that carry a mark; returns when none is left.

    Args:
        groups: Ids of process groups.
        mark: Value of ``KERAS_BERT_LAUNCH`` in their environment.
        grace: Seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
    """
    deadline = time.monotonic() + grace
    if grace:
        _signal_all(groups, mark, signal.SIGTERM)
    while time.monotonic() < deadline and _any_left(groups, mark):
        time.sleep(_POLL)
    # Again and again: one that is just being started is not seen by the first round.
    tries = 50
    while _any_left(groups, mark) and tries:
        _signal_all(groups, mark, signal.SIGKILL)
        time.sleep(_POLL / 5)
        tries -= 1


def _signal_all(groups, mark, number):
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for process in marked(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _any_left(groups, mark):
    return any(map(_is_alive, groups)) or bool(marked(mark))


def _is_alive(group):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, 0)
        return not _is_only_a_zombie(group)
    return False


def _is_only_a_zombie(process):
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] == b"Z"
    return False


def marked(mark):
    """Processes that carry the mark, where the system tells (Linux); this one is left out."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            # An ended process, and one of another user, cannot be read.
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
    return found


def main(mark):
    """Reads "+GROUP" and "-GROUP", a line each, until the launcher closes the pipe."""
    groups = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end_all(groups, mark, _GRACE)


if __name__ == "__main__":
    for blocked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(blocked, signal.SIG_IGN)
    main(sys.argv[1])
