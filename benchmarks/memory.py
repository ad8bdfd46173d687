"""Memory of a training step: what `plan_memory` foretells beside what a process takes.

Each cell is measured in a process of its own on CPU: a model of random weights takes two steps on
random ids, and the most memory the process ever held is read from the kernel. What Python,
TensorFlow and the graph hold is measured likewise, by a model of the same depth and a width of 16,
on a batch of one text of 8 tokens, and taken off. Example:

    python benchmarks/memory.py --cells base:1:128 base:4:128 base:1:512 base:4:128:checkpointing \
        > memory.md

A cell is SIZES:BATCH:LENGTH, with `:checkpointing`, `:accumulate` or `:bfloat16` behind it.
"""

import argparse
import json
import subprocess
import sys
import time


def peak_bytes(sizes: str, batch: int, length: int, options: list[str]) -> dict:
    """Trains in this process; returns the most memory it ever held."""
    import numpy as np

    import keras_bert as kb
    from keras_bert.training.memory import SIZES

    name, _, narrow = sizes.partition("/")
    layers, hidden, heads = SIZES[name]
    if narrow:
        hidden, heads = 16, 2
    config = kb.EncoderConfig(
        vocab_size=64 if narrow else 30522,
        num_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
    )
    encoder = kb.BertEncoder(
        config,
        checkpointing="checkpointing" in options,
        dtype="mixed_bfloat16" if "bfloat16" in options else None,
    )
    model = kb.BertClassifier(encoder, labels=["a", "b"])
    model.compile(kb.AdamW(gradient_accumulation_steps=2 if "accumulate" in options else None))
    ids = np.random.default_rng(0).integers(5, config.vocab_size, (2 * batch, length), "int32")
    inputs = {"input_word_ids": ids, "input_mask": np.ones_like(ids)}
    inputs["input_type_ids"] = np.zeros_like(ids)
    started = time.perf_counter()
    model.fit(inputs, np.arange(2 * batch) % 2, batch_size=batch, verbose=0)
    seconds = time.perf_counter() - started
    with open("/proc/self/status") as status:
        high = next(line for line in status if line.startswith("VmHWM"))
    return {"bytes": 1024 * int(high.split()[1]), "seconds": seconds}


def in_a_process(cell: str) -> dict:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--one", cell]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])


def row(cell: str) -> str:
    """A line of the table."""
    from keras_bert.training.memory import plan_memory

    sizes, batch, length, *options = cell.split(":")
    plan = plan_memory(
        sizes,
        int(batch),
        int(length),
        checkpointing="checkpointing" in options,
        accumulate=2 if "accumulate" in options else 1,
        dtype="mixed_bfloat16" if "bfloat16" in options else "float32",
    )
    base = in_a_process(":".join([f"{sizes}/narrow", "1", "8", *options]))["bytes"]
    found = in_a_process(cell)["bytes"] - base
    return (
        f"| {sizes} | {batch} | {length} | {', '.join(options) or 'plain'} "
        f"| {plan.peak / 2**30:.2f} | {found / 2**30:.2f} | {plan.peak / found - 1:+.0%} |"
    )


def main() -> None:
    """Prints the table as Markdown, each line when it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", metavar="CELL")
    parser.add_argument("--one", metavar="CELL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        sizes, batch, length, *options = arguments.one.split(":")
        print(json.dumps(peak_bytes(sizes, int(batch), int(length), options)))
        return
    print("| sizes | batch | length | how | foretold, GiB | measured, GiB | difference |")
    print("|---|---|---|---|---|---|---|")
    for cell in arguments.cells:
        print(row(cell), flush=True)


if __name__ == "__main__":
    main()
