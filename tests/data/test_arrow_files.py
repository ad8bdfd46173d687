"""Parquet and Arrow files: columns, names of classes, rows that are broken."""

import json
import sys

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.sources import read_examples

from .conftest import refused

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def parquet(tmp_path):
    """Writes columns as a Parquet file in row groups of two rows; returns its path."""

    def write(columns, features=None):
        table = pa.table(columns)
        if features:
            noted = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": noted})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
        return tmp_path / "a.parquet"

    return write


def test_parquet(parquet):
    examples = read_examples(parquet({"id": [7, 8, 9], "text": list("abc"), "label": list("xyx")}))
    assert (examples.texts, examples.labels, examples.rows) == (list("abc"), list("xyx"), [1, 2, 3])
    assert examples.columns == {"text": "text", "label": "label"}
    assert examples.describe().endswith(
        "a.parquet: 3 rows, text in column 'text', label in column 'label', 2 labels"
    )


@pytest.mark.parametrize("suffix", ["arrow", "feather"])
@pytest.mark.parametrize("make", [pa.ipc.new_file, pa.ipc.new_stream])
def test_both_formats_of_arrow(tmp_path, suffix, make):
    table = pa.table({"premise": ["a", "b"], "hypothesis": ["c", ""], "label": [1, 0]})
    path = tmp_path / f"a.{suffix}"
    with make(str(path), table.schema) as file:
        file.write_table(table)
    examples = read_examples(path)
    assert (examples.texts, examples.labels) == ([("a", "c"), ("b", "")], ["1", "0"])


def test_more_rows_than_a_batch(parquet):
    path = parquet({"text": [str(n) for n in range(3000)], "label": ["x"] * 3000})
    examples = read_examples(path)
    assert examples.texts[-1] == "2999"
    assert examples.rows[-1] == 3000


def test_names_of_classes_are_read(parquet):
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    examples = read_examples(parquet({"text": list("abc"), "label": [1, -1, 1]}, features))
    assert (examples.texts, examples.labels) == (["a", "c"], ["pos", "pos"])
    assert (examples.label_names, examples.unlabelled) == (["neg", "pos"], [2])
    assert "1 row without gold label left out" in examples.describe()
    path = parquet({"text": ["a"], "label": [5]}, features)
    assert refused(path).reason == "the label is 5; the classes are numbered 0 to 1"


@pytest.mark.parametrize("gone", [-1, None])
def test_data_without_any_gold_label(parquet, gone):
    path = parquet({"text": list("ab"), "label": pa.array([gone, gone], pa.int64())})
    examples = read_examples(path)
    assert (examples.texts, examples.labels) == (["a", "b"], None)
    assert read_examples(path, label_kind=None).labels is None
    if gone is None:
        assert "the label is null" in refused(path, with_labels=True).reason


def test_lists_and_numbers(parquet):
    path = parquet({"text": ["a", "b"], "labels": [["x", "y"], []]})
    examples = read_examples(path, label_kind=None)
    assert (examples.labels, examples.label_kind) == ([("x", "y"), ()], "labels")
    path = parquet({"sentence1": ["a"], "sentence2": ["b"], "label": [2.5]})
    examples = read_examples(path, label_kind=None)
    assert (examples.texts, examples.labels, examples.label_kind) == ([("a", "b")], [2.5], "value")


def test_categories(parquet):
    label = pa.array(["x", "y", "x"]).dictionary_encode()
    assert read_examples(parquet({"text": list("abc"), "label": label})).labels == list("xyx")


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        (None, "x", "the text is null"),
        ("b", None, "the label is null"),
        ("b", "  ", "the label is empty"),
        ("b\0", "x", "the text holds a NUL character"),
    ],
)
def test_broken_rows(parquet, text, label, reason):
    path = parquet({"text": ["a", text, "c"], "label": ["x", label, "x"]})
    error = refused(path)
    assert (error.row, error.unit) == (2, "row")
    assert f"a.parquet, row 2: {reason}" in str(error)
    examples = read_examples(path, skip_bad_rows=True)
    assert (examples.texts, examples.rows) == (["a", "c"], [1, 3])


def test_bytes_that_are_no_utf8(parquet):
    path = parquet({"text": pa.array([b"a", b"caf\xe9"], pa.binary()), "label": ["x", "y"]})
    assert "not valid UTF-8 (byte 0xE9 after 3 characters)" in refused(path).reason
    offsets, data = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xe9")
    unchecked = pa.StringArray.from_buffers(2, offsets, data)
    path = parquet({"text": unchecked, "label": ["x", "y"]})
    assert refused(path).row == 2
    assert read_examples(path, skip_bad_rows=True).texts == ["a"]


def test_columns_that_are_not_there(parquet):
    path = parquet({"body text": ["a"], "label": ["x"]})
    assert "no text column found among 'body text', 'label'" in refused(path).reason
    assert "no column 'txt'; the columns are 'body text'" in refused(path, text_column="txt").reason


def test_no_such_file(write):
    for name in ("a.parquet", "a.arrow"):
        path = write(name, b"PAR1 or not")
        assert "no file of this kind, or a damaged one" in refused(path).reason
        with pytest.raises(FileNotFoundError):
            read_examples(path.parent / f"no_{name}")


def test_empty(parquet):
    path = parquet({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})
    assert "the file holds no rows" in refused(path).reason


def test_without_pyarrow(parquet, monkeypatch):
    path = parquet({"text": ["a"], "label": ["x"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"a\.parquet is read through pyarrow.*\[parquet\]"):
        read_examples(path)


def test_a_truncated_file(parquet):
    path = parquet({"text": ["some text"] * 100, "label": ["x"] * 100})
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        read_examples(path)
