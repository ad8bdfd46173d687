import json
import struct

import ml_dtypes
import numpy as np
import pytest

from keras_bert.checkpoints import CheckpointError
from keras_bert.checkpoints.huggingface.tensors import open_tensors
from keras_bert.checkpoints.safetensors import TensorFiles

TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([7], np.int64)}
NAMES = {"float32": "F32", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float64": "F64"}


def write(path, tensors=None, change=None, header_bytes=None):
    """Writes a file of the format; ``change(header)`` damages the header first."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in (TENSORS if tensors is None else tensors).items():
        raw = tensor.tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {
            "dtype": NAMES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": offsets,
        }
        data += raw
    if change:
        change(header)
    encoded = json.dumps(header).encode() if header_bytes is None else header_bytes
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    return str(path)


def test_reads_back(tmp_path):
    files = TensorFiles([write(tmp_path / "x.safetensors")])
    assert sorted(files) == ["a", "b"]
    assert files.shape("a") == (2, 3)
    np.testing.assert_array_equal(files.read("a"), TENSORS["a"])
    np.testing.assert_array_equal(files.read("b"), TENSORS["b"])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_floats_come_as_float32(tmp_path, dtype):
    tensor = np.array([0.5, -3.0, 1e-3]).astype(dtype)
    read = TensorFiles([write(tmp_path / "x.safetensors", {"w": tensor})]).read("w")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, tensor.astype(np.float32))


def test_scalar_and_empty_tensor(tmp_path):
    tensors = {"scalar": np.float32(2.0).reshape(()), "empty": np.zeros((0, 3), np.float32)}
    files = TensorFiles([write(tmp_path / "x.safetensors", tensors)])
    assert files.read("scalar") == 2.0
    assert files.read("empty").shape == (0, 3)


@pytest.mark.parametrize("keep", [0, 5, 8, 40, -1, -24])
def test_truncated(tmp_path, keep):
    path = tmp_path / "x.safetensors"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="truncated"):
        TensorFiles([str(path)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h["a"].update(shape=[2, 4]), "contradict each other"),
        (lambda h: h["a"].update(shape=[-2, -3]), "contradict each other"),
        (lambda h: h["a"].update(data_offsets=[24, 0]), "contradict each other"),
        (lambda h: h["b"].update(data_offsets=[2**40, 2**40 + 8]), "truncated"),
        (lambda h: h["a"].update(dtype="F3"), "unreadable"),
        (lambda h: h["a"].pop("shape"), "unreadable"),
        (lambda h: h.update(a=[1, 2]), "unreadable"),
    ],
)
def test_header_that_lies(tmp_path, change, message):
    path = write(tmp_path / "x.safetensors", change=change)
    with pytest.raises(CheckpointError, match=message):
        TensorFiles([path])


@pytest.mark.parametrize("header", [b"{nonsense", b"[1]", b"\xff\xfe{}", b'{"a": 1, "a": 1}'])
def test_header_that_is_no_header(tmp_path, header):
    path = write(tmp_path / "x.safetensors", header_bytes=header)
    with pytest.raises(CheckpointError, match="unreadable header"):
        TensorFiles([path])


def test_length_of_gigabytes_is_refused_unread(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(CheckpointError, match="truncated or no safetensors file"):
        TensorFiles([str(path)])


def shards(folder, **index):
    write(folder / "one.safetensors", {"a": TENSORS["a"]})
    write(folder / "two.safetensors", {"b": TENSORS["b"]})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return str(folder)


def test_shards(tmp_path):
    folder = shards(tmp_path, a="one.safetensors", b="two.safetensors")
    assert sorted(open_tensors(folder)) == ["a", "b"]


@pytest.mark.parametrize("name", ["../one.safetensors", "/etc/passwd", "sub/x", "..", "", 5])
def test_shard_outside_the_folder(tmp_path, name):
    with pytest.raises(CheckpointError, match="outside its own folder|damaged"):
        open_tensors(shards(tmp_path, a=name))


def test_shard_that_is_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"three\.safetensors, which is not in"):
        open_tensors(shards(tmp_path, a="three.safetensors"))


def test_tensor_that_no_shard_holds(tmp_path):
    with pytest.raises(CheckpointError, match="no shard holds: c"):
        open_tensors(shards(tmp_path, a="one.safetensors", c="one.safetensors"))


def test_tensor_in_two_files(tmp_path):
    paths = [write(tmp_path / f"{n}.safetensors", {"a": TENSORS["a"]}) for n in (1, 2)]
    with pytest.raises(CheckpointError, match="both in"):
        TensorFiles(paths)


@pytest.mark.parametrize("content", ["nonsense", "[]", '{"weight_map": 3}', "{}"])
def test_damaged_index(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match="damaged"):
        open_tensors(str(tmp_path))


def test_safetensors_go_before_a_pickle(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04 would run code")
    assert sorted(open_tensors(shards(tmp_path, a="one.safetensors"))) == ["a"]


def test_no_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none of model\.safetensors, .*, tf_model\.h5"):
        open_tensors(str(tmp_path))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("shape", [(), (0, 3), (5, 4)])
def test_reads_to_where_it_is_wanted(tmp_path, dtype, shape):
    tensor = (np.arange(np.prod(shape)).reshape(shape) / 8).astype(dtype)
    files = TensorFiles([write(tmp_path / "x.safetensors", {"before": np.ones(3), "w": tensor})])
    whole = np.full((3, *shape, 2), 7, np.float32)
    for out in (whole[1, ..., 1], np.full(shape, 7, np.float32)):
        files.read_into("w", out)
        np.testing.assert_array_equal(out, tensor.astype(np.float32))
    assert (whole[[0, 2]] == 7).all() and (whole[..., 0] == 7).all()


def test_file_that_became_shorter(tmp_path):
    path = tmp_path / "x.safetensors"
    files = TensorFiles([write(path)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match="shorter"):
        files.read("a")
    with pytest.raises(CheckpointError, match="shorter"):
        files.read_into("a", np.empty((2, 3), np.float32))
