"""Texts with tags or entities, in the forms that users have them."""

import numpy as np
import pytest

from keras_bert.data.examples import Examples
from keras_bert.data.tagged import (
    byte_places,
    labels_of_examples,
    read_tagged,
    read_tagged_texts,
    word_bytes,
)


def test_forms_hold_the_same():
    items = [(["a", "b"], ["O", "B-X"]), (["c"], ["O"])]
    texts, labels = map(list, zip(*items, strict=True))
    arrays = [np.array(words) for words in texts], [np.array(tags) for tags in labels]
    examples = Examples(texts, labels, [1, 3], [], {}, "a.conll")
    expected = ([("a", "b"), ("c",)], labels)
    assert read_tagged(items) == read_tagged(texts, labels) == expected
    assert read_tagged(*arrays) == read_tagged(examples) == expected
    encoded = [([word.encode() for word in words], tags) for words, tags in items]
    assert read_tagged(encoded) == expected
    assert labels_of_examples(items) == ({"O", "B-X"}, False)


def test_entities_are_in_order_and_without_blanks():
    entities = [{"label": "Y", "start": 7, "end": 10}, {"label": "X", "start": 0, "end": 5}]
    _, labels = read_tagged([(" Zü  is 😀 x", entities)])
    assert labels == [[("X", 1, 3), ("Y", 8, 9)]]
    assert labels_of_examples([("Anna", [{"label": "X", "start": 0, "end": 4}])]) == ({"X"}, True)


def test_half_characters_stay_one_each():
    assert read_tagged_texts(["a\ud800b\udc00\ud83d\ude00"]) == ["a\ufffdb\ufffd\ufffd\ufffd"]


def test_no_labels_and_no_form():
    with pytest.raises(ValueError, match="a.txt has no column of tags"):
        read_tagged(Examples([["a"]], None, [1], [], {}, "a.txt"))
    with pytest.raises(ValueError, match="2 texts and the labels of 1"):
        read_tagged([["a"], ["b"]], [["O"]])
    with pytest.raises(TypeError, match="Received int. Expected a list of"):
        read_tagged(3)
    with pytest.raises(TypeError, match="The tags of example 0 are 'O'"):
        read_tagged([["a"]], ["O"])
    with pytest.raises(TypeError, match=r"texts\[0\]\[1\] is None"):
        read_tagged_texts([["a", None]])


@pytest.mark.parametrize("text", ["", "abc", "aé中😀b", "😀"])
def test_places_of_bytes(text):
    places = byte_places(text).tolist()
    assert places == [len(text[:end].encode()) for end in range(len(text) + 1)]
    spans = word_bytes([(0, len(text))], text)
    assert spans.dtype == np.int32 and spans.tolist() == [[0, len(text.encode())]]
    assert word_bytes([], text).shape == (0, 2)
