"""Files read as examples: what is found in them, and how broken ones are refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert.data import sources
from keras_bert.data.examples import SourceError
from keras_bert.data.sources import read_examples, read_texts

from .conftest import refused


def test_csv(write):
    examples = read_examples(write("a.csv", 'text,category\nLost card,card\n"a, b",other\n'))
    assert examples.texts == ["Lost card", "a, b"]
    assert examples.labels == ["card", "other"]
    assert examples.rows == [2, 3]
    assert examples.columns == {"text": "text", "label": "category"}
    assert examples.skipped == []
    assert len(examples) == 2


def test_tsv_and_jsonl_hold_the_same(write):
    tsv = read_examples(write("a.tsv", 'label\tsentence\nx\tone, "two"\ny\tthree\n'))
    jsonl = read_examples(
        write(
            "a.jsonl",
            '{"sentence": "one, \\"two\\"", "label": "x"}\n{"label": "y", "sentence": "three"}\n',
        )
    )
    assert tsv.texts == jsonl.texts == ['one, "two"', "three"]
    assert tsv.labels == jsonl.labels == ["x", "y"]
    assert (tsv.rows, jsonl.rows) == ([2, 3], [1, 2])


def test_suffix_in_capitals(write):
    assert read_examples(write("A.CSV", "text,label\na,b\n")).texts == ["a"]


def test_byte_order_mark(write):
    mark = b"\xef\xbb\xbf"
    for name, content in {
        "a.csv": b'"text",label\na,b\n',
        "a.tsv": b"text\tlabel\na\tb\n",
        "a.jsonl": b'{"text": "a", "label": "b"}\n',
    }.items():
        assert read_examples(write(name, mark + content)).columns["text"] == "text"
    assert read_texts(write("a.txt", mark + b"a\n")).texts == ["a"]


def test_empty_text_is_kept(write):
    assert read_examples(write("a.csv", "text,label\n,x\n \t,y\n")).texts == ["", " \t"]
    assert read_examples(write("a.jsonl", '{"text": "", "label": "x"}\n')).texts == [""]
    assert read_examples(write("a.csv", 'text\n""\nb\n')).texts == ["", "b"]


def test_texts_are_not_changed_and_labels_are_stripped(write):
    examples = read_examples(write("a.csv", "text,label\n  a  , x \n"))
    assert (examples.texts, examples.labels) == (["  a  "], ["x"])


def test_without_labels(write):
    path = write("a.csv", "id,text\n1,a\n")
    assert read_examples(path).labels is None
    assert "label" in refused(path, with_labels=True).reason
    path = write("b.csv", "text,label\na,\nb,x\n")
    examples = read_examples(path, with_labels=False)
    assert (examples.texts, examples.labels, examples.columns) == (
        ["a", "b"],
        None,
        {"text": "text"},
    )
    path = write("c.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n')
    assert read_examples(path, with_labels=False).texts == ["a", "b"]
    assert refused(path).row == 2


def test_one_string_object_per_label(write):
    labels = read_examples(write("a.csv", "text,label\n" + "a,some label\n" * 50)).labels
    assert len({id(label) for label in labels}) == 1


def test_skip_bad_rows_counts_and_lists_them(write):
    content = b'text,label\na,x\nb\n"c" d,x\ncaf\xe9,x\ne,\nf,y\n'
    examples = read_examples(write("a.csv", content), skip_bad_rows=True)
    assert examples.texts == ["a", "f"]
    assert examples.rows == [2, 7]
    assert [row for row, _ in examples.skipped] == [3, 4, 5, 6]
    assert "4 bad rows skipped" in examples.describe()


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_empty_files(write, name):
    for content in ("", "\n\n", b"\xef\xbb\xbf"):
        assert "the file is empty" in refused(write(name, content)).reason


def test_files_that_are_none(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv does not exist"):
        read_examples(tmp_path / "nothing.csv")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.csv is a folder"):
        read_examples(folder)
    reason = refused(write("a.xlsx", "text,label\n")).reason
    assert reason.startswith("the suffix is .xlsx; expected one of .csv, .tsv, .jsonl, ")
    assert "the file has no suffix" in refused(write("a", "text,label\n")).reason
    assert "UTF-16" in refused(write("a.csv", "text,label\na,b\n".encode("utf-16"))).reason


def test_texts_one_per_line(write):
    examples = read_texts(write("a.txt", "one, two\r\n\n  three\r\nfour"))
    assert examples.texts == ["one, two", "  three", "four"]
    assert examples.rows == [1, 3, 4]
    assert examples.labels is None
    path = write("b.txt", b"a\n\xff\nb\n")
    with pytest.raises(SourceError, match="line 2: the text is not valid UTF-8"):
        read_texts(path)
    assert read_texts(path, skip_bad_rows=True).texts == ["a", "b"]
    with pytest.raises(SourceError, match="holds no rows"):
        read_texts(write("c.txt", "\n\n"))
    with pytest.raises(FileNotFoundError):
        read_texts("nothing.txt")


def test_pairs(write):
    examples = read_examples(write("a.csv", "sentence1,sentence2,label\na,b,x\n,c,y\n"))
    assert examples.texts == [("a", "b"), ("", "c")]
    assert examples.columns == {"text": "sentence1", "text_pair": "sentence2", "label": "label"}
    path = write("a.jsonl", '{"premise": "a", "hypothesis": null, "label": "x"}\n')
    assert "the second text is null" in refused(path).reason


def test_reading_a_file_imports_neither_tensorflow_nor_numpy():
    # The package itself may import them; its data/ room on its own must not.
    program = f"""
import importlib.machinery, importlib.util, sys
spec = importlib.machinery.ModuleSpec("keras_bert", None, is_package=True)
spec.submodule_search_locations.append({str(Path(sources.__file__).parents[1])!r})
sys.modules["keras_bert"] = importlib.util.module_from_spec(spec)
import keras_bert.data.sources
sys.exit(any(name in sys.modules for name in ("tensorflow", "keras", "numpy")))
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
