"""Safetensors files: a JSON header and raw tensors, one tensor in memory at a time."""

from __future__ import annotations

import json
import math
import os

import ml_dtypes
import numpy as np

from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError, some_of
from keras_bert.checkpoints.writing import Entry

__all__ = ["TensorFiles", "write_tensors"]

#: Type names of the format (huggingface/safetensors, README "Format") and their NumPy types.
DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}

#: The format's own bound on the header, so that a damaged length cannot ask for gigabytes.
MOST_HEADER_BYTES = 100_000_000


class TensorFiles(Tensors):
    """The tensors of one or several safetensors files, by name.

    Only headers are read on construction, and checked: types, shapes and places in the file.

    Args:
        paths: The files.

    Raises:
        CheckpointError: If a file is truncated, its header contradicts itself, or a tensor is
            in two files.
    """

    def __init__(self, paths):
        self._entries = {}
        for path in paths:
            for name, entry in _read_header(path).items():
                if name in self._entries:
                    raise CheckpointError(
                        f"Tensor {name!r} is both in {self._entries[name][0]} and in {path}."
                    )
                self._entries[name] = (path, *entry)

    def __iter__(self):
        return iter(self._entries)

    def __contains__(self, name):
        return name in self._entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, from the header alone."""
        return self._entries[name][2]

    def is_floating(self, name: str) -> bool:
        """Whether a tensor holds floating numbers."""
        dtype = self._entries[name][1]
        return dtype.kind == "f" or dtype == ml_dtypes.bfloat16

    def read(self, name: str) -> np.ndarray:
        """Reads one tensor; floating types come back as float32."""
        _, dtype, shape, _, _ = self._entries[name]
        raw = np.empty(shape, dtype)
        self._read_raw(name, raw)
        return raw.astype(np.float32, copy=False) if self.is_floating(name) else raw

    def read_into(self, name: str, out: np.ndarray) -> None:
        """Reads a floating tensor to where it is wanted: a float32 array of its shape."""
        if self._entries[name][1] == out.dtype and out.flags.c_contiguous:
            self._read_raw(name, out)
        else:
            super().read_into(name, out)

    def _read_raw(self, name, out):
        path, _, _, start, size = self._entries[name]
        with open(path, "rb", buffering=0) as file:
            file.seek(start)
            room, read = memoryview(out.reshape(-1).view(np.uint8)), 0
            # The system hands over 2 GiB at a time at most.
            while read < size:
                more = file.readinto(room[read:])
                if not more:
                    raise CheckpointError(f"{path} has become shorter while it was read.")
                read += more


def _read_header(path):
    """{name: (dtype, shape, first byte in the file, bytes)} of one file, checked."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MOST_HEADER_BYTES):
            raise CheckpointError(
                f"{path} is truncated or no safetensors file: {size} bytes, of which the header "
                f"alone would be {length}."
            )
        try:
            header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path} has an unreadable header: {error}.") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} has an unreadable header: no JSON object.")
    header.pop("__metadata__", None)
    return {
        name: _read_entry(path, name, entry, 8 + length, size) for name, entry in header.items()
    }


def _read_entry(path, name, entry, data_start, file_size):
    try:
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        start, end = entry["data_offsets"]
        sound = all(isinstance(n, int) and n >= 0 for n in (*shape, start, end))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the entry of {name!r} is unreadable ({error!r}).") from None
    if not sound or end - start != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(
            f"{path}: {name!r} is said to have shape {list(shape)} of {entry['dtype']} in bytes "
            f"{start} to {end}, which contradict each other."
        )
    if data_start + end > file_size:
        raise CheckpointError(
            f"{path} is truncated: {name!r} ends at byte {data_start + end}, the file has "
            f"{file_size}."
        )
    return dtype, shape, data_start + start, end - start


def _unique(pairs):
    """A dict from JSON pairs; refuses a name that appears twice."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"named twice: {some_of(twice)}")
    return result


def write_tensors(path: str, entries: list[Entry]) -> None:
    """Writes tensors as float32, in the order of their names.

    Args:
        path: The file.
        entries: The tensors.
    """
    header, end = {"__metadata__": {"format": "pt"}}, 0
    entries = sorted(entries, key=lambda entry: entry.name)
    for entry in entries:
        start, end = end, end + 4 * math.prod(entry.shape)
        header[entry.name] = {
            "dtype": "F32",
            "shape": list(entry.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    # The tensors begin at a multiple of 8, as the format's own library has it.
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for entry in entries:
            file.write(np.asarray(entry.read(), "<f4").tobytes())
