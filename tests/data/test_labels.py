"""Labels that are numbers, several names, or the right one of several choices."""

import json

import pytest

from keras_bert.data.labels import find_kind, find_separator, make_reader, read_right_choice
from keras_bert.data.rows import Feature
from keras_bert.data.sources import read_examples

from .conftest import refused

CLASSES = Feature("class", ("no", "yes"))


@pytest.mark.parametrize(
    ("value", "label"), [("3.5", 3.5), (" 2 ", 2.0), (4, 4.0), ("-1e-3", -0.001), (0.25, 0.25)]
)
def test_values(value, label):
    assert make_reader("value", "score", None, None)(value) == (label, None)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("3,5", "the label is '3,5', no number; write 3.5 with a point"),
        ("good", "the label is 'good', no number"),
        ("", "the label is ''; a number is needed"),
        (None, "the label is null; a number is needed"),
        (float("nan"), "the label is nan; a number is needed"),
        ("inf", "the label is 'inf'; a number is needed"),
        (True, "the label is True, no number"),
        ([1.0], "the label is [1.0], no number"),
    ],
)
def test_no_values(value, problem):
    assert make_reader("value", "score", None, None)(value) == (None, problem)


@pytest.mark.parametrize(
    ("value", "separator", "labels"),
    [
        ("a|b", "|", ("a", "b")),
        (" a | b |a", "|", ("a", "b")),
        ("a, b", ",", ("a", "b")),
        ("a, b", None, ("a, b",)),
        ("", "|", ()),
        (["a", "b", "a"], None, ("a", "b")),
        ([], None, ()),
        ([1, 2], None, ("1", "2")),
        ('["a", "b"]', "|", ("a", "b")),
        ("['a', 'b,c']", ",", ("a", "b,c")),
        ("[]", ",", ()),
        (3, None, ("3",)),
    ],
)
def test_several_labels(value, separator, labels):
    assert make_reader("labels", "labels", None, separator)(value) == (labels, None)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "the labels are null; expected a list"),
        (float("nan"), "the labels are nan"),
        (["a", None], "the label is null"),
        (["a", ""], "the label is empty"),
        ("[a, b]", "the label begins like a list, and is none"),
        ([["a"]], "the label is ['a'], a list"),
        ({"a": 1}, "the labels are {'a': 1}"),
    ],
)
def test_no_several_labels(value, problem):
    label, found = make_reader("labels", "labels", None, ",")(value)
    assert label is None
    assert found.startswith(problem)


def test_columns_of_0_and_1():
    read = make_reader("labels", ("toxic", "rude"), None, None)
    assert read(("1", "0")) == (("toxic",), None)
    assert read((0.0, True)) == (("rude",), None)
    assert read(("0", "2")) == (None, "column 'rude' is '2'; expected 0 or 1")
    assert read((None, 1)) == (None, "column 'toxic' is null; expected 0 or 1")


def test_numbers_of_classes():
    read = make_reader("class", "label", CLASSES, None)
    assert read(1) == ("yes", None)
    assert read("yes") == ("yes", None)
    assert read(-1) == (None, None)
    assert read(2) == (None, "the label is 2; the classes are numbered 0 to 1")
    several = make_reader("labels", "labels", CLASSES, None)
    assert several([0, 1]) == (("no", "yes"), None)
    assert several([-1])[1] == "the label -1 stands for none"
    assert (
        make_reader("class", "label", None, None)(float("nan"))[1] == "the label is missing (nan)"
    )


def test_dash_of_gold_label():
    assert make_reader("class", "gold_label", None, None)("-") == (None, None)
    assert make_reader("class", "label", None, None)("-") == ("-", None)


@pytest.mark.parametrize(
    ("column", "feature", "values", "kind"),
    [
        ("label", None, ["a", "b"], "class"),
        ("label", None, ["1", "2"], "class"),
        ("label", None, ["1.0", "0.0"], "class"),
        ("label", None, ["1.5", "2"], "value"),
        ("label", None, ["1.5", "a"], "class"),
        ("score", None, ["1", "2"], "value"),
        ("score", None, ["a"], "class"),
        ("label", None, [["a"]], "labels"),
        (("a", "b"), None, [], "labels"),
        ("label", CLASSES, [0], "class"),
        ("label", Feature("value"), [0.0], "value"),
        ("label", None, [], "class"),
    ],
)
def test_find_kind(column, feature, values, kind):
    assert find_kind({"text": "text", "label": column}, feature, values) == kind


def test_find_separator():
    assert find_separator(["a", "b,c", "d;e"]) == ";"
    assert find_separator(["a", "b"]) is None
    assert find_separator(['["a|b"]', "a, b"]) == ","


@pytest.mark.parametrize(
    ("value", "names", "number"),
    [
        (1, None, 1),
        ("1", None, 1),
        (" 1 ", None, 1),
        ("B", None, 1),
        ("c", None, 2),
        ("two", None, 1),
        ("1", ["1", "2", "3"], 0),
        ("C", ["A", "B", "C"], 2),
    ],
)
def test_right_choice(value, names, number):
    assert read_right_choice(value, ["one", "two", "three"], names) == (number, None)


def test_no_right_choice():
    for value in ("four", None, 1.5, ""):
        label, problem = read_right_choice(value, ["one", "two"], None)
        assert label is None
        assert "expected the number, letter or text of one of the choices 'one', 'two'" in problem


def test_files_with_several_labels(write):
    path = write("a.csv", "text,labels\na,x|y\nb,\nc,y\n")
    examples = read_examples(path, label_kind="labels")
    assert (examples.labels, examples.label_names) == ([("x", "y"), (), ("y",)], ["x", "y"])
    assert examples.describe().endswith("2 labels, up to 2 each")
    assert read_examples(path, label_kind="labels", label_separator=";").labels[0] == ("x|y",)
    path = write("a.jsonl", '{"text": "a", "labels": ["x"]}\n{"text": "b", "labels": "y"}\n')
    examples = read_examples(path, label_kind=None)
    assert (examples.labels, examples.label_kind) == ([("x",), ("y",)], "labels")
    known = examples.with_known_labels(["x"], skip_bad_rows=True)
    assert (known.labels, [row for row, _ in known.skipped]) == ([("x",)], [2])


def test_files_with_columns_of_0_and_1(write):
    path = write("a.csv", "id,comment_text,toxic,rude,words\n0,a,1,0,3\n1,b,0,0,4\n")
    examples = read_examples(path, label_kind="labels")
    assert (examples.labels, examples.label_names) == ([("toxic",), ()], ["toxic", "rude"])
    assert "label in columns 'toxic', 'rude', 2 labels" in examples.describe()
    assert read_examples(path, label_column=["rude", "toxic"]).label_names == ["rude", "toxic"]
    reason = refused(path, label_column=["rude", "words"]).reason
    assert reason == "column 'words' is '3'; expected 0 or 1"
    rows = [{"text": "a", "x": 1, "y": 0}, {"text": "b", "x": 1, "y": 1}]
    path = write("a.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    assert read_examples(path, label_kind="labels").labels == [("x",), ("x", "y")]


def test_files_with_values(write):
    path = write("a.csv", "sentence1,sentence2,score\na,b,3.5\nc,d,5\n")
    examples = read_examples(path, label_kind="value")
    assert (examples.labels, examples.label_names) == ([3.5, 5.0], [])
    assert examples.describe().endswith("label in column 'score', numbers from 3.5 to 5")
    assert examples.with_known_labels(["x"]) is examples
    assert read_examples(path).labels is None
    path = write("b.csv", "text,score\na,1\nb,bad\n")
    assert str(refused(path, label_kind="value")).endswith("line 3: the label is 'bad', no number")


@pytest.mark.parametrize("kind", ["number", "classes", 3])
def test_kinds_that_are_none(write, kind):
    with pytest.raises(ValueError, match="expected one of class, value, labels, choice, or None"):
        read_examples(write("a.csv", "text,label\na,b\n"), label_kind=kind)
