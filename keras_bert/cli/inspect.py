"""``keras-bert inspect``: says what a checkpoint is and what loading it would do."""

import argparse

from keras_bert.cli import arguments

_DESCRIPTION = """\
Prints what a checkpoint is: who wrote it, its family, sizes, heads, tokenizer and number of
parameters, and which of its tensors a model would load and which not."""
_EXAMPLE = """\
Example:
  keras-bert inspect uncased_L-12_H-768_A-12"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert inspect``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "source",
        type=arguments.path,
        metavar="PATH",
        help="a folder, a .keras file or hf://ORGANISATION/NAME",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare with the numbers beside a checkpoint that keras_bert wrote",
    )


def run(args: argparse.Namespace) -> int:
    """Prints; returns the exit code."""
    from keras_bert.checkpoints import inspect

    print(inspect(args.source, verify=args.verify))
    return 0
