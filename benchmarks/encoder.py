"""Text to logits: keras_bert beside KerasHub and Hugging Face on PyTorch.

Every contender runs in a process of its own, pinned to as many cores as it has threads; the
contenders take turns (A B C, A B C, ...) and the others sleep meanwhile. Strings go in and answers
come out, tokenisation included; `--ids` measures from token ids instead. Example:

    python benchmarks/encoder.py --minilm MINILM_FOLDER --short-texts datasets/banking77/test.csv \
        --long-texts SQUAD_FOLDER --runs build/benchmarks/encoder.jsonl > encoder.md
"""

import pathlib
import sys
from functools import partial

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

from measure import Records, interleaved, rates, times_ours
from workload import drawn, model_folder, parser, running, sizes

NAMES = {"minilm": "MiniLM-L6", "bert_base": "BERT-base size"}
KINDS = {"short": "BANKING77 questions", "long": "long texts"}
BATCHES = (1, 8, 32)

# Texts per round, so that a round of all contenders takes about a minute or less.
COUNTS = {
    ("minilm", "short"): {1: 64, 8: 256, 32: 256},
    ("minilm", "long"): {1: 16, 8: 64, 32: 128},
    ("bert_base", "short"): {1: 16, 8: 64, 32: 128},
    ("bert_base", "long"): {1: 8, 8: 32, 32: 64},
}

# KerasHub's predict takes over a second per call on strings whatever the text: eight calls tell.
KERASHUB_CALLS = 8

BARE = {"TensorFlow": "keras_bert", "PyTorch": "PyTorch"}


def entries(contenders: dict, cell: dict, lengths: list[int], folder: str) -> dict:
    """What is measured in a cell: name -> call."""
    batch, count = cell["batch"], len(lengths)
    ids = {"start_from": "ids"} if cell["from"] == "ids" else {}

    def one(name, **how):
        return partial(contenders[name].ask, "infer", batch_size=batch, **{**how, **ids})

    result = {"keras_bert": one("keras_bert")}
    if not ids and batch == 1:
        result["keras_bert, one tf.function"] = one("keras_bert", start_from="function")
    if "PyTorch" in contenders:
        result["PyTorch"] = one("PyTorch")
        if batch > 1:
            result["PyTorch, sorted by length"] = one("PyTorch", order="sorted")
    for name in (name for name in contenders if name.startswith("KerasHub")):
        few = {"count": min(count, KERASHUB_CALLS)} if batch == 1 and not ids else {}
        result[name] = one(name, **few)
        if not ids:
            result[f"{name}, ids from its preprocessor"] = one(name, start_from="preprocessor")
    if not ids:
        shapes = batch_shapes(lengths, batch)
        for library, name in BARE.items():
            if name in contenders:
                result[f"bare matmul, {library}"] = partial(
                    contenders[name].ask,
                    "matmuls",
                    shapes=shapes,
                    sizes=sizes(folder),
                    first_token_only=True,
                )
    return result


def batch_shapes(lengths: list[int], batch: int) -> list[list[int]]:
    """(batch, longest) of the batches that sorting by length makes."""
    ordered = sorted(lengths, reverse=True)
    cut = [ordered[at : at + batch] for at in range(0, len(ordered), batch)]
    return [[len(rows), rows[0]] for rows in cut]


def measure_cell(model: str, kind: str, threads: int, start_from: str, records, arguments):
    """Measures all batch sizes of a model, texts and number of threads that are not there yet."""
    counts = {
        batch: max(batch, round(count * arguments.scale))
        for batch, count in COUNTS[model, kind].items()
    }
    cells = {
        batch: {"model": model, "texts": kind, "threads": threads, "batch": batch}
        | {"from": start_from, "scale": arguments.scale}
        for batch in arguments.batches
    }
    missing = [batch for batch, cell in cells.items() if not records.has(cell)]
    if not missing:
        return
    names = ["keras_bert", *arguments.peers]
    texts, targets = drawn(kind, max(counts.values()), arguments)
    with running(names, model, threads, texts, targets, arguments) as (found, versions, lengths):
        for batch in missing:
            count = counts[batch]
            for contender in found.values():
                contender.ask("examples", texts=texts[:count])
            folder = model_folder(model, arguments)
            calls = entries(found, cells[batch], lengths[:count], folder)
            records.add(
                cells[batch],
                results=interleaved(calls, arguments.rounds, arguments.seconds),
                tokens=sum(lengths[:count]),
                longest=max(lengths[:count]),
                versions=versions,
            )


def table(records: list[dict]) -> str:
    """Markdown: one row per batch size and contender."""
    lines = [
        "| batch | contender | texts/s | lowest to highest | ms/text | keras_bert is | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in records:
        results = record["results"]
        ours = results["keras_bert"]
        for name, result in results.items():
            if name.startswith("bare"):
                continue
            median, lowest, highest = rates(result)
            ratio = "" if name == "keras_bert" else f"{times_ours(ours, result):.2f} × as fast"
            lines.append(
                f"| {record['cell']['batch']} | {name} | {median:.1f} | {lowest:.1f} to "
                f"{highest:.1f} | {1000 / median:.1f} | {ratio} | {len(result['seconds'])} |"
            )
    return "\n".join(lines)


def share_table(records: list[dict]) -> str:
    """Markdown: what part of our time the bare matrix products would take."""
    lines = [
        "| model | texts | threads | batch | tokens/text | ours, ms/text | bare matmul, TensorFlow "
        "| bare matmul, PyTorch | share (of the faster) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        results, cell = record["results"], record["cell"]
        bare = [results.get(f"bare matmul, {library}") for library in BARE]
        if not any(bare):
            continue
        times = [1000 / rates(result)[0] if result else None for result in bare]
        ours = 1000 / rates(results["keras_bert"])[0]
        shown = " | ".join("" if time is None else f"{time:.1f}" for time in times)
        best = min(time for time in times if time is not None)
        tokens = record["tokens"] / results["keras_bert"]["examples"]
        lines.append(
            f"| {NAMES[cell['model']]} | {KINDS[cell['texts']]} | {cell['threads']} | "
            f"{cell['batch']} | {tokens:.0f} | {ours:.1f} | {shown} | {best / ours:.0%} |"
        )
    return "\n".join(lines)


def report(records: Records) -> str:
    """All tables of the kept results."""
    kept = list(records.all.values())
    parts = [records.heading()]
    groups: dict[tuple, list] = {}
    for record in kept:
        cell = record["cell"]
        key = (cell["from"], cell["model"], cell["texts"], cell["threads"])
        groups.setdefault(key, []).append(record)
    for (start_from, model, kind, threads), group in sorted(groups.items(), reverse=True):
        title = "text to logits" if start_from == "text" else "ids to logits"
        fixed = group[0]["versions"].get("KerasHub")
        tokens = sum(one["tokens"] for one in group) / sum(
            one["results"]["keras_bert"]["examples"] for one in group
        )
        parts.append(
            f"### {NAMES[model]}, {KINDS[kind]}, {threads} thread{'s' * (threads > 1)}, {title}\n\n"
            f"{tokens:.0f} tokens per text, longest {max(one['longest'] for one in group)}"
            + (f"; KerasHub pads to {fixed['sequence_length']}" if fixed else "")
            + (f" (its default here: {fixed['default_sequence_length']})" if fixed else "")
        )
        parts.append(table(sorted(group, key=lambda one: one["cell"]["batch"])))
    parts.append("### Share of bare matrix products\n\n" + share_table(kept))
    return "\n\n".join(parts)


def main(argv=None) -> int:
    arguments = parse(argv)
    records = Records(arguments.runs)
    for start_from in ["text", "ids"][: 1 + arguments.ids]:
        for model in arguments.models:
            for kind in arguments.texts:
                for threads in arguments.threads:
                    measure_cell(model, kind, threads, start_from, records, arguments)
    print(report(records))
    return 0


def parse(argv):
    found = parser(__doc__, list(NAMES), ["PyTorch", "KerasHub"])
    found.add_argument("--batches", nargs="*", type=int, choices=BATCHES, default=list(BATCHES))
    found.add_argument("--ids", action="store_true", help="from token ids too")
    return found.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
