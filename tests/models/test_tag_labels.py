"""What labels mean."""

import pytest

from keras_bert.models.tag_labels import TagLabels


def test_tables_of_entities():
    labels = TagLabels(["B-X", "I-X", "O", "B-Y"])
    assert labels.of_entities and labels.scheme == "IOB2" and labels.outside == 2
    assert labels.types == ["X", "Y"] and labels.type_of.tolist() == [0, 0, -1, 1]
    assert labels.opens.tolist() == [True, False, False, True]
    assert labels.continued.tolist() == [1, 1, 2, -1]
    assert labels.numbers(["I-X", "I-X", "O", "U-Y"]) == [0, 1, 2, 3]
    assert labels.numbers([0, "O"]) == [0, 2]


def test_tables_of_iobes():
    labels = TagLabels(["O", "B-X", "I-X", "E-X", "S-X"])
    assert labels.scheme == "IOBES"
    assert labels.closes.tolist() == [False, False, False, True, True]
    assert labels.continued.tolist() == [0, 2, 2, -1, -1]
    assert labels.numbers_of_spans([("X", 0, 3), ("X", 3, 4)], 5) == [1, 2, 3, 4, 0]


def test_tables_of_names():
    labels = TagLabels(["NOUN", "O", "VERB"])
    assert not labels.of_entities and labels.scheme is None and labels.types == ["NOUN", "VERB"]
    assert labels.continued.tolist() == [0, 1, 2] and labels.opens.tolist() == [True, False, True]
    assert labels.numbers_of_spans([("VERB", 1, 3)], 3) == [1, 2, 2]


def test_labels_without_any_b():
    labels = TagLabels(["O", "I-X"])
    assert labels.numbers(["B-X", "I-X", "O", "I-X"]) == [1, 1, 0, 1]


@pytest.mark.parametrize("tag", ["B-Z", "X", "", 9, -1, None, True])
def test_unknown_tags_are_placed(tag):
    with pytest.raises(KeyError) as caught:
        TagLabels(["O", "B-X", "I-X"]).numbers(["O", tag])
    assert caught.value.args == (1,)
