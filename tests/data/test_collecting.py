"""Triplets, multiple choice, and rows without label."""

import json

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.objects import read_table
from keras_bert.data.sources import read_examples
from keras_bert.data.wanted import Wanted

from .conftest import refused

SWAG = "video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label"


def choices(columns, **options):
    return read_table(columns, Wanted(label_kind="choice", **options))


def test_triplets(write):
    examples = read_examples(write("a.csv", "negative,anchor,positive\nc,a,b\nf,d,e\n"))
    assert examples.texts == [("a", "b", "c"), ("d", "e", "f")]
    assert examples.labels is None
    assert examples.describe().endswith(
        "2 rows, text in column 'anchor', text pair in column 'positive', "
        "negative in column 'negative'"
    )
    named = {"text_column": "x", "text_pair_column": "y", "negative_column": "z"}
    assert read_examples(write("b.csv", "x,y,z\na,b,c\n"), **named).texts == [("a", "b", "c")]
    numbers = {"text_column": 1, "text_pair_column": 2, "negative_column": 3}
    assert read_examples(write("c.csv", "a,b,c\n"), **numbers).texts == [("a", "b", "c")]
    path = write("d.jsonl", '{"anchor": "a", "positive": "b", "negative": null}\n')
    assert refused(path).reason == "the negative is null; a string is expected"


def test_pairs_that_belong_together(write):
    examples = read_examples(write("a.csv", "anchor,positive\na,b\n"))
    assert (examples.texts, examples.labels) == ([("a", "b")], None)


def test_swag(write):
    rows = "v,1,He sits. He,He sits.,He,gold,stands.,falls.,sings.,runs.,2\n"
    path = write("val.csv", f"{SWAG}\n{rows}")
    for kind in ("choice", None):
        examples = read_examples(path, label_kind=kind)
        assert examples.texts == [(("He sits.", "He"), ("stands.", "falls.", "sings.", "runs."))]
        assert (examples.labels, examples.label_kind) == ([2], "choice")
        assert examples.label_names == []
    assert examples.describe().endswith(
        "1 row, text in column 'sent1', text pair in column 'sent2', choices in columns 'ending0', "
        "'ending1', 'ending2', 'ending3', label in column 'label', 4 choices each"
    )
    assert read_examples(path, label_kind="choice", with_labels=False).labels is None


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        ({"prompt": ["p"], "choices": [["a", "b"]], "label": [1]}, ("p", ("a", "b")), 1),
        ({"ctx": ["p"], "endings": [["a", "b"]], "label": ["0"]}, ("p", ("a", "b")), 0),
        (
            {"article": ["p"], "question": ["q"], "options": [["a", "b"]], "answer": ["B"]},
            (("p", "q"), ("a", "b")),
            1,
        ),
        (
            {
                "question": ["p"],
                "choices": [{"text": ["a", "b"], "label": ["1", "2"]}],
                "answerKey": ["1"],
            },
            ("p", ("a", "b")),
            0,
        ),
        (
            {
                "question": ["p"],
                "choices": [[{"text": "a", "label": "A"}, {"text": "b", "label": "B"}]],
                "answerKey": ["B"],
            },
            ("p", ("a", "b")),
            1,
        ),
        ({"goal": ["p"], "sol1": ["a"], "sol2": ["b"], "label": [1]}, ("p", ("a", "b")), 1),
        ({"question": ["p"], "choices": [["a", "b"]], "answer": ["a"]}, ("p", ("a", "b")), 0),
    ],
)
def test_usual_columns_of_multiple_choice(columns, text, label):
    examples = choices(columns)
    assert (examples.texts, examples.labels) == ([text], [label])


def test_labels_that_count_from_one():
    columns = {
        "context": ["p", "q"],
        "answerA": ["a", "d"],
        "answerB": ["b", "e"],
        "answerC": ["c", "f"],
        "label": ["3", "1"],
    }
    assert choices(columns).labels == [2, 0]
    assert choices({**columns, "label": ["2", "0"]}).labels == [2, 0]


def test_given_columns_of_multiple_choice(write):
    path = write("a.csv", "stem,x,y,right\np,a,b,1\nq,c,d,0\n")
    given = {"text_column": "stem", "choices_column": ["x", "y"], "label_column": "right"}
    examples = read_examples(path, **given)
    assert (examples.texts[1], examples.labels) == (("q", ("c", "d")), [1, 0])
    path = write("b.csv", "p,a,b,1\n")
    numbers = {"text_column": 1, "choices_column": [2, 3], "label_column": 4}
    assert read_examples(path, **numbers).texts == [("p", ("a", "b"))]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prompt": ["p"], "label": [0]}, "no choices column found among 'prompt', 'label'"),
        ({"x": ["p"], "choices": [["a", "b"]]}, "no text column found among 'x', 'choices'"),
        (
            {"prompt": ["p"], "choices": [["a"]], "label": [0]},
            r"the choices are \['a'\]; a list of",
        ),
        ({"prompt": ["p"], "choices": ["a b"], "label": [0]}, "the choices are 'a b'; a list of"),
        ({"prompt": ["p"], "choices": [["a", None]], "label": [0]}, r"\[0\]: the choice 1 is null"),
        ({"prompt": [None], "choices": [["a", "b"]], "label": [0]}, r"\[0\]: the text is null"),
        (
            {"prompt": ["p", "q"], "choices": [["a", "b"]] * 2, "label": [0, 2]},
            r"columns\[1\]: the label is 2, and there are 2 choices",
        ),
        (
            {"prompt": ["p", "q"], "choices": [["a", "b"]] * 2, "label": [0, "z"]},
            r"columns\[1\]: the label is 'z'; expected the number, letter or text",
        ),
    ],
)
def test_refused_choices(columns, message):
    with pytest.raises(SourceError, match=message):
        choices(columns)


def test_bad_choices_are_skipped():
    columns = {
        "prompt": list("pqr"),
        "choices": [["a", "b"], ["c"], ["d", "e"]],
        "label": [0, 0, 5],
    }
    examples = read_table(columns, Wanted(label_kind="choice"), skip_bad_rows=True)
    assert (examples.texts, examples.labels, examples.rows) == ([("p", ("a", "b"))], [0], [0])
    assert [row for row, _ in examples.skipped] == [1, 2]


def test_different_numbers_of_choices():
    columns = {"prompt": ["p", "q"], "choices": [["a", "b"], ["c", "d", "e"]], "label": [0, 2]}
    assert choices(columns).describe().endswith("2 to 3 choices each")


def test_snli(write):
    rows = [
        {"gold_label": "neutral", "sentence1": "a", "sentence2": "b"},
        {"gold_label": "-", "sentence1": "c", "sentence2": "d"},
    ]
    path = write("snli.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    examples = read_examples(path)
    assert (examples.texts, examples.labels) == ([("a", "b")], ["neutral"])
    assert (examples.unlabelled, examples.skipped) == ([2], [])
    assert "1 row without gold label left out" in examples.describe()


def test_three_columns_without_header(write):
    examples = read_examples(write("a.csv", "a,b,5.0\nc,d,3.8\n"), label_kind="value")
    assert (examples.texts, examples.labels) == ([("a", "b"), ("c", "d")], [5.0, 3.8])
    assert examples.columns == {"text": 1, "text_pair": 2, "label": 3}
    examples = read_examples(write("b.tsv", "a\tb\tyes\nc\td\tno\ne\tf\tyes\n"))
    assert (examples.texts[0], examples.labels) == (("a", "b"), ["yes", "no", "yes"])
    examples = read_examples(write("c.csv", "good film,3.5\nbad film,1\n"), label_kind=None)
    assert (examples.texts, examples.labels) == (["good film", "bad film"], [3.5, 1.0])
    reason = refused(write("d.csv", "one,two,three\na,b,c\n")).reason
    assert "no text column found" in reason
