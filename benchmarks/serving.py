"""Requests over HTTP: the development server beside PyTorch and onnxruntime behind Starlette.

The same classifier of 77 labels (MiniLM's encoder, a random head: speed does not depend on its
values) is served by `keras-bert serve` from its two exports (weights as variables, as constants),
by Hugging Face's model on PyTorch and by onnxruntime with Hugging Face's tokenizer, each in a
process of its own; clients run in another. Strings go in and labels with probabilities come out.
The servers take turns within each round, the first round warms up, and the table gives medians over
the rounds. Example:

    python benchmarks/serving.py --minilm MINILM_FOLDER --texts datasets/banking77/test.csv \
        --torch-python build/peers/torch/bin/python > serving.md

`--torch-python` needs torch, transformers, starlette and uvicorn; onnxruntime is measured where
that Python has onnxruntime and onnx too. Where httptools is installed on one side only, install it
on the other as well: uvicorn reads HTTP faster with it.
"""

import argparse
import csv
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
#: Name of a measurement → (texts per request, loop, its size: clients or requests a second).
CELLS = {
    "1 client": (1, "closed", 1),
    "8 clients": (1, "closed", 8),
    "32 clients": (1, "closed", 32),
    "1 client, 32 texts a request": (32, "closed", 1),
    "open loop": (1, "open", None),
}
OURS, TORCH, ORT = "keras-bert serve", "Starlette + PyTorch", "Starlette + onnxruntime"
CONSTANTS = "keras-bert serve, weights as constants"


def read_texts(paths):
    """The texts of .csv files (column text, or the first) and CoNLL folders, mixed."""
    texts = []
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            texts += [text for file in sorted(path.glob("*.conll")) for text in sentences(file)]
        else:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            name = "text" if "text" in rows[0] else next(iter(rows[0]))
            texts += [row[name] for row in rows]
    random.Random(5).shuffle(texts)
    return texts


def sentences(path):
    words = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            words.append(line.split()[0])
        elif words:
            yield " ".join(words)
            words = []


def make_models(minilm, folder):
    """One classifier's two exports by server, and its Hugging Face folder, made once."""
    exported = {OURS: folder / "variables", CONSTANTS: folder / "constants"}
    ours = folder / "huggingface"
    if not (ours / "config.json").exists():
        import numpy as np

        import keras_bert as kb

        labels = [f"intent {i}" for i in range(77)]
        model = kb.BertClassifier.from_pretrained(minilm, labels=labels)
        chance = np.random.default_rng(1)
        for layer in model.head_layers().values():
            weights = [chance.normal(size=w.shape, scale=0.3) for w in layer.get_weights()]
            layer.set_weights(weights)
        model.save_pretrained(str(ours), format="huggingface")
        for path in exported.values():
            options = {"weights": path.name, "version": 1, "verify": False}
            kb.export.saved_model(model, path / "intents", **options)
    return exported, ours


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Served:
    """A server's process."""

    def __init__(self, name, command, port):
        self.name, self.address = name, f"127.0.0.1:{port}"
        self.process = subprocess.Popen(command, stdout=sys.stderr)

    def answer(self, texts):
        """What the server says of texts."""
        body = json.dumps({"instances": texts}).encode()
        url = f"http://{self.address}/v1/models/intents:predict"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as response:
            return json.load(response)["predictions"]

    def wait(self):
        """Waits until the server answers."""
        end = time.monotonic() + 180
        while True:
            try:
                return self.answer(["a"])
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    sys.exit(f"{self.name} did not start")
                time.sleep(0.5)


def start(args, models, folder):
    threads = str(args.threads)
    servers = []

    def add(name, command):
        port = free_port()
        servers.append(Served(name, [*command, "--port", str(port)], port))

    for name, path in models.items():
        ours = [sys.executable, "-m", "keras_bert", "serve", str(path), "--no-grpc"]
        add(name, [*ours, "--intra-op-threads", threads])
    if args.torch_python:
        peer = [args.torch_python, str(HERE / "peers" / "text_server.py"), "--model", str(folder)]
        add(TORCH, [*peer, "--runtime", "torch", "--threads", threads])
        probe = [args.torch_python, "-c", "import onnxruntime, onnx"]
        if subprocess.run(probe, capture_output=True).returncode == 0:
            add(ORT, [*peer, "--runtime", "onnxruntime", "--threads", threads])
    return servers


def compare(servers, texts):
    """Refuses to measure servers that do not answer the same; returns the largest difference."""
    answers = [server.answer(texts) for server in servers]
    worst = 0.0
    for server, found in zip(servers, answers, strict=True):
        for text, ours, theirs in zip(texts, answers[0], found, strict=True):
            pairs = zip(ours["probabilities"], theirs["probabilities"], strict=True)
            worst = max(worst, *(abs(a - b) for a, b in pairs))
            if ours["label"] != theirs["label"] and worst > 1e-4:
                sys.exit(f"{server.name} answers {text!r} otherwise")
    return worst


def measure(server, texts, rows, loop, size, seconds):
    requests = [texts[i : i + rows] for i in range(0, len(texts) - rows + 1, rows)]
    settings = {
        "address": server.address,
        "path": "/v1/models/intents:predict",
        "requests": requests[:512],
        "loop": loop,
        "seconds": seconds,
        ("clients" if loop == "closed" else "rate"): size,
    }
    command = [sys.executable, str(HERE / "peers" / "load.py")]
    found = subprocess.run(
        command, input=json.dumps(settings), capture_output=True, text=True, check=True
    )
    result = json.loads(found.stdout)
    times = result["milliseconds"] or [float("nan")]
    place = {name: times[min(int(share * len(times)), len(times) - 1)] for name, share in SHARES}
    return {**place, "requests/s": len(times) / result["seconds"], "failed": result["failed"]}


SHARES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def rounds(servers, texts, args):
    """{(cell, server): [result of a round, ...]}, the first round left out."""
    results = {}
    for number in range(args.rounds + 1):
        for cell, (rows, loop, size) in CELLS.items():
            for server in servers:
                seconds = args.seconds if number else min(args.seconds, 3)
                found = measure(server, texts, rows, loop, size or args.rate, seconds)
                print(number, cell, server.name, found, file=sys.stderr, flush=True)
                if number:
                    results.setdefault((cell, server.name), []).append(found)
    return results


def table(results, servers, args):
    names = [*(name for name, _ in SHARES), "requests/s", "failed"]
    yield f"| load | server | {' | '.join(names)} | p50 / ours | requests/s of ours |"
    yield "|---" * (len(names) + 4) + "|"
    for cell in CELLS:
        ours = medians(results[cell, OURS], names)
        shown = f"{cell}, {args.rate:g} requests/s" if cell == "open loop" else cell
        for server in servers:
            found = medians(results[cell, server.name], names)
            cells = [f"{found[name]:.1f}" for name in names[:-1]] + [f"{found['failed']:g}"]
            ratios = [found["p50"] / ours["p50"], ours["requests/s"] / found["requests/s"]]
            cells += [f"{ratio:.2f}" for ratio in ratios]
            yield f"| {shown} | {server.name} | {' | '.join(cells)} |"


def medians(found, names):
    return {name: statistics.median(result[name] for result in found) for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", required=True, help="Hugging Face folder of MiniLM")
    parser.add_argument("--texts", nargs="+", required=True, help=".csv files, CoNLL folders")
    parser.add_argument("--torch-python", help="Python with torch, transformers, uvicorn")
    parser.add_argument("--folder", default="build/benchmarks/serving", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=20, help="requests/s of the open loop")
    parser.add_argument("--threads", type=int, default=2, help="of each server's operations")
    args = parser.parse_args()
    texts = read_texts(args.texts)
    models, folder = make_models(args.minilm, args.folder)
    servers = start(args, models, folder)
    try:
        for server in servers:
            server.wait()
        worst = compare(servers, texts[:32])
        results = rounds(servers, texts, args)
    finally:
        for server in servers:
            server.process.terminate()
            server.process.wait()
    print(f"Largest difference of a probability between two servers: {worst:.1g}\n")
    print("\n".join(table(results, servers, args)))


if __name__ == "__main__":
    main()
