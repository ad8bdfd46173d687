"""What examples know about themselves, and the error that names a line."""

import pickle

import pytest

from keras_bert.data.examples import Examples, SourceError, counted, listed, shown


def make_examples(**changes):
    fields = {
        "texts": ["a", "b", "c"],
        "labels": ["x", "y", "x"],
        "rows": [2, 3, 7],
        "skipped": [(4, "broken")],
        "columns": {"text": "text", "label": "category"},
        "path": "data.csv",
    }
    return Examples(**{**fields, **changes})


def test_label_names_are_sorted_and_unique():
    assert make_examples(labels=["y", "x", "x"]).label_names == ["x", "y"]
    assert make_examples(labels=None).label_names == []


def test_describe():
    assert make_examples().describe() == (
        "data.csv: 3 rows, text in column 'text', label in column 'category', 2 labels, "
        "1 bad row skipped"
    )
    assert make_examples(labels=None, skipped=[], columns={"text": 1}).describe() == (
        "data.csv: 3 rows, text in column 1"
    )


def test_known_labels_change_nothing():
    examples = make_examples()
    assert examples.with_known_labels(["x", "y", "z"]) is examples
    unlabelled = make_examples(labels=None)
    assert unlabelled.with_known_labels(["x"]) is unlabelled


def test_an_unknown_label_is_named_with_its_line():
    with pytest.raises(SourceError) as caught:
        make_examples().with_known_labels(["x"])
    assert str(caught.value) == "data.csv, line 3: unknown label 'y'; the model knows 'x'"
    assert caught.value.row == 3


def test_unknown_labels_are_skipped_on_request():
    examples = make_examples()
    kept = examples.with_known_labels(["x"], skip_bad_rows=True)
    assert (kept.texts, kept.labels, kept.rows) == (["a", "c"], ["x", "x"], [2, 7])
    assert [row for row, _ in kept.skipped] == [3, 4]
    assert (len(examples), len(examples.skipped)) == (3, 1)
    with pytest.raises(SourceError, match="no row could be used, 4 rows skipped; line 2: unknown"):
        examples.with_known_labels(["z"], skip_bad_rows=True)


def test_source_error_survives_pickling():
    error = pickle.loads(pickle.dumps(SourceError("data.csv", 3, "broken")))
    assert (error.path, error.row, error.reason) == ("data.csv", 3, "broken")
    assert str(error) == "data.csv, line 3: broken"
    assert str(SourceError("data.csv", None, "broken")) == "data.csv: broken"
    assert isinstance(error, ValueError)


def test_words_for_messages():
    assert (counted(1, "row"), counted(0, "row"), counted(1000, "row")) == (
        "1 row",
        "0 rows",
        "1,000 rows",
    )
    assert shown("a" * 100) == "'" + "a" * 39 + "…"
    assert listed(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7, … (10 in all)"
    assert listed("ab") == "'a', 'b'"


def test_examples_without_gold_label_are_none():
    with pytest.raises(
        SourceError, match=r"^data\.csv: none of 2 rows has a gold label; test data"
    ):
        make_examples(texts=[], labels=[], rows=[], skipped=[], unlabelled=[2, 3]).require_some()


def test_places_are_named_in_the_words_of_the_source():
    assert str(SourceError("data.parquet", 3, "broken", "row")) == "data.parquet, row 3: broken"
    assert str(SourceError("Dataset", 3, "broken", "index")) == "Dataset[3]: broken"
    error = pickle.loads(pickle.dumps(SourceError("Dataset", 3, "broken", "index")))
    assert str(error) == "Dataset[3]: broken"


def test_labels_that_are_no_names():
    values = make_examples(labels=[1.5, 2.0, -3.0], label_kind="value", skipped=[])
    assert values.label_names == []
    assert values.with_known_labels(["x"]) is values
    assert values.describe().endswith("label in column 'category', numbers from -3 to 2")


def test_several_labels():
    several = make_examples(labels=[("x", "y"), (), ("z",)], label_kind="labels")
    assert several.label_names == ["x", "y", "z"]
    assert make_examples(classes=["y", "x", "w"]).label_names == ["y", "x", "w"]
    with pytest.raises(SourceError, match=r"^data\.csv, line 7: unknown label 'z'"):
        several.with_known_labels(["x", "y"])


def test_select():
    part = make_examples().select([2, 0])
    assert (part.texts, part.labels, part.rows) == (["c", "a"], ["x", "x"], [7, 2])
    assert make_examples(labels=None).select([1]).labels is None
