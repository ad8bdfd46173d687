import h5py
import ml_dtypes
import numpy as np
import pytest

from keras_bert.checkpoints import CheckpointError
from keras_bert.checkpoints.hdf5 import HDF5Tensors

TENSORS = {"a/b/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.int64(7)}


def write(path, tensors=None, change=None, **how):
    """Writes a file of datasets; ``change(file)`` adds something to it."""
    with h5py.File(path, "w") as file:
        for name, tensor in (TENSORS if tensors is None else tensors).items():
            file.create_dataset(name, data=tensor, **how)
        if change:
            change(file)
    return str(path)


def test_reads_back(tmp_path):
    files = HDF5Tensors([write(tmp_path / "x.h5")])
    assert sorted(files) == ["a/b/kernel", "step"]
    assert "a/b" not in files
    assert files.shape("a/b/kernel") == (2, 3)
    assert files.is_floating("a/b/kernel") and not files.is_floating("step")
    np.testing.assert_array_equal(files.read("a/b/kernel"), TENSORS["a/b/kernel"])
    assert files.read("step") == 7 and files.read("step").dtype == np.int64


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4"])
def test_floats_come_as_float32(tmp_path, dtype):
    tensor = np.array([0.5, -3.0, 1e-3]).astype(dtype)
    read = HDF5Tensors([write(tmp_path / "x.h5", {"w": tensor})]).read("w")
    assert read.dtype == np.float32 and read.dtype.isnative
    np.testing.assert_array_equal(read, tensor.astype(np.float32))


def test_bfloat16_as_keras_writes_it(tmp_path):
    tensor = np.array([[0.5, -3.0, 1e-3]]).astype(ml_dtypes.bfloat16)
    path = write(tmp_path / "x.h5", {"w": tensor}, lambda f: f["w"].attrs.update(dtype="bfloat16"))
    files = HDF5Tensors([path])
    assert files.is_floating("w")
    np.testing.assert_array_equal(files.read("w"), tensor.astype(np.float32))


@pytest.mark.parametrize("how", [{"chunks": (1, 2)}, {"compression": "gzip", "shuffle": True}])
def test_chunks_and_gzip(tmp_path, how):
    tensors = {"w": TENSORS["a/b/kernel"]}
    files = HDF5Tensors([write(tmp_path / "x.h5", tensors, **how)])
    np.testing.assert_array_equal(files.read("w"), tensors["w"])


def test_scalar_and_empty_tensor(tmp_path):
    tensors = {"scalar": np.float32(2.0), "empty": np.zeros((0, 3), np.float32)}
    files = HDF5Tensors([write(tmp_path / "x.h5", tensors)])
    assert files.read("scalar") == 2.0
    assert files.read("empty").shape == (0, 3)


@pytest.mark.parametrize("keep", [0, 5, 40, 600, -1])
def test_truncated(tmp_path, keep):
    path = tmp_path / "x.h5"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="truncated"):
        HDF5Tensors([str(path)])


def test_no_hdf5_file(tmp_path):
    (tmp_path / "x.h5").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CheckpointError, match="no HDF5 file"):
        HDF5Tensors([str(tmp_path / "x.h5")])


def virtual(file, other="other.h5"):
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[:] = h5py.VirtualSource(other, "w", (2,))
    file.create_virtual_dataset("w", layout)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(w=h5py.ExternalLink("other.h5", "/w")), "'w' is a link to another"),
        (lambda f: f.update(w=h5py.SoftLink("/a/b/kernel")), "'w' is a link to another"),
        (lambda f: f["a/b"].update(up=h5py.ExternalLink("/dev/zero", "/")), "'a/b/up' is a link"),
        (lambda f: f.update(w=f["a/b/kernel"]), "another name"),
        (lambda f: f["a/b"].update(up=f["a"]), "another name"),
        (lambda f: f["a/b"].update(root=f["/"]), "another name"),
        (virtual, "in another file"),
        (
            lambda f: f.create_dataset("w", (2,), "f4", external=[("other.bin", 0, 8)]),
            "in another file",
        ),
        (lambda f: f.create_dataset("w", data=f["a"].ref, dtype=h5py.ref_dtype), "no numbers"),
        (lambda f: f.create_dataset("w", data=["text"]), "no numbers"),
        (lambda f: f.create_dataset("w", data=np.zeros(2, "V2")), "no numbers"),
        (lambda f: f.create_dataset("w", data=h5py.Empty("f4")), "no numbers"),
        (lambda f: f.update(w=np.dtype("f4")), "neither a group nor a dataset"),
        (lambda f: f.create_dataset("w", (2**20, 2**20), "f4"), "0 are there"),
        (lambda f: f.create_dataset("w", (2**20, 2**20), "f4", chunks=(64, 64)), "0 are there"),
        (
            lambda f: f.create_dataset("w", data=[1.0], maxshape=(None,), chunks=(2**20,)),
            "larger than",
        ),
        (lambda f: f.create_dataset("w", data=np.zeros(4), compression="lzf"), "filters 32000"),
        (lambda f: f.create_dataset("w", data=np.zeros(4), fletcher32=True), "filters 3"),
    ],
)
def test_what_weights_do_not_need_is_refused(tmp_path, change, message):
    write(tmp_path / "other.h5", {"w": np.ones(2, np.float32)})
    with pytest.raises(CheckpointError, match=message):
        HDF5Tensors([write(tmp_path / "x.h5", change=change)])


def test_a_chunk_that_grows_is_refused(tmp_path):
    import zlib

    def change(file):
        dataset = file.create_dataset("w", (4,), "f4", chunks=(4,), compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(2**24)))

    files = HDF5Tensors([write(tmp_path / "x.h5", change=change)])
    with pytest.raises(CheckpointError, match="more than the 16 bytes"):
        files.read("w")


@pytest.mark.parametrize("raw", [b"", b"nonsense"])
def test_a_damaged_chunk_is_refused(tmp_path, raw):
    def change(file):
        dataset = file.create_dataset("w", (4,), "f4", chunks=(4,), compression="gzip")
        dataset.id.write_direct_chunk((0,), raw or b"x\x9c")

    files = HDF5Tensors([write(tmp_path / "x.h5", change=change)])
    with pytest.raises(CheckpointError, match="damaged|less than"):
        files.read("w")


def test_tensor_in_two_files(tmp_path):
    paths = [write(tmp_path / f"{n}.h5") for n in (1, 2)]
    with pytest.raises(CheckpointError, match="both in"):
        HDF5Tensors(paths)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<f8"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5, 4)])
def test_reads_to_where_it_is_wanted(tmp_path, dtype, shape):
    tensor = (np.arange(np.prod(shape)).reshape(shape) / 8).astype(dtype)
    files = HDF5Tensors([write(tmp_path / "x.h5", {"a/w": tensor})])
    whole = np.full((3, *shape, 2), 7, np.float32)
    for out in (whole[1, ..., 1], np.full(shape, 7, np.float32)):
        files.read_into("a/w", out)
        np.testing.assert_array_equal(out, tensor.astype(np.float32))
    assert (whole[[0, 2]] == 7).all() and (whole[..., 0] == 7).all()
