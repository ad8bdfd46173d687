"""Reading ``pytorch_model.bin`` without running what is in it.

Such a file is a pickle, which can name any function of any module and have it called. This reader
resolves the few names that a dict of tensors needs, to stand-ins of its own, and refuses a file
that holds any other. Both forms are read: the zip archive that PyTorch has written since 1.6,
and the five pickles with raw storages behind them that it wrote before.

Source: ``torch/serialization.py`` (``_save``, ``_legacy_save``), ``torch/_utils.py``.
"""

from __future__ import annotations

import collections
import io
import pickle
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, NamedTuple

import ml_dtypes
import numpy as np

from keras_bert.checkpoints.loading import Tensors
from keras_bert.checkpoints.report import CheckpointError

__all__ = ["PickledTensors"]

#: Storage classes of module ``torch`` and what their elements are.
STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
#: The first pickle of the old form.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

#: More than any list of names and shapes takes, so that a damaged one cannot ask for gigabytes.
MOST_PICKLE_BYTES = 100_000_000


_REFUSED_CODES = {
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    count: int


class _Entry(NamedTuple):
    """A tensor, not read yet: where in which storage, counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class PickledTensors(Tensors):
    """The tensors of one or several ``pytorch_model.bin`` files, by name.

    Args:
        paths: The files.

    Raises:
        CheckpointError: If a file is damaged, holds anything but a dict of tensors, or has a
            tensor that is in another file too.
    """

    def __init__(self, paths):
        self._entries = {}
        for path in paths:
            file = _ZipFile(path) if zipfile.is_zipfile(path) else _LegacyFile(path)
            for name, entry in file.entries.items():
                if name in self._entries:
                    other = self._entries[name][0].path
                    raise CheckpointError(f"Tensor {name!r} is both in {other} and in {path}.")
                self._entries[name] = (file, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        return self._entries[name][1].shape

    def is_floating(self, name: str) -> bool:
        """Whether a tensor holds floating numbers."""
        dtype = self._entries[name][1].storage.dtype
        return dtype.kind == "f" or dtype == ml_dtypes.bfloat16

    def read(self, name: str) -> np.ndarray:
        """Reads one tensor; floating types come back as float32."""
        tensor = self._stored(name)
        return np.array(tensor, np.float32 if self.is_floating(name) else tensor.dtype)

    def read_into(self, name: str, out: np.ndarray) -> None:
        """Reads a floating tensor to where it is wanted: a float32 array of its shape."""
        out[...] = self._stored(name)

    def _stored(self, name):
        file, entry = self._entries[name]
        values = np.frombuffer(file.storage(entry.storage), entry.storage.dtype)
        strides = [stride * values.itemsize for stride in entry.strides]
        # `_entry` has checked that this stays inside.
        return np.lib.stride_tricks.as_strided(
            values[entry.offset :], entry.shape, strides, writeable=False
        )


class _ZipFile:
    """The form since PyTorch 1.6: ``NAME/data.pkl`` and ``NAME/data/0``, ... in a zip archive."""

    def __init__(self, path):
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                pickles = [n for n in archive.namelist() if n.count("/") == 1]
                pickles = [name for name in pickles if name.endswith("/data.pkl")]
                if len(pickles) != 1:
                    raise CheckpointError(f"{path} holds {len(pickles)} data.pkl; expected one.")
                self._folder = pickles[0].removesuffix("data.pkl") + "data/"
                self._members = {info.filename: info for info in archive.infolist()}
                with archive.open(self._checked(pickles[0], MOST_PICKLE_BYTES)) as file:
                    found = _unpickle(path, io.BytesIO(file.read()))
        except zipfile.BadZipFile as error:
            raise CheckpointError(f"{path} is a damaged archive: {error}.") from None
        self.entries = _entries(path, found)
        for name, entry in self.entries.items():
            size = entry.storage.count * entry.storage.dtype.itemsize
            member = self._folder + entry.storage.key
            if member not in self._members or self._checked(member, size).file_size != size:
                raise CheckpointError(f"{path}: the {size} bytes of {name!r} are not there.")

    def _checked(self, name, most):
        info = self._members[name]
        # A compressed one could unfold to any size; PyTorch compresses none.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
            raise CheckpointError(f"{self.path}: {name} is compressed or larger than it may be.")
        return info

    def storage(self, storage: _Storage) -> bytes:
        """The raw bytes of a storage."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self._folder + storage.key)
        except (zipfile.BadZipFile, EOFError) as error:
            raise CheckpointError(f"{self.path} is a damaged archive: {error}.") from None


class _LegacyFile:
    """The form before PyTorch 1.6: five pickles, then each storage's length and its elements."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            if _unpickle(path, file) != LEGACY_MAGIC:
                raise CheckpointError(f"{path} is no file of PyTorch's.")
            _unpickle(path, file)  # version of the form
            _unpickle(path, file)  # sizes of C types on the machine that wrote it
            self.entries = _entries(path, _unpickle(path, file))
            keys = _unpickle(path, file)
            self._places = self._find(file, keys)

    def _find(self, file, keys):
        storages = {entry.storage.key: entry.storage for entry in self.entries.values()}
        if not isinstance(keys, list) or set(keys) != set(storages):
            raise CheckpointError(f"{self.path}: its storages are not those of its tensors.")
        places = {}
        for key in keys:
            storage = storages[key]
            count = int.from_bytes(file.read(8), "little", signed=True)
            size = storage.count * storage.dtype.itemsize
            places[key] = file.tell()
            if count != storage.count:
                raise CheckpointError(f"{self.path} is truncated or damaged at storage {key}.")
            file.seek(size, io.SEEK_CUR)
        end, last = file.tell(), file.seek(0, io.SEEK_END)
        if end > last:
            raise CheckpointError(f"{self.path} is truncated: {last} bytes of {end}.")
        return places

    def storage(self, storage: _Storage) -> bytes:
        """The raw bytes of a storage."""
        with open(self.path, "rb") as file:
            file.seek(self._places[storage.key])
            return file.read(storage.count * storage.dtype.itemsize)


# The unpickler in Python: the one in C gives room to a list of whatever length a file asks for.
class _Unpickler(pickle._Unpickler):
    """Resolves names to what is in here, and to nothing else."""

    #: Without what no dict of tensors holds: other ways to make objects, and memory on demand.
    dispatch: ClassVar[dict] = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if bytes([code]) not in _REFUSED_CODES
    }

    def load_build(self):
        """Drops an object's state: that of a dict of tensors is PyTorch's own affair."""
        self.stack.pop()
        if type(self.stack[-1]) is not collections.OrderedDict:
            raise CheckpointError(f"it gives a state to a {type(self.stack[-1]).__name__}")

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for a class or function; refuses all but those of tensors."""
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        try:
            return _NAMES[module, name]
        except KeyError:
            raise CheckpointError(
                f"it asks for {module}.{name}, which is no part of a dict of tensors"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage that stands outside the pickle."""
        kind, dtype, key, _, count = pid[:5]
        sound = kind == "storage" and isinstance(dtype, np.dtype) and isinstance(key, str)
        if not sound or type(count) is not int or count < 0 or any(pid[5:]):
            raise CheckpointError(f"it names an unreadable storage, {pid!r}")
        return _Storage(key, dtype, count)


def _entry(storage, offset, size, stride, *_unused) -> _Entry:
    """Stands in for ``torch._utils._rebuild_tensor_v2``."""
    shape, strides = tuple(size), tuple(stride)
    numbers = (offset, *shape, *strides)
    sound = isinstance(storage, _Storage) and len(shape) == len(strides)
    if not sound or not all(type(n) is int and n >= 0 for n in numbers):
        raise CheckpointError(f"it describes an unreadable tensor of shape {shape!r}")
    steps = sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
    if 0 not in shape and offset + steps >= storage.count:
        raise CheckpointError(f"a tensor of shape {shape!r} reaches beyond its storage")
    return _Entry(storage, offset, shape, strides)


def _parameter(entry, *_unused) -> _Entry:
    """Stands in for ``torch._utils._rebuild_parameter``."""
    return entry


_NAMES = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _entry,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


def _unpickle(path: str, file: BinaryIO) -> Any:
    try:
        return _Unpickler(file, encoding="utf-8").load()
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is refused: {error}. If you trust it, load it once with PyTorch and save it "
            "with safe_serialization=True."
        ) from None
    # Whatever a damaged pickle makes the unpickler stumble over.
    except Exception as error:
        raise CheckpointError(f"{path} is damaged or no file of PyTorch's: {error!r}.") from None


def _entries(path: str, found: Any) -> dict[str, _Entry]:
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds a {type(found).__name__}; expected a dict of tensors.")
    others = [name for name, entry in found.items() if not isinstance(entry, _Entry)]
    if others or not all(isinstance(name, str) for name in found):
        raise CheckpointError(f"{path} holds more than named tensors, such as {others[:3]!r}.")
    return dict(found)
