"""Folders of TensorFlow Datasets, read without it; ``answers.json`` is what it reads from them."""

import json
import shutil
import sys

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.prepared import find_prepared, is_prepared, prepare, read_prepared
from keras_bert.data.wanted import Wanted


@pytest.fixture
def prepared(fixtures):
    return fixtures / "tfds"


@pytest.fixture
def copied(prepared, tmp_path):
    return shutil.copytree(prepared / "toy" / "1.0.0", tmp_path / "toy")


def test_every_row_is_what_tensorflow_datasets_reads(prepared):
    answers = json.loads((prepared / "answers.json").read_text("utf-8"))
    assert len(answers) == 12
    for name, rows in answers.items():
        folder, split = name.split(":")
        wanted = Wanted(with_labels=False)
        examples = read_prepared(prepared / folder, split, wanted)
        columns = [
            examples.columns[role] for role in ("text", "text_pair")[: len(examples.columns)]
        ]
        texts = [tuple(row[column] for column in columns) for row in rows]
        found = [text if isinstance(text, tuple) else (text,) for text in examples.texts]
        assert found == texts, name


def test_classes_have_their_names(prepared):
    examples = read_prepared(prepared / "glue" / "cola" / "2.0.0", "train", Wanted())
    assert examples.labels == ["acceptable", "unacceptable", "acceptable"]
    assert examples.label_names == ["unacceptable", "acceptable"]
    assert (examples.rows, examples.unit) == ([1, 2, 3], "row")


def test_numbers_lists_and_data_without_labels(prepared):
    stsb, toy = prepared / "glue" / "stsb" / "2.0.0", prepared / "toy" / "1.0.0"
    examples = read_prepared(stsb, "train", Wanted())
    assert (examples.labels, examples.label_kind) == ([5.0, 0.25], "value")
    assert read_prepared(stsb, "test", Wanted()).labels is None
    examples = read_prepared(toy, None, Wanted())
    assert dict(zip(examples.texts, examples.labels, strict=True)) == {
        "Rain and wind.": ("rain", "wind"),
        "Nothing.": (),
        "": ("wind",),
        "雨。": ("rain",),
        "Wind!": ("wind",),
    }
    stars = read_prepared(toy, "train", Wanted(text="text", label="more/stars"))
    assert sorted(stars.labels) == list("01234")


def test_find_prepared(prepared, monkeypatch, tmp_path):
    cola = prepared / "glue" / "cola" / "2.0.0"
    assert find_prepared("glue/cola", prepared) == cola
    assert find_prepared("glue/cola:2.0.0", prepared) == cola
    assert find_prepared("glue/cola:1.0.0", prepared) is None
    assert find_prepared("nothing", prepared) is None
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    assert find_prepared("toy") == prepared / "toy" / "1.0.0"
    with pytest.raises(SourceError, match="name one of 'glue/cola', 'glue/mnli', 'glue/stsb'"):
        find_prepared("glue")
    for version in ("2.0.0", "10.0.0"):
        shutil.copytree(cola, tmp_path / "cola" / version)
    assert find_prepared("cola", tmp_path).name == "10.0.0"
    assert is_prepared(cola)
    assert not is_prepared(prepared)


def test_columns_and_splits_that_are_not_there(copied):
    with pytest.raises(
        SourceError, match="no column 'txt'; the columns are 'labels', 'more/stars'"
    ):
        read_prepared(copied, "train", Wanted(text="txt"))
    with pytest.raises(SourceError, match="no split 'test'; there are 'train'"):
        read_prepared(copied, "test", Wanted())


def test_a_missing_or_damaged_file(copied):
    shard = copied / "toy-train.tfrecord-00001-of-00002"
    content = bytearray(shard.read_bytes())
    content[20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(SourceError, match="the TFRecords cannot be read: corrupted record"):
        read_prepared(copied, "train", Wanted())
    shard.unlink()
    with pytest.raises(SourceError, match=r"00001-of-00002 is missing; prepare the data set again"):
        read_prepared(copied, "train", Wanted())


def test_another_format(copied):
    info = copied / "dataset_info.json"
    info.write_text(info.read_text().replace('"tfrecord"', '"array_record"'))
    with pytest.raises(SourceError, match="stored as array_record; prepare them as tfrecord"):
        read_prepared(copied, "train", Wanted())


def test_what_cannot_be_prepared(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SourceError, match=r"no such data set is prepared under .*\[tfds\]"):
        prepare("imdb_reviews", tmp_path)

    class Datasets:
        @staticmethod
        def builder(name, data_dir):
            raise ConnectionError("no route to host\nand more")

    monkeypatch.setitem(sys.modules, "tensorflow_datasets", Datasets)
    with pytest.raises(
        SourceError, match="could not prepare it: ConnectionError: no route to host$"
    ):
        prepare("imdb_reviews", tmp_path)
