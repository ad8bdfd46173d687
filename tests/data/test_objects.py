"""Tables in memory: what they are known by, names of classes, rows that are broken.

``Dataset`` and ``Frame`` stand in for those of ``datasets`` and pandas, which the last tests take
where they are installed.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.examples import SourceError
from keras_bert.data.inputs import is_texts, labelled_texts, read_texts_argument
from keras_bert.data.objects import holds_texts, is_table, read_columns, read_records, read_table
from keras_bert.data.wanted import AS_GIVEN, Wanted

ROWS = {"idx": [0, 1, 2], "sentence": ["a", "b", "c"], "label": [1, 0, 1]}
CLASSES = {"names": ["no", "yes"], "_type": "ClassLabel"}


class Features(dict):
    def to_dict(self):
        return dict(self)


class Dataset:
    """What is used of ``datasets.Dataset``."""

    def __init__(self, columns, features=()):
        self.columns = columns
        self.features = Features(features)

    @property
    def column_names(self):
        return list(self.columns)

    def select_columns(self, names):
        return Dataset({name: self.columns[name] for name in names}, self.features)

    def with_format(self, kind):
        assert kind is None
        return self

    def iter(self, batch_size):
        for start in range(0, len(next(iter(self.columns.values()))), 2):
            yield {name: column[start : start + 2] for name, column in self.columns.items()}


def test_dict_of_columns():
    columns = {
        "premise": np.array(["a", "b"]),
        "hypothesis": tf.constant(["é", ""]),
        "label": (1, 0),
    }
    examples = read_table(columns, Wanted())
    assert (examples.texts, examples.labels) == ([("a", "é"), ("b", "")], ["1", "0"])
    assert (examples.rows, examples.path, examples.unit) == ([0, 1], "columns", "index")


def test_dataset_names_its_classes():
    dataset = Dataset(ROWS, {"label": CLASSES})
    examples = read_table(dataset, Wanted())
    assert (examples.texts, examples.labels) == (["a", "b", "c"], ["yes", "no", "yes"])
    assert examples.label_names == ["no", "yes"]
    assert examples.describe() == (
        "Dataset: 3 rows, text in column 'sentence', label in column 'label', 2 labels"
    )
    assert labelled_texts(dataset) == (["a", "b", "c"], ["yes", "no", "yes"])


def test_labels_stay_as_they_are_where_no_classes_are_named():
    assert labelled_texts(ROWS) == (["a", "b", "c"], [1, 0, 1])
    lists = {"text": ["a", "b"], "labels": [["x"], []]}
    assert labelled_texts(lists) == (["a", "b"], [["x"], []])
    floats = {"text": ["a"], "score": [2.5]}
    assert labelled_texts(floats) == (["a"], [2.5])
    named = {"labels": {"feature": CLASSES, "_type": "List"}}
    several = Dataset({"text": ["a"], "labels": [[1, 0]]}, named)
    assert labelled_texts(several) == (["a"], [("yes", "no")])


def test_texts_with_labels_apart():
    assert labelled_texts({"text": ["a", "b"]}, [1, 0]) == (["a", "b"], [1, 0])
    examples = read_table(ROWS, Wanted())
    assert labelled_texts(examples) == (["a", "b", "c"], ["1", "0", "1"])
    assert labelled_texts(examples, [5, 6, 7]) == (["a", "b", "c"], [5, 6, 7])
    assert read_texts_argument(ROWS) == ["a", "b", "c"]
    assert read_texts_argument({"sentence": ["a"], "label": [None]}) == ["a"]


def test_splits_are_refused():
    splits = {"train": Dataset(ROWS), "test": Dataset(ROWS)}
    assert is_texts(splits)
    with pytest.raises(SourceError, match=r"splits 'train', 'test'; pick one, such as data\['tra"):
        labelled_texts(splits)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a", None], "label": [1, 0]}, r"columns\[1\]: the text is null"),
        ({"text": ["a", float("nan")], "label": [1, 0]}, r"columns\[1\]: the text is nan, a float"),
        ({"text": ["a", "b"], "label": [1, None]}, r"columns\[1\]: the label is missing \(null\)"),
        ({"text": ["a"], "label": [float("nan")]}, r"the label is missing \(nan\)"),
        ({"text": ["a", 5], "label": [1, 0]}, r"columns\[1\]: the text is 5, a int"),
        ({"text": [b"\xff"], "label": [1]}, "not valid UTF-8"),
        ({"text": ["a", "b"], "label": [1]}, r"not of one length \(text: 2, label: 1\)"),
        ({"text": ["a"], "n": [1]}, "no label column found among 'text', 'n'"),
        ({"words": ["a"], "label": [1]}, "no text column found among 'words', 'label'"),
        ({"text": [], "label": []}, "holds no rows"),
    ],
)
def test_refused(columns, message):
    with pytest.raises(SourceError, match=message):
        labelled_texts(columns)


def test_no_label_at_all_is_test_data():
    dataset = Dataset({"text": ["a", "b"], "label": [-1, -1]}, {"label": CLASSES})
    assert read_table(dataset, Wanted()).labels is None
    dataset = Dataset({"text": ["a", "b"], "label": [-1, 1]}, {"label": CLASSES})
    assert read_table(dataset, Wanted(label_kind=AS_GIVEN)).unlabelled == [0]


def test_bad_rows_are_skipped_and_named():
    columns = {"text": ["a", None, "c"], "label": ["x", "y", "z"]}
    examples = read_table(columns, Wanted(), skip_bad_rows=True)
    assert (examples.texts, examples.rows) == (["a", "c"], [0, 2])
    assert examples.skipped[0][0] == 1
    with pytest.raises(SourceError, match=r"^columns\[2\]: unknown label 'z'"):
        examples.with_known_labels(["x"])
    with pytest.raises(SourceError, match=r"1 row skipped; \[0\]: the text is null"):
        read_table({"text": [None]}, Wanted(), skip_bad_rows=True)


def test_tables_of_ids_are_not_texts():
    ids = {"input_word_ids": np.ones((1, 3), "int32"), "input_mask": tf.ones((1, 3), tf.int32)}
    assert not is_texts(ids)
    assert not is_texts({"input_word_ids": [[1, 2]]})
    assert not is_texts({})
    assert is_texts({"id": [1], "tokens": [["a", "b"]]})
    assert is_texts({"text": tf.constant(["a"])})
    assert not is_table([1])
    with pytest.raises(TypeError, match="Received int, which is no table"):
        read_table(5, Wanted())


def test_columns_of_other_tasks():
    names = {"words": ("words", "tokens"), "tags": ("tags", "ner_tags")}
    features = {"ner_tags": {"feature": {"names": ["O", "B-X"], "_type": "ClassLabel"}}}
    features["ner_tags"]["_type"] = "Sequence"
    columns = {"id": [1, 2, 3], "Tokens": [["a"], [], ["b", "c"]], "ner_tags": [[1], [], [0, -100]]}
    assert read_columns(Dataset(columns, features), names) == {
        "words": [["a"], [], ["b", "c"]],
        "tags": [["B-X"], [], ["O", -100]],
    }
    assert read_columns(columns, names)["tags"] == [[1], [], [0, -100]]
    with pytest.raises(
        SourceError, match=r"no column of tags among 'tokens' \(looked for tags, ner"
    ):
        read_columns({"tokens": [["a"]]}, names)
    with pytest.raises(TypeError, match="Received int, which is no table"):
        read_columns(5, names)


def test_records():
    dataset = Dataset(ROWS, {"label": CLASSES})
    assert list(read_records(dataset))[1:] == [
        {"idx": 1, "sentence": "b", "label": "no"},
        {"idx": 2, "sentence": "c", "label": "yes"},
    ]


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", "b"], "label": [1, 0]}, index=[7, 3])
    assert is_texts(frame)
    assert labelled_texts(frame) == (["a", "b"], [1, 0])
    assert labelled_texts(frame["text"], frame["label"]) == (["a", "b"], [1, 0])
    frame["label"] = pandas.Categorical(["x", "y"])
    assert labelled_texts(frame) == (["a", "b"], ["x", "y"])
    frame["text"] = [None, "b"]
    with pytest.raises(SourceError, match=r"^DataFrame\.iloc\[0\]: the text is (null|nan)"):
        labelled_texts(frame)
    assert not holds_texts(pandas.DataFrame({"x": [1.0]}))


def test_hugging_face_datasets():
    # Not "datasets": the folder of this name at the root of the repository can be imported, too.
    pytest.importorskip("datasets.arrow_dataset")
    import datasets

    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    dataset = datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": [1, 0]}, features)
    for made in (dataset, dataset.with_format("numpy"), dataset.to_iterable_dataset()):
        assert is_texts(made)
        assert labelled_texts(made) == (["a", "b"], ["yes", "no"])
    assert labelled_texts(dataset["sentence"], dataset["label"]) == (["a", "b"], [1, 0])
    with pytest.raises(SourceError, match="pick one, such as"):
        labelled_texts(datasets.DatasetDict(train=dataset))
    unnamed = datasets.IterableDataset.from_generator(lambda: iter([{"text": "a", "label": 2}]))
    assert labelled_texts(unnamed) == (["a"], [2])


def test_arrow_tables():
    pyarrow = pytest.importorskip("pyarrow")
    assert labelled_texts(pyarrow.table({"text": ["a"], "label": [1]})) == (["a"], [1])
