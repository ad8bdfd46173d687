"""``keras-bert``: parses the command line, runs a subcommand, turns errors into one line.

TensorFlow takes seconds to import, so nothing here and in the subcommands' modules imports it
before the command line was understood: ``--help`` and wrong usage answer at once.

Exit codes: 0 done; 1 the command failed, with one line on stderr that says why; 2 wrong usage;
42 told to stop by SIGTERM, and saved; 75 a worker of its cluster was lost; 130 stopped by Ctrl-C.
``keras_bert.launching.exit_codes`` has them all.
"""

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from keras_bert import __version__
from keras_bert.cli import (
    convert,
    evaluate,
    export,
    inspect,
    launch,
    plan,
    predict,
    serve,
    tokenize,
    train,
    vocab,
)
from keras_bert.environment import check_environment, is_command_line
from keras_bert.launching.exit_codes import FAILED, INTERRUPTED, PEER_LOST, leave
from keras_bert.launching.peers import PeerLost, has_joined

COMMANDS = {
    "train": (train, "fine-tune a pretrained model on a labelled file"),
    "launch": (launch, "train in several processes on this machine"),
    "evaluate": (evaluate, "score a trained model on a labelled file"),
    "predict": (predict, "answer texts with a trained or an exported model"),
    "export": (export, "write a trained model as a SavedModel that takes raw text"),
    "serve": (serve, "serve exported models on this machine, for development"),
    "plan": (plan, "say how much memory training takes, and the largest batch that fits"),
    "inspect": (inspect, "say what a checkpoint is and what loading it would do"),
    "convert": (convert, "take a checkpoint from one format to another"),
    "tokenize": (tokenize, "show what a tokenizer makes of texts"),
    "vocab": (vocab, "learn a WordPiece vocabulary from a corpus"),
}
_EXAMPLE = """\
Example: from a labelled file to a served model
  keras-bert train --from MiniLM_FOLDER --train train.csv --validation dev.csv --output runs/cards
  keras-bert evaluate --model runs/cards --data test.csv
  keras-bert predict --model runs/cards "My card has not arrived"
  keras-bert export --model runs/cards --output saved_models/cards

Every command has its own help: keras-bert train --help
"""
# Errors that mean "what you gave cannot be used". They say so themselves.
_EXPECTED = (ValueError, TypeError, OSError, ImportError)
_LONGEST_MESSAGE = 2_000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``keras-bert``.

    Args:
        argv: The arguments after the program's name; None takes the process's own.

    Returns:
        The exit code, as said at the top of this file.

    Example:
        >>> from keras_bert.cli.main import main
        >>> main(["predict", "--model", "runs/cards", "Is it free?"])      # doctest: +SKIP
        0.981  fees   Is it free?
        0
    """
    code = _main(argv)
    # TensorFlow, taken apart, would wait for the other workers, which may have gone.
    return leave(code) if has_joined() and is_command_line() else code


def _main(argv) -> int:
    try:
        args = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed help, the version, or what was wrong
        return stop.code or 0
    debug = args.debug or os.environ.get("KERAS_BERT_DEBUG", "0") not in ("", "0")
    # What TensorFlow's C++ part says by itself; read on import. What matters comes as an exception,
    # while a machine without GPU has it log an error (level 2) at every start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            check_environment()
            code = args.run(args)
            sys.stdout.flush()
            return code
    except argparse.ArgumentError as wrong:
        return _wrong_usage(args.parser, str(wrong))
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except SystemExit as stop:  # a run that has saved and ends, as SIGTERM asked for
        return stop.code if isinstance(stop.code, int) else FAILED
    except PeerLost as error:
        return _fail(f"error: {_one_line(error)}", PEER_LOST)
    except BrokenPipeError:  # the reader of our output has gone, as in `keras-bert … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _fail(f"error: {_one_line(error)}", FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-bert",
        description="BERT on Keras 3 and TensorFlow: from raw text to a served model.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"keras-bert {__version__}")
    debug = {"action": "store_true", "help": "show the traceback of an error (KERAS_BERT_DEBUG=1)"}
    parser.add_argument("--debug", **debug)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(command)
        # Without a default, so that `keras-bert --debug train` is not undone by the subcommand.
        command.add_argument("--debug", default=argparse.SUPPRESS, **debug)
        command.set_defaults(run=module.run, parser=command)
    return parser


def _wrong_usage(parser: argparse.ArgumentParser, message: str) -> int:
    try:
        parser.error(message)
    except SystemExit as stop:
        return stop.code


def _fail(message: str, code: int) -> int:
    sys.stdout.flush()
    print(f"keras-bert: {message}", file=sys.stderr)
    return code


def _print_warning(message, category, *_args, **_kwargs) -> None:
    """Shows a warning as one line, without the place in the source."""
    if issubclass(category, DeprecationWarning):  # for developers
        return
    sys.stdout.flush()
    print(f"keras-bert: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _one_line(error: Exception) -> str:
    """What went wrong, in one line."""
    message = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    message = " ".join(message.split()) or type(error).__name__
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}… (--debug shows all of it)"
    if isinstance(error, _EXPECTED) or type(error).__module__.startswith("keras_bert."):
        return message
    return f"unexpected {type(error).__name__}: {message} (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
