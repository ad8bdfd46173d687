"""Do all tasks end where they end with Hugging Face on PyTorch? Same data, encoder and recipe.

Each (data set, framework, seed) is one process and one line in the `--runs` file; lines that are
there already are not made again, so that the work can be done in pieces:

    python benchmarks/tasks.py --data DATA_FOLDER --model MINILM_FOLDER \
        --runs build/benchmarks/tasks.jsonl --sets wnut17 stsb --seeds 1 2 3

DATA_FOLDER holds a folder per data set, by the names in `SETS`. Sets in Chinese take `--chinese`, a
BERT with a Chinese vocabulary; where it does not exist, a small random one is made there of
`--chinese-vocab`. Scores are keras_bert's for both, which equal the official scripts'; so what
differs is training and answering.
"""

import argparse
import dataclasses
import json
import pathlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from contender import Contender  # noqa: E402

import keras_bert as kb  # noqa: E402

SCRIPTS = {"keras_bert": "ours_tasks.py", "huggingface": "huggingface_tasks.py"}

#: Of what the Chinese encoder is made where there is none.
SMALL = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}


@dataclasses.dataclass(frozen=True)
class Set:
    """A data set.

    Attributes:
        kind: ``classes``, ``values``, ``tags`` or ``spans``.
        read: Its folder → examples to train on and to test with, as ``kb.Examples``.
        scores: Gold labels and answers → score by name; the first is the one that counts.
        recipe: What differs from `RECIPE`.
        chinese: Whether it takes the Chinese encoder.
    """

    kind: str
    read: Callable
    scores: Callable
    recipe: dict = dataclasses.field(default_factory=dict)
    chinese: bool = False


RECIPE = {
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "epsilon": 1e-6,
    "warmup": 0.1,
    "clip": 1.0,
    "seq_length": 128,
    "examples": None,
}


def accuracy(gold, answers):
    """Share of answers that are right."""
    return {"accuracy": sum(map(str.__eq__, gold, answers)) / len(gold)}


def mrpc(gold, answers):
    """GLUE's scores of MRPC."""
    return kb.metrics.glue_scores("mrpc", list(map(int, gold)), list(map(int, answers)))


def correlation(gold, answers):
    """GLUE's scores of STS-B."""
    return {
        "spearman": kb.metrics.spearman(gold, answers),
        "pearson": kb.metrics.pearson(gold, answers),
    }


def entities(gold, answers):
    """seqeval's, lenient."""
    found = kb.metrics.entity_scores(gold, answers)["micro"]
    return {name: found[name] for name in ("f1", "precision", "recall")}


def squad(gold, answers):
    """SQuAD 1.1's."""
    texts = [[answer["text"] for answer in each] for each in gold]
    found = kb.metrics.squad_scores(texts, answers)
    return {name: found[name] for name in ("f1", "exact_match")}


def cmrc(gold, answers):
    """CMRC 2018's."""
    texts = [[answer["text"] for answer in each] for each in gold]
    found = kb.metrics.cmrc_scores(texts, answers)
    return {name: found[name] for name in ("f1", "exact_match")}


def files(train, test, **columns):
    """Reads two files of a folder."""
    return lambda folder: tuple(
        kb.read_dataset(folder / name, skip_bad_rows=True, **columns) for name in (train, test)
    )


def conll(train, test):
    """Reads files of tagged words; several make one."""

    def read(folder):
        parts = [[kb.read_conll(folder / n, skip_bad_rows=True) for n in s] for s in (train, test)]
        for several in parts:
            for more in several[1:]:
                several[0].texts += more.texts
                several[0].labels += more.labels
        return parts[0][0], parts[1][0]

    return read


def halves(name, share, **columns):
    """Reads one file, shuffled, and cuts it in two."""

    def read(folder):
        examples = kb.read_dataset(folder / name, skip_bad_rows=True, **columns)
        rows = list(range(len(examples)))
        random.Random(0).shuffle(rows)
        cut = round(share * len(rows))
        return examples.select(rows[:cut]), examples.select(rows[cut:])

    return read


def parallel(train, test):
    """Reads SNLI's files of one column each."""
    return lambda folder: tuple(
        kb.read_dataset(folder, split=split, label_kind="class") for split in (train, test)
    )


#: Sets of which a part, drawn at random, will do.
PART = {"examples": 1500}
QUESTIONS = {"epochs": 2, "batch_size": 16, "seq_length": 384, "examples": 800}
#: An encoder that nobody has trained takes larger steps.
FROM_SCRATCH = {"learning_rate": 1e-3}
SETS = {
    "wnut17": Set(
        "tags", conll(["wnut17train.conll"], ["emerging.test.annotated"]), entities, PART
    ),
    "btc_ner": Set(
        "tags",
        conll([f"{part}.conll" for part in "abefg"], ["h.conll"]),
        entities,
        {**PART, "epochs": 2},
    ),
    "squad_v11": Set("spans", files("train.json", "eval.json"), squad, QUESTIONS),
    "stsb_multi": Set(
        "values",
        files("stsb-en-train.csv", "stsb-en-test.csv", label_kind="value"),
        correlation,
        {**PART, "learning_rate": 5e-5},
    ),
    "snli_dev_test": Set("classes", parallel("dev", "test"), accuracy, PART),
    "mrpc": Set(
        "classes", files("msr-para-train.tsv", "msr-para-test.tsv", label_kind="class"), mrpc, PART
    ),
    "sst2_sentences": Set(
        "classes", files("train.tsv", "test.tsv", label_kind="class"), accuracy, PART
    ),
    "waimai_10k": Set(
        "classes",
        halves("waimai_10k.csv", 0.8, label_kind="class"),
        accuracy,
        {**PART, **FROM_SCRATCH},
        chinese=True,
    ),
    "uner_zh_gsdsimp": Set(
        "tags",
        conll(["zh_gsdsimp-ud-train.iob2"], ["zh_gsdsimp-ud-test.iob2"]),
        entities,
        {**FROM_SCRATCH, "epochs": 10},
        chinese=True,
    ),
    "cmrc2018": Set(
        "spans",
        files("cmrc2018_dev.json", "cmrc2018_trial.json"),
        cmrc,
        {**QUESTIONS, **FROM_SCRATCH, "epochs": 4},
        chinese=True,
    ),
}


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder of the data sets")
    parser.add_argument("--model", required=True, help="Hugging Face folder of the encoder")
    parser.add_argument("--chinese", default="build/benchmarks/chinese", help="the Chinese one")
    parser.add_argument("--chinese-vocab", help="vocab.txt to make one of")
    parser.add_argument("--runs", required=True, type=pathlib.Path, help="JSON lines file")
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=list(SETS))
    parser.add_argument("--frameworks", nargs="*", choices=list(SCRIPTS), default=list(SCRIPTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch-python", default="build/peers/torch/bin/python")
    parser.add_argument("--examples", type=int, help="in place of the recipe's: at most that many")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    return parser.parse_args(argv)


def plain(examples) -> list[dict]:
    """Examples as JSON has them."""
    pairs = zip(examples.texts, examples.labels, strict=True)
    return [
        {"text": list(text) if isinstance(text, tuple) else text, "label": label}
        for text, label in pairs
    ]


def drawn(examples: list, count: int | None) -> list:
    """Some of the examples, the same for everybody."""
    if count is None or count >= len(examples):
        return examples
    return random.Random(0).sample(examples, count)


def run(name: str, framework: str, seed: int, recipe: dict, arguments) -> dict:
    """Fine-tunes once in a process of its own, and scores what it answers."""
    chosen = SETS[name]
    read = chosen.read(arguments.data / name)
    names = read[0].label_names or None
    train, test = (drawn(plain(part), recipe["examples"]) for part in read)
    if chosen.kind == "spans":
        # What is not in its context nobody can learn.
        train = [one for one in train if any(a["start"] is not None for a in one["label"])]
        for one in train:
            one["label"] = [a for a in one["label"] if a["start"] is not None][:1]
    python = arguments.torch_python if framework == "huggingface" else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / f"{part}.json" for part in ("train", "test")]
        for path, part in zip(paths, (train, test), strict=True):
            path.write_text(json.dumps(part, ensure_ascii=False), encoding="utf-8")
        with Contender(framework, python, SCRIPTS[framework]) as contender:
            versions = contender.ask("load", threads=arguments.threads)
            result = contender.ask(
                "task_run",
                kind=chosen.kind,
                model=arguments.chinese if chosen.chinese else arguments.model,
                train=str(paths[0]),
                test=str(paths[1]),
                names=names,
                seed=seed,
                recipe=recipe,
            )
    scores = chosen.scores([one["label"] for one in test], result.pop("answers"))
    return {
        "set": name,
        "framework": framework,
        "seed": seed,
        "scores": {key: float(score) for key, score in scores.items()},
        **result,
        "examples": [len(train), len(test)],
        "threads": arguments.threads,
        "recipe": recipe,
        "versions": versions,
    }


def recipe_of(name: str, arguments) -> dict:
    """What two runs must share to be compared."""
    given = {"examples": arguments.examples, "epochs": arguments.epochs}
    given = {key: value for key, value in given.items() if value}
    return {**RECIPE, **SETS[name].recipe, **given}


def read_runs(path: pathlib.Path) -> list[dict]:
    """The runs in a file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def table(runs: list[dict]) -> str:
    """Markdown: a row per data set."""
    lines = [
        "| data | score | keras_bert | Hugging Face | apart, in deviations "
        "| training, × Hugging Face | answering, × |",
        "|---" * 7 + "|",
    ]
    for name in dict.fromkeys(one["set"] for one in runs):
        sides = [[r for r in runs if (r["set"], r["framework"]) == (name, f)] for f in SCRIPTS]
        score = next(iter(sides[0][0]["scores"])) if sides[0] else next(iter(sides[1][0]["scores"]))
        values = [[one["scores"][score] for one in side] for side in sides]
        texts = [shown(each) for each in values]
        if all(sides):
            spread = (sum(deviation(each) ** 2 for each in values) / 2) ** 0.5
            apart = abs(statistics.mean(values[0]) - statistics.mean(values[1]))
            texts.append(f"{apart / spread:.2f}" if spread else "")
            for field in ("train_seconds", "answer_seconds"):
                ours, theirs = (statistics.median(one[field] for one in side) for side in sides)
                texts.append(f"{theirs / ours:.2f}")
        lines.append(f"| {name} | {score} | {' | '.join(texts)} |")
    return "\n".join(lines)


def deviation(values: list[float]) -> float:
    """Sample standard deviation; 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def shown(values: list[float]) -> str:
    """Mean ± deviation."""
    return f"{statistics.mean(values):.4f} ± {deviation(values):.4f}" if values else ""


def main(argv=None) -> int:
    arguments = parse(argv)
    arguments.runs.parent.mkdir(parents=True, exist_ok=True)
    chinese = [name for name in arguments.sets if SETS[name].chinese]
    if chinese and not pathlib.Path(arguments.chinese).exists():
        with Contender("huggingface", arguments.torch_python, "huggingface_tasks.py") as maker:
            maker.ask(
                "random_encoder",
                folder=arguments.chinese,
                vocab_file=arguments.chinese_vocab,
                **SMALL,
            )
    for name in arguments.sets:
        recipe = recipe_of(name, arguments)
        for seed in arguments.seeds:
            for framework in arguments.frameworks:
                key = (name, framework, seed, recipe)
                there = [
                    (r["set"], r["framework"], r["seed"], r["recipe"])
                    for r in read_runs(arguments.runs)
                ]
                if key in there:
                    continue
                started = time.perf_counter()
                result = run(name, framework, seed, recipe, arguments)
                with open(arguments.runs, "a") as file:
                    file.write(json.dumps(result) + "\n")
                print(
                    f"{name}, {framework}, seed {seed}: {result['scores']} after "
                    f"{time.perf_counter() - started:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
    recipes = [recipe_of(name, arguments) for name in SETS]
    runs = [r for r in read_runs(arguments.runs) if r["recipe"] in recipes]
    print(table([r for r in runs if r["set"] in arguments.sets]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
