"""Arguments that several subcommands share, and the number types they are checked with."""

import argparse
import sys
from collections.abc import Callable

from keras_bert.cli.tasks import TASKS
from keras_bert.data.examples import Examples, place_of
from keras_bert.launching.clusters import STRATEGIES, check_strategy

_MOST_SKIPPED = 5


def add_model(parser, required: bool = True) -> None:
    """Adds ``--model``, to a parser or a group of one."""
    where = {"required": True} if required else {}
    parser.add_argument(
        "--model",
        type=path,
        metavar="MODEL",
        help="trained model: a .keras file, or the folder that keras-bert train wrote",
        **where,
    )


def add_task(parser: argparse.ArgumentParser) -> None:
    """Adds ``--task``."""
    parser.add_argument(
        "--task",
        choices=sorted(TASKS),
        metavar="TASK",
        help=f"{', '.join(TASKS)}; default: tagging for CoNLL files, question-answering for "
        "SQuAD's, else classification",
    )


def add_columns(parser: argparse.ArgumentParser, with_labels: bool = True) -> None:
    """Adds the options that say which columns of a data file are read."""
    group = parser.add_argument_group(
        "columns",
        "Without these, columns with usual names are taken (text, sentence1 and sentence2,\n"
        "review, …; label, category, intent, …). Where the file has no header line, give numbers,\n"
        "1 for the first column.",
    )
    group.add_argument("--text-column", metavar="NAME", help="texts")
    group.add_argument("--text-pair-column", metavar="NAME", help="second texts of pairs")
    if with_labels:
        group.add_argument("--label-column", metavar="NAME", help="labels")
    group.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help="leave broken rows out and count them, instead of stopping at the first",
    )


def add_batch_size(parser, default: int | None = 32) -> None:
    """Adds ``--batch-size``, to a parser or a group of one; None is the task's own."""
    told = "32" if default else "the task's: 16 to 64"
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=default,
        metavar="N",
        help=f"texts per step ({told})",
    )


def add_strategy(parser) -> None:
    """Adds ``--strategy`` and ``--devices``, which ``under_strategy`` goes by."""
    parser.add_argument(
        "--strategy",
        type=strategy,
        default="auto",
        metavar="NAME",
        help=f"{', '.join(STRATEGIES)}; auto takes a TPU, the other workers of a cluster, or all "
        "GPUs, whichever there is (auto)",
    )
    parser.add_argument(
        "--devices",
        type=positive_int,
        metavar="N",
        help="devices of this machine to train on together (all GPUs); without GPUs, logical CPUs",
    )


def print_skipped(examples: Examples) -> None:
    """Says on stderr which rows were left out and why; the first few of them."""
    for row, reason in examples.skipped[:_MOST_SKIPPED]:
        print(f"skipped {place_of(examples.path, row, examples.unit)}: {reason}", file=sys.stderr)
    more = len(examples.skipped) - _MOST_SKIPPED
    if more > 0:
        print(f"skipped {more:,} more of {examples.path}", file=sys.stderr)


def path(text: str) -> str:
    """A path; an empty one, as of an unset shell variable, would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def strategy(text: str) -> str:
    """The name of a strategy."""
    try:
        check_strategy(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def count(text: str) -> int:
    """A whole number from 0 on."""
    return _number(text, int, lambda number: number >= 0, "a whole number from 0 on")


def positive_int(text: str) -> int:
    """A whole number from 1 on."""
    return _number(text, int, lambda number: number >= 1, "a whole number from 1 on")


def row_lengths(text: str) -> str | list[int]:
    """Lengths that rows are padded to: "max", or numbers that rise with commas between."""
    if text == "max":
        return text
    numbers = [part.strip() for part in text.split(",")]
    lengths = [int(part) for part in numbers if part.isascii() and part.isdecimal()]
    if len(lengths) < len(numbers) or lengths[0] < 2 or sorted(set(lengths)) != lengths:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither max nor lengths from 2 on that rise, such as 64,128"
        )
    return lengths


def port(text: str) -> int:
    """A port that a program of a user may have."""
    return _number(text, int, lambda number: 1024 <= number < 2**16, "a port from 1024 to 65535")


def seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1, which is what NumPy takes as a seed."""
    return _number(text, int, lambda number: 0 <= number < 2**32, "a number from 0 to 2**32 - 1")


def positive_float(text: str) -> float:
    """A finite number above 0."""
    return _number(text, float, lambda number: 0 < number < float("inf"), "a number above 0")


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    return _number(text, float, lambda number: 0 <= number <= 1, "a number from 0 to 1")


def _number(text: str, kind: type, is_fine: Callable, expected: str):
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not is_fine(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return number
