import numpy as np
import pytest
import tensorflow as tf

from keras_bert.data.inputs import is_texts, labelled_texts, read_texts_argument

IDS = {"input_word_ids": np.ones((1, 3), "int32")}


@pytest.mark.parametrize(
    "x",
    [
        ["a"],
        ("a", "b"),
        [("a", "b")],
        [("a", 1)],
        np.array(["a"]),
        np.array(["a"], object),
        tf.constant(["a"]),
        tf.data.Dataset.from_tensor_slices(["a"]),
        tf.data.Dataset.from_tensor_slices((["a"], [1])),
        tf.data.Dataset.from_tensor_slices(((["a"], ["b"]), [1])),
        "a single string, to be refused as text",
    ],
)
def test_strings(x):
    assert is_texts(x)


@pytest.mark.parametrize(
    "x", [IDS, np.ones((2, 3)), tf.ones((2, 3)), tf.data.Dataset.from_tensor_slices(IDS)]
)
def test_not_strings(x):
    assert not is_texts(x)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([("a", 1), ("b", 0)], None),
        ([["a", 1], ["b", 0]], None),
        (["a", "b"], [1, 0]),
        (("a", "b"), np.array([1, 0])),
        (np.array(["a", "b"]), (1, 0)),
        (tf.constant([b"a", b"b"]), tf.constant([1, 0])),
    ],
)
def test_accepted_forms(x, y):
    texts, labels = labelled_texts(x, y)
    assert [t.decode() if isinstance(t, bytes) else t for t in texts] == ["a", "b"]
    assert labels == [1, 0]


def test_pairs():
    texts, labels = labelled_texts([(("a", "b"), "x"), (("c", "d"), "y")])
    assert (texts, labels) == ([("a", "b"), ("c", "d")], ["x", "y"])
    assert labelled_texts([("a", "b")], ["x"]) == ([("a", "b")], ["x"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([None], r"texts\[0\] is None of type NoneType; expected a string"),
        (["a", 5], r"texts\[1\] is 5 of type int; expected a string"),
        ([5], r"texts\[0\] is 5 of type int"),
        (["a", None], r"texts\[1\] is None of type NoneType"),
        ([("a", "b"), None], r"texts\[1\] is None, no text, while texts\[0\] is a pair"),
        ([("a", "b"), "c"], r"texts\[1\] is a single text, while texts\[0\] is a pair"),
        ([("a", None)], r"texts\[0\] is \('a', None\)"),
        ([("a", "b", "c")], r"texts\[0\] .* of type tuple"),
        ("one text", r"received one text, 'one text'. Write \[text\]"),
        (5, "Received int"),
        ([float("nan")], r"texts\[0\] is nan"),
    ],
)
def test_no_text(texts, message):
    with pytest.raises(TypeError, match=message):
        read_texts_argument(texts)


def test_nothing():
    with pytest.raises(ValueError, match="Received no texts"):
        read_texts_argument([])
    with pytest.raises(ValueError, match="Received no texts"):
        labelled_texts([])


def test_not_one_label_per_text():
    with pytest.raises(ValueError, match="2 texts and 1 labels"):
        labelled_texts(["a", "b"], [1])


def test_item_without_label():
    with pytest.raises(TypeError, match=r"Item 1 is 'b', no \(text, label\)"):
        labelled_texts([("a", 1), "b"])
