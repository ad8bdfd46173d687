import numpy as np
import pytest

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from keras_bert.data.text_groups import TextGroups

GROUPS = [["yes", "what is it"], ["no", "a good day", "very bad", "good"], ["one"]]


@pytest.fixture
def preprocessor(tiny_checkpoint):
    return kb.Preprocessor(kb.Tokenizer.from_pretrained(str(tiny_checkpoint)), seq_length=12)


@pytest.mark.parametrize("prompts", [None, ["why", "a day like this", ""]])
def test_rows_are_those_of_the_preprocessor(preprocessor, prompts):
    groups = TextGroups(preprocessor, GROUPS, prompts)
    ids = groups.batch([1, 0])
    assert {x.shape for x in ids.values()} == {(2, 4, ids["input_mask"].shape[-1])}
    for row, example in enumerate([1, 0]):
        for column, text in enumerate(GROUPS[example]):
            expected = preprocessor(
                [text] if prompts is None else ([prompts[example]], [text]),
            )
            length = expected["input_mask"].shape[-1]
            for name, value in ids.items():
                assert (
                    value[row, column, :length].numpy().tolist()
                    == expected[name][0].numpy().tolist()
                )
            assert not ids["input_mask"][row, column, length:].numpy().any()
    assert not ids["input_mask"][1, 2:].numpy().any()
    longest = [ids["input_mask"][row].numpy().sum(-1).max() for row in (1, 0)]
    assert groups.lengths.tolist()[:2] == longest


def test_rows_without_text_are_padding_on_the_left_too(preprocessor):
    preprocessor.tokenizer.class_last = True
    ids = TextGroups(preprocessor, GROUPS).batch([0, 1])
    expected = preprocessor(GROUPS[0])
    length = expected["input_mask"].shape[-1]
    assert ids["input_type_ids"][0, 2].numpy().tolist() == [3] * ids["input_mask"].shape[-1]
    for name, value in expected.items():
        assert np.array_equal(ids[name][0, :2, -length:], value)


def test_columns_of_other_lengths_are_apart(preprocessor):
    pairs = [["yes", "yes " * 9], ["no", "no " * 8]]
    first, second = TextGroups(preprocessor, pairs, columns=True).batch([1, 0])
    expected = [preprocessor([pairs[1][side], pairs[0][side]]) for side in (0, 1)]
    for ids, theirs in zip((first, second), expected, strict=True):
        assert all(np.array_equal(ids[name], theirs[name]) for name in theirs)
    assert isinstance(TextGroups(preprocessor, pairs).batch([0]), dict)
    assert isinstance(TextGroups(preprocessor, [["a", "b"]], columns=True).batch([0]), dict)


def test_dataset(preprocessor):
    groups = TextGroups(preprocessor, GROUPS, targets=np.array([5, 6, 7]))
    batches = list(groups.dataset(lambda: [np.array([2]), np.array([0, 1])]))
    assert [targets.numpy().tolist() for _, targets in batches] == [[7], [5, 6]]
    groups.targets = None
    (ids,) = groups.dataset(lambda: [np.array([0])])
    assert ids["input_word_ids"].shape[:2] == (1, 2)


def test_cuts_are_told_of(preprocessor):
    with pytest.warns(TruncationWarning, match="1 of 2 texts are longer than seq_length=12"):
        groups = TextGroups(preprocessor, [["a", "good " * 40]])
    assert groups.lengths.tolist() == [12]
    with pytest.raises(ValueError, match="Example 1 has no texts"):
        TextGroups(preprocessor, [["a"], []])
