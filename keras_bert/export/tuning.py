"""How a server should batch on this machine: measured, and written as TF Serving reads it."""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_bert.complete_file import complete_file

__all__ = ["BATCHING", "MODELS", "Batching", "measure", "write_beside", "write_in_version"]

#: Beside the versions, for ``--batching_parameters_file`` and ``--model_config_file``.
BATCHING, MODELS = "batching.config", "models.config"
#: In a version's folder, for ``--enable_per_model_batching_params``.
_OF_VERSION = "batching_params.pbtxt"
#: A batch twice as large has to answer so many more texts per second to be worth the wait.
_GAIN = 1.05
#: Seconds that a batch may take; and that a request may wait for those before it.
_MOST_SECONDS, _MOST_WAIT = 1.0, 2.0
_LARGEST = 256
#: Microseconds that a server may wait for more requests.
_MOST_TIMEOUT = 10_000


@dataclasses.dataclass(frozen=True)
class Batching:
    """What was measured, and what follows.

    Attributes:
        seconds: Texts in a batch → median seconds that it took.
        threads: Cores of the machine.
    """

    seconds: dict[int, float]
    threads: int

    @property
    def sizes(self) -> list[int]:
        """Sizes that batches are filled up to."""
        return sorted(self.seconds)

    @property
    def timeout_micros(self) -> int:
        """How long to wait for more requests: half of what a text alone takes."""
        return min(_MOST_TIMEOUT, int(self.seconds[1] * 1e6 / 2)) if len(self.sizes) > 1 else 0

    @property
    def most_waiting(self) -> int:
        """Batches that may wait before a request is refused."""
        one = self.seconds[self.sizes[-1]]
        return max(self.threads, int(_MOST_WAIT / one) * self.threads)

    def text(self) -> str:
        """TF Serving's ``BatchingParameters``, with what was measured as a comment."""
        measured = [
            f"#   {size:4d}  {1000 * took:9.1f} ms  {size / took:9.1f}/s"
            for size, took in sorted(self.seconds.items())
        ]
        return "\n".join(
            [
                f"# Measured on {self.threads} cores, one batch at a time: texts, time, texts/s.",
                *measured,
                f"max_batch_size {{ value: {self.sizes[-1]} }}",
                f"batch_timeout_micros {{ value: {self.timeout_micros} }}",
                f"max_enqueued_batches {{ value: {self.most_waiting} }}",
                f"num_batch_threads {{ value: {self.threads} }}",
                # No pad_variable_length_inputs: TF Serving fills with a tensor's own first value
                # (batching_util.cc), which would make ones of the padding in input_mask.
                *(f"allowed_batch_sizes: {size}" for size in self.sizes),
                "",
            ]
        )


def measure(answer: Callable, rows: Sequence, clock: Callable = time.perf_counter) -> Batching:
    """Doubles the batch as long as that answers more texts per second.

    Args:
        answer: A function of a list of rows that answers them.
        rows: Texts of the length that users send.
        clock: Tells seconds.

    Returns:
        Sizes from 1 on, each with its time.

    Example:
        >>> batching = measure(lambda rows: exported_answers(rows), ["My card has not arrived"])
        >>> batching.sizes
        [1, 2, 4, 8]
    """
    seconds, size = {}, 1
    while size <= _LARGEST:
        batch = [rows[i % len(rows)] for i in range(size)]
        answer(batch)  # The first of a shape makes kernels.
        took = _median_seconds(lambda batch=batch: answer(batch), clock)
        before = seconds.get(size // 2)
        if before is not None and size / took < _GAIN * (size // 2) / before:
            break
        if seconds and took > _MOST_SECONDS:
            break
        seconds[size] = took
        size *= 2
    return Batching(seconds, os.cpu_count() or 1)


def _median_seconds(run, clock) -> float:
    times = []
    while len(times) < 5 or (sum(times) < 0.3 and len(times) < 50):
        started = clock()
        run()
        times.append(clock() - started)
        if sum(times) > 3 * _MOST_SECONDS:
            break
    return statistics.median(times)


def write_in_version(folder: Path, batching: Batching) -> None:
    """Writes the parameters into a version that is about to be published."""
    (folder / _OF_VERSION).write_text(batching.text(), encoding="utf-8", newline="\n")


def write_beside(folder: Path, batching: Batching) -> None:
    """Writes ``batching.config`` and ``models.config`` beside the versions, replacing older ones.

    Args:
        folder: The model's folder, ``saved_models/NAME``.
        batching: From ``measure``.
    """
    name = folder.resolve().name.replace("\\", "\\\\").replace('"', '\\"')
    models = f"""\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""
    for file, text in ((BATCHING, batching.text()), (MODELS, models)):
        with complete_file(folder / file) as path:
            path.write_text(text, encoding="utf-8", newline="\n")
