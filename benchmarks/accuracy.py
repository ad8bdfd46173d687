"""Does fine-tuning here end where it ends with Hugging Face on PyTorch? Same data, same recipe.

Each (framework, seed) is one process and one line in the `--runs` file. Lines that are there
already are not made again, so the work can be done in pieces and be taken up after a stop:

    python benchmarks/accuracy.py --model MINILM_FOLDER --data datasets/banking77 \
        --runs build/accuracy.jsonl --seeds 1 2 3 --epochs 5 --learning-rate 2e-4

The table at the end covers the runs in the file that used the recipe of the command line.
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from contender import Contender  # noqa: E402
from recipe import read_labelled  # noqa: E402

SCRIPTS = {"keras_bert": "ours.py", "huggingface": "huggingface.py"}


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="Hugging Face folder of the encoder")
    parser.add_argument("--data", required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--runs", required=True, help="JSON lines file that takes the results")
    parser.add_argument("--frameworks", nargs="*", choices=list(SCRIPTS), default=list(SCRIPTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch-python", default="build/peers/torch/bin/python")
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument("--epochs", type=int, default=5)
    recipe.add_argument("--batch-size", type=int, default=32)
    recipe.add_argument("--learning-rate", type=float, default=2e-4)
    recipe.add_argument("--weight-decay", type=float, default=0.01)
    recipe.add_argument("--warmup", type=float, default=0.1, help="share of the steps")
    recipe.add_argument("--epsilon", type=float, default=1e-6, help="AdamW's epsilon")
    recipe.add_argument("--clip", type=float, default=1.0, help="global gradient norm")
    recipe.add_argument("--seq-length", type=int, default=128, help="longer texts are cut")
    recipe.add_argument(
        "--examples", type=int, help="train on that many random examples: to try the script out"
    )
    return parser.parse_args(argv)


def recipe_of(arguments) -> dict:
    """What two runs must share to be compared."""
    names = "epochs batch_size learning_rate weight_decay warmup epsilon clip examples".split()
    return {name: getattr(arguments, name) for name in names}


def run(framework: str, seed: int, arguments) -> dict:
    """Fine-tunes once in a process of its own."""
    python = arguments.torch_python if framework == "huggingface" else sys.executable
    data = pathlib.Path(arguments.data)
    classes = len(set(read_labelled(data / "train.csv")[1]))
    started = time.perf_counter()
    with Contender(framework, python, SCRIPTS[framework]) as contender:
        versions = contender.ask(
            "load",
            model=arguments.model,
            threads=arguments.threads,
            classes=classes,
            seq_length=arguments.seq_length,
            seed=seed,
            pin=False,
        )
        result = contender.ask(
            "accuracy_run",
            train=str(data / "train.csv"),
            test=str(data / "test.csv"),
            seed=seed,
            **recipe_of(arguments),
        )
    return {
        "framework": framework,
        "seed": seed,
        **result,
        "seconds": time.perf_counter() - started,
        "threads": arguments.threads,
        "recipe": {**recipe_of(arguments), "seq_length": arguments.seq_length},
        "versions": versions,
    }


def read_runs(path: pathlib.Path, recipe: dict) -> dict[tuple[str, int], dict]:
    """The runs in the file that used `recipe`, by framework and seed."""
    if not path.exists():
        return {}
    runs = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return {(one["framework"], one["seed"]): one for one in runs if one["recipe"] == recipe}


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for a single value)."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def table(runs: dict) -> str:
    """Markdown: one row per run, the means, and the verdict."""
    lines = ["| framework | seed | accuracy | macro-F1 | training |", "|---|---|---|---|---|"]
    for (framework, seed), one in sorted(runs.items()):
        lines.append(
            f"| {framework} | {seed} | {one['accuracy']:.4f} | {one['macro_f1']:.4f} "
            f"| {one['train_seconds']:.0f} s, {one['threads']} threads |"
        )
    summary = {}
    for framework in SCRIPTS:
        own = [one for (name, _), one in runs.items() if name == framework]
        if own:
            summary[framework] = mean_and_deviation([one["accuracy"] for one in own])
            f1 = mean_and_deviation([one["macro_f1"] for one in own])
            lines.append(
                f"| **{framework}** | mean ± std of {len(own)} | {summary[framework][0]:.4f} ± "
                f"{summary[framework][1]:.4f} | {f1[0]:.4f} ± {f1[1]:.4f} | |"
            )
    if len(summary) == 2:
        (ours, ours_std), (theirs, theirs_std) = summary["keras_bert"], summary["huggingface"]
        pooled = ((ours_std**2 + theirs_std**2) / 2) ** 0.5
        verdict = "within" if abs(ours - theirs) <= pooled else "**not** within"
        lines.append(
            f"\nDifference of the mean accuracies: {ours - theirs:+.4f}; pooled standard deviation "
            f"{pooled:.4f}: {verdict} one standard deviation."
        )
    return "\n".join(lines)


def main(argv=None) -> int:
    arguments = parse(argv)
    path = pathlib.Path(arguments.runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = {**recipe_of(arguments), "seq_length": arguments.seq_length}
    for seed in arguments.seeds:
        for framework in arguments.frameworks:
            if (framework, seed) in read_runs(path, recipe):
                continue
            result = run(framework, seed, arguments)
            with open(path, "a") as file:
                file.write(json.dumps(result) + "\n")
            print(
                f"{framework}, seed {seed}: accuracy {result['accuracy']:.4f}, macro-F1 "
                f"{result['macro_f1']:.4f} after {result['seconds']:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    runs = read_runs(path, recipe)
    print("- recipe:", ", ".join(f"{name} {value}" for name, value in recipe.items()))
    for framework, versions in {name: one["versions"] for (name, _), one in runs.items()}.items():
        print(f"- {framework}:", ", ".join(f"{name} {value}" for name, value in versions.items()))
    print("\n" + table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
