"""A folder of checkpoints of one run: written whole or not at all, verified when they are read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_bert.training.distribution.clusters import cluster_of, wait

__all__ = ["CheckpointWarning", "RunCheckpoints", "as_run_checkpoints"]

#: step-00000500; behind a whole epoch step-00000620-epoch; behind the run step-00000900-final.
_NAME = re.compile(r"step-(\d{8,})(?:-(epoch|final))?")
_ORDER = {None: 0, "epoch": 1, "final": 2}
_WRITING, _DELETING, _DAMAGED = ".writing-", ".deleting-", "damaged-"
_STATE, _MANIFEST, _VARIABLES = "state.json", "manifest.json", "variables"

#: Folders that a run of this process writes to. Locks of files hold between processes alone.
_OPEN = set()


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or was damaged and is passed over."""


class RunCheckpoints:
    """Where a run keeps its state, and how often: what ``fit(checkpoints=...)`` takes.

    In the folder there is one folder for each checkpoint, ``step-00000500``, with ``state.json``
    (where the run stands, in words), ``variables.*`` (a ``tf.train.Checkpoint``) and
    ``manifest.json`` (size and SHA-256 of each file); and ``best-00000620``, weights that callbacks
    want back at the end. They are written under another name, flushed to the disk and renamed, so
    that what has its name is whole. Other files in the folder are left alone.

    Where the disk is full or a write fails otherwise, the earlier checkpoints stay and the run
    goes on, with a ``CheckpointWarning``; if the very first fails, it does not start.

    Args:
        folder: Where to; is made if it is not there. All workers of a run see the same.
        save_every: Batches from one checkpoint to the next. There is one at the end of each epoch
            too, and one at the start.
        keep: How many of the latest stay. Best weights stay as long as one of these needs them.
        is_chief: Whether this process is the one that writes. The others write what they have to
            take part in to a temporary folder, and read the chief's.
        barrier: Called where workers wait for each other; None: there are none.
        agree: Whether any worker is to stop, from whether this one is; called after every batch by
            all workers. None: there is one worker.
        identity: What else a run has to be started with to be the same one: {"seed": 1}.

    Raises:
        ValueError: If ``save_every`` or ``keep`` is less than 1.

    Example:
        >>> run = RunCheckpoints("runs/cards", save_every=200, keep=2)
        >>> model.fit(train, epochs=3, checkpoints=run)                    # doctest: +SKIP
    """

    def __init__(
        self,
        folder,
        save_every: int = 500,
        keep: int = 3,
        is_chief: bool = True,
        barrier=None,
        agree=None,
        identity: dict | None = None,
    ):
        for name, value in (("save_every", save_every), ("keep", keep)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a whole number from 1 on; received {value!r}.")
        self.folder = Path(folder)
        self.save_every, self.keep = save_every, keep
        self.is_chief = is_chief
        self.is_alone = agree is None
        self.barrier = barrier or (lambda: None)
        self.agree = agree or (lambda stop: stop)
        self.identity = dict(identity or {})
        self._lock = None

    def share_among(self, strategy):
        """Has the workers of a strategy share the folder: the chief writes, all wait and agree.

        Args:
            strategy: A ``tf.distribute.Strategy``; of a single worker nothing changes.
        """
        cluster = cluster_of(strategy)
        if cluster.workers == 1 or not self.is_alone:
            return
        self.is_chief, self.is_alone = cluster.is_chief, False
        self.barrier = lambda: wait(strategy)
        self.agree = lambda stop: bool(strategy.reduce("SUM", tf.constant(float(stop)), axis=None))

    # The folder.

    def open(self) -> None:
        """Makes the folder, claims it, and clears away what a killed run was about to write.

        Raises:
            RuntimeError: If another run writes to it.
            OSError: If it cannot be written to.
        """
        if self.is_chief:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._claim()
            for path in self.folder.iterdir():
                if path.name.startswith((_WRITING, _DELETING)):
                    shutil.rmtree(path, ignore_errors=True)
        self.barrier()

    def close(self) -> None:
        """Gives the folder free."""
        if self._lock is not None:
            _OPEN.discard(self._key())
            self._lock.close()
            self._lock = None

    def _claim(self):
        # A lock of the operating system: it goes with the process, however that ends.
        if self._key() in _OPEN:
            raise RuntimeError(f"{self.folder} is being written to by another run of this process.")
        lock = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            _lock_file(lock)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            lock.close()
            raise RuntimeError(
                f"{self.folder} is being written to by another run ({owner}). Wait for it, stop "
                "it, or give another folder."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        _OPEN.add(self._key())
        self._lock = lock

    def _key(self):
        return os.path.realpath(self.folder)

    def names(self) -> list[str]:
        """Names of the checkpoints, oldest first, damaged ones among them."""
        if not self.folder.is_dir():
            return []
        return sorted((p.name for p in self.folder.iterdir() if _NAME.fullmatch(p.name)), key=_rank)

    # Reading.

    def latest(self, wanted=lambda state: True) -> tuple[Path, dict] | None:
        """The newest whole checkpoint, and its state; None where there is none.

        Args:
            wanted: Of the states those that may be taken.

        A damaged one is warned of and put aside, as ``damaged-…``.
        """
        for name in reversed(self.names()):
            path = self.folder / name
            try:
                _verify(path)
                state = json.loads((path / _STATE).read_text(encoding="utf-8"))
                for best in _weights_in(state):
                    _verify(self.folder / best)
            except (OSError, ValueError, KeyError) as problem:
                self._put_aside(path, problem)
                continue
            if wanted(state):
                return path, state
        return None

    def _put_aside(self, path, problem):
        warnings.warn(
            f"The checkpoint {path} is damaged ({problem}) and is passed over.",
            CheckpointWarning,
            stacklevel=4,
        )
        if self.is_chief:
            with contextlib.suppress(OSError):
                aside = path.with_name(_DAMAGED + path.name)
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)

    @staticmethod
    def read(path: Path, variables: dict) -> None:
        """Gives variables the values of a checkpoint.

        Args:
            path: What ``latest`` returned.
            variables: As ``write`` takes it; groups may be left out.
        """
        status = _checkpoint(variables).read(str(path / _VARIABLES))
        status.assert_existing_objects_matched().expect_partial()

    def read_weights(self, name: str) -> list[np.ndarray]:
        """Weights that ``write_weights`` wrote."""
        reader = tf.train.load_checkpoint(str(self.folder / name / _VARIABLES))
        return [reader.get_tensor(key) for key in sorted(reader.get_variable_to_shape_map())]

    # Writing.

    def write(self, step: int, kind: str | None, state: dict, variables: dict) -> bool:
        """Writes a checkpoint and deletes the ones that are too many.

        Args:
            step: Batches that the run has seen.
            kind: None, "epoch" or "final".
            state: What ``latest`` returns; anything that JSON has.
            variables: Name of a group → list of ``tf.Variable`` or Keras variables.

        Returns:
            Whether that worked; a failure is warned of.
        """
        name = f"step-{step:08d}" + (f"-{kind}" if kind else "")

        def fill(folder):
            text = json.dumps(state, indent=1, default=_plain)
            (folder / _STATE).write_text(text, encoding="utf-8")
            _checkpoint(variables).write(str(folder / _VARIABLES))

        written = self._write_folder(name, fill)
        if written and self.is_chief:
            self._delete_old()
        return written

    def write_weights(self, step: int, number: int, weights: list[np.ndarray]) -> str | None:
        """Writes weights that callbacks hold.

        Args:
            step: Batches that the run has seen.
            number: From 0, of those that are written at this step.
            weights: Arrays.

        Returns:
            Their name; None where that failed, which is warned of.
        """
        name = f"best-{step:08d}" + (f"-{number}" if number else "")
        keys = [f"{number:05d}" for number in range(len(weights))]

        def fill(folder):
            tf.raw_ops.SaveV2(
                prefix=str(folder / _VARIABLES),
                tensor_names=keys,
                shape_and_slices=[""] * len(keys),
                tensors=[tf.convert_to_tensor(array) for array in weights],
            )

        return name if self._write_folder(name, fill) else None

    def _write_folder(self, name, fill) -> bool:
        try:
            if self.is_chief:
                self._replace_folder(name, fill)
            else:  # reading variables of all workers takes all of them
                with tempfile.TemporaryDirectory() as folder:
                    fill(Path(folder))
        except (OSError, tf.errors.OpError) as problem:
            warnings.warn(
                f"The checkpoint {self.folder / name} could not be written, and the run goes on "
                f"without it: {problem}",
                CheckpointWarning,
                stacklevel=5,
            )
            return False
        finally:
            self.barrier()
        return True

    def _replace_folder(self, name, fill):
        temporary, final = self.folder / (_WRITING + name), self.folder / name
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            fill(temporary)
            _seal(temporary)
            self._delete(name)
            temporary.rename(final)
            _flush(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _delete_old(self):
        names = self.names()
        final = [name for name in names if name.endswith("-final")]
        others = [name for name in names if name not in final]
        kept = others[-self.keep :] + final[-1:]
        for name in names:
            if name not in kept:
                self._delete(name)
        self._delete_unneeded_weights(kept)

    def _delete_unneeded_weights(self, kept):
        needed = set()
        for name in kept:
            try:
                state = json.loads((self.folder / name / _STATE).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return  # not known what it needs
            needed |= set(_weights_in(state))
        for path in self.folder.glob("best-*"):
            if path.name not in needed:
                self._delete(path.name)

    def _delete(self, name):
        # Renamed first, so that half of a checkpoint never has its name.
        going = self.folder / (_DELETING + name)
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).rename(going)
        shutil.rmtree(going, ignore_errors=True)


def as_run_checkpoints(checkpoints, save_every=None, keep=None) -> RunCheckpoints | None:
    """What ``fit`` was asked for; None where no checkpoints are.

    Raises:
        ValueError: If options are given that nothing follows from.
    """
    options = {"save_every": save_every, "keep": keep}
    given = {name: value for name, value in options.items() if value is not None}
    if checkpoints is None or isinstance(checkpoints, RunCheckpoints):
        if given:
            raise ValueError(
                f"{next(iter(given))} goes with checkpoints=FOLDER; received "
                f"checkpoints={checkpoints!r}."
            )
        return checkpoints
    return RunCheckpoints(checkpoints, **given)


def _rank(name):
    step, kind = _NAME.fullmatch(name).groups()
    return int(step), _ORDER[kind]


def _checkpoint(variables: dict) -> tf.train.Checkpoint:
    return tf.train.Checkpoint(
        **{
            group: {f"{number:05d}": _tf_variable(v) for number, v in enumerate(members)}
            for group, members in variables.items()
        }
    )


def _tf_variable(variable):
    return variable.value if isinstance(variable, keras.Variable) else variable


def _weights_in(state):
    """Names of the weights that a state tells of."""
    return [
        name for callback in state.get("callbacks", ()) for name in callback["weights"].values()
    ]


def _seal(folder: Path):
    """Flushes all files to the disk and writes down what they are."""
    files = {}
    for path in sorted(folder.iterdir()):
        _flush(path)
        files[path.name] = _description(path)
    manifest = folder / _MANIFEST
    manifest.write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")
    _flush(manifest)
    _flush(folder)


def _verify(folder: Path):
    """Raises ValueError or OSError where a folder is not as it was written."""
    try:
        files = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{_MANIFEST} is not readable") from None
    for name, expected in files.items():
        path = folder / name
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise ValueError(f"{name} has {size:,} bytes of {expected['bytes']:,}")
        if _description(path) != expected:
            raise ValueError(f"the checksum of {name} is another")


def _description(path: Path) -> dict:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _flush(path: Path):
    """Has the operating system write a file, or a folder's names, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value):
    """NumPy's numbers and arrays as Python's."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else float(value)


def _lock_file(file):
    """Claims an open file until this process ends, or raises OSError."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        return
    # Not flock, which processes that this one has forked would go on holding.
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
