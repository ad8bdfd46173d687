"""``pytorch_model.bin``: read back in both forms, and refused where it is more than tensors."""

import os
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.torch_pickle import LEGACY_MAGIC, PickledTensors

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FOLDER = FIXTURES / "torch_pickle"


@pytest.mark.parametrize("name", ["kinds.bin", "kinds_legacy.bin"])
def test_reads_back(name):
    files, expected = PickledTensors([FOLDER / name]), np.load(FOLDER / "kinds.npz")
    assert sorted(files) == sorted(expected)
    for tensor, value in expected.items():
        found = files.read(tensor)
        assert files.shape(tensor) == found.shape == value.shape
        assert files.is_floating(tensor) == (found.dtype == np.float32)
        np.testing.assert_array_equal(found, value)
        found += found.dtype.type(1)  # its own memory


@pytest.mark.parametrize("name", ["gelu.bin", "gelu_legacy.bin"])
def test_a_model(name, tmp_path):
    shutil.copy(FIXTURES / "encoder" / "gelu" / "config.json", tmp_path)
    shutil.copy(FOLDER / name, tmp_path / "pytorch_model.bin")
    found = kb.BertEncoder.from_pretrained(str(tmp_path))
    wanted = kb.BertEncoder.from_pretrained(str(FIXTURES / "encoder" / "gelu"))
    for one, other in zip(found.weights, wanted.weights, strict=True):
        if one.dtype == "float32":
            np.testing.assert_array_equal(one, other)


def write(path, content, members=(), compression=zipfile.ZIP_STORED):
    """A file of the form since PyTorch 1.6."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
        for name, data in members:
            archive.writestr(f"archive/data/{name}", data)
    return path


def write_legacy(path, *pickles, rest=b""):
    path.write_bytes(b"".join(pickles) + rest)
    return path


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def harm(tmp_path):
    mark = str(tmp_path / "harmed")
    yield pickle.dumps({"a": Call(os.system, f"touch {mark}")})
    yield pickle.dumps({"a": Call(eval, f"open({mark!r}, 'w')")})
    yield pickle.dumps(Call(getattr, Call(__import__, "os"), "system"))
    yield pickle.dumps({"a": Call(os.mkdir, mark)}, protocol=0)
    yield b"(c__builtin__\nopen\nS'" + mark.encode() + b"'\nS'w'\ntR."
    # The codes of objects by other ways than a call.
    yield b"(S'touch " + mark.encode() + b"'\nios\nsystem\n."
    yield b"(cos\nsystem\nS'touch " + mark.encode() + b"'\no."
    # A state for what stands in for PyTorch's functions, and for a dtype.
    yield b"ctorch._utils\n_rebuild_tensor_v2\n}S'__defaults__'\n(tsb."
    yield b"ctorch\nFloatStorage\n(tb."


def test_no_code_is_run(tmp_path):
    for number, content in enumerate(harm(tmp_path)):
        new = write(tmp_path / f"{number}.bin", content)
        old = write_legacy(tmp_path / f"{number}_legacy.bin", content)
        for path in (new, old):
            with pytest.raises(kb.CheckpointError, match="refused|damaged"):
                PickledTensors([path])
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({"a": 1}),
        pickle.dumps({1: 2}),
        pickle.dumps({"a": {"b": 1}}),
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",  # a bytearray of a terabyte
        b"\x80\x02X" + struct.pack("<I", 1 << 31) + b"a.",
        b"\x80\x02(((((((((((",
    ],
)
def test_damaged_pickles(tmp_path, content):
    with pytest.raises(kb.CheckpointError):
        PickledTensors([write(tmp_path / "x.bin", content)])
    with pytest.raises(kb.CheckpointError):
        PickledTensors([write_legacy(tmp_path / "y.bin", content)])


def test_memory_is_not_had_for_the_asking(tmp_path):
    content = b"\x80\x02}r\xff\xff\xff\x7f."  # the memo's two thousand millionth entry
    assert list(PickledTensors([write(tmp_path / "x.bin", content)])) == []


def tensor(count=6, offset=0, shape=(2, 3), strides=(3, 1), key="0", kind="FloatStorage"):
    """The pickle of one tensor "a"; the numbers may lie."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def number(value):
        return b"J" + struct.pack("<i", value)

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"

    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key)
    storage += text("cpu") + number(count) + b"tQ"
    parts = storage + number(offset) + numbers(shape) + numbers(strides) + b"\x89}"
    return b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"tRs."


DATA = np.arange(6, dtype="<f4").tobytes()


def test_a_tensor_by_hand(tmp_path):
    files = PickledTensors([write(tmp_path / "x.bin", tensor(), [("0", DATA)])])
    np.testing.assert_array_equal(files.read("a"), np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "lie",
    [
        {"offset": 1},
        {"offset": -1},
        {"shape": (3, 3)},
        {"shape": (2, -3)},
        {"strides": (1 << 30, 1)},
        {"strides": (-3, 1)},
        {"strides": (3,)},
        {"count": 7},
        {"count": 5},
        {"count": -6},
        {"key": "1"},
        {"key": "../../data.pkl"},
        {"kind": "DoubleStorage"},
        {"kind": "StringStorage"},
    ],
)
def test_tensors_that_are_not_there(tmp_path, lie):
    path = write(tmp_path / "x.bin", tensor(**lie), [("0", DATA)])
    with pytest.raises(kb.CheckpointError):
        PickledTensors([path])


def test_compressed_archives_are_refused(tmp_path):
    path = write(tmp_path / "x.bin", tensor(), [("0", DATA)], zipfile.ZIP_DEFLATED)
    with pytest.raises(kb.CheckpointError, match="compressed"):
        PickledTensors([path])


def test_changed_data_are_noticed(tmp_path):
    path = write(tmp_path / "x.bin", tensor(), [("0", DATA)])
    content = bytearray(path.read_bytes())
    content[content.index(DATA) + 5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(kb.CheckpointError, match="damaged archive"):
        PickledTensors([path]).read("a")


@pytest.mark.parametrize("name", ["gelu.bin", "gelu_legacy.bin"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.9999])
def test_truncated_files(tmp_path, name, share):
    content = (FOLDER / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(kb.CheckpointError):
        PickledTensors([tmp_path / name])


def test_legacy_storages_that_lie(tmp_path):
    head = [pickle.dumps(x, 2) for x in (LEGACY_MAGIC, 1001, {})]
    keys = pickle.dumps(["0"], 2)
    length = struct.pack("<q", 6)
    # The old form names a view of the storage too: none.
    body = tensor().replace(b"tQ", b"NtQ")
    right = write_legacy(tmp_path / "x.bin", *head, body, keys, rest=length + DATA)
    np.testing.assert_array_equal(PickledTensors([right]).read("a"), np.arange(6.0).reshape(2, 3))
    for other_keys, rest in (
        (keys, struct.pack("<q", 7) + DATA),
        (keys, struct.pack("<q", -1) + DATA),
        (keys, length + DATA[:-1]),
        (pickle.dumps([], 2), length + DATA),
        (pickle.dumps(["0", "1"], 2), length + DATA),
        (pickle.dumps("0", 2), length + DATA),
    ):
        path = write_legacy(tmp_path / "y.bin", *head, body, other_keys, rest=rest)
        with pytest.raises(kb.CheckpointError):
            PickledTensors([path])


def test_a_tensor_in_two_files(tmp_path):
    paths = [write(tmp_path / f"{n}.bin", tensor(), [("0", DATA)]) for n in (1, 2)]
    with pytest.raises(kb.CheckpointError, match="both in"):
        PickledTensors(paths)


@pytest.mark.parametrize("name", ["kinds.bin", "kinds_legacy.bin"])
def test_reads_to_where_it_is_wanted(name):
    files = PickledTensors([FOLDER / name])
    for tensor in filter(files.is_floating, files):
        whole = np.full((3, *files.shape(tensor), 2), 7, np.float32)
        files.read_into(tensor, whole[1, ..., 1])
        np.testing.assert_array_equal(whole[1, ..., 1], files.read(tensor))
        assert (whole[[0, 2]] == 7).all() and (whole[..., 0] == 7).all()
