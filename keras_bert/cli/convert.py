"""``keras-bert convert``: takes a checkpoint from one format to another."""

import argparse

from keras_bert.cli import arguments

_DESCRIPTION = """\
Writes a checkpoint in another format: encoder, heads and tokenizer. What was written is read again
and asked the same as the original: the largest difference of each output is printed."""
_EXAMPLE = """\
Example:
  keras-bert convert uncased_L-12_H-768_A-12 bert-base --format huggingface
  keras-bert convert uncased_L-12_H-768_A-12 bert-base.keras"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert convert``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "source",
        type=arguments.path,
        metavar="PATH",
        help="a folder, a .keras file or hf://ORGANISATION/NAME, in any format that is known",
    )
    parser.add_argument(
        "target",
        type=arguments.path,
        metavar="TARGET",
        help="a new folder or an empty one, or a .keras file",
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        # Tested to be all of them; asking for them here would take TensorFlow's seconds.
        help="huggingface (default for folders), google (TensorFlow 1), garden (TensorFlow 2), "
        "tf_hub (SavedModel), kerashub or keras_bert (default for .keras files)",
    )


def run(args: argparse.Namespace) -> int:
    """Converts; prints the report and returns the exit code."""
    from keras_bert.checkpoints import convert

    print(convert(args.source, args.target, args.format))
    return 0
