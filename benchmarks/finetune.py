"""Fine-tuning speed: keras_bert's `fit` beside KerasHub's, the Model Garden's loop and PyTorch's.

Everybody trains the same texts with AdamW (weight decay 0.01), clipping at global norm 1 and the
dropout of the checkpoint, in batches of the same size, one epoch per measurement; the contenders
take turns, each in a process of its own pinned to as many cores as it has threads. Example:

    python benchmarks/finetune.py --minilm MINILM_FOLDER \
        --short-texts datasets/banking77/train.csv --long-texts SQUAD_FOLDER \
        --runs build/benchmarks/finetune.jsonl > finetune.md

What counts: for keras_bert a whole `fit` (tokenising included; not its first one, which traces the
graph), for PyTorch the whole loop (tokenising included), for KerasHub the time from the end of the
first step of a `fit` to the end of its last, because it traces its preprocessing anew in every
`fit`. KerasHub pads every text to one length, so that its steps are all alike and a part of the
epoch tells its speed. The Model Garden's loop (`official.core.base_trainer`, orbit) gets ids of one
length that were made before.
"""

import pathlib
import sys
from functools import partial

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

from measure import Records, interleaved, rates, times_ours
from workload import drawn, parser, running

NAMES = {"minilm": "MiniLM-L6", "bert_base": "BERT-base size"}
KINDS = {"short": "BANKING77 questions", "long": "long texts"}

# Batch size -> (steps, KerasHub's steps, KerasHub's steps with XLA)
WORK = {
    ("minilm", "short"): {1: (96, 48, 16), 8: (48, 24, 8), 32: (48, 12, 4)},
    ("minilm", "long"): {1: (64, 32, 8), 8: (40, 12, 4), 32: (10, 3, 2)},
    ("bert_base", "short"): {1: (32, 16, 4), 8: (16, 8, 3), 32: (12, 3, 2)},
    ("bert_base", "long"): {1: (16, 8, 3), 8: (10, 3, 2), 32: (4, 2, 2)},
}
BATCHES = (1, 8, 32)


def entries(contenders: dict, work: tuple, batch: int, scale: float) -> dict:
    """What is measured: name -> call."""
    steps, kerashub, kerashub_xla = work
    steps = max(2, round(steps * scale))

    def one(name, **how):
        return partial(contenders[name].ask, "train", batch_size=batch, **how)

    result = {}
    if "keras_bert" in contenders:
        result["keras_bert"] = one("keras_bert", steps=steps)
    if "PyTorch" in contenders:
        result["PyTorch"] = one("PyTorch", steps=steps)
        result["PyTorch, grouped by length"] = one("PyTorch", order="grouped", steps=steps)
    # One step more than is counted: the clock starts at the end of the first.
    if "KerasHub" in contenders:
        result["KerasHub"] = one("KerasHub", steps=min(steps, kerashub + 1))
    if "Model Garden" in contenders:
        result["Model Garden"] = one("Model Garden", steps=min(steps, kerashub + 1))
    if "KerasHub XLA" in contenders:
        result["KerasHub XLA"] = one("KerasHub XLA", steps=min(steps, kerashub_xla + 1))
    return result


def measure_cell(
    model: str, kind: str, threads: int, batch: int, records: Records, arguments
) -> None:
    """Measures a model on texts with a number of threads, unless that was done."""
    work = WORK[model, kind][batch]
    cell = {"model": model, "texts": kind, "threads": threads, "batch": batch}
    cell |= {"scale": arguments.scale}
    if records.has(cell):
        return
    names = ["keras_bert", *arguments.peers]
    count = batch * max(2, round(work[0] * arguments.scale))
    drawn_texts = drawn(kind, count, arguments)
    results, versions, lengths = {}, {}, []
    for group in [[name] for name in names] if arguments.alone else [names]:
        run = running(group, model, threads, *drawn_texts, arguments, lengths)
        with run as (found, said, lengths):
            calls = entries(found, work, batch, arguments.scale)
            results |= interleaved(calls, arguments.rounds, arguments.seconds)
            versions |= said
    records.add(
        cell, results=results, tokens_per_text=sum(lengths) / len(lengths), versions=versions
    )


def table(record: dict) -> str:
    """Markdown: one row per contender."""
    lines = [
        "| contender | texts/s | lowest to highest | tokens/s | ms/step | keras_bert is | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    results, tokens = record["results"], record["tokens_per_text"]
    for name, result in results.items():
        median, lowest, highest = rates(result)
        ratio = "" if name == "keras_bert" else f"{times_ours(results['keras_bert'], result):.2f} ×"
        lines.append(
            f"| {name} | {median:.1f} | {lowest:.1f} to {highest:.1f} | {median * tokens:.0f} "
            f"| {1000 * record['cell']['batch'] / median:.0f} | {ratio} "
            f"| {len(result['seconds'])} |"
        )
    return "\n".join(lines)


def order(record: dict) -> tuple:
    """Where a record stands in the report."""
    cell = record["cell"]
    names = list(NAMES).index(cell["model"]), list(KINDS).index(cell["texts"])
    return *names, cell["threads"], cell["batch"]


def summary(records: Records) -> str:
    """Markdown: a row per cell."""
    peers = ["PyTorch, grouped by length", "PyTorch", "KerasHub", "KerasHub XLA", "Model Garden"]
    peers = [p for p in peers if any(p in one["results"] for one in records.all.values())]
    lines = [
        "| model | texts | threads | batch | keras_bert, texts/s "
        + "".join(f"| × {peer} " for peer in peers)
        + "|",
        "|---" * (5 + len(peers)) + "|",
    ]
    for record in sorted(records.all.values(), key=order):
        results, cell = record["results"], record["cell"]
        ours = results["keras_bert"]
        ratios = [f"{times_ours(ours, results[p]):.2f}" if p in results else "" for p in peers]
        lines.append(
            f"| {NAMES[cell['model']]} | {KINDS[cell['texts']]} | {cell['threads']} "
            f"| {cell['batch']} | {rates(ours)[0]:.1f} | {' | '.join(ratios)} |"
        )
    return "\n".join(lines)


def report(records: Records) -> str:
    """All tables of the kept results."""
    parts = [records.heading(), "### In short", summary(records)]
    for record in sorted(records.all.values(), key=order):
        cell = record["cell"]
        versions = record["versions"]
        fixed = versions.get("KerasHub") or versions.get("Model Garden")
        parts.append(
            f"### {NAMES[cell['model']]}, {KINDS[cell['texts']]}, batch {cell['batch']}, "
            f"{cell['threads']} thread{'s' * (cell['threads'] > 1)}\n\n"
            f"{record['tokens_per_text']:.0f} tokens per text; "
            + (f"padded to {fixed['sequence_length']} where there is one length" if fixed else "")
            + (f" (KerasHub's default: {fixed['default_sequence_length']})" if fixed else "")
        )
        parts.append(table(record))
    return "\n\n".join(parts)


def main(argv=None) -> int:
    peers = ["PyTorch", "KerasHub", "KerasHub XLA", "Model Garden"]
    found = parser(__doc__, ["minilm"], peers)
    found.add_argument("--batches", nargs="*", type=int, choices=BATCHES, default=BATCHES)
    found.add_argument(
        "--alone",
        action="store_true",
        help="one contender after the other, where memory does not hold all of them",
    )
    arguments = found.parse_args(argv)
    records = Records(arguments.runs)
    for model in arguments.models:
        for kind in arguments.texts:
            for threads in arguments.threads:
                for batch in arguments.batches:
                    measure_cell(model, kind, threads, batch, records, arguments)
    print(report(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
