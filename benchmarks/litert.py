"""LiteRT files of an encoder: size, likeness and latency, beside onnxruntime.

Every contender runs in a process of its own, pinned to one core; the contenders take turns (A B C,
A B C, ...) and the others sleep meanwhile. One row of ids at a time, as on a phone. Example:

    python benchmarks/litert.py --minilm MINILM_FOLDER --texts banking77/test.csv \
        --calibration banking77/train.csv --torch-python build/peers/torch/bin/python
"""

import argparse
import contextlib
import csv
import pathlib
import statistics
import sys
from functools import partial

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

from contender import Contender
from measure import interleaved, machine

LENGTHS = (16, 32, 128)
QUANTIZE = (None, "float16", "dynamic_int8", "int8")
PEER = "onnxruntime, dynamic int8"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    result.add_argument("--minilm", required=True, help="folder of the encoder")
    result.add_argument("--texts", required=True, help="CSV with a column text: what is compared")
    result.add_argument("--calibration", required=True, help="CSV with a column text, for int8")
    result.add_argument("--torch-python", help="interpreter with torch, transformers, onnxruntime")
    result.add_argument("--folder", default="build/benchmarks/litert", help="where files go")
    result.add_argument("--count", type=int, default=200, help="texts that are compared")
    result.add_argument("--calls", type=int, default=5, help="calls in a round")
    result.add_argument("--rounds", type=int, default=15)
    result.add_argument("--log", default="build/benchmarks/log.txt")
    return result


def column(path: str, count: int) -> list[str]:
    """The first texts of a CSV file, evenly taken from all of it."""
    with open(path, encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    return texts[:: max(1, len(texts) // count)][:count]


def write_files(arguments, folder: pathlib.Path):
    """Our files, what the model computes of the texts, and the rows of ids."""
    import keras_bert as kb

    model = kb.DualEncoder.from_pretrained(arguments.minilm, seq_length=128)
    texts, files = column(arguments.texts, arguments.count), {}
    for quantize in QUANTIZE:
        options = {"lengths": LENGTHS, "sample": texts[:16], "max_drop": None}
        if quantize == "int8":
            options["calibration"] = column(arguments.calibration, 100)
        name = f"LiteRT, {(quantize or 'float32').replace('_', ' ')}"
        files[name] = folder / f"{quantize or 'float32'}.tflite"
        kb.export.litert(model, files[name], quantize, **options)
    rows = []
    for text in texts:
        packed = model.preprocessor([text])
        names = ("input_word_ids", "input_mask", "input_type_ids")
        rows.append({name: packed[name].numpy().tolist() for name in names})
    return files, model.encode(texts), rows, texts


def row_of(length: int) -> dict:
    """Ids of common words, no padding."""
    words = [101, *[2000 + 7 * place % 900 for place in range(length - 2)], 102]
    return {
        "input_word_ids": [words],
        "input_mask": [[1] * length],
        "input_type_ids": [[0] * length],
    }


def likeness(found, wanted) -> tuple[float, float, float]:
    """Largest difference, mean and least cosine."""
    import numpy as np

    found = np.array(found)
    cosines = (found * wanted).sum(1)
    cosines /= np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(np.abs(found - wanted).max()), float(cosines.mean()), float(cosines.min())


def latencies(contenders: dict, arguments, texts: list[str]) -> dict:
    """Name → column → seconds of one call, one for each round."""
    found = {name: {} for name in contenders}

    ours = {name: c for name, c in contenders.items() if name.startswith("LiteRT")}
    calls = arguments.calls
    for length in LENGTHS:
        ask = {"do": "ids", "row": row_of(length), "calls": calls}
        entries = {name: partial(c.ask, **ask) for name, c in contenders.items()}
        # In turn with the others, so that the columns can be compared too.
        fixed = {
            f"{name}|": partial(c.ask, **ask, signature=f"tokens_{length}")
            for name, c in ours.items()
        }
        results = interleaved(entries | fixed, arguments.rounds, seconds=600, pause=0.02)
        for name, result in results.items():
            key = f"tokens_{length}" if name.endswith("|") else f"{length} tokens"
            found[name.rstrip("|")][key] = [seconds / calls for seconds in result["seconds"]]
    few = texts[:calls]
    entries = {name: partial(c.ask, "texts", texts=few) for name, c in ours.items()}
    for name, result in interleaved(entries, arguments.rounds, 600, pause=0.02).items():
        found[name]["text"] = [seconds / calls for seconds in result["seconds"]]
    return found


def table(sizes: dict, alike: dict, times: dict) -> str:
    """The results as Markdown; ratios are to onnxruntime's dynamic int8."""
    columns = [f"{length} tokens" for length in LENGTHS]
    fixed = [f"tokens_{length}" for length in LENGTHS]
    lines = [
        "| | MB | largest difference | cosine, mean | least |",
        "|---|---|---|---|---|",
    ]
    for name, size in sizes.items():
        difference, mean, least = alike[name]
        lines.append(f"| {name} | {size / 1e6:.1f} | {difference:.1e} | {mean:.5f} | {least:.5f} |")
    headings = [*columns, *fixed, "text"]
    lines += ["", f"| ms | {' | '.join(headings)} |", "|---" * (1 + len(headings)) + "|"]
    for name, measured in times.items():
        cells = [_cell(measured, times.get(PEER, {}), heading) for heading in headings]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(measured: dict, peer: dict, heading: str) -> str:
    """Median and lowest in milliseconds; how many times as fast as the peer, by both."""
    if heading not in measured:
        return ""
    both = [of(measured[heading]) for of in (statistics.median, min)]
    cell = f"{both[0] * 1e3:.1f} ({both[1] * 1e3:.1f})"
    rival = peer.get(heading.replace("tokens_", "") + " tokens" * heading.startswith("tokens_"))
    if rival is None:
        return cell
    ratios = [of(rival) / mine for of, mine in zip((statistics.median, min), both, strict=True)]
    return f"{cell}, ×{ratios[0]:.2f} (×{ratios[1]:.2f})"


def main() -> None:
    """Prints the tables."""
    arguments = parser().parse_args()
    folder = pathlib.Path(arguments.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pathlib.Path(arguments.log).parent.mkdir(parents=True, exist_ok=True)
    files, wanted, rows, texts = write_files(arguments, folder)
    versions = {}
    with contextlib.ExitStack() as stack:
        scripts = {
            name: (sys.executable, "litert_file.py", str(file)) for name, file in files.items()
        }
        if arguments.torch_python:
            plain, quantized = folder / "model.onnx", folder / "int8.onnx"
            with Contender("writer", arguments.torch_python, "onnx_runtime.py", arguments.log) as c:
                paths = {"file": str(plain), "quantized": str(quantized)}
                versions["PyTorch"] = c.ask("write", folder=arguments.minilm, **paths)
            for name, file in (("onnxruntime, float32", plain), (PEER, quantized)):
                scripts[name] = (arguments.torch_python, "onnx_runtime.py", str(file))
                files[name] = file
        contenders = {}
        for name, (python, script, file) in scripts.items():
            contenders[name] = stack.enter_context(Contender(name, python, script, arguments.log))
            versions[name] = contenders[name].ask("load", file=file, threads=1)
        alike = {n: likeness(c.ask("embed", rows=rows), wanted) for n, c in contenders.items()}
        times = latencies(contenders, arguments, texts)
    print(f"- machine: {machine()}")
    for name, numbers in versions.items():
        print(f"- {name}: " + ", ".join(f"{key} {value}" for key, value in numbers.items()))
    print()
    print(table({name: file.stat().st_size for name, file in files.items()}, alike, times))


if __name__ == "__main__":
    main()
