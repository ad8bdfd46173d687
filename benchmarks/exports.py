"""Every task, exported in every way: does it answer as the model does, how large is it, how quick?

Each task's model has the given encoder and a head with random weights. It is written as a
SavedModel, and as LiteRT files in float32, float16 and dynamic int8; each export is loaded and
asked the same texts as the model. Example:

    python benchmarks/exports.py --model MINILM_FOLDER --texts datasets/banking77/test.csv \
        --runs build/benchmarks/exports.jsonl > exports.md

Differences are those of what `tokens` answers (probabilities, values, vectors, logits) where a text
is one row of ids, else of the floats that `serving_default` answers. The time is of one text at a
time, on one thread, from the string to the answer; of a file that takes ids alone, from the ids.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile
import time
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]

from measure import Records  # noqa: E402
from recipe import read_texts  # noqa: E402
from worker import limit_cores  # noqa: E402

#: Name → class, and what it is made with.
TASKS = {
    "classes": ("BertClassifier", {"labels": [f"class {i}" for i in range(8)]}),
    "any number of labels": (
        "BertClassifier",
        {"labels": [f"class {i}" for i in range(8)], "multi_label": True},
    ),
    "a number, of pairs": ("BertClassifier", {"num_labels": 1}),
    "entities": ("BertTokenClassifier", {"labels": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]}),
    "answers in contexts": ("BertSpanLabeler", {}),
    "choices": ("BertMultipleChoice", {}),
    "masked words": ("BertMaskedLM", {}),
    "embeddings": ("DualEncoder", {}),
}
WAYS = ("SavedModel", "LiteRT float32", "LiteRT float16", "LiteRT dynamic int8")


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="Hugging Face folder of the encoder")
    parser.add_argument("--texts", required=True, help="a .csv, .txt, ... of short texts")
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seq-length", type=int, default=128)
    parser.add_argument("--count", type=int, default=64, help="texts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", help="JSON lines file that keeps results")
    return parser.parse_args(argv)


def make(task: str, arguments):
    """A model of the task, whose head decides something."""
    import keras
    import numpy as np

    import keras_bert as kb

    keras.utils.set_random_seed(0)
    kind, options = TASKS[task]
    options = {**options, "seq_length": arguments.seq_length}
    model = getattr(kb, kind).from_pretrained(arguments.model, **options)
    model.takes_pairs = task.endswith("pairs")
    random = np.random.default_rng(0)
    for layer in model.head_layers().values() if model.head_is_fresh else ():
        layer.set_weights([random.normal(0, 0.05, w.shape) for w in layer.get_weights()])
    model.head_is_fresh = False
    return model


def examples(task: str, model, texts: list[str]) -> list:
    """Texts as the task takes them."""
    nexts = [*texts[1:], texts[0]]
    if task == "a number, of pairs":
        return list(zip(texts, nexts, strict=True))
    if task == "answers in contexts":
        contexts = [" ".join([*texts[i : i + 4]]) for i in range(len(texts))]
        return list(zip(texts, contexts, strict=True))
    if task == "choices":
        return [(a, [b, a[::-1]]) for a, b in zip(texts, nexts, strict=True)]
    if task == "masked words":
        mask = model.preprocessor.tokenizer.mask_token
        return [" ".join([mask, *text.split()[1:]]) for text in texts]
    return texts


class SavedModel:
    """A SavedModel, asked by its signatures."""

    def __init__(self, model, folder):
        import keras_bert as kb
        from keras_bert.export import ask

        self.path = kb.export.saved_model(model, folder / "model")
        self.loaded, self.ask = ask.load(self.path), ask
        self.strings = True

    def size(self):
        """Bytes of the graph and the weights."""
        folder = pathlib.Path(self.path)
        files = [folder / "saved_model.pb", *folder.glob("variables/*")]
        return sum(file.stat().st_size for file in files)

    def call(self, inputs, signature):
        """Named arrays."""
        return self.ask.call(self.loaded, inputs, signature)

    def inputs(self):
        """Names of what the texts are."""
        return self.loaded.text_inputs

    def has(self, signature):
        """Whether it offers that."""
        return signature in self.loaded.signatures


class LiteRT:
    """A LiteRT file, asked by its signatures."""

    def __init__(self, model, folder, quantize):
        import keras_bert as kb
        from keras_bert.export import ask_litert

        path = folder / f"{quantize}.tflite"
        kb.export.litert(model, path, quantize, max_drop=None)
        self.path, self.module = path, ask_litert
        self.loaded = ask_litert.load(str(path))
        self.record = ask_litert.read_metadata(str(path))
        self.strings = bool(self.record["text_inputs"])

    def size(self):
        """Bytes of the file."""
        return self.path.stat().st_size

    def call(self, inputs, signature):
        """Named arrays."""
        return self.module.call(self.loaded, inputs, signature)

    def inputs(self):
        """Names of what the texts are."""
        return tuple(self.record["text_inputs"])

    def has(self, signature):
        """Whether it offers that."""
        return signature in self.record["signatures"]


def columns(names, item) -> dict:
    """One example as inputs of a batch of one."""
    parts = (item,) if len(names) == 1 else item
    return {name: [part] for name, part in zip(names, parts, strict=True)}


def wanted_of_ids(model, ids):
    """What the model computes of ids, by the names that exports give."""
    import tensorflow as tf

    tensors = {name: tf.constant(rows) for name, rows in ids.items()}
    raw = model(tensors, training=False)
    found = dict(raw) if isinstance(raw, dict) else {"logits": raw, "embedding": raw}
    if type(model).__name__ == "BertClassifier":
        found |= {n: v for n, v in model.answers(raw).items() if n in ("probabilities", "value")}
    return {name: value.numpy() for name, value in found.items() if value.dtype == tf.float32}


def ids_of(model, task, item) -> dict:
    """An example's row of ids."""
    parts = item if isinstance(item, tuple) else (item,)
    ids = model.preprocessor(tuple([part] for part in parts) if len(parts) > 1 else [parts[0]])
    return {name: ids[name].numpy() for name in ("input_word_ids", "input_mask", "input_type_ids")}


def difference(export, model, task, items) -> tuple[float, float] | None:
    """Largest difference of what `tokens` answers, and mean cosine; None without `tokens`."""
    import numpy as np

    if task in ("answers in contexts", "choices") or not export.has("tokens"):
        return None
    worst, cosines = 0.0, []
    for item in items:
        ids = ids_of(model, task, item)
        answer, wanted = export.call(ids, "tokens"), wanted_of_ids(model, ids)
        for name in answer.keys() & wanted.keys():
            one, two = answer[name].astype(np.float64), wanted[name].astype(np.float64)
            worst = max(worst, float(np.abs(one - two).max()))
            norm = np.linalg.norm(one) * np.linalg.norm(two)
            cosines.append(float((one * two).sum() / norm) if norm else 1.0)
    return worst, statistics.mean(cosines)


def seconds_of(export, model, task, items) -> float:
    """Median time of one example."""
    times = []
    signature = "serving_default" if export.strings else "tokens"
    names = export.inputs()
    for item in items:
        inputs = columns(names, item) if export.strings else ids_of(model, task, item)
        started = time.perf_counter()
        export.call(inputs, signature)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(task: str, texts, arguments) -> dict:
    """All ways of a task, timed in turn."""
    model = make(task, arguments)
    items = examples(task, model, texts)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder, exports = pathlib.Path(name), {}
        for way in WAYS:
            quantize = {"LiteRT float16": "float16", "LiteRT dynamic int8": "dynamic_int8"}.get(way)
            made = SavedModel(model, folder) if way == WAYS[0] else LiteRT(model, folder, quantize)
            exports[way] = made
            apart = difference(made, model, task, items[:16])
            found[way] = {"bytes": made.size(), "strings": made.strings, "apart": apart}
            found[way]["checks"] = checks_of(made)
        timed = {way: one for way, one in exports.items() if one.strings or task != "choices"}
        for way in timed:
            seconds_of(exports[way], model, task, items)
        for _ in range(arguments.rounds):
            for way in timed:
                seconds = seconds_of(exports[way], model, task, items)
                found[way].setdefault("seconds", []).append(seconds)
    return found


def checks_of(export) -> list:
    """What the export itself says that it has passed."""
    record = export.record if isinstance(export, LiteRT) else export.loaded.metadata
    return list(record["checks"])


def table(records: Records) -> str:
    """Markdown: a row per task and way."""
    lines = [
        "| task | export | MiB | largest difference | mean cosine | ms a text "
        "| SavedModel's time / | takes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in records.all.values():
        base = statistics.median(record["results"][WAYS[0]]["seconds"])
        for way, one in record["results"].items():
            apart = one["apart"]
            if apart is None:
                checked = [c for c in one["checks"] if "max_difference" in c or "mean_cosine" in c]
                worst = checked[0].get("max_difference") if checked else None
                apart = (worst, checked[0].get("mean_cosine") if checked else None)
            shown = [f"{apart[0]:.1e}" if apart[0] is not None else ""]
            shown.append(f"{apart[1]:.5f}" if apart[1] is not None else "")
            seconds = statistics.median(one["seconds"]) if "seconds" in one else None
            shown.append(f"{1000 * seconds:.1f}" if seconds else "")
            shown.append(f"{base / seconds:.2f}" if seconds else "")
            lines.append(
                f"| {record['cell']['task']} | {way} | {one['bytes'] / 2**20:.1f} "
                f"| {' | '.join(shown)} | {'strings' if one['strings'] else 'ids'} |"
            )
    return "\n".join(lines)


def main(argv=None) -> int:
    arguments = parse(argv)
    limit_cores(1, pin=True)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    warnings.simplefilter("ignore")
    texts = read_texts(arguments.texts)[: arguments.count]
    records = Records(arguments.runs)
    for task in arguments.tasks:
        cell = {"task": task, "seq_length": arguments.seq_length, "count": arguments.count}
        if not records.has(cell):
            records.add(cell, results=measure(task, texts, arguments))
            print(f"{task}: done", file=sys.stderr, flush=True)
    print(table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
