"""What a training process ends with, and whether starting it again is worth while.

One table for ``keras-bert train``, for the launcher and for whoever runs them: Slurm scripts,
Kubernetes, systemd. Nothing here imports TensorFlow.

========  ======================================================  =========================
code      meaning                                                 start again?
========  ======================================================  =========================
0         done                                                    no
1         failed, with one line on stderr that says why           no: mend that first
2         wrong usage                                             no: mend that first
42        told to stop (SIGTERM), and saved where it was          yes: it goes on from there
75        lost another worker of its cluster, or never met it     yes, all workers
130       stopped by Ctrl-C                                       as you like
128 + n   ended by signal n, such as 137 by SIGKILL               yes, all workers
========  ======================================================  =========================
"""

import os
import signal
import sys
from typing import NoReturn

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "PEER_LOST",
    "PREEMPTED",
    "SIGNALLED",
    "WRONG_USAGE",
    "died_of_signal",
    "is_worth_a_restart",
    "leave",
    "meaning",
    "shell_code",
]

DONE = 0
FAILED = 1
WRONG_USAGE = 2
#: SIGTERM came, a checkpoint was written: the same command goes on from it.
PREEMPTED = 42
#: ``EX_TEMPFAIL`` of BSD's sysexits.h: "try again later".
PEER_LOST = 75
INTERRUPTED = 130

#: A shell adds to this the signal that a process ended by.
SIGNALLED = 128
_MEANINGS = {
    DONE: "was done",
    FAILED: "failed",
    WRONG_USAGE: "was called wrongly",
    PREEMPTED: "was told to stop and saved where it was",
    PEER_LOST: "lost another worker",
    INTERRUPTED: "was stopped by Ctrl-C",
}


def died_of_signal(code: int) -> int | None:
    """The signal that a process ended by, or None.

    Args:
        code: As ``subprocess`` has it (-9), or as a shell passes it on (137).
    """
    if code < 0:
        return -code
    number = code - SIGNALLED
    return number if code != INTERRUPTED and 0 < number < signal.NSIG else None


def is_worth_a_restart(code: int) -> bool:
    """Whether another attempt of the whole cluster can end better: a peer was lost, or killed.

    Example:
        >>> [is_worth_a_restart(code) for code in (0, 1, 2, 42, 75, -9, 137)]
        [False, False, False, False, True, True, True]
    """
    return code == PEER_LOST or died_of_signal(code) is not None


def shell_code(code: int) -> int:
    """A code from ``subprocess`` as a shell has it.

    Example:
        >>> shell_code(-9), shell_code(2)
        (137, 2)
    """
    return SIGNALLED - code if code < 0 else code


def meaning(code: int) -> str:
    """What became of a process, as the end of a sentence about it.

    Example:
        >>> meaning(-9), meaning(75)
        ('was killed by SIGKILL', 'lost another worker (exit code 75)')
    """
    number = died_of_signal(code)
    if number is not None:
        known = number in signal.Signals.__members__.values()
        return f"was killed by {signal.Signals(number).name if known else f'signal {number}'}"
    return f"{_MEANINGS.get(code, 'ended')} (exit code {code})"


def leave(code: int) -> NoReturn:
    """Ends the process at once, without taking TensorFlow apart.

    That waits for the other workers of a cluster: 8 seconds when all is well, longer when one has
    gone.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # closed, or its reader has gone
            continue
    os._exit(code)
