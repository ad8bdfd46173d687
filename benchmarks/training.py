"""What training costs beside the steps: our `fit`, several devices, checkpoints.

One process per question, in which the variants take turns; each trains a classifier of the same
size for as many steps on the same ids, fixed before. Example:

    python benchmarks/training.py --model MINILM_FOLDER --steps 40 --rounds 7 > training.md

Questions: `fit` (keras_bert's `fit` against `keras.Model.fit` of the same model and dataset, one
device), `devices` (one device against two logical ones that share its cores, the same global
batch), `checkpoints` (no checkpoints against one in the middle of the run), `watching` (no progress
bar, log and watch over the loss against all of them). Tokens per second against other libraries:
`finetune.py`.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
from functools import partial

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]

from measure import interleaved  # noqa: E402
from worker import limit_cores  # noqa: E402

QUESTIONS = ("fit", "devices", "checkpoints", "watching")
CLASSES = 4


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="Hugging Face folder of the encoder")
    parser.add_argument("--questions", nargs="*", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seq-length", type=int, default=32, help="every row has that many tokens")
    parser.add_argument("--steps", type=int, default=40, help="steps of a measurement")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=QUESTIONS, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def start(threads: int, devices: int = 1):
    """TensorFlow on so many threads, and so many logical devices."""
    limit_cores(threads, pin=True)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if devices > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )
    return tf


def make(arguments, strategy=None, kind=None):
    """A compiled classifier, the same each time."""
    import keras
    import tensorflow as tf

    import keras_bert as kb

    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = (kind or kb.BertClassifier).from_pretrained(
            arguments.model, labels=[str(i) for i in range(CLASSES)]
        )
        model.compile(optimizer=kb.AdamW(1e-5))
    return model


def batches(arguments):
    """A dataset of random ids in rows of one length: (ids, labels)."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    rows = arguments.batch_size * arguments.steps
    shape = (rows, arguments.seq_length)
    ids = {
        "input_word_ids": random.integers(1000, 20000, shape, dtype=np.int32),
        "input_mask": np.ones(shape, np.int32),
        "input_type_ids": np.zeros(shape, np.int32),
    }
    labels = random.integers(0, CLASSES, rows, dtype=np.int32)
    return tf.data.Dataset.from_tensor_slices((ids, labels)).batch(arguments.batch_size)


def timed(arguments, fit) -> dict:
    """Seconds of one epoch."""
    import time

    started = time.perf_counter()
    fit()
    return {
        "seconds": time.perf_counter() - started,
        "examples": arguments.batch_size * arguments.steps,
    }


def ask_fit(arguments) -> dict:
    """keras_bert's `fit` and Keras' own, each of a model of its own."""
    start(arguments.threads)
    import keras

    import keras_bert as kb

    names = ("fit", "make_train_function", "train_step", "compute_loss", "compute_metrics")
    # The same layers, loss and optimiser in Keras' own loop around Keras' own step.
    stock_class = type("Stock", (kb.BertClassifier,), {n: getattr(keras.Model, n) for n in names})
    ours, stock, data = make(arguments), make(arguments, kind=stock_class), batches(arguments)
    return {
        "keras.Model.fit": partial(timed, arguments, lambda: stock.fit(data, verbose=0)),
        "keras_bert": partial(timed, arguments, lambda: ours.fit(data, verbose=0)),
    }


def ask_devices(arguments) -> dict:
    """One device and two, with the same threads."""
    tf = start(arguments.threads, devices=2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one, two, data = make(arguments), make(arguments, mirrored), batches(arguments)
    return {
        "one device": partial(timed, arguments, lambda: one.fit(data, verbose=0)),
        "two logical devices": partial(timed, arguments, lambda: two.fit(data, verbose=0)),
    }


def ask_checkpoints(arguments) -> dict:
    """With and without a checkpoint in the middle and one at the end."""
    start(arguments.threads)
    without, with_them, data = make(arguments), make(arguments), batches(arguments)

    def saving():
        with tempfile.TemporaryDirectory() as folder:
            with_them.fit(
                data, verbose=0, checkpoints=folder, save_every=max(1, arguments.steps // 2)
            )

    return {
        "no checkpoints": partial(timed, arguments, lambda: without.fit(data, verbose=0)),
        "two checkpoints": partial(timed, arguments, saving),
    }


def ask_watching(arguments) -> dict:
    """With and without progress bar, log and watch."""
    start(arguments.threads)
    without, with_them, data = make(arguments), make(arguments), batches(arguments)

    def plain():
        without.fit(data, progress=False, stop_on_bad_loss=False)

    def watched():
        with tempfile.TemporaryDirectory() as folder:
            with_them.fit(data, log=pathlib.Path(folder) / "run.jsonl")

    return {
        "neither": partial(timed, arguments, plain),
        "progress, log and watch": partial(timed, arguments, watched),
    }


ASK = {
    "fit": ask_fit,
    "devices": ask_devices,
    "checkpoints": ask_checkpoints,
    "watching": ask_watching,
}


def measure(arguments) -> dict:
    """One question's figures, in this process."""
    found = interleaved(ASK[arguments.only](arguments), arguments.rounds, seconds=600)
    return {name: result["seconds"] for name, result in found.items()}


def table(results: dict, arguments) -> str:
    """Markdown: a row per variant."""
    tokens = arguments.batch_size * arguments.steps * arguments.seq_length
    lines = [
        "| question | variant | tokens/s | lowest to highest | time, × the first |",
        "|---|---|---|---|---|",
    ]
    for question, found in results.items():
        first = None
        for name, seconds in found.items():
            median = statistics.median(seconds)
            first = first or median
            lines.append(
                f"| {question} | {name} | {tokens / median:.0f} | {tokens / max(seconds):.0f} to "
                f"{tokens / min(seconds):.0f} | {median / first:.3f} |"
            )
    return "\n".join(lines)


def main(argv=None) -> int:
    arguments = parse(argv)
    if arguments.only:
        # The bar of a measured fit writes to standard output, too.
        print("\n" + json.dumps(measure(arguments)))
        return 0
    results = {}
    for question in arguments.questions:
        command = [sys.executable, __file__, *(argv or sys.argv[1:]), "--only", question]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results[question] = json.loads(done.stdout.splitlines()[-1])
    print(table(results, arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
