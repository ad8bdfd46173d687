"""How the tokenizer's time and memory grow on texts that nobody should send: a table in Markdown.

Every row is a process of its own, so that its peak memory is its own too. "growth"
is the time per byte beside that of the row above: 1 is linear. Example:

    python benchmarks/tokenizer_limits.py > limits.md
    python benchmarks/tokenizer_limits.py --cases "files of 1 MB" --megabytes 125 250 500 1000
    python benchmarks/tokenizer_limits.py --backend python --megabytes 1 2 4
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TOKENS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the card is lost un ##aff ##able a ##a 中 国 σ ##σ ς ##ς . ,"
).split()
WORDS = "The unaffable card is lost, 中国. "

# name -> texts of about this many bytes in all.
CASES = {
    "one text": lambda size: [WORDS * (size // len(WORDS.encode()))],
    "texts of 100 kB": lambda size: [WORDS * (100_000 // len(WORDS.encode()))] * (size // 100_000),
    "short texts": lambda size: [WORDS] * (size // len(WORDS.encode())),
    "one word": lambda size: ["a" * size],
    "combining marks": lambda size: ["a" + "\u0301" * (size // 2)],
    "capital sigmas": lambda size: ["ΑΣ " * (size // 5)],
    "sigmas and marks": lambda size: ["Α" + "\u0301" * (size // 2) + "Σ"],
    "ill-formed bytes": lambda size: [b"a\xff" * (size // 2)],
    "zero-width": lambda size: ["a" + "\u200b" * (size // 3)],
    "signs": lambda size: ["." * size],
    "blanks": lambda size: [" " * size],
}
# Files that tf.data reads and tokenizes one by one; every other case is one call.
FILES = "files of 1 MB"


def measure(case: str, size: int, spans: bool, backend: str) -> dict:
    """Seconds of the second call, and the memory that both took on top of everything before."""
    import tensorflow as tf

    from keras_bert.text import WordPieceTokenizer

    tokenizer = WordPieceTokenizer(TOKENS, backend=backend)
    call = tokenizer.tokenize_with_offsets if spans else tokenizer.tokenize
    call(tf.constant(["warm ΑΣ", "a" * 300, b"\xff"]))
    with tempfile.TemporaryDirectory() as folder:
        if case == FILES:
            run = reading(call, written(folder, size))
        else:
            run = functools.partial(call, tf.constant(CASES[case](size)))
        before = _peak()
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    return {"seconds": min(seconds), "megabytes": _peak() - before}


def written(folder: str, size: int) -> list[str]:
    """Paths of new files of 1 MB, about `size` bytes together."""
    paths = [os.path.join(folder, f"{number}.txt") for number in range(round(size / 1e6))]
    for number, path in enumerate(paths):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{number} " + WORDS * (1_000_000 // len(WORDS.encode())))
    return paths


def reading(call, paths: list[str]):
    """A function that takes all files through tf.data."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(paths).map(tf.io.read_file).map(call)
    return lambda: sum(1 for _ in data)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def in_a_process(*arguments) -> dict | None:
    """The measurement's answer, None where its process did not live."""
    command = [sys.executable, __file__, "--worker", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, nargs="+", default=[12.5, 25, 50, 100])
    parser.add_argument(
        "--cases", metavar="CASE", nargs="+", choices=[*CASES, FILES], default=list(CASES)
    )
    parser.add_argument("--spans", action="store_true", help="tokenize_with_offsets")
    parser.add_argument("--backend", default="tensorflow", choices=["tensorflow", "python"])
    parser.add_argument("--worker", nargs=4, metavar=("CASE", "BYTES", "SPANS", "BACKEND"))
    arguments = parser.parse_args()
    if arguments.worker:
        case, size, spans, backend = arguments.worker
        print(json.dumps(measure(case, int(size), spans == "True", backend)))
        return
    print(
        "| text | MB | seconds | growth | MB/s | peak memory, MB more |\n|---|---|---|---|---|---|"
    )
    for case in arguments.cases:
        last = None
        for megabytes in arguments.megabytes:
            size = int(megabytes * 1e6)
            found = in_a_process(case, size, arguments.spans, arguments.backend)
            if found is None:
                print(f"| {case} | {megabytes:g} | failed | | | |", flush=True)
                continue
            seconds = found["seconds"]
            growth = f"{seconds / megabytes / last:.2f}" if last else ""
            last = seconds / megabytes
            print(
                f"| {case} | {megabytes:g} | {seconds:.2f} | {growth} | {megabytes / seconds:.1f} "
                f"| {found['megabytes']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
