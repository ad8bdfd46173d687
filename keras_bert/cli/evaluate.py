"""``keras-bert evaluate``: scores a trained model on a labelled file."""

import argparse
import json

from keras_bert.cli import arguments
from keras_bert.cli.trained_model import load_model, model_file, require_kind
from keras_bert.data.sources import read_examples

_DESCRIPTION = "Prints loss, accuracy and macro-F1 of a trained model on a labelled file."
_EXAMPLE = """\
Example:
  keras-bert evaluate --model runs/cards --data test.csv
  keras-bert evaluate --model runs/cards/model.keras --data test.jsonl --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert evaluate``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    arguments.add_model(parser)
    parser.add_argument(
        "--data",
        required=True,
        type=arguments.path,
        metavar="FILE",
        help="examples, .csv, .tsv or .jsonl",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments.add_batch_size(parser)
    arguments.add_columns(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the scores; returns the exit code."""
    model_file(args.model)  # a wrong path is said at once, not after the data was read
    columns = (args.text_column, args.text_pair_column, args.label_column, args.skip_bad_rows)
    examples = read_examples(args.data, *columns, with_labels=True)
    model = load_model(args.model, compile=True)
    require_kind(examples.texts, model.takes_pairs, args.data)
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
        width = max(map(len, scores)) + 2
        for name, score in scores.items():
            print(f"{name:<{width}}{score:.4f}")
    return 0
