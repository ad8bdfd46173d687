"""Interleaved rounds over contenders, and the Markdown that comes of them."""

import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable


def interleaved(
    entries: dict[str, Callable[[], dict]], rounds: int, seconds: float, pause: float = 0.3
) -> dict[str, dict]:
    """Measures A B C, A B C, …: what disturbs the machine for a while disturbs everybody.

    Args:
        entries: name -> a call that works once through the load and answers
            `{"seconds": ..., "examples": ...}`.
        rounds: rounds wanted, after one uncounted round that warms up (compiles) everybody.
        seconds: no further round begins after this long, once there are three.
        pause: rest between two measurements, for thread pools of the last one to fall asleep.

    Returns:
        name -> `seconds` (one per round), `first` (the uncounted round), `examples`, and whatever
        else the answer of the uncounted round said.
    """
    results = {}
    for name, measure in entries.items():
        answer = measure()
        results[name] = {**answer, "first": answer["seconds"], "seconds": []}
        time.sleep(pause)
    started = time.perf_counter()
    for done in range(rounds):
        if done >= 3 and time.perf_counter() - started > seconds:
            break
        for name, measure in entries.items():
            results[name]["seconds"].append(measure()["seconds"])
            time.sleep(pause)
    return results


def rates(result: dict) -> tuple[float, float, float]:
    """Examples per second: median, lowest, highest."""
    values = [result["examples"] / seconds for seconds in result["seconds"]]
    return statistics.median(values), min(values), max(values)


def times_ours(ours: dict, theirs: dict) -> float:
    """How many times ours is as fast, by medians."""
    return rates(ours)[0] / rates(theirs)[0]


def machine() -> str:
    """The machine in one line."""
    model, memory = platform.processor() or platform.machine(), ""
    if pathlib.Path("/proc/cpuinfo").exists():
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
        flags = next((line for line in lines if line.startswith("flags")), "")
        model += " with AVX-512" if "avx512f" in flags else " without AVX-512"
        total = pathlib.Path("/proc/meminfo").read_text().split("kB")[0].split()[-1]
        memory = f", {int(total) / 2**20:.0f} GiB memory"
    return (
        f"{model}, {os.cpu_count()} cores{memory}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


class Records:
    """Results as JSON lines, so that a long benchmark can be made in pieces.

    Args:
        path: the file, or None to keep the results in memory only.
    """

    def __init__(self, path: str | None):
        self.path = path and pathlib.Path(path)
        self.all: dict[str, dict] = {}
        if self.path and self.path.exists():
            for line in self.path.read_text().splitlines():
                record = json.loads(line)
                self.all[key_of(record["cell"])] = record

    def has(self, cell: dict) -> bool:
        """Whether this cell has been measured."""
        return key_of(cell) in self.all

    def add(self, cell: dict, **content) -> None:
        """Keeps a measured cell, and reports it on standard error."""
        record = {"cell": cell, "machine": machine(), **content}
        self.all[key_of(cell)] = record
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a") as file:
                file.write(json.dumps(record) + "\n")
        print("measured:", json.dumps(cell), file=sys.stderr, flush=True)

    def heading(self) -> str:
        """Machines and versions of the kept results as Markdown lines."""
        machines = dict.fromkeys(record["machine"] for record in self.all.values())
        versions = {}
        for record in self.all.values():
            for name, numbers in record["versions"].items():
                versions[name] = ", ".join(f"{key} {value}" for key, value in numbers.items())
        lines = [f"- machine: {name}" for name in machines]
        lines += [f"- {name}: {numbers}" for name, numbers in versions.items()]
        return "\n".join(lines)


def key_of(cell: dict) -> str:
    """A cell's identity."""
    return json.dumps(cell, sort_keys=True)
