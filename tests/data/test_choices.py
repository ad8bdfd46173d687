import numpy as np
import pytest

from keras_bert.data import choices

EXAMPLES = [("p", ["a", "b"]), (("c", "s"), ["1", "x", "x"])]


def test_forms():
    assert choices.read_choices(EXAMPLES) == EXAMPLES
    assert choices.read_choices(((["c", "s"], np.array(["a"])),)) == [(("c", "s"), ["a"])]
    labelled = [(EXAMPLES[0], "b"), (EXAMPLES[1], 2)]
    assert choices.read_labelled_choices(labelled) == (EXAMPLES, ["b", 2])
    assert choices.read_labelled_choices(EXAMPLES, np.array([1, 2])) == (EXAMPLES, [1, 2])


def test_labels_are_texts_or_numbers():
    def target(label):
        return choices.choice_targets(EXAMPLES, [0, label])[1]

    assert [target(label) for label in (0, np.int64(2), "x", b"x", "1", "2")] == [0, 2, 1, 1, 0, 2]


@pytest.mark.parametrize("label", [3, -1, "y", "3", None, 0.0, True])
def test_a_label_that_is_no_choice(label):
    with pytest.raises(ValueError, match="Example 1 has the label .* none of its 3 choices"):
        choices.choice_targets(EXAMPLES, [0, label])


def test_what_stands_in_the_rows():
    assert choices.choice_segments(EXAMPLES) == (["p", "c"], [["a", "b"], ["s 1", "s x", "s x"]])
    assert choices.choice_segments([(("c", b"s"), ["e"])]) == (["c"], [["s e"]])


@pytest.mark.parametrize(
    "items, error, message",
    [
        ([], ValueError, "Received no prompts"),
        (["a"], TypeError, "Item 0 is 'a'.*Expected .prompt, .choice"),
        ([("a", "b")], TypeError, "Item 0"),
        ([("a", ["b"]), ("a", [])], ValueError, "Item 1 has no choices"),
        ([("a", ["b", None])], TypeError, "Choice 1 of item 0 is None; expected a text"),
        ([(("a", "b", "c"), ["d"])], TypeError, "The prompt of item 0"),
        ([(5, ["d"])], TypeError, "The prompt of item 0 is 5"),
    ],
)
def test_bad_items(items, error, message):
    with pytest.raises(error, match=message):
        choices.read_choices(items)


def test_bad_labelled_items():
    with pytest.raises(TypeError, match="Item 0 is"):
        choices.read_labelled_choices([("p", ["a", "b"])])
    with pytest.raises(ValueError, match="2 prompts and 1 labels"):
        choices.read_labelled_choices(EXAMPLES, [0])
