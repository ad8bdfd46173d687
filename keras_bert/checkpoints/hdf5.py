"""Reading HDF5 files of weights: one dataset in memory at a time, and nothing outside the file.

HDF5 is more than a list of arrays: a file may point into other files, into itself in circles, or
promise gigabytes that a few compressed bytes stand for. Writers of weights use none of that, so a
file that does is refused before anything is read of it.

Source: The HDF Group, "HDF5 File Format Specification".
"""

from __future__ import annotations

import contextlib
import math
import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import h5py
import ml_dtypes
import numpy as np

from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError, some_of

__all__ = ["HDF5Tensors"]

#: Filters that compressed files have, in the order in which they are applied when written.
FILTERS = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE)

#: What h5py raises on a damaged file, depending on what is damaged.
_UNREADABLE = (OSError, RuntimeError, ValueError, TypeError, LookupError)


class _Entry(NamedTuple):
    """A dataset, not read yet."""

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]


class HDF5Tensors(Tensors):
    """The datasets of one or several HDF5 files, named by their paths, as in ``a/b/kernel``.

    Only the tree of groups is read on construction, and checked.

    Args:
        paths: The files.

    Raises:
        CheckpointError: If a file is damaged, has a link to elsewhere, a dataset that is not
            numbers or whose bytes are not all there, or a dataset that is in another file too.
    """

    def __init__(self, paths):
        self._entries = {}
        for path in paths:
            for name, entry in _read_tree(path).items():
                if name in self._entries:
                    raise CheckpointError(
                        f"Tensor {name!r} is both in {self._entries[name].path} and in {path}."
                    )
                self._entries[name] = entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        return self._entries[name].shape

    def is_floating(self, name: str) -> bool:
        """Whether a tensor holds floating numbers."""
        dtype = self._entries[name].dtype
        return dtype.kind == "f" or dtype == ml_dtypes.bfloat16

    def read(self, name: str) -> np.ndarray:
        """Reads one tensor; floating types come back as float32.

        Raises:
            CheckpointError: If its bytes are damaged.
        """
        dtype = self._entries[name].dtype
        with self._dataset(name) as dataset:
            tensor = dataset[()]
        # HDF5 has no bfloat16; Keras writes its two bytes as they are.
        tensor = np.asarray(tensor).view(dtype) if dtype == ml_dtypes.bfloat16 else tensor
        return np.asarray(tensor, np.float32 if self.is_floating(name) else dtype)

    def read_into(self, name: str, out: np.ndarray) -> None:
        """Reads a floating tensor to where it is wanted: a float32 array of its shape.

        Raises:
            CheckpointError: If its bytes are damaged.
        """
        if self._entries[name].dtype == out.dtype and out.flags.c_contiguous and out.size:
            with self._dataset(name) as dataset:
                dataset.read_direct(out)
        else:
            super().read_into(name, out)

    @contextlib.contextmanager
    def _dataset(self, name):
        """A dataset of an open file, its chunks checked."""
        path = self._entries[name].path
        with _opened(path) as file:
            _check_chunks(path, name, file[name])
            yield file[name]


@contextlib.contextmanager
def _opened(path):
    """The file, open; whatever HDF5 says against it becomes one CheckpointError."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} is no file.")
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except CheckpointError:
        raise
    except _UNREADABLE as error:
        said = (str(error).strip() or repr(error)).splitlines()[0]
        raise CheckpointError(f"{path} is truncated, damaged or no HDF5 file: {said}.") from None


def _read_tree(path):
    """{name: entry} of one file, checked."""
    entries = {}
    with _opened(path) as file:
        groups, seen = [("", file)], {_address(file)}
        while groups:
            prefix, group = groups.pop()
            for key in group:
                name = prefix + key
                found = _member(path, group, key, name)
                if _address(found) in seen:
                    raise CheckpointError(f"{path}: {name!r} is another name of something else.")
                seen.add(_address(found))
                if isinstance(found, h5py.Group):
                    groups.append((f"{name}/", found))
                else:
                    entries[name] = _entry(path, name, found)
    return entries


def _member(path, group, key, name):
    # The kind of link is asked first: opening a link to another file would open that.
    if group.id.links.get_info(key.encode()).type != h5py.h5l.TYPE_HARD:
        raise CheckpointError(
            f"{path}: {name!r} is a link to another place; expected the weights themselves."
        )
    found = group[key]
    if not isinstance(found, h5py.Group | h5py.Dataset):
        raise CheckpointError(f"{path}: {name!r} is neither a group nor a dataset.")
    return found


def _address(found):
    return h5py.h5o.get_info(found.id).addr


def _entry(path, name, dataset):
    dtype = _dtype(dataset)
    if dtype is None or dataset.shape is None:
        raise CheckpointError(f"{path}: {name!r} holds no numbers, but {dataset.dtype}.")
    # Virtual first: asking a virtual dataset for more looks at the files that it names.
    if dataset.is_virtual or dataset.external:
        raise CheckpointError(f"{path}: the numbers of {name!r} are in another file.")
    _check_filters(path, name, dataset)
    if any(
        chunk > max(n, 1) for chunk, n in zip(dataset.chunks or (), dataset.shape, strict=False)
    ):
        raise CheckpointError(f"{path}: the chunks of {name!r} are larger than itself.")
    expected, stored = _stored(dataset, dtype)
    if expected != stored:
        raise CheckpointError(
            f"{path}: {name!r} is said to have shape {list(dataset.shape)} of {dtype}, which is "
            f"{expected} {'chunks' if dataset.chunks else 'bytes'}, of which {stored} are there."
        )
    return _Entry(path, dtype, tuple(dataset.shape))


def _dtype(dataset):
    """What a dataset's elements are; None for anything but numbers."""
    if dataset.dtype.kind in "fiub":
        return dataset.dtype
    if dataset.dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    return None


def _check_filters(path, name, dataset):
    properties = dataset.id.get_create_plist()
    used = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if used not in ([], *([f] for f in FILTERS), list(FILTERS)):
        raise CheckpointError(
            f"{path}: {name!r} is compressed with the HDF5 filters {some_of(used)}; only gzip and "
            "shuffle can be read."
        )


def _stored(dataset, dtype):
    """What a dataset says that it takes and what it does, in chunks if it has any or in bytes.

    HDF5 hands out zeros for whatever was never written, however much that is.
    """
    if dataset.chunks:
        pairs = zip(dataset.shape, dataset.chunks, strict=True)
        return math.prod(math.ceil(n / chunk) for n, chunk in pairs), dataset.id.get_num_chunks()
    return math.prod(dataset.shape) * dtype.itemsize, dataset.id.get_storage_size()


def _check_chunks(path, name, dataset):
    """Refuses compressed chunks that grow beyond what a chunk holds: HDF5 would make room."""
    compressed = dataset.compression is not None
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize if compressed else 0
    for i in range(dataset.id.get_num_chunks() if compressed else 0):
        offset = dataset.id.get_chunk_info(i).chunk_offset
        left_out, raw = dataset.id.read_direct_chunk(offset)
        if left_out:
            raise CheckpointError(f"{path}: a chunk of {name!r} is without its compression.")
        stream = zlib.decompressobj()
        try:
            found = len(stream.decompress(raw, size + 1))
        except zlib.error as error:
            raise CheckpointError(f"{path}: a chunk of {name!r} is damaged: {error}.") from None
        if found != size:
            raise CheckpointError(
                f"{path}: a chunk of {name!r} is {'more' if found > size else 'less'} than the "
                f"{size} bytes that it should be."
            )
