"""Files of questions about texts: what is found in them, and how broken ones are refused."""

import json
import os
from pathlib import Path

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.squad import question_examples, read_squad

#: A folder with ``squad_v11`` and ``cmrc2018``.
DATA = Path(os.environ.get("KERAS_BERT_DATA") or "build/data")

CONTEXT = "Où? In Paris, 😀 or in Rome."


def qa(id="a", question="Where?", answers=(("Paris", 7),), **more):
    answers = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id, "question": question, "answers": answers, **more}


def squad(*qas, context=CONTEXT):
    return {
        "version": "1",
        "data": [{"title": "T", "paragraphs": [{"context": context, "qas": qas}]}],
    }


@pytest.fixture
def read(write):
    def read_content(content, name="a.json", **options):
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        return read_squad(write(name, text), **options)

    return read_content


def test_squad_1(read):
    found = read(squad(qa(), qa("b", "Then?", [("Rome", 22), ("in Rome", 19)])))
    assert found.texts == [("Where?", CONTEXT), ("Then?", CONTEXT)]
    assert found.labels == [
        [{"text": "Paris", "start": 7}],
        [{"text": "Rome", "start": 22}, {"text": "in Rome", "start": 19}],
    ]
    assert (found.ids, found.rows, found.skipped) == (["a", "b"], [1, 2], [])
    assert found.answers == {"a": ["Paris"], "b": ["Rome", "in Rome"]}
    assert found.describe().endswith("a.json: 2 questions about 1 text")
    assert found.label_names == []


def test_squad_2(read):
    impossible = qa("b", answers=[], is_impossible=True, plausible_answers=[{"text": "Rome"}])
    # What is impossible has no answer, whatever stands there.
    wrong = qa("c", is_impossible=True)
    found = read(squad(qa(is_impossible=False), impossible, wrong))
    assert found.labels == [[{"text": "Paris", "start": 7}], [], []]
    assert found.unanswerable == 2
    assert "2 of them have no answer" in found.describe()


def test_layouts_hold_the_same(read):
    record = {"context": CONTEXT, **qa()}
    columns = {"id": "a", "question": "Where?", "answers": {"text": ["Paris"], "answer_start": [7]}}
    chinese = {
        "context_id": "1",
        "context_text": CONTEXT,
        "qas": [{"query_id": "a", "query_text": "Where?", "answers": ["Paris", "Paris"]}],
    }
    expected = read(squad(qa()))
    for found in (
        read([record]),
        read({"data": [record]}),
        read(json.dumps(record) + "\n\n", "a.jsonl"),
        read(json.dumps({"context": CONTEXT, **columns}), "a.JSONL"),
        read([chinese]),
        question_examples([record]),
        read(b"\xef\xbb\xbf" + json.dumps(squad(qa())).encode()),
    ):
        assert (found.texts, found.ids) == (expected.texts, expected.ids)
        assert found.labels[0][0] == expected.labels[0][0]
    assert read([chinese]).columns["question"] == "query_text"


def test_answers_elsewhere_are_found_or_listed(read):
    found = read(
        squad(
            qa("moved", answers=[("Paris", 5), ("Rome", -1)]),
            qa("half", answers=[("Berlin", 7), ("Paris", 7)]),
            qa("lost", answers=[("Berlin", 7), ("Bonn", 0)]),
        )
    )
    assert [[a["start"] for a in answers] for answers in found.labels] == [
        [7, 22],
        [None, 7],
        [None] * 2,
    ]
    assert (found.moved, found.absent) == (1, 3)
    assert found.unplaced == [("lost", "'Berlin' is not in its context")]
    # They count in the scores.
    assert found.answers["lost"] == ["Berlin", "Bonn"] and len(found) == 3
    assert found.describe().endswith(
        "1 answer found elsewhere than stated, 3 answers not in their text, "
        "1 question without any answer in the text ('lost')"
    )


def test_empty_contexts_are_texts(read):
    found = read(squad(qa(), qa("b", answers=[]), context=""))
    assert found.texts[0] == ("Where?", "")
    assert [id for id, _ in found.unplaced] == ["a"]


def test_questions_without_answers_or_ids(read):
    found = read([{"question": "Where?", "context": CONTEXT}] * 2)
    assert found.labels is None and found.ids == ["question 1", "question 2"]
    assert found.answers == {} and "without answers" in found.describe()
    found = read([{"question": "Where?", "context": CONTEXT, "answers": None}])
    assert found.labels == [[]]


BAD = [
    ({**qa("b"), "question": None}, "the question is None, no text"),
    ({**qa("b"), "answers": 5}, "answers are 5"),
    (qa("a"), "the id was there before"),
    ("b", "an object expected, 'b' found"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_bad_questions_are_named_or_skipped(read, bad, reason):
    content = squad(qa(), bad)
    with pytest.raises(SourceError, match=f"question 2.*: {reason}"):
        read(content)
    found = read(content, skip_bad_rows=True)
    ((id, why),) = found.skipped
    assert len(found) == 1 and why.startswith(reason) and id in ("a", "b", "question 2")
    assert "1 bad question skipped" in found.describe()


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ("{", "a.json", "not JSON: "),
        ('{"a": 1}', "a.json", "another layout. Expected SQuAD's layout"),
        ("5", "a.json", "another layout"),
        ("[]", "a.json", "the file holds no questions"),
        ('{"question"', "a.jsonl", "line 1: not JSON"),
        (b"\xff", "a.json", "byte 1 is no valid UTF-8"),
        ("[]", "a.csv", "the suffix is .csv; expected .json, .jsonl"),
    ],
)
def test_bad_files_are_named(read, content, name, reason):
    with pytest.raises(SourceError, match=reason):
        read(content, name)


def test_answers_of_some_only_are_an_error(read):
    record = {"question": "Where?", "context": CONTEXT}
    with pytest.raises(SourceError, match="only 1 of 2 have answers"):
        read([{**record, "answers": []}, record])


def test_nothing_left_is_an_error(read):
    with pytest.raises(SourceError, match="no question could be used, 1 skipped; a: the question"):
        read(squad({**qa(), "question": 1}), skip_bad_rows=True)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="set KERAS_BERT_DATA to a folder with SQuAD's data")
@pytest.mark.parametrize(
    ("name", "questions", "contexts", "moved", "absent"),
    [
        ("squad_v11/train", 6388, 1191, 0, 0),
        ("squad_v11/eval", 1185, 238, 0, 0),
        ("cmrc2018/cmrc2018_dev", 3219, 848, 7, 193),
        ("cmrc2018/cmrc2018_trial", 1002, 256, 5, 0),
    ],
)
def test_whole_files(name, questions, contexts, moved, absent):
    found = read_squad(DATA / f"{name}.json")
    assert len(found) == questions and len({c for _, c in found.texts}) == contexts
    assert (found.moved, found.absent, found.unplaced) == (moved, absent, [])
    for (_, context), answers in zip(found.texts, found.labels, strict=True):
        for answer in answers:
            assert answer["start"] is None or context.startswith(answer["text"], answer["start"])


def test_a_part_keeps_ids_and_questions_together():
    records = [{"id": i, "question": f"{i}?", "context": "a b", "answers": []} for i in "xyz"]
    part = question_examples(records).select([2, 0])
    assert part.ids == ["z", "x"] and [question for question, _ in part.texts] == ["z?", "x?"]
    assert part.answers == {"z": [], "x": []}
