"""``keras-bert train``: fine-tunes a model of any task on labelled data."""

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
from keras_bert.cli.tasks import TASKS, read_data
from keras_bert.cli.trained_model import MODEL_NAME
from keras_bert.cli.under_strategy import under_strategy
from keras_bert.complete_file import complete_file
from keras_bert.data.examples import Examples
from keras_bert.launching.exit_codes import DONE, INTERRUPTED

_DESCRIPTION = """\
Fine-tunes a pretrained BERT: to put texts, or pairs of texts, into the classes that labelled data
have, to find the names in texts, to answer questions about a text, and whatever --task says.

OUT gets model.keras (weights, vocabulary and labels in one file) and training.json (what was asked
for, the scores of every epoch). An existing model.keras is replaced when the new one is complete,
not before. Ctrl-C keeps the best weights so far: of the best epoch with --validation, else the
latest; an existing model.keras then stays, and they go to interrupted.keras.

With --resume FOLDER the run keeps its state there, and the same command goes on where it was
killed, to the same weights. SIGTERM then ends it behind the batch that it is at: exit code 42."""
_EXAMPLE = """\
Example:
  keras-bert train --from MiniLM_FOLDER --train train.csv --validation dev.csv --output runs/cards
  keras-bert train --from hf://google-bert/bert-base-uncased --train pairs.tsv \\
      --text-column sentence1 --text-pair-column sentence2 --output runs/pairs --epochs 4
  keras-bert train --from MiniLM_FOLDER --train train.conll --validation dev.conll \\
      --output runs/names --stride 64 --patience 2
  keras-bert train --from MiniLM_FOLDER --train train-v1.1.json --output runs/answers
  keras-bert train --from MiniLM_FOLDER --train glue/stsb --task regression --output runs/alike"""
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
    parser.add_argument(
        "--train",
        required=True,
        type=arguments.path,
        metavar="DATA",
        help="examples: .csv, .tsv, .jsonl, .parquet, .conll, SQuAD's .json, a folder, or the name "
        "of a data set, such as glue/cola",
    )
    parser.add_argument(
        "--validation",
        type=arguments.path,
        metavar="DATA",
        help="examples to score every epoch with",
    )
    arguments.add_task(parser)
    parser.add_argument(
        "--output", required=True, type=arguments.path, metavar="OUT", help="folder to write to"
    )
    arguments.add_columns(parser)
    _add_training(parser.add_argument_group("training"))
    _add_resume(parser.add_argument_group("going on after a kill"))
    _add_parts(parser.add_argument_group("what is trained"))
    arguments.add_strategy(parser.add_argument_group("on what (docs/distributed.md)"))


def _add_training(group) -> None:
    group.add_argument(
        "--epochs", type=arguments.positive_int, metavar="N", help="passes (the task's: 1 to 3)"
    )
    arguments.add_batch_size(group, default=None)
    group.add_argument(
        "--accumulate",
        type=arguments.positive_int,
        metavar="N",
        help="batches whose gradients make one step (1)",
    )
    group.add_argument(
        "--checkpointing",
        action="store_true",
        help="compute each layer a second time instead of keeping all of it: much less memory, a "
        "third more time; keras-bert plan tells how much",
    )
    group.add_argument(
        "--dtype",
        choices=["float32", "mixed_bfloat16", "mixed_float16"],
        help="what products are computed in; weights are float32 always (float32)",
    )
    group.add_argument(
        "--learning-rate",
        type=arguments.positive_float,
        metavar="RATE",
        help="highest learning rate (the task's: 5e-5 or 2e-5)",
    )
    group.add_argument(
        "--warmup",
        type=arguments.fraction,
        metavar="SHARE",
        help="share of the steps in which the learning rate rises (the task's: 0.1)",
    )
    group.add_argument(
        "--layer-decay",
        type=arguments.fraction,
        metavar="FACTOR",
        help="from the learning rate of each layer to that of the one below it, such as 0.95 (1)",
    )
    group.add_argument(
        "--optimizer", choices=["adamw", "lamb"], help="how weights are changed (adamw)"
    )
    group.add_argument(
        "--schedule",
        choices=["linear", "polynomial", "cosine", "constant"],
        help="what the learning rate does after it has risen (linear)",
    )
    group.add_argument(
        "--patience",
        type=arguments.positive_int,
        metavar="N",
        help="stop after so many epochs without a better score, and keep the best epoch's weights",
    )
    group.add_argument(
        "--class-weight", choices=["balanced"], help="weigh rare classes as much as frequent ones"
    )
    group.add_argument(
        "--seq-length",
        type=arguments.positive_int,
        metavar="N",
        help="most tokens of a text or window (what the pretrained model allows)",
    )
    group.add_argument(
        "--pad-to",
        type=arguments.row_lengths,
        metavar="LENGTHS",
        help="pad rows to the next of these lengths, such as 64,128 or max, so that XLA and TPUs "
        "meet few shapes (each batch's longest row; max on TPUs)",
    )
    group.add_argument(
        "--drop-remainder",
        action="store_true",
        help="with --pad-to: leave out texts that do not fill a batch instead of filling it up",
    )
    group.add_argument(
        "--stride",
        type=arguments.count,
        metavar="N",
        help="read longer texts in windows that share so many tokens, instead of cutting them",
    )
    group.add_argument(
        "--seed", type=arguments.seed, default=0, metavar="N", help="of all random numbers (0)"
    )
    group.add_argument(
        "--seeds",
        type=arguments.positive_int,
        metavar="N",
        help="train N times, tell mean and deviation of the scores, and keep the best model",
    )
    group.add_argument(
        "--tensorboard", type=arguments.path, metavar="FOLDER", help="write logs for TensorBoard"
    )
    group.add_argument(
        "--log",
        type=arguments.path,
        metavar="FILE",
        help="write what happens to a file, a JSON object per line; one that exists goes on",
    )
    group.add_argument("--quiet", action="store_true", help="show no progress")


def _add_resume(group) -> None:
    group.add_argument(
        "--resume",
        type=arguments.path,
        metavar="FOLDER",
        help="keep the run's state in this folder, and go on with what is there",
    )
    group.add_argument(
        "--save-every",
        type=arguments.positive_int,
        metavar="N",
        help="batches from one checkpoint to the next (500), beside one behind each epoch",
    )
    group.add_argument(
        "--keep",
        type=arguments.positive_int,
        metavar="N",
        help="checkpoints that stay, the latest ones (3), beside the best weights",
    )


def _add_parts(group) -> None:
    group.add_argument(
        "--freeze",
        type=arguments.positive_int,
        metavar="N",
        help="leave embeddings and the N lowest layers as they are",
    )
    group.add_argument(
        "--lora",
        type=arguments.positive_int,
        metavar="RANK",
        help="train the head and low-rank additions to the layers, nothing else",
    )


def run(args: argparse.Namespace) -> int:
    """Trains, and writes the model; returns the exit code."""
    _check_resume(args)
    if args.drop_remainder and args.pad_to is None:
        raise argparse.ArgumentError(None, "--drop-remainder goes with --pad-to LENGTHS")
    with under_strategy(args) as workers:
        code = (_run if workers.is_chief else _help)(args, workers.scope)
        if code == DONE:
            workers.wait()
    return code


def _help(args: argparse.Namespace, scope) -> int:
    """Trains with the chief, which writes and prints."""
    args.tensorboard = None
    train, validation, task = _read(args)
    if validation is None:
        _require_validation(args)
    try:
        with scope():
            _trained(args, task, train, validation)
    except _Interrupted:
        return INTERRUPTED
    except SystemExit as stop:  # the chief says so
        return stop.code
    return DONE


def _run(args: argparse.Namespace, scope) -> int:
    with _output_folder(Path(args.output)) as folder:
        train, validation, task = _read(args)
        if validation is None:
            _require_validation(args)
        started = time.monotonic()
        try:
            with scope():  # and no longer: Keras makes variables as it saves
                model = _trained(args, task, train, validation)
        except _Interrupted as stop:  # fit has put the best weights so far back
            seconds = time.monotonic() - started
            return _keep_interrupted(folder, args, stop.model, train, seconds)
        except SystemExit as stop:  # fit has saved, as SIGTERM asked for
            print(flush=True)  # ends the progress bar's line
            print(f"keras-bert: asked to end; saved in {args.resume}", file=sys.stderr)
            return stop.code
        seconds = time.monotonic() - started
        _write(folder / MODEL_NAME, folder / "training.json", args, model, train, seconds)
    print(f"wrote {folder / MODEL_NAME} after {seconds:.0f} s of training")
    return DONE


class _Interrupted(Exception):
    """Ctrl-C while a model was trained."""

    def __init__(self, model):
        super().__init__()
        self.model = model


def _trained(args, task: str, train: Examples, validation: Examples | None):
    """A trained model; with ``--seeds`` the best of several."""
    from keras_bert.training import StopOnBadLoss, recipe

    options = {
        "epochs": args.epochs or recipe(TASKS[task].model).epochs,
        "batch_size": args.batch_size,
        "tensorboard": args.tensorboard,
        "patience": args.patience,
        "accumulate": args.accumulate,
        "log": args.log,
        "verbose": 0 if args.quiet else 1,
        "stop_on_bad_loss": StopOnBadLoss(folder=args.output),
    }
    if args.resume:
        from keras_bert.training import RunCheckpoints

        often = {"save_every": args.save_every, "keep": args.keep}
        given = {name: value for name, value in often.items() if value}
        identity = {"seed": args.seed}
        options["checkpoints"] = RunCheckpoints(args.resume, identity=identity, **given)
    if args.pad_to is not None:
        options |= {"pad_to": args.pad_to, "drop_remainder": args.drop_remainder}
    if args.class_weight:
        options["class_weight"] = args.class_weight
    if args.seeds:
        from keras_bert.training import over_seeds

        seeds = range(args.seed, args.seed + args.seeds)
        runs = over_seeds(
            lambda seed: _build(args, task, train, seed),
            train,
            validation,
            seeds,
            validation=validation,
            **options,
        )
        print(runs)
        return runs.best_model
    model = _build(args, task, train, args.seed)
    try:
        model.fit(train, validation_data=validation, **options)
    except KeyboardInterrupt:
        raise _Interrupted(model) from None
    return model


def _require_validation(args) -> None:
    asked = [f"--{name}" for name in ("patience", "seeds") if getattr(args, name)]
    if asked:
        raise argparse.ArgumentError(None, f"{asked[0]} needs --validation, to tell what is best")


def _check_resume(args) -> None:
    if args.resume and args.seeds:
        raise argparse.ArgumentError(None, "--resume is of one run: give --seed, not --seeds")
    useless = [f for f in ("save_every", "keep") if getattr(args, f)]
    if useless and not args.resume:
        name = useless[0].replace("_", "-")
        raise argparse.ArgumentError(None, f"--{name} goes with --resume FOLDER")


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


def _read(args: argparse.Namespace) -> tuple[Examples, Examples | None, str]:
    """Reads the data and prints what was found in them; returns the task, too."""
    train, task = read_data(args, args.train, "train", args.task)
    print(train.describe())
    arguments.print_skipped(train)
    TASKS[task].check(train)
    if not args.validation:
        return train, None, task
    validation, _ = read_data(args, args.validation, "validation", task)
    if "labels" in TASKS[task].options(train):
        validation = validation.with_known_labels(train.label_names, args.skip_bad_rows)
    print(validation.describe())
    arguments.print_skipped(validation)
    return train, validation, task


def _build(args: argparse.Namespace, task: str, train: Examples, seed: int):
    import keras

    import keras_bert as kb

    keras.utils.set_random_seed(seed)
    kind = TASKS[task]
    options = kind.options(train) | {"seq_length": args.seq_length}
    if args.stride is not None:
        options["stride"] = args.stride
    if args.dtype is not None:
        options["dtype"] = args.dtype
    model = getattr(kb, kind.model).from_pretrained(args.source, **options)
    model.checkpointing = args.checkpointing
    if args.freeze:
        model.freeze(args.freeze)
    if args.lora:
        model.enable_lora(args.lora)
    model.compile(
        args.optimizer,
        schedule=args.schedule,
        learning_rate=args.learning_rate,
        warmup=args.warmup,
        layer_decay=args.layer_decay,
        accumulate=args.accumulate,
    )
    return model


def _keep_interrupted(folder: Path, args, model, train: Examples, seconds: float) -> int:
    """Saves what an interrupted training has reached, without replacing a finished model."""
    if model.head_is_fresh:
        raise KeyboardInterrupt  # before the first step: there is nothing to keep
    model_path, record_path = folder / MODEL_NAME, folder / "training.json"
    if model_path.exists():
        model_path, record_path = folder / "interrupted.keras", folder / "interrupted.json"
    _write(model_path, record_path, args, model, train, seconds, interrupted=True)
    print(f"keras-bert: interrupted; best weights so far are in {model_path}", file=sys.stderr)
    return INTERRUPTED


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
