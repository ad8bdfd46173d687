"""Which columns are read: as asked for, or found by their usual names."""

import pytest

from keras_bert.data.columns import LABEL_COLUMNS, TEXT_COLUMNS
from keras_bert.data.examples import SourceError
from keras_bert.data.sources import read_examples


@pytest.fixture
def read(tmp_path):
    """Reads lines as a file of comma-separated values."""

    def read_lines(*lines, **options):
        path = tmp_path / "data.csv"
        path.write_text("".join(f"{line}\n" for line in lines))
        return read_examples(path, **options)

    return read_lines


@pytest.mark.parametrize(("text", "pair"), TEXT_COLUMNS)
def test_usual_text_columns(read, text, pair):
    names = ["id", "label", pair, text] if pair else ["id", "label", text]
    columns = read(",".join(names), ",".join("abcd"[: len(names)])).columns
    assert columns == {"text": text, "label": "label"} | ({"text_pair": pair} if pair else {})


@pytest.mark.parametrize("label", LABEL_COLUMNS)
def test_usual_label_columns(read, label):
    assert read(f"{label},text", "a,b").columns == {"text": "text", "label": label}


def test_capitals_and_spaces_in_names(read):
    assert read(" Text ,LABEL", "a,b").columns == {"text": "Text", "label": "LABEL"}
    assert read(" Text ,LABEL", "a,b", text_column="text").columns["text"] == "Text"


def test_given_columns(read):
    lines = ("id,body text,other text,topic,label", "1,a,b,t,l")
    examples = read(*lines, text_column="body text", label_column="topic")
    assert (examples.texts, examples.labels) == (["a"], ["t"])
    examples = read(*lines, text_column="body text", text_pair_column="other text")
    assert (examples.texts, examples.labels) == ([("a", "b")], ["l"])


def test_a_given_text_column_is_read_alone(read):
    lines = ("sentence1,sentence2,label", "a,b,l")
    assert read(*lines).texts == [("a", "b")]
    assert read(*lines, text_column="sentence1").texts == ["a"]
    assert read(*lines, text_column="sentence2").texts == ["b"]
    assert read("text,text2,other,label", "a,b,c,l", text_pair_column="other").texts == [("a", "c")]


def test_a_given_second_text_goes_with_any_usual_text(read):
    assert read("premise,other", "a,b", text_pair_column="other").texts == [("a", "b")]


def test_a_text_column_is_not_the_label(read):
    assert read("label,tag", "a,b", text_column="label").columns == {
        "text": "label",
        "label": "tag",
    }


def test_numbers_say_there_is_no_header(read):
    lines = ("1,good film,x", "0,bad film,y")
    examples = read(*lines, text_column=2, label_column=1)
    assert (examples.texts, examples.labels) == (["good film", "bad film"], ["1", "0"])
    assert (examples.rows, examples.columns) == ([1, 2], {"text": 2, "label": 1})
    assert read(*lines, text_column="2", label_column="1") == examples
    assert read(*lines, text_column=2).labels is None
    pairs = read(*lines, text_column=2, text_pair_column=3, label_column=1)
    assert pairs.texts[0] == ("good film", "x")


def test_a_number_can_be_a_name(read):
    assert read("2,1", "a,b", text_column="1", label_column="2").texts == ["b"]


def test_two_columns_without_header(read):
    examples = read("good film,1", "bad film,0", "nice film,1")
    assert (examples.texts, examples.labels, examples.rows) == (
        ["good film", "bad film", "nice film"],
        ["1", "0", "1"],
        [1, 2, 3],
    )
    assert examples.columns == {"text": 1, "label": 2}
    assert read("good film,1", "bad film,0", "nice film,1", with_labels=False).labels is None


def test_named_columns_mean_there_is_a_header(read):
    examples = read("stuff,kind", "good film,kind", text_column="stuff", label_column="kind")
    assert (examples.texts, examples.labels) == (["good film"], ["kind"])


def test_an_unknown_header_is_not_taken_for_a_row(read):
    with pytest.raises(SourceError, match="no text column found among 'stuff', 'kind'"):
        read("stuff,kind", "good film,1", "nice film,1")


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        ("a,label", {}, r"no text column found among 'a', 'label' \(looked for text, sentence, "),
        ("a;label", {}, "separated by ';'; .csv has commas"),
        ("text,b", {"with_labels": True}, "no label column found among 'text', 'b'"),
        ("text,label", {"text_column": "txt"}, "no column 'txt'; the columns are 'text', 'label'"),
        ("text,label", {"label_column": "text", "text_column": "text"}, "given as text and label"),
        ("text,text,label", {}, "more than one column is called 'text'"),
        ("text,label,Label", {"label_column": "LABEL"}, "no column 'LABEL'"),
        ("x,y", {"text_column": 3}, "line 1: there is no column 3: the row has 2 columns"),
        ("x,y", {"text_column": 0}, "there is no column 0"),
        ("x,y", {"text_column": -1}, "there is no column -1"),
        ("x,y", {"text_column": 1, "label_column": "y"}, "by name or every one by number: 1, 'y'"),
        ("x,y", {"label_column": 1}, "number of the text column is missing"),
        ("x,y", {"text_column": 1, "with_labels": True}, "number of the label column is missing"),
        ("x,y", {"text_column": 1, "label_column": 1}, "column 1 is given as text and label"),
        ("text,label", {"text_column": 1, "label_column": 2}, "line 1: this is a header line"),
    ],
)
def test_refused_columns(read, header, options, reason):
    with pytest.raises(SourceError, match=reason):
        read(header, ",".join("a" for _ in header.split(",")), **options)


@pytest.mark.parametrize("column", [1.0, True, ["text"], b"text"])
def test_columns_of_a_wrong_type(read, column):
    with pytest.raises(TypeError, match=r"text_column is .*; expected the column's name"):
        read("text,label", "a,b", text_column=column)


def test_a_broken_header(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"text,label,caf\xe9\na,b,c\n")
    assert read_examples(path).texts == ["a"]
    path.write_bytes(b"te\0xt,label\na,b\n")
    with pytest.raises(SourceError, match="line 1: the line holds a NUL character"):
        read_examples(path)
    path.write_bytes(b'"text" x,label\na,b\n')
    with pytest.raises(SourceError, match="line 1: text follows a closing quote"):
        read_examples(path, skip_bad_rows=True)
