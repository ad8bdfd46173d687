"""``tf_model.h5`` of transformers 4: names, and what is refused. That it is right: tests/parity."""

import json
import lzma
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.huggingface.tensorflow_weights import pytorch_name
from keras_bert.checkpoints.huggingface.tensors import open_tensors
from keras_bert.checkpoints.safetensors import TensorFiles

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "tensorflow_models"

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


def unpacked(name, folder):
    """A copy of a fixture as ``save_pretrained`` wrote it."""
    folder = Path(folder) / name
    shutil.copytree(FOLDER / name, folder, ignore=shutil.ignore_patterns("*.xz", "expected.npz"))
    for path in (FOLDER / name).glob("*.xz"):
        (folder / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
    return folder


@pytest.fixture
def folder(tmp_path):
    """A masked language model, which has its word embeddings twice."""
    return unpacked("bert_masked_lm", tmp_path)


ROOT = "bert/tf_bert_for_masked_lm/bert"
AGAIN = "mlm___cls/tf_bert_for_masked_lm/bert"
WORDS = "embeddings/word_embeddings/weight:0"


def edit(folder, change):
    with h5py.File(folder / "tf_model.h5", "a") as file:
        change(file)


def replace(file, path, value):
    del file[path]
    file[path] = value


def rewrite(folder, rule):
    """Writes all weights anew; ``rule(path, value)`` gives the new path and value."""
    path = folder / "tf_model.h5"
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    with h5py.File(path, "w") as file:
        for name, value in found.items():
            new, changed = rule(name, value)
            file[new] = changed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert/embeddings/word_embeddings/weight:0", "bert.embeddings.word_embeddings.weight"),
        (
            "bert/embeddings/position_embeddings/embeddings:0",
            "bert.embeddings.position_embeddings.weight",
        ),
        ("bert/embeddings/LayerNorm/gamma:0", "bert.embeddings.LayerNorm.weight"),
        ("bert/embeddings/LayerNorm/beta:0", "bert.embeddings.LayerNorm.bias"),
        (
            "bert/encoder/layer_._11/attention/self/query/kernel:0",
            "bert.encoder.layer.11.attention.self.query.weight",
        ),
        (
            "albert/encoder/albert_layer_groups_._0/albert_layers_._2/ffn/bias:0",
            "albert.encoder.albert_layer_groups.0.albert_layers.2.ffn.bias",
        ),
        ("nsp___cls/seq_relationship/kernel:0", "cls.seq_relationship.weight"),
        ("mlm___cls/predictions/bias:0", "cls.predictions.bias"),
        ("predictions/decoder/bias:0", "predictions.bias"),
        ("predictions/bias:0", "predictions.decoder.bias"),
        (
            "mobilebert/encoder/layer_._0/ffn.1/output/LayerNorm/weight:0",
            "mobilebert.encoder.layer.0.ffn.1.output.LayerNorm.weight",
        ),
        ("transformer/layer_._0/rel_attn/r_w_bias:0", "transformer.layer.0.rel_attn.r_w_bias"),
    ],
)
def test_names(name, expected):
    assert pytorch_name(name, 0) == expected
    assert pytorch_name(f"tf_bert_for_pre_training_2/{name}", 1) == expected
    assert pytorch_name(f"bert/tf_bert_for_pre_training_2/{name}", 2) == expected


def test_shapes_are_pytorchs(folder):
    tensors = open_tensors(str(folder))
    with h5py.File(folder / "tf_model.h5") as file:
        kernel = file[f"{ROOT}/encoder/layer_._0/intermediate/dense/kernel:0"][()]
        words = file[f"{ROOT}/{WORDS}"][()]
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    assert tensors.shape(name) == (24, 16)
    np.testing.assert_array_equal(tensors.read(name), kernel.T)
    assert tensors.shape("bert.embeddings.word_embeddings.weight") == (61, 16)
    np.testing.assert_array_equal(tensors.read("bert.embeddings.word_embeddings.weight"), words)


def test_report_names_them_as_pytorch_does(folder):
    report = kb.checkpoints.inspect(str(folder)).report
    assert "encoder.layer.1.output.LayerNorm.weight" in report.loaded
    assert "cls.predictions.transform.dense.weight" in report.loaded
    assert not report.ignored and report.fresh in ([], ["pooler"])


@pytest.mark.parametrize("other", ["model.safetensors", "pytorch_model.bin"])
def test_other_weights_go_first(folder, tiny_checkpoint, other):
    shutil.copy(tiny_checkpoint / "model.safetensors", folder / other)
    if other == "model.safetensors":
        assert isinstance(open_tensors(str(folder)), TensorFiles)
    else:
        with pytest.raises(kb.CheckpointError, match="pytorch_model.bin is"):
            open_tensors(str(folder))


# Of older versions: the class with a number behind it, position embeddings under another name.


def outputs(folder):
    ids = np.array([[2, 9, 8, 3, 0], [2, 7, 3, 0, 0]], np.int32)
    encoder = kb.BertEncoder.from_pretrained(str(folder))
    return encoder({"input_word_ids": ids, "input_mask": ids > 0})["sequence_output"]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("tf_bert_for_masked_lm", "tf_bert_for_masked_lm_2"),
        ("position_embeddings/embeddings", "position_embeddings/weight"),
        ("word_embeddings/weight", "word_embeddings/embeddings"),
    ],
)
def test_older_names(folder, new, old):
    expected = outputs(folder)
    rewrite(folder, lambda name, value: (name.replace(new, old), value))
    np.testing.assert_array_equal(outputs(folder), expected)


def test_half_precision(folder):
    expected = outputs(folder)  # the fixture's numbers have no more than 11 bits
    rewrite(folder, lambda name, value: (name, value.astype(np.float16)))
    np.testing.assert_array_equal(outputs(folder), expected)


# What is refused.


def refused(folder, message):
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertMaskedLM.from_pretrained(str(folder))


@pytest.mark.parametrize("keep", [0, 100, 5000, -1])
def test_truncated(folder, keep):
    path = folder / "tf_model.h5"
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder, "truncated")


def test_large_file_storage_pointer(folder):
    (folder / "tf_model.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(folder, "no HDF5 file")


def test_link_to_another_file(folder, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["w"] = np.zeros((61, 16), np.float32)

    def change(file):
        del file[f"{ROOT}/{WORDS}"]
        file[f"{ROOT}/{WORDS}"] = h5py.ExternalLink(str(secret), "w")

    edit(folder, change)
    refused(folder, "link to another place")


def test_wrong_shape(folder):
    name = "encoder/layer_._1/output/dense/kernel:0"
    edit(folder, lambda file: replace(file, f"{ROOT}/{name}", np.zeros((16, 24), np.float32)))
    refused(folder, r"encoder\.layer\.1\.output\.dense\.weight has shape \[24, 16\], .* \[16, 24\]")


def test_whole_numbers(folder):
    name = "encoder/layer_._1/output/dense/bias:0"
    edit(folder, lambda file: replace(file, f"{ROOT}/{name}", np.zeros(16, np.int32)))
    refused(folder, r"encoder\.layer\.1\.output\.dense\.bias does not hold floating numbers")


def test_missing(folder):
    def change(file):
        del file[f"{ROOT}/encoder/layer_._1/output/dense/bias:0"]

    edit(folder, change)
    refused(folder, r"missing tensor encoder\.layer\.1\.output\.dense\.bias")


def add(folder, path, shape):
    edit(folder, lambda file: file.create_dataset(path, data=np.zeros(shape, np.float32)))


def test_unknown(folder):
    add(folder, f"{ROOT}/adapter/kernel:0", (2, 2))
    refused(folder, r"unknown tensor adapter\.weight")


def test_twice_under_two_names(folder):
    add(folder, f"{ROOT}/embeddings/word_embeddings/embeddings:0", (61, 16))
    refused(folder, r"are the same one, bert\.embeddings\.word_embeddings\.weight")


def test_of_two_classes(folder):
    other = AGAIN.replace("masked_lm", "pre_training")
    rewrite(folder, lambda name, value: (name.replace(AGAIN, other), value))
    refused(folder, "are the same one")


def test_shared_weight_that_is_not_the_same(folder):
    def change(file):
        file[f"{AGAIN}/{WORDS}"][3, 4] += 0.5

    edit(folder, change)
    refused(folder, "are one weight, but differ")


def test_shared_weight_in_two_shapes(folder):
    edit(folder, lambda file: replace(file, f"{AGAIN}/{WORDS}", np.zeros((60, 16), np.float32)))
    refused(folder, r"more than once, in different shapes: \(60, 16\), \(61, 16\)")


def test_file_of_something_else(folder):
    path = folder / "tf_model.h5"
    os.remove(path)
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), np.float32)
    refused(folder, "layers/dense/vars/0 are none that transformers gives")


def test_nan_is_warned_of_by_name(folder):
    def change(file):
        file[f"{ROOT}/encoder/layer_._0/output/dense/bias:0"][2] = np.nan

    edit(folder, change)
    with pytest.warns(UserWarning, match=r"encoder\.layer\.0\.output\.dense\.bias holds NaN"):
        kb.BertEncoder.from_pretrained(str(folder))


# In shards, and as safetensors.


def edit_index(folder, change):
    (path,) = folder.glob("*.index.json")
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("name", ["bert_sharded", "bert_safetensors_sharded"])
class TestShards:
    def test_names(self, name, tmp_path):
        folder = unpacked(name, tmp_path)
        (path,) = folder.glob("*.index.json")
        index = json.loads(path.read_text())["weight_map"]
        assert len(set(index.values())) > 2
        assert set(open_tensors(str(folder))) == {pytorch_name(n, 1) for n in index}

    def test_path_outside_the_folder(self, name, tmp_path):
        folder = unpacked(name, tmp_path)
        edit_index(folder, lambda index: index.update({next(iter(index)): "../other.h5"}))
        with pytest.raises(kb.CheckpointError, match="outside its own folder"):
            open_tensors(str(folder))

    def test_weight_that_no_shard_holds(self, name, tmp_path):
        folder = unpacked(name, tmp_path)
        edit_index(folder, lambda i: i.update({"tf_x/a/kernel:0": next(iter(i.values()))}))
        with pytest.raises(kb.CheckpointError, match=r"no shard holds: a\.weight"):
            open_tensors(str(folder))

    def test_shard_that_is_not_there(self, name, tmp_path):
        folder = unpacked(name, tmp_path)
        sorted(folder.glob("*-00002-of-*"))[0].unlink()
        with pytest.raises(kb.CheckpointError, match="which is not in"):
            open_tensors(str(folder))


def test_weight_in_two_shards(tmp_path):
    folder = unpacked("bert_sharded", tmp_path)
    first, second = sorted(folder.glob("*.h5"))[:2]
    with h5py.File(first) as file, h5py.File(second, "a") as other:
        name = "bert/" + WORDS
        other[name] = file[name][()]
    with pytest.raises(kb.CheckpointError, match=r"word_embeddings/weight:0' is both in"):
        open_tensors(str(folder))
