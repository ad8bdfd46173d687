"""How long loading a checkpoint takes and how much memory: a table in Markdown.

Every load is a process of its own, so that its peak memory is its own too, and processes take
turns: keras_bert, transformers, KerasHub, keras_bert, ... The clock runs from a path to a model
whose weights are there, after all imports and after a tiny model of the same kind was loaded once,
which makes what a library only makes once; and on to the end of a first pass over eight tokens, for
a library may leave the reading to that. Memory is the peak of the process above what it had before,
up to that end, beside the size of the weights. Example:

    python benchmarks/checkpoints.py --sizes base large --runs build/benchmarks/checkpoints.jsonl

The checkpoints are written on first use, with random weights: the time does not depend on the
values. The file is in the system's cache: a first round, which does not count, brings it there.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "peers")]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

IDS = [[1, 2, 3, 4, 5, 6, 7, 8]]
#: Size → layers, width, heads.
SIZES = {"tiny": (1, 16, 2), "base": (12, 768, 12), "large": (24, 1024, 16)}


def load_ours(folder: str):
    """keras_bert's encoder."""
    import numpy

    import keras_bert

    model, ids = keras_bert.BertEncoder.from_pretrained(folder), numpy.array(IDS, "int32")
    return lambda: model({"input_word_ids": ids})["sequence_output"]


def load_transformers(folder: str):
    """Hugging Face's, on PyTorch."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = transformers.BertModel.from_pretrained(folder).eval()

    def run():
        with torch.inference_mode():
            return model(torch.tensor(IDS)).last_hidden_state

    return run


def load_kerashub(folder: str):
    """KerasHub's, which converts while it reads."""
    import keras_hub
    import numpy

    model = keras_hub.models.BertBackbone.from_preset(folder)
    inputs = {"token_ids": IDS, "padding_mask": [[1] * 8], "segment_ids": [[0] * 8]}
    inputs = {name: numpy.array(ids, "int32") for name, ids in inputs.items()}
    return lambda: model(inputs)["sequence_output"]


CONTENDERS = {
    "keras_bert": (load_ours, lambda arguments: sys.executable),
    "transformers": (load_transformers, lambda arguments: arguments.torch_python),
    "KerasHub": (load_kerashub, lambda arguments: arguments.kerashub_python),
}


def main():
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="*", choices=["base", "large"], default=["base", "large"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--folder", default="build/benchmarks/checkpoints")
    parser.add_argument("--runs", help="JSON lines file that takes every load")
    parser.add_argument("--torch-python", default="build/peers/torch/bin/python")
    parser.add_argument("--kerashub-python", default="build/peers/kerashub/bin/python")
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(load(*arguments.load)))
        return
    for size in ["tiny", *arguments.sizes]:
        write(arguments.folder, size)
    cells = {}
    for threads in arguments.threads:
        for size in arguments.sizes:
            for number in range(arguments.rounds + 1):
                for contender in arguments.contenders:
                    result = measure(contender, size, threads, arguments)
                    if number:  # the first round brings the file into memory
                        cells.setdefault((threads, size), {}).setdefault(contender, []).append(
                            result
                        )
                        note(arguments.runs, contender, size, threads, result)
    print_tables(cells, arguments)


def write(folder: str, size: str) -> None:
    """Writes a Hugging Face folder of a size, unless it is there."""
    path = pathlib.Path(folder) / size
    if path.is_dir():
        return
    import keras_bert
    from keras_bert.text import WordPieceTokenizer

    layers, width, heads = SIZES[size]
    config = keras_bert.EncoderConfig(
        hidden_size=width,
        num_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        vocab_size=30522 if size != "tiny" else 100,
    )
    encoder = keras_bert.BertEncoder(config)
    encoder.save_pretrained(str(path))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [f"word{number}" for number in range(config.vocab_size - len(tokens))]
    # KerasHub does not open a folder without a vocabulary.
    WordPieceTokenizer(tokens).save_pretrained(str(path))


def measure(contender: str, size: str, threads: int, arguments) -> dict:
    """One load in a process of its own, on as many cores as it has threads."""
    python = CONTENDERS[contender][1](arguments)
    command = [python, __file__, "--load", contender, arguments.folder, size]
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:threads])
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "HF_HUB_OFFLINE": "1"}
    answer = subprocess.run(
        ["taskset", "-c", cores, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def load(contender: str, folder: str, size: str) -> dict:
    """Seconds of a load and of all until a first pass, and bytes that this took at its peak."""
    load_one = CONTENDERS[contender][0]
    load_one(os.path.join(folder, "tiny"))()
    forget_peak()
    before = memory("VmRSS")
    started = time.perf_counter()
    run = load_one(os.path.join(folder, size))
    loaded = time.perf_counter()
    run()
    done = time.perf_counter()
    return {
        "seconds": loaded - started,
        "with_pass": done - started,
        "peak": memory("VmHWM") - before,
        "kept": memory("VmRSS") - before,
    }


def forget_peak() -> None:
    """Lets the system count the process's peak memory from now on. Source: ``man 5 proc``."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def memory(field: str) -> int:
    """Bytes that the process has in memory (``VmRSS``) or had at its peak (``VmHWM``).

    Pages of files that it maps count too.
    """
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) * 1024


def note(path: str | None, contender: str, size: str, threads: int, result: dict) -> None:
    """Appends a load to the file of runs."""
    if path:
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        line = {"contender": contender, "size": size, "threads": threads, **result}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def print_tables(cells: dict, arguments) -> None:
    """Medians, and keras_bert's beside them."""
    from measure import machine

    print(f"Machine: {machine()}. Medians of {arguments.rounds} loads.\n")
    print("| size | threads | library | load, s | with a first pass, s | peak | of the weights |")
    print("|---|---|---|---|---|---|---|")
    for (threads, size), results in cells.items():
        weights = (pathlib.Path(arguments.folder) / size / "model.safetensors").stat().st_size
        for contender, loads in results.items():
            peak = statistics.median(one["peak"] for one in loads)
            print(
                f"| BERT-{size} | {threads} | {contender} | {spread(loads, 'seconds')} "
                f"| {spread(loads, 'with_pass')} | {peak / 2**20:,.0f} MiB "
                f"| {peak / weights:.2f} × |"
            )


def spread(loads: list[dict], field: str) -> str:
    """Median, lowest and highest."""
    values = [one[field] for one in loads]
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
