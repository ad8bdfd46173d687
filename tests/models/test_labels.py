"""What a classifier's outputs stand for: what a checkpoint says, and what a user."""

import pytest

from keras_bert.models.labels import choose_problem

SAID, MULTI, NUMBERS = ["x", "y"], "multi_label_classification", "regression"
ONE = ["LABEL_0"]


@pytest.mark.parametrize(
    ("found", "found_type", "asked", "options", "fits"),
    [
        # Nothing asked: what the checkpoint says.
        (SAID, None, {}, {"labels": SAID, "num_labels": 2}, True),
        (SAID, MULTI, {}, {"labels": SAID, "multi_label": True, "num_labels": 2}, True),
        (ONE, NUMBERS, {}, {"num_labels": 1}, True),
        (ONE, None, {}, {"num_labels": 1}, True),
        (ONE, MULTI, {}, {"labels": ONE, "multi_label": True, "num_labels": 1}, True),
        # Asked for the same, or for more than is said.
        (SAID, None, {"multi_label": True}, {"labels": SAID, "multi_label": True}, True),
        (SAID, MULTI, {"labels": SAID}, {"labels": SAID, "multi_label": True}, True),
        (None, None, {"num_labels": 1}, {"num_labels": 1}, False),
        (None, None, {"num_labels": 3}, {"labels": ["LABEL_0", "LABEL_1", "LABEL_2"]}, False),
        # Asked for something else: the head does not fit.
        (SAID, MULTI, {"multi_label": False}, {"labels": SAID}, False),
        (SAID, "single_label_classification", {"multi_label": True}, {"labels": SAID}, False),
        (SAID, MULTI, {"labels": ["a", "b"]}, {"labels": ["a", "b"]}, False),
        (SAID, None, {"num_labels": 1}, {"num_labels": 1}, False),
        (ONE, NUMBERS, {"labels": ["a", "b"]}, {"labels": ["a", "b"]}, False),
        (ONE, MULTI, {"num_labels": 1, "multi_label": False}, {"num_labels": 1}, False),
    ],
)
def test_what_a_checkpoint_and_a_user_say(found, found_type, asked, options, fits):
    asked = {"labels": None, "num_labels": None, "multi_label": None, **asked}
    settled, found_fits = choose_problem("here", found, found_type, **asked)
    assert {name: settled.get(name) for name in options} == options and found_fits == fits
    assert ("multi_label" in options) <= bool(settled.get("multi_label"))


@pytest.mark.parametrize(
    ("found", "found_type", "labels", "message"),
    [
        (None, None, None, "here has no classification head.* give labels="),
        (ONE, "single_label_classification", None, "two labels at least"),
        (SAID, NUMBERS, None, "answers with 2 numbers at once"),
        (ONE, NUMBERS, ["one"], "two labels at least"),
    ],
)
def test_what_says_nothing(found, found_type, labels, message):
    with pytest.raises(ValueError, match=message):
        choose_problem("here", found, found_type, labels, None, None)
