"""``keras-bert export``: writes a trained model as a SavedModel that takes raw text."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from keras_bert.cli import arguments, export_litert
from keras_bert.cli.trained_model import load_model

_DESCRIPTION = """\
Writes a trained model as a SavedModel that takes raw text: saved_models/NAME/1, the next time
saved_models/NAME/2. A fresh process that knows nothing of keras_bert then gives the same answers
as the model, or nothing is written. With --format litert it writes one file for LiteRT (TFLite)."""
_EXAMPLE = """\
Example:
  keras-bert export --model runs/cards --output saved_models/cards
  keras-bert predict --saved-model saved_models/cards "My card has not arrived"
  keras-bert export --model runs/cards --format litert --output cards.tflite""".rstrip()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert export``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    arguments.add_model(parser)
    parser.add_argument(
        "--output",
        required=True,
        type=arguments.path,
        metavar="OUTPUT",
        help="folder of the versions, saved_models/NAME; or the file, NAME.tflite",
    )
    parser.add_argument(
        "--version",
        type=arguments.positive_int,
        metavar="N",
        help="number of the version (the next one)",
    )
    parser.add_argument(
        "--keep",
        type=arguments.positive_int,
        metavar="N",
        help="versions that stay, the new one among them; older ones are removed (all stay)",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="measure batches on this machine; write batching.config and models.config",
    )
    parser.add_argument(
        "--weights",
        choices=("variables", "constants"),
        help="constants: part of the graph, faster for one text at a time, more memory (variables)",
    )
    parser.add_argument(
        "--no-verify", action="store_true", help="do not ask what was written in a fresh process"
    )
    export_litert.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Exports; returns the exit code."""
    export_litert.check(args)
    model = load_model(args.model)
    if args.format == "litert":
        return export_litert.run(args, model)
    from keras_bert import export
    from keras_bert.export.ask import METADATA

    path = export.saved_model(
        model,
        args.output,
        version=args.version,
        verify=not args.no_verify,
        weights=args.weights or "variables",
        keep=args.keep,
        tune=args.tune,
    )
    print(f"wrote {path}")
    record = json.loads((Path(path) / METADATA).read_text(encoding="utf-8"))
    for check in record["checks"]:
        print(f"verified: {_in_words(check)}")
    if not record["checks"]:
        print("not verified")
    print(f"for TensorFlow Serving {record['oldest_tensorflow_serving']} and newer")
    return 0


def _in_words(check: Mapping) -> str:
    if "passed" in check:
        return f"{check['check']}: {'yes' if check['passed'] else 'no'}"
    return (
        f"{check['check']} ({check['texts']} texts, largest difference "
        f"{check['max_difference']:.1g}, {check['tolerance']:.0g} allowed)"
    )
