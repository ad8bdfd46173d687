"""``keras-bert evaluate``: scores a trained model on a labelled file."""

import argparse
import json

from keras_bert.cli import arguments
from keras_bert.cli.tasks import read_data, task_of_model
from keras_bert.cli.trained_model import load_model, model_file, require_kind

_DESCRIPTION = """\
Prints the scores of a trained model on labelled data: the loss and the task's own scores. With
--report it also writes a page with what the model gets right and wrong."""
_EXAMPLE = """\
Example:
  keras-bert evaluate --model runs/cards --data test.csv
  keras-bert evaluate --model runs/cards/model.keras --data test.jsonl --json
  keras-bert evaluate --model runs/names --data test.conll --report names.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert evaluate``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    arguments.add_model(parser)
    parser.add_argument(
        "--data",
        required=True,
        type=arguments.path,
        metavar="DATA",
        help="examples, as keras-bert train takes them",
    )
    parser.add_argument(
        "--report", type=arguments.path, metavar="FILE", help="write a page, FILE.html"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_batch_size(parser)
    arguments.add_columns(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the scores; returns the exit code."""
    model_file(args.model)  # a wrong path is said at once, not after the data was read
    model = load_model(args.model, compile=True)
    examples, _ = read_data(args, args.data, "data", task_of_model(model))
    require_kind(examples.texts, model, args.data)
    if getattr(model, "labels", None):
        examples = examples.with_known_labels(model.labels, args.skip_bad_rows)
    if not args.json:
        print(examples.describe())
    arguments.print_skipped(examples)
    scores = model.evaluate(
        examples, batch_size=args.batch_size, verbose=0 if args.json else "auto"
    )
    scores = {name: float(score) for name, score in scores.items()}
    if args.json:
        print(json.dumps({**scores, "rows": len(examples), "skipped": len(examples.skipped)}))
    else:
        width = max(10, 2 + max(map(len, scores)))
        for name, score in scores.items():
            print(f"{name:<{width}}{score:.4f}")
    if args.report:
        path = model.report(examples, args.report, batch_size=args.batch_size)
        if not args.json:
            print(f"wrote {path}")
    return 0
