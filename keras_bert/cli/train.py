"""``keras-bert train``: fine-tunes a classifier on a labelled file."""

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from keras_bert import __version__
from keras_bert.cli import arguments
from keras_bert.cli.complete_file import complete_file
from keras_bert.cli.trained_model import MODEL_NAME
from keras_bert.data.examples import Examples, SourceError, shown
from keras_bert.data.sources import read_examples

_INTERRUPTED = 130
_DESCRIPTION = """\
Fine-tunes a pretrained BERT to put texts, or pairs of texts, into the classes a labelled file has.

OUT gets model.keras (weights, vocabulary and labels in one file) and training.json (what was asked
for, the scores of every epoch). An existing model.keras is replaced when the new one is complete,
not before. Ctrl-C keeps the best weights so far: of the best epoch with --validation, else the
latest; an existing model.keras then stays, and they go to interrupted.keras."""
_EXAMPLE = """\
Example:
  keras-bert train --from MiniLM_FOLDER --train train.csv --validation dev.csv --output runs/cards
  keras-bert train --from hf://google-bert/bert-base-uncased --train pairs.tsv \\
      --text-column sentence1 --text-pair-column sentence2 --output runs/pairs --epochs 4"""
_PACKAGES = ("tensorflow", "tensorflow-text", "keras", "numpy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert train``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "--from",
        dest="source",
        type=arguments.path,
        metavar="MODEL",
        required=True,
        help="pretrained model: a folder of Hugging Face or Google, hf://ORGANISATION/NAME or a "
        ".keras file",
    )
    file_types = ".csv, .tsv or .jsonl"
    parser.add_argument(
        "--train",
        required=True,
        type=arguments.path,
        metavar="FILE",
        help=f"examples, {file_types}",
    )
    parser.add_argument(
        "--validation",
        type=arguments.path,
        metavar="FILE",
        help="examples to score every epoch with",
    )
    parser.add_argument(
        "--output", required=True, type=arguments.path, metavar="OUT", help="folder to write to"
    )
    arguments.add_columns(parser)
    group = parser.add_argument_group("training")
    group.add_argument(
        "--epochs", type=arguments.positive_int, default=3, metavar="N", help="passes (3)"
    )
    arguments.add_batch_size(group)
    group.add_argument(
        "--learning-rate",
        type=arguments.positive_float,
        default=5e-5,
        metavar="RATE",
        help="highest learning rate (5e-5)",
    )
    group.add_argument(
        "--warmup",
        type=arguments.fraction,
        default=0.1,
        metavar="SHARE",
        help="share of the steps in which the learning rate rises (0.1)",
    )
    group.add_argument(
        "--seq-length",
        type=arguments.positive_int,
        metavar="N",
        help="most tokens of a text, the rest is cut off (what the pretrained model allows)",
    )
    group.add_argument(
        "--seed", type=arguments.seed, default=0, metavar="N", help="of all random numbers (0)"
    )


def run(args: argparse.Namespace) -> int:
    """Trains, and writes the model; returns the exit code."""
    with _output_folder(Path(args.output)) as folder:
        train, validation = _read(args)
        model = _build(args, train)
        started = time.monotonic()
        try:
            model.fit(
                train, validation_data=validation, epochs=args.epochs, batch_size=args.batch_size
            )
        except KeyboardInterrupt:  # fit has put the best weights so far back
            return _keep_interrupted(folder, args, model, train, time.monotonic() - started)
        seconds = time.monotonic() - started
        _write(folder / MODEL_NAME, folder / "training.json", args, model, train, seconds)
    print(f"wrote {folder / MODEL_NAME} after {seconds:.0f} s of training")
    return 0


@contextlib.contextmanager
def _output_folder(folder: Path) -> Iterator[Path]:
    """Makes the folder and sees that it can be written to, before hours go into training."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # not empty: there is something to keep
            for path in made:
                path.rmdir()


def _read(args: argparse.Namespace) -> tuple[Examples, Examples | None]:
    """Reads the files and prints what was found in them."""
    columns = (args.text_column, args.text_pair_column, args.label_column, args.skip_bad_rows)
    train = read_examples(args.train, *columns, with_labels=True)
    print(train.describe())
    arguments.print_skipped(train)
    labels = train.label_names
    if len(labels) < 2:
        raise SourceError(
            train.path, None, f"every row has the label {shown(labels[0])}; two or more are needed"
        )
    if not args.validation:
        return train, None
    validation = read_examples(args.validation, *columns, with_labels=True)
    validation = validation.with_known_labels(labels, args.skip_bad_rows)
    print(validation.describe())
    arguments.print_skipped(validation)
    return train, validation


def _build(args: argparse.Namespace, train: Examples):
    import keras

    import keras_bert as kb

    keras.utils.set_random_seed(args.seed)
    model = kb.BertClassifier.from_pretrained(
        args.source, labels=train.label_names, seq_length=args.seq_length
    )
    model.compile(learning_rate=args.learning_rate, warmup=args.warmup)
    return model


def _keep_interrupted(folder: Path, args, model, train: Examples, seconds: float) -> int:
    """Saves what an interrupted training has reached, without replacing a finished model."""
    if model.head_is_fresh:
        raise KeyboardInterrupt  # before the first step: there is nothing to keep
    model_path, record_path = folder / MODEL_NAME, folder / "training.json"
    if model_path.exists():
        model_path, record_path = folder / "interrupted.keras", folder / "interrupted.json"
    _write(model_path, record_path, args, model, train, seconds, interrupted=True)
    print(flush=True)  # ends the progress bar's line
    print(f"keras-bert: interrupted; best weights so far are in {model_path}", file=sys.stderr)
    return _INTERRUPTED


def _write(
    model_path: Path, record_path: Path, args, model, train, seconds, interrupted=False
) -> None:
    """Writes the model, and the record of its training."""
    with complete_file(model_path) as file:
        model.save(file)
    hidden = {"run", "parser", "debug"}
    history = getattr(getattr(model, "history", None), "history", {})
    record = {
        "settings": {name: value for name, value in vars(args).items() if name not in hidden},
        "columns": train.columns,
        "rows": len(train),
        "labels": train.label_names,
        "history": {name: [float(v) for v in values] for name, values in history.items()},
        "seconds": round(seconds, 1),
        "interrupted": interrupted,
        "versions": {"keras_bert": __version__} | {name: _version(name) for name in _PACKAGES},
    }
    with complete_file(record_path) as file:
        file.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
