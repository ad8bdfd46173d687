import numpy as np
import pytest

from keras_bert.data.answers import first_answer_bytes, place_answer, read_answers

PARIS = {"text": "Paris", "start": 3}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([{"text": "Paris", "answer_start": 3}], [PARIS]),
        ({"text": "Paris", "start": 3}, [PARIS]),
        (
            {"text": ["Paris", "it"], "answer_start": [3, -1]},
            [PARIS, {"text": "it", "start": None}],
        ),
        ({"text": np.array(["Paris"], object), "answer_start": np.array([3])}, [PARIS]),
        ({"text": ["Paris"]}, [{"text": "Paris", "start": None}]),
        (("Paris", 3), [PARIS]),
        ([("Paris", 3), ["Paris", np.int64(3)]], [PARIS, PARIS]),
        (("Paris", "Rome"), [{"text": "Paris", "start": None}, {"text": "Rome", "start": None}]),
        ("Paris", [{"text": "Paris", "start": None}]),
        (b"Paris", [{"text": "Paris", "start": None}]),
        (["Paris"], [{"text": "Paris", "start": None}]),
        ([{"text": "", "answer_start": 0}], []),
        ({"text": [], "answer_start": []}, []),
        (None, []),
        ([], []),
        ({}, []),
        ("", []),
    ],
)
def test_forms(answers, expected):
    assert read_answers(answers) == expected


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (5, "answers are 5. Expected a list of"),
        ([5], "an answer is 5"),
        ([{"answer_start": 3}], "an answer is {'answer_start': 3}"),
        ([{"text": "Paris", "answer_start": "3"}], "an answer is"),
        ([{"text": "Paris", "answer_start": True}], "an answer is"),
        ({"text": ["Paris", "it"], "answer_start": [3]}, "answers are {'text'"),
        ({"txt": "Paris"}, "answers are {'txt'"),
    ],
)
def test_other_forms_are_shown(answers, message):
    with pytest.raises(TypeError, match=message):
        read_answers(answers)


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("Rome", 3, (3, 7)),  # where it should be
        ("Rome", 5, (3, 7)),  # near
        ("Rome", 22, (19, 23)),
        ("Rome", None, (3, 7)),  # the first
        ("Rome", -1, (3, 7)),
        ("Rome", 10**9, (19, 23)),
        (" Rome, ", 3, (2, 9)),
        ("\tRome, ", 3, (3, 8)),  # but for white space
        ("Rome, in\nItaly.", 3, (3, 19)),
        ("a😀b", 0, (24, 27)),
        ("aa", 29, (29, 31)),
        ("aa", 31, (30, 32)),  # overlapping places
        ("rome", 3, None),
        ("(", 3, None),
        (" ", 0, None),
    ],
)
def test_places(text, start, expected):
    context = "in Rome,  in Italy.Rome a😀b aaaa"
    assert place_answer(context, text, start) == expected
    if expected:
        assert context[slice(*expected)].split() == text.split()


def test_nothing_is_in_nothing():
    assert place_answer("", "Rome", 0) is None


def test_bytes_of_the_first_answer_that_is_there():
    answers = [{"text": "Bonn", "start": 0}, {"text": "中", "start": 9}, {"text": "é", "start": 0}]
    assert first_answer_bytes("é 😀 or 中", answers) == (11, 14)
    assert first_answer_bytes("é", answers[:2]) is None and first_answer_bytes("é", []) is None
