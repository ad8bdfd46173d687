"""A run's log: JSON lines that are whole whatever ends the run."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_bert.training.runs.pace import Paced

__all__ = ["RunLog", "read_run_log", "repair", "run_facts"]

_PACKAGES = ("keras-bert-garden", "keras", "tensorflow", "tensorflow-text", "numpy")

#: What JSON has no numbers for, as ``float`` reads them, too.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

#: Class of what ended a run → the word for it; the first that fits. An exception that has
#: ``run_log_reason`` says it itself.
_REASONS = ((KeyboardInterrupt, "interrupted"), (SystemExit, "preempted"), (BaseException, "error"))


class RunLog(Paced, keras.callbacks.Callback):
    """Writes what happens in a run into a file, one JSON object per line.

    Every object has ``event`` and ``time`` (UTC, ISO 8601):

    ========  ===================================================================================
    event     what else it has
    ========  ===================================================================================
    start     ``run`` (a number that all rows of a run share), ``versions``, ``model``,
              ``config_sha256``, ``parameters``, ``trainable_parameters``, ``dtype``, ``optimizer``,
              ``seed``, ``strategy``, ``replicas``, ``devices``, ``jit_compile``, ``epochs``,
              ``steps`` per epoch, ``initial_epoch``, ``data`` (sizes)
    step      ``step`` (batches since the first), ``epoch`` (from 1), ``loss`` and metrics (means of
              the epoch so far), ``step_loss`` (of this batch), ``learning_rate``,
              ``examples_per_second``, ``tokens_per_second`` (without padding), ``padding`` (share)
    epoch     ``step``, ``epoch``, ``seconds``, all scores, those of validation as ``val_…``, and
              the same rates, of the whole epoch
    end       ``why``: "done", "stopped early", "interrupted", "preempted", "diverged" or "error",
              then with the ``error``; ``step``, ``seconds``
    ========  ===================================================================================

    A row is there, all of it, once the step it tells of is over: if the process is killed then,
    nothing is lost. (Power that fails may cost the last rows.) A file that exists is gone on with,
    after half a line at its end, if any, has been taken away. What is not a number is written as
    "NaN", "Infinity" or "-Infinity", in quotes, so that every line is JSON.

    Args:
        path: The file.
        every: Steps between two rows.
        pace: The ``Pace`` to read; None: one of its own.
        is_chief: Whether this process is the one that writes; others write nothing.
        data: Name → number: sizes of the data, for the first row.
        clock: Returns seconds.

    Raises:
        OSError: If the file cannot be written; before training begins.
        ValueError: If ``every`` is less than 1.

    Example:
        >>> model.fit(texts, epochs=3, log="run.jsonl")                    # doctest: +SKIP
        >>> [row["loss"] for row in read_run_log("run.jsonl") if row["event"] == "epoch"]
        ...                                                                # doctest: +SKIP
        [0.5123, 0.3021, 0.2544]
    """

    def __init__(
        self, path, every=10, pace=None, is_chief=True, data=None, clock=time.perf_counter
    ):
        super().__init__(pace)
        if every < 1:
            raise ValueError(f"every is a number of steps, from 1 on; received {every!r}.")
        self.path, self.every, self.data = Path(path), int(every), dict(data or {})
        self.is_chief, self._clock = is_chief, clock
        self._file, self._run, self._started, self._ended = None, None, None, True
        if is_chief:
            # Before hours of training.
            self._open()
            self._close()

    # What Keras tells.

    def on_train_begin(self, logs=None):
        """Writes the first row."""
        super().on_train_begin(logs)
        self._ended, self._started = False, self._clock()
        self._last_row, self._next = 0, None
        if not self.is_chief:
            return
        self._run = f"{time.time_ns():x}"
        self._open()
        self.write("start", **run_facts(self.model), **self._sizes())

    def on_train_batch_end(self, batch, logs=None):
        """Writes a row, if it is time to."""
        super().on_train_batch_end(batch, logs)
        step = self.pace.total_steps
        # With several steps in one, the next after its time.
        if not self.is_chief or step // self.every == self._last_row // self.every:
            return
        self._last_row = step
        self.write(
            "step",
            step=step,
            epoch=self.pace.epoch + 1,
            **_scores(logs),
            **_of_last_step(self.model),
            learning_rate=self.pace.learning_rate(),
            **self.pace.recent().rates(),
        )

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's row."""
        super().on_epoch_end(epoch, logs)
        if self.is_chief:
            self.write(
                "epoch",
                step=self.pace.total_steps,
                epoch=epoch + 1,
                seconds=round(self.pace.done.seconds, 3),
                **_scores(logs),
                learning_rate=self.pace.learning_rate(),
                **self.pace.epoch_rates(),
            )

    def on_train_end(self, logs=None):
        """Writes the last row of a run that nothing went wrong in."""
        last = self.pace.epoch + 1 >= self.pace.epochs
        early = getattr(self.model, "stop_training", False) and not last
        self._finish("stopped early" if early else "done")

    def close(self, error=None):
        """Writes the last row, if it was not; ``fit`` of task models calls it, however it ends.

        Args:
            error: What ended the run; None: nothing did.
        """
        if error is None:
            return self._finish("done")
        why = getattr(error, "run_log_reason", None)
        why = why or next(word for kind, word in _REASONS if isinstance(error, kind))
        return self._finish(why, error=" ".join(f"{type(error).__name__}: {error}".split()))

    # Writing.

    def write(self, event, **values):
        """Writes a row; nothing if the file is not open, as in processes that are not the chief."""
        if self._file is None:
            return
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        row = {"event": event, "time": now, "run": self._run, **values}
        line = json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) + "\n"
        # One write without a buffer: whatever ends the process, the file has all of it or nothing.
        self._file.write(line.encode("utf-8", "replace"))

    def _finish(self, why, **values):
        if self._ended:
            return
        self._ended = True
        seconds = round(self._clock() - self._started, 3)
        self.write("end", why=why, **values, step=self.pace.total_steps, seconds=seconds)
        self._close()

    def _open(self):
        self._close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        repair(self.path)
        self._file = open(self.path, "ab", buffering=0)

    def _close(self):
        if self._file is not None:
            self._file.close()
        self._file = None

    def _sizes(self):
        sizes = dict(self.data)
        plan = self.pace.plan_amounts()
        if plan is not None:
            sizes |= {"examples": plan.examples, "tokens": plan.tokens, "padding": plan.padding}
        return {"epochs": self.pace.epochs, "steps": self.pace.steps, "data": sizes}


def read_run_log(path) -> list[dict]:
    """Reads the rows of a run's log, also while it is written.

    Args:
        path: A file that ``RunLog`` wrote.

    Returns:
        A dict per line, as written; "NaN", "Infinity" and "-Infinity" as numbers again. Half a line
        at the end, of a process that was killed, is left out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If another line is broken; the message says which.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.jsonl"
        >>> _ = path.write_text('{"event": "step", "loss": "NaN"}\\n{"event": "st')
        >>> read_run_log(path)
        [{'event': 'step', 'loss': nan}]
    """
    lines = Path(path).read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                rows.append(_numbers(json.loads(line)))
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(
                f"{path}, line {number}: {line[:60]!r} is no JSON; this is not a run's log, or it "
                "was changed."
            ) from error
    return rows


def repair(path: Path) -> None:
    """Takes half a line at the end of a file away; ends a line that is whole.

    Args:
        path: A file of JSON lines; it need not exist.
    """
    if not path.exists():
        return
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        start = _start_of_last_line(file, end)
        if start == end:
            return
        file.seek(start)
        try:
            json.loads(file.read())
        except ValueError:
            file.truncate(start)
        else:
            file.write(b"\n")


def _start_of_last_line(file, end, block=4096):
    """Where what follows the last line break begins."""
    start = end
    while start > 0:
        size = min(block, start)
        start -= size
        file.seek(start)
        place = file.read(size).rfind(b"\n")
        if place >= 0:
            return start + place + 1
    return 0


def run_facts(model) -> dict:
    """What a run is, for its first row.

    Args:
        model: A compiled Keras model; of task models more is known.
    """
    strategy = model.distribute_strategy
    # TensorFlow's own name for none, which is private.
    kind = type(strategy).__name__
    config = getattr(getattr(model, "encoder", None), "config", None)
    config = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else model.get_config()
    text = json.dumps(_plain(config), sort_keys=True)
    return {
        "versions": {"python": platform.python_version()}
        | {name: version for name in _PACKAGES if (version := _version(name))},
        "model": type(model).__name__,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "parameters": model.count_params(),
        "trainable_parameters": sum(int(np.prod(v.shape)) for v in model.trainable_variables),
        "dtype": model.dtype_policy.name,
        "optimizer": keras.saving.serialize_keras_object(model.optimizer),
        "seed": _seed(),
        "strategy": None if kind.startswith("_Default") else kind,
        "replicas": strategy.num_replicas_in_sync,
        "devices": [device.device_type for device in tf.config.list_logical_devices()],
        "jit_compile": bool(model.jit_compile),
    }


def _seed():
    """What ``keras.utils.set_random_seed`` was called with; None: it was not."""
    # Keras tells it nowhere else.
    from keras.src.utils.rng_utils import get_random_seed

    return get_random_seed()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _scores(logs):
    """Numbers alone: user's callbacks may add anything to the logs."""
    return {n: v for n, v in (logs or {}).items() if isinstance(v, int | float | np.number)}


def _of_last_step(model):
    loss = getattr(getattr(model, "last_step", None), "loss", None)
    return {} if loss is None else {"step_loss": float(loss)}


def _plain(value):
    """What JSON can say; of other objects their text."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if not isinstance(value, float):
        return str(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _numbers(value):
    """The inverse of ``_plain`` for what is not finite."""
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value
