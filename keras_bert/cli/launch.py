"""``keras-bert launch``: several workers on this machine that train together."""

import argparse
import shutil
import sys

from keras_bert.cli import arguments
from keras_bert.launching.exit_codes import INTERRUPTED, PEER_LOST, PREEMPTED

_DESCRIPTION = """\
Starts COMMAND in N processes on this machine that train together as the workers of one cluster:
each gets TF_CONFIG with free ports of this machine, and its share of cores and GPUs. What they
write comes out with the worker's number before each line. Ctrl-C and SIGTERM are passed on.

COMMAND is one of keras-bert, such as train with all its options; or python SCRIPT.py ...; or any
program. It comes after --, so that its options are not taken for those of launch.

When a worker fails, the others are ended, and nothing that they have started stays behind."""
_EXAMPLE = f"""\
Example:
  keras-bert launch -n 2 -- train --from MiniLM_FOLDER --train train.csv --output runs/cards
  keras-bert launch -n 2 --restarts 3 --log-dir logs -- python my_training.py

Exit codes: 0 all are done; {PREEMPTED} they were told to stop (SIGTERM), and saved;
{PEER_LOST} one lost another; {INTERRUPTED} stopped by Ctrl-C; 128 + N ended by signal N;
else that of the worker that failed."""
_PYTHONS = ("python", "python3")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert launch``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.usage = "keras-bert launch -n N [options] -- COMMAND ..."
    parser.add_argument(
        "-n", "--workers", type=arguments.positive_int, required=True, metavar="N", help="processes"
    )
    parser.add_argument(
        "--restarts",
        type=arguments.count,
        default=0,
        metavar="N",
        help="times to start all again when one was killed or lost another, not when one failed",
    )
    parser.add_argument(
        "--port",
        type=arguments.port,
        metavar="PORT",
        help="port of the first worker, the others' follow (any that are free)",
    )
    parser.add_argument(
        "--log-dir",
        type=arguments.path,
        metavar="FOLDER",
        help="also write what worker N writes to worker-N.log there",
    )
    parser.add_argument(
        "--bare-chief", action="store_true", help="worker 0's lines come without its number"
    )
    parser.add_argument(
        "--grace",
        type=arguments.positive_float,
        default=60.0,
        metavar="SECONDS",
        help="time to save and end in, after Ctrl-C or SIGTERM (60)",
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Launches, and waits for the end; returns the exit code."""
    from keras_bert.launching import launch

    return launch(
        _program(args.command),
        args.workers,
        restarts=args.restarts,
        port=args.port,
        log_dir=args.log_dir,
        bare_chief=args.bare_chief,
        grace=args.grace,
    )


def _program(command: list[str]) -> list[str]:
    """The program to start, of this Python where it is one."""
    from keras_bert.cli.main import COMMANDS

    first, *rest = command[1:] if command[0] == "--" else command
    if first == "launch":
        raise argparse.ArgumentError(None, "launch does not launch itself")
    if first in COMMANDS:
        return [sys.executable, "-m", "keras_bert", first, *rest]
    if first in _PYTHONS:
        return [sys.executable, *rest]
    if first.endswith(".py"):
        return [sys.executable, first, *rest]
    if shutil.which(first) is None:
        raise argparse.ArgumentError(
            None, f"{first!r} is no command of keras-bert ({', '.join(COMMANDS)}) and no program"
        )
    return [first, *rest]
