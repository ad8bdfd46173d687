"""One door: what a source is, told by what it looks like."""

import shutil

import pytest

import keras_bert as kb
from keras_bert.data.examples import Examples, SourceError
from keras_bert.data.reading import read_dataset

from .test_objects import CLASSES, ROWS, Dataset


def test_it_is_public():
    assert kb.read_dataset is read_dataset
    assert kb.data.read_dataset is read_dataset


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\na,x\nb,y\n"),
        ("a.tsv", "text\tlabel\na\tx\nb\ty\n"),
        ("a.txt", "text\tlabel\na\tx\nb\ty\n"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'),
        ("a.json", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'),
        ("a.json", '[{"text": "a", "label": "x"},\n {"text": "b", "label": "y"}]'),
    ],
)
def test_files(write, name, content):
    examples = read_dataset(write(name, content))
    assert (examples.texts, examples.labels) == (["a", "b"], ["x", "y"])


def test_lines(write):
    examples = read_dataset(write("a.txt", "one\n\ntwo\n"))
    assert (examples.texts, examples.rows, examples.labels) == (["one", "two"], [1, 3], None)
    with pytest.raises(SourceError, match="no label column found"):
        read_dataset(write("b.txt", "text\none\n"), with_labels=True)


def test_a_broken_array(write):
    with pytest.raises(SourceError, match=r"a\.json, line 2: not JSON"):
        read_dataset(write("a.json", '[{"text": "a"},\n {"text":]'))
    with pytest.raises(SourceError, match=r"a\.json, row 2: .* a JSON value found"):
        read_dataset(write("a.json", '[{"text": "a"}, 5]'))
    with pytest.raises(SourceError, match="the file is empty"):
        read_dataset(write("a.json", "[]"))


def test_what_labels_are_is_found(write):
    path = write("a.csv", "sentence1,sentence2,score\na,b,3\nc,d,5\n")
    examples = read_dataset(path)
    assert (examples.labels, examples.label_kind) == ([3.0, 5.0], "value")
    assert read_dataset(path, label_kind="class").labels is None
    assert read_dataset(path, label_column="score", label_kind="class").labels == ["3", "5"]


def test_a_file_for_each_split(tmp_path):
    (tmp_path / "my-train.csv").write_text("text,label\na,x\nb,y\n")
    (tmp_path / "dev.tsv").write_text("text\tlabel\nc\tx\n")
    assert read_dataset(tmp_path, "train").texts == ["a", "b"]
    assert read_dataset(tmp_path, "train[1:]").rows == [3]
    assert read_dataset(tmp_path, "validation").texts == ["c"]
    with pytest.raises(SourceError, match="split= one of 'validation', 'train'"):
        read_dataset(tmp_path)
    (tmp_path / "train.csv").write_text("text,label\n")
    with pytest.raises(
        SourceError, match=r"several files would be one split: 'my-train\.csv', 'tr"
    ):
        read_dataset(tmp_path, "train")


def test_a_folder_with_one_file(tmp_path):
    with pytest.raises(SourceError, match=r"the folder has no data files \(\.csv, "):
        read_dataset(tmp_path)
    (tmp_path / "reviews.csv").write_text("text,label\na,x\n")
    assert read_dataset(tmp_path).texts == ["a"]
    assert read_dataset(tmp_path, "train").texts == ["a"]


def test_a_folder_of_parallel_files(tmp_path):
    for name, content in {"s1": "a\nb\n", "s2": "c\nd\n", "labels": "x\ny\n"}.items():
        for split in ("dev", "test"):
            (tmp_path / f"{name}.{split}").write_text(content)
    examples = read_dataset(tmp_path, "validation")
    assert (examples.texts, examples.labels) == ([("a", "c"), ("b", "d")], ["x", "y"])


def test_names_and_folders_of_tensorflow_datasets(fixtures, monkeypatch):
    folder = fixtures / "tfds"
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    expected = read_dataset("glue/cola", "train")
    assert expected.describe() == (
        "glue/cola (train): 3 rows, text in column 'sentence', label in column 'label', 2 labels"
    )
    for source in (folder / "glue" / "cola", folder / "glue" / "cola" / "2.0.0"):
        assert read_dataset(source, "train").texts == expected.texts
    assert read_dataset("glue/CoLA", "train[:1]").texts == expected.texts[:1]
    assert read_dataset("toy").label_names == ["rain", "wind"]
    assert read_dataset("glue/mnli", "dev").texts == [("Nobody came.", "All came.")]
    for split in ("dev", "validation", "validation_mismatched"):
        assert len(read_dataset("glue/mnli_mismatched", split)) == 2
    assert len(read_dataset("glue/mnli_mismatched", "train")) == 2


def test_a_copy_under_another_name(fixtures, tmp_path):
    copy = shutil.copytree(fixtures / "tfds" / "toy" / "1.0.0", tmp_path / "my data")
    assert len(read_dataset(copy)) == 5


def test_nothing_of_that_name(tmp_path):
    for name in ("nothing.csv", str(tmp_path / "nothing"), "./nothing"):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            read_dataset(name)


def test_tables():
    dataset = Dataset(ROWS, {"label": CLASSES})
    assert read_dataset(dataset).labels == ["yes", "no", "yes"]
    assert read_dataset({"train": dataset}, "train[:2]").rows == [0, 1]
    with pytest.raises(SourceError, match=r"pick one, such as data\['train'\]"):
        read_dataset({"train": dataset})
    with pytest.raises(SourceError, match="no split 'test'; there are 'train'"):
        read_dataset({"train": dataset}, "test")
    examples = Examples(["a", "b"], ["x", "y"], [2, 3], [], {}, "a.csv")
    assert read_dataset(examples) is examples
    with pytest.raises(TypeError, match="Received int; expected a file"):
        read_dataset(5)


def test_saved_data_sets(tmp_path):
    pa = pytest.importorskip("pyarrow")
    for split, texts in {"train": [["a", "b"], ["c"]], "test": [["d"]]}.items():
        (tmp_path / split).mkdir()
        for number, part in enumerate(texts):
            table = pa.table({"text": part, "label": [1] * len(part)})
            name = f"data-{number:05d}-of-{len(texts):05d}.arrow"
            with pa.ipc.new_stream(str(tmp_path / split / name), table.schema) as file:
                file.write_table(table)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    examples = read_dataset(tmp_path, "train")
    assert (examples.texts, examples.rows) == (["a", "b", "c"], [1, 2, 3])
    assert read_dataset(tmp_path / "test").texts == ["d"]


def test_tagged_words_and_questions(write):
    pytest.importorskip("keras_bert.data.conll")
    assert read_dataset(write("a.conll", "Tom B-PER\nsings O\n")).texts == [["Tom", "sings"]]
    pytest.importorskip("keras_bert.data.squad")
    content = (
        '{"data": [{"paragraphs": [{"context": "In Rome.", "qas": [{"id": "1", "question": '
        '"Where?", "answers": [{"text": "Rome", "answer_start": 3}]}]}]}]}'
    )
    assert read_dataset(write("a.json", content)).texts == [("Where?", "In Rome.")]
