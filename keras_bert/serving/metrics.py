"""Metrics in Prometheus' text format, under TF Serving's names where it has them."""

from __future__ import annotations

import bisect
import os
import threading
from collections.abc import Mapping, Sequence

__all__ = ["METRICS_PATH", "Metrics"]

METRICS_PATH = "/monitoring/prometheus/metrics"


def _exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    return tuple(scale * growth**i for i in range(count))


# TF Serving's buckets: microseconds for latencies (servables/tensorflow/util.cc,
# saved_model_warmup_util.cc), rows for sizes (batching_util.h).
_LATENCY = _exponential(10, 1.8, 33)
_QUEUING = _exponential(100, 1.2, 52)
_SIZES = _exponential(1, 2, 14)
_EXAMPLES = _exponential(1, 2, 15)
_SERVING = "/tensorflow/serving/"
_BATCHING = f"{_SERVING}batching_session/"
#: Histograms: name → (labels, buckets).
_HISTOGRAMS: Mapping[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    f"{_SERVING}request_latency": (("model_name", "API", "entrypoint"), _LATENCY),
    f"{_SERVING}runtime_latency": (("model_name", "API", "runtime"), _LATENCY),
    f"{_SERVING}request_example_counts": (("model",), _EXAMPLES),
    f"{_SERVING}model_warmup_latency": (("model_path", "status"), _LATENCY),
    f"{_BATCHING}queuing_latency": (("thread_pool_name",), _QUEUING),
    f"{_BATCHING}padding_size": (("execution_batch_size",), _SIZES),
    f"{_BATCHING}input_batch_size": ((), _SIZES),
    f"{_BATCHING}processed_batch_size": ((), _SIZES),
}
#: Counters: name → labels.
_COUNTERS: Mapping[str, tuple[str, ...]] = {
    f"{_SERVING}request_count": ("model_name", "status"),
    f"{_SERVING}request_example_count_total": ("model",),
    f"{_SERVING}model_warmup_records_read": ("model_path", "status"),
    f"{_BATCHING}wrapped_run_count": (),
}


class _Histogram:
    """How many values were at most so large."""

    def __init__(self, limits: Sequence[float]):
        self.limits = limits
        self.counts = [0] * (len(limits) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        # A bucket takes what is below its limit.
        self.counts[bisect.bisect_right(self.limits, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str):
        inner, total = f"{labels}," if labels else "", 0
        for limit, count in zip((*self.limits, None), self.counts, strict=True):
            total += count
            shown = "+Inf" if limit is None else f"{limit:g}"
            yield f'{name}_bucket{{{inner}le="{shown}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self.sum:.6g}"
        yield f"{name}_count{{{labels}}} {total}"


class Metrics:
    """What a server counts. May be used from several threads.

    Example:
        >>> metrics = Metrics()
        >>> metrics.request("cards", "predict", "REST", "OK", 0.012)
        >>> ':tensorflow:serving:request_count{model_name="cards",status="OK"} 1' in metrics.text()
        True
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._values = {name: {} for name in (*_COUNTERS, *_HISTOGRAMS)}

    def request(self, model: str, api: str, entrypoint: str, code: str, seconds: float) -> None:
        """Counts a request; its time only where it was answered, as TF Serving does."""
        with self._lock:
            self._count("request_count", (model, code))
            if code == "OK":
                self._add(f"{_SERVING}request_latency", (model, api, entrypoint), seconds * 1e6)

    def examples(self, model: str, count: int) -> None:
        """Counts the ``tf.Example`` records of a request."""
        with self._lock:
            self._count("request_example_count_total", (model,), count)
            self._add(f"{_SERVING}request_example_counts", (model,), count)

    def runtime_latency(self, model: str, api: str, seconds: float) -> None:
        """Counts the time of one run of a signature."""
        with self._lock:
            self._add(f"{_SERVING}runtime_latency", (model, api, "TF1"), seconds * 1e6)

    def warm_up(self, path: str, code: str, records: int, seconds: float) -> None:
        """Counts the warm-up of one version."""
        with self._lock:
            self._count("model_warmup_records_read", (path, code), records)
            self._add(f"{_SERVING}model_warmup_latency", (path, code), seconds * 1e6)

    def queuing_latency(self, pool: str, seconds: float) -> None:
        """Counts how long a request waited for its batch."""
        with self._lock:
            self._add(f"{_BATCHING}queuing_latency", (pool,), seconds * 1e6)

    def batch(self, rows: int, executed: int, sizes: Sequence[int]) -> None:
        """Counts a batch: its rows, those computed with the filling, those of each request."""
        with self._lock:
            name = f"{_BATCHING}wrapped_run_count"
            self._values[name][()] = self._values[name].get((), 0) + 1
            self._add(f"{_BATCHING}padding_size", (str(executed),), executed - rows)
            self._add(f"{_BATCHING}processed_batch_size", (), executed)
            for size in sizes:
                self._add(f"{_BATCHING}input_batch_size", (), size)

    def text(self) -> str:
        """The page that Prometheus reads."""
        with self._lock:
            lines = [line for name in sorted(self._values) for line in self._lines(name)]
        memory = _resident_bytes()
        if memory is not None:
            lines += ["# TYPE process_resident_memory_bytes gauge"]
            lines += [f"process_resident_memory_bytes {memory}"]
        return "\n".join(lines) + "\n"

    def _count(self, name: str, labels: tuple[str, ...], number: int = 1) -> None:
        values = self._values[f"{_SERVING}{name}"]
        values[labels] = values.get(labels, 0) + number

    def _add(self, name: str, labels: tuple[str, ...], value: float) -> None:
        values = self._values[name]
        if labels not in values:
            values[labels] = _Histogram(_HISTOGRAMS[name][1])
        values[labels].add(value)

    def _lines(self, name: str):
        values = self._values[name]
        if not values:
            return
        shown = name.replace("/", ":")
        is_counter = name in _COUNTERS
        yield f"# TYPE {shown} {'counter' if is_counter else 'histogram'}"
        names = _COUNTERS[name] if is_counter else _HISTOGRAMS[name][0]
        for labels, value in values.items():
            pairs = zip(names, map(_escaped, labels), strict=True)
            written = ",".join(f'{key}="{label}"' for key, label in pairs)
            if is_counter:
                yield f"{shown}{{{written}}} {value}"
            else:
                yield from value.lines(shown, written)


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _resident_bytes() -> int | None:
    """Memory of this process, where the system tells it as Linux does."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
