"""Strings to ids: keras_bert's tokenizers beside tf.text's, KerasHub's and Hugging Face's.

Every contender runs in a process of its own, pinned to as many cores as it has threads, and they
take turns. Example:

    python benchmarks/tokenizer.py --vocabulary VOCAB_TXT --tweets BTC_FOLDER \
        --chinese CMRC_JSON --documents NOVELS_TXT_XZ --bpe FOLDER > tokenizer.md

Measured are ids of batches, the whole preprocessor (padded rows of 128 ids) and offsets, called
from Python and, where it can be, inside a tf.data pipeline.
"""

import argparse
import contextlib
import itertools
import pathlib
import random
import sys
from functools import partial

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

from contender import Contender
from measure import Records, interleaved, rates, times_ours
from recipe import read_texts

WORDPIECE = {
    "keras_bert": "python",
    "tf.text FastBertTokenizer": "python",
    "tf.text BertTokenizer": "python",
    "KerasHub": "kerashub_python",
    "Hugging Face": "torch_python",
}
BPE = {"keras_bert BPE": "python", "KerasHub BPE": "kerashub_python"}
BPE |= {"Hugging Face BPE": "torch_python"}

KINDS = {"tweets": "English tweets", "chinese": "Chinese paragraphs", "documents": "long documents"}
# Texts per round and sizes of batches. A document is 100 KB of a novel.
COUNTS = {"tweets": 8000, "chinese": 4000, "documents": 16}
BATCHES = {"tweets": (32, 1000), "chinese": (32, 1000), "documents": (4,)}
DOCUMENT_BYTES = 100_000
SEQ_LENGTH = 128
PIPELINE = "in tf.data"


def drawn(kind: str, arguments) -> list[str]:
    """The texts of a kind, the same in every run."""
    texts = read_texts(getattr(arguments, kind))
    count = max(4, round(COUNTS[kind] * arguments.scale))
    if kind != "documents":
        # Where there are fewer, all come several times.
        return random.Random(0).sample(texts * -(-count // len(texts)), count)
    whole = " ".join(texts[: 2000 * count])
    step = DOCUMENT_BYTES
    return [whole[at : at + step] for at in range(0, min(len(whole), step * count), step)]


@contextlib.contextmanager
def running(names: dict, kind: str, threads: int, arguments):
    """Starts the contenders; yields name -> contender, and what each says of itself."""
    vocabulary = arguments.vocabulary
    if kind == "chinese":
        vocabulary = arguments.chinese_vocabulary or vocabulary
    files = {"wordpiece": str(vocabulary), "bpe": str(arguments.bpe or "")}
    with contextlib.ExitStack() as stack:
        found, versions = {}, {}
        for name, python in names.items():
            found[name] = stack.enter_context(
                Contender(name, getattr(arguments, python), "tokenizing.py", arguments.log)
            )
            versions[name] = found[name].ask(
                "load", kind=name, threads=threads, files=files, seq_length=SEQ_LENGTH
            )
        yield found, versions


def entries(found: dict, batch: int, only_ids: bool) -> dict:
    """What is measured of a kind of text: name -> call."""
    calls = {}
    for name, contender in found.items():
        calls[name] = partial(contender.ask, "tokenize", batch_size=batch)
    for name, contender in found.items():
        if name.startswith("keras_bert"):
            more = {"from Python lists": "lists", "with offsets": "offsets"}
            if name == "keras_bert":
                more["whole preprocessor"] = "packed"
        elif name.startswith("Hugging Face"):
            more = {"encode_batch_fast": "quick"}
            if name == "Hugging Face":
                more["whole preprocessor"] = "packed"
        elif name.endswith("BPE"):
            more = {}
        else:
            more = {"whole preprocessor": "packed"}
        for label, what in more.items():
            calls[f"{name}, {label}"] = partial(
                contender.ask, "tokenize", batch_size=batch, what=what
            )
    for name, contender in found.items():
        if name.startswith("Hugging Face"):
            continue
        calls[f"{name}, {PIPELINE}"] = partial(
            contender.ask, "pipeline", batch_size=batch, what="ids"
        )
        if not name.endswith("BPE"):
            calls[f"{name}, {PIPELINE}, whole preprocessor"] = partial(
                contender.ask, "pipeline", batch_size=batch, what="packed"
            )
    if only_ids:
        quickest = "encode_batch_fast", PIPELINE
        return {n: c for n, c in calls.items() if n in found or n.partition(", ")[2] in quickest}
    return calls


def measure(kind: str, threads: int, family: str, records: Records, arguments) -> None:
    """Measures all batch sizes of a kind of text that are not there yet."""
    names = WORDPIECE if family == "WordPiece" else BPE
    cells = [
        {"family": family, "texts": kind, "threads": threads, "batch": batch}
        | {"scale": arguments.scale, **({"only_ids": True} if arguments.only_ids else {})}
        for batch in BATCHES[kind]
    ]
    missing = [cell for cell in cells if not records.has(cell)]
    if not missing:
        return
    texts = drawn(kind, arguments)
    with running(names, kind, threads, arguments) as (found, versions):
        for contender in found.values():
            size = contender.ask("examples", texts=texts)
        ids = {name: contender.ask("total_ids") for name, contender in found.items()}
        for cell in missing:
            records.add(
                cell,
                results=interleaved(
                    entries(found, cell["batch"], arguments.only_ids),
                    arguments.rounds,
                    arguments.seconds,
                ),
                bytes=size,
                ids=ids,
                versions=versions,
            )


def table(records: list[dict]) -> str:
    """Markdown: one row per batch size and contender; records in the order of batch sizes."""
    lines = [
        "| batch | contender | texts/s | lowest to highest | MB/s | keras_bert is "
        "| in tf.data, keras_bert is | ids |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        results, size = record["results"], record["bytes"]
        for name, result in results.items():
            median, lowest, highest = rates(result)
            ratios = " | ".join(
                f"{times_ours(results[ours], result):.2f} ×" if ours not in (None, name) else ""
                for ours in counterparts(name, results)
            )
            megabytes = median * size / result["examples"] / 1e6
            ids = f"{record['ids'][name]:,}" if name in record["ids"] else ""
            lines.append(
                f"| {record['cell']['batch']} | {name} | {median:,.0f} | {lowest:,.0f} to "
                f"{highest:,.0f} | {megabytes:.1f} | {ratios} | {ids} |"
            )
    return "\n".join(lines)


def counterparts(name: str, results: dict) -> tuple[str | None, str | None]:
    """What of ours a row is compared with: called from Python, and inside tf.data.

    The same work or, where there is no such row of ours, ids.
    """
    base = "keras_bert BPE" if "keras_bert BPE" in results else "keras_bert"
    inside = f"{base}, {PIPELINE}"
    work = name.partition(", ")[2].removeprefix(PIPELINE).removeprefix(", ")
    called, in_data = (f"{one}, {work}" if work else one for one in (base, inside))
    if name.startswith("keras_bert") or in_data not in results:
        in_data = inside
    if name.startswith("keras_bert") or called not in results:
        called = base
    return None if PIPELINE in name else called, in_data


def summary(records: list[dict]) -> str:
    """Markdown: a row per cell, keras_bert inside tf.data beside everybody at their quickest."""
    lines = [
        "| | texts | threads | batch | keras_bert in tf.data, texts/s "
        "| × FastBertTokenizer in tf.data | × KerasHub in tf.data "
        "| × Hugging Face encode_batch | × encode_batch_fast "
        "| preprocessor's time / ids' |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        results, cell = record["results"], record["cell"]
        bpe = " BPE" * (cell["family"] == "BPE")
        inside = f"keras_bert{bpe}, {PIPELINE}"
        ours = results[inside]
        peers = [f"tf.text FastBertTokenizer, {PIPELINE}", f"KerasHub{bpe}, {PIPELINE}"]
        peers += [f"Hugging Face{bpe}", f"Hugging Face{bpe}, encode_batch_fast"]
        ratios = [f"{times_ours(ours, results[p]):.2f}" if p in results else "" for p in peers]
        packed = results.get(f"{inside}, whole preprocessor")
        share = f"{rates(ours)[0] / rates(packed)[0]:.2f}" if packed else ""
        lines.append(
            f"| {cell['family']} | {KINDS[cell['texts']]} | {cell['threads']} | {cell['batch']} "
            f"| {rates(ours)[0]:,.0f} | {' | '.join(ratios)} | {share} |"
        )
    return "\n".join(lines)


def report(records: Records) -> str:
    """All tables of the kept results."""
    order = sorted(
        records.all.values(),
        key=lambda one: (
            one["cell"]["family"] == "BPE",
            list(KINDS).index(one["cell"]["texts"]),
            one["cell"]["threads"],
            one["cell"]["batch"],
        ),
    )
    parts = [records.heading(), "### In short", summary(order)]
    groups = itertools.groupby(
        order, lambda one: [one["cell"][name] for name in ("family", "texts", "threads")]
    )
    for (family, kind, threads), group in groups:
        group = list(group)
        examples = next(iter(group[0]["results"].values()))["examples"]
        parts.append(
            f"### {family}, {KINDS[kind]}, {threads} thread{'s' * (threads > 1)}\n\n"
            f"{examples} texts of {group[0]['bytes'] / examples:,.0f} bytes"
        )
        parts.append(table(group))
        peaks = {
            name: max(
                result["peak_mib"]
                for record in group
                for work, result in record["results"].items()
                if work.partition(", ")[0] == name
            )
            for name in group[0]["ids"]
        }
        grown = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
        parts.append(f"Peak memory on top of that of the loaded tokenizer, MiB: {grown}")
    return "\n\n".join(parts)


def parse(argv):
    """The arguments."""
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--vocabulary", required=True, help="bert-base-uncased's vocab.txt")
    found.add_argument("--chinese-vocabulary", help="bert-base-chinese's vocab.txt, for --chinese")
    found.add_argument("--tweets", required=True, help="folder of .conll files, or .txt, .csv")
    found.add_argument("--chinese", required=True, help="SQuAD-style .json, .txt or .csv")
    found.add_argument("--documents", required=True, help="novels: .txt or .txt.xz")
    found.add_argument("--bpe", help="folder with vocab.json and merges.txt; BPE too")
    found.add_argument("--texts", nargs="*", choices=list(KINDS), default=list(KINDS))
    found.add_argument("--only-ids", action="store_true", help="no other work: more rounds")
    found.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    found.add_argument("--rounds", type=int, default=9)
    found.add_argument("--seconds", type=float, default=60)
    found.add_argument("--scale", type=float, default=1.0)
    found.add_argument("--runs", help="JSON lines file of results; cells in it are not repeated")
    found.add_argument("--python", default=sys.executable, help="interpreter with keras_bert")
    found.add_argument("--torch-python", default="build/peers/torch/bin/python")
    found.add_argument("--kerashub-python", default="build/peers/kerashub/bin/python")
    found.add_argument("--log", default="build/benchmarks/log.txt", help="what contenders print")
    return found.parse_args(argv)


def main(argv=None) -> int:
    """Measures what is missing, prints everything."""
    arguments = parse(argv)
    records = Records(arguments.runs)
    pathlib.Path(arguments.log).parent.mkdir(parents=True, exist_ok=True)
    for family in ["WordPiece", "BPE"][: 1 + bool(arguments.bpe)]:
        for kind in arguments.texts:
            for threads in arguments.threads:
                measure(kind, threads, family, records, arguments)
    print(report(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
