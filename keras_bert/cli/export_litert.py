"""``keras-bert export --format litert``: writes a trained model as a LiteRT (TFLite) file."""

import argparse
import json
import os

from keras_bert.cli import arguments
from keras_bert.cli.tasks import is_data, read_data, task_of_model

_QUANTIZE = ("none", "float16", "dynamic_int8", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds ``--format`` and what only LiteRT takes."""
    parser.add_argument(
        "--format",
        choices=("saved_model", "litert"),
        default="saved_model",
        metavar="FORMAT",
        help="saved_model, for TF Serving; litert, one .tflite file, OUTPUT (saved_model)",
    )
    group = parser.add_argument_group("with --format litert")
    group.add_argument(
        "--quantize",
        choices=_QUANTIZE,
        metavar="HOW",
        help=f"{', '.join(_QUANTIZE)} (dynamic_int8)",
    )
    group.add_argument(
        "--lengths",
        type=arguments.positive_int,
        nargs="+",
        metavar="N",
        help="lengths of rows that get a signature of their own",
    )
    group.add_argument(
        "--evaluation",
        type=arguments.path,
        metavar="DATA",
        help="labelled examples: scores before and after; a larger drop than --max-drop is refused",
    )
    group.add_argument(
        "--calibration",
        type=arguments.path,
        metavar="DATA",
        help="texts, one per line, or examples: what --quantize int8 learns ranges from",
    )
    group.add_argument(
        "--max-drop",
        type=arguments.fraction,
        metavar="X",
        help="how much worse the file may be than the model: of the main score, or of the mean "
        "cosine between outputs (0.01)",
    )
    arguments.add_columns(parser)


def check(args: argparse.Namespace) -> None:
    """Refuses options of the other format.

    Raises:
        argparse.ArgumentError: If there are any.
    """
    names = ("quantize", "lengths", "evaluation", "calibration", "max_drop")
    given = [f"--{n.replace('_', '-')}" for n in names if getattr(args, n) is not None]
    if args.format != "litert" and given:
        raise argparse.ArgumentError(None, f"{', '.join(given)}: only with --format litert")
    of_versions = [f"--{n}" for n in ("version", "keep", "tune", "weights") if getattr(args, n)]
    if args.format == "litert" and of_versions:
        raise argparse.ArgumentError(
            None, f"{', '.join(of_versions)}: a LiteRT file has no versions and no server"
        )
    if args.quantize == "int8" and args.calibration is None:
        raise argparse.ArgumentError(None, "--quantize int8 takes --calibration")


def run(args: argparse.Namespace, model) -> int:
    """Exports; returns the exit code."""
    from keras_bert import export
    from keras_bert.export.ask_litert import read_metadata

    quantize = args.quantize or "dynamic_int8"
    options = {} if args.max_drop is None else {"max_drop": args.max_drop}
    if args.evaluation:
        options["evaluation"] = _examples(args, args.evaluation, model)
    if args.calibration:
        options["calibration"] = _texts(args, args.calibration, model)
    path = export.litert(
        model,
        args.output,
        None if quantize == "none" else quantize,
        lengths=args.lengths or (),
        verify=not args.no_verify,
        **options,
    )
    print(f"wrote {path} ({os.path.getsize(path) / 1e6:.1f} MB, {quantize})")
    record = read_metadata(path)
    if record["no_strings"]:
        print(f"takes ids only: {record['no_strings']}")
    for check in record["checks"]:
        facts = {name: value for name, value in check.items() if name != "check"}
        print(f"verified: {check['check']} ({json.dumps(facts)[1:-1]})")
    if not record["checks"]:
        print("not verified")
    return 0


def _examples(args, path: str, model):
    examples, _ = read_data(args, path, "data", task_of_model(model))
    if getattr(model, "labels", None):
        examples = examples.with_known_labels(model.labels, args.skip_bad_rows)
    return examples


def _texts(args, path: str, model) -> list:
    if is_data(path):
        examples, _ = read_data(args, path, "data", task_of_model(model), with_labels=None)
        return list(examples.texts)
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip()]
