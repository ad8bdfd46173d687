"""CoNLL files: what is found in them, and how broken ones are refused."""

import os
from pathlib import Path

import pytest

from keras_bert.data.conll import read_conll
from keras_bert.data.examples import SourceError


def refused(path, **options):
    with pytest.raises(SourceError) as caught:
        read_conll(path, **options)
    assert str(path) in str(caught.value)
    return caught.value


def test_two_columns(write):
    path = write("a.conll", "Anna\tB-PER\nLee\tI-PER\nran\tO\n\n#\tO\nfun\tO\n# note\nx\tB-LOC\n")
    examples = read_conll(path)
    assert examples.texts == [["Anna", "Lee", "ran"], ["#", "fun", "x"]]
    assert examples.labels == [["B-PER", "I-PER", "O"], ["O", "O", "B-LOC"]]
    assert examples.rows == [1, 5]
    assert examples.columns == {"token": 1, "tag": 2}
    assert examples.scheme == "IOB2" and examples.skipped == examples.repaired == []
    assert examples.label_names == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert examples.describe() == (
        f"{path}: 2 sentences, 6 words, token in column 1, tag in column 2 (IOB2), 2 types"
    )


def test_conll_2003(write):
    """Four columns, blanks between them, chunks beside names, IOB1."""
    rows = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n"
    rows += "A NNP I-NP I-LOC\nB NNP B-NP B-LOC\n"
    examples = read_conll(write("eng.train", rows))
    assert examples.texts == [["EU", "rejects"], ["A", "B"]]
    assert examples.labels == [["B-ORG", "O"], ["B-LOC", "B-LOC"]]
    assert examples.rows == [3, 6] and examples.columns == {"token": 1, "tag": 4}
    assert examples.scheme == "IOB1"
    chunks = read_conll(write("eng.train", rows), tag_column=3)
    assert chunks.labels[0] == ["B-NP", "B-VP"]
    names = read_conll(write("eng.train", rows), tag_column=2)
    assert names.labels[0] == ["NNP", "VBZ"] and names.scheme == "plain"
    assert names.label_names == ["NNP", "VBZ"]


def test_numbered_words_with_comments(write):
    rows = "# newdoc\n# text = 自 O\n1\t自\tO\t-\t-\n2\t北京\tB-LOC\t-\tme\n\n"
    rows += "# sent_id = 2\n1\t#\tO\t-\t-\n"
    examples = read_conll(write("a.iob2", rows))
    assert examples.texts == [["自", "北京"], ["#"]]
    assert examples.rows == [3, 7]
    assert examples.columns == {"token": 2, "tag": 3}


def test_conll_u(write):
    def row(number, word, tag):
        return "\t".join([number, word, word, tag, "X", "_", "0", "root", "_", "_"]) + "\n"

    rows = row("1-2", "im", "_") + row("1", "in", "ADP") + row("2", "dem", "DET")
    rows += row("2.1", "leer", "_") + "\n# text\n" + row("1", "Haus", "NOUN")
    examples = read_conll(write("a.conllu", rows))
    assert examples.texts == [["in", "dem"], ["Haus"]]
    assert examples.labels == [["ADP", "DET"], ["NOUN"]]
    assert examples.columns == {"token": 2, "tag": 4} and examples.scheme == "plain"
    assert "tag in column 4, 3 tags" in examples.describe()


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [("B-X E-X O S-Y", "IOBES"), ("B-X L-X O U-Y", "BILOU"), ("I-X E-X O E-Y", "IOE2")],
)
def test_other_schemes_come_as_iob2(write, tags, scheme):
    rows = "".join(f"w {tag}\n" for tag in tags.split())
    examples = read_conll(write("a", rows))
    assert examples.labels == [["B-X", "I-X", "O", "B-Y"]] and examples.scheme == scheme
    assert read_conll(write("a", rows), scheme="plain").labels == [tags.split()]


def test_tags_that_do_not_continue_are_named(write):
    path = write("a", "a B-X\nb O\nc I-X\nd I-Y\n\ne B-Y\n")
    examples = read_conll(path)
    assert examples.labels == [["B-X", "O", "B-X", "B-Y"], ["B-Y"]]
    assert examples.repaired == [(3, "I-X"), (4, "I-Y")]
    assert "2 tags against the scheme" in examples.describe()


def test_words_alone(write):
    path = write("a", "one\ntwo\n\nthree\n")
    examples = read_conll(path)
    assert examples.texts == [["one", "two"], ["three"]] and examples.labels is None
    assert examples.scheme is None and examples.columns == {"token": 1}
    assert "a column of tags is expected" in refused(path, with_labels=True).reason
    path = write("b", "one X\ntwo\n")
    assert "line 2" in str(refused(path))
    assert read_conll(write("c", "one O\ntwo O\n"), with_labels=False).labels is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("two", "the row has 1 column, 'two'; most have 2 columns"),
        ("two B-X x", "the row has 3 columns"),
        ("two PER", "the tag is 'PER'; expected \"O\" or one of IOB2"),
        (b"tw\xff B-X", "the word is not valid UTF-8"),
    ],
)
def test_broken_rows_are_named(write, bad, reason):
    rows = b"one B-X\none O\n\n%b\nthree O\n\nfour O\nfive B-Y\n"
    path = write("a", rows % (bad.encode() if isinstance(bad, str) else bad))
    error = refused(path)
    assert error.row == 4 and error.reason.startswith(reason)
    examples = read_conll(path, skip_bad_rows=True)
    assert examples.texts == [["one", "one"], ["four", "five"]]
    assert [row for row, _ in examples.skipped] == [4]
    assert "1 sentence with a bad row skipped" in examples.describe()


def test_blank_words_are_words_unless_they_are_names(write):
    path = write("a", "one\tB-X\n \tO\n\tO\ntwo\tO\n")
    assert read_conll(path).texts == [["one", " ", "", "two"]]
    path = write("a", "one\tB-X\n\tB-X\ntwo\tO\n")
    assert refused(path).reason == "the word is empty and is tagged 'B-X'"
    assert refused(write("b", "one\tB-X\ntwo\t\n")).reason == "the tag is empty"


def test_columns_given(write):
    path = write("a", "B-X one o\nO two o\n")
    examples = read_conll(path, token_column=2, tag_column=1)
    assert examples.texts == [["one", "two"]] and examples.labels == [["B-X", "O"]]
    assert "there is no column 4" in refused(path, tag_column=4).reason
    assert "column 1 is given as" in refused(path, token_column=1, tag_column=1).reason
    with pytest.raises(TypeError, match="expected its number"):
        read_conll(path, tag_column="ner")
    with pytest.raises(ValueError, match="scheme='IOB3'"):
        read_conll(path, scheme="IOB3")


def test_line_ends_and_marks(write):
    path = write("a", b"\xef\xbb\xbfa O\r\nb B-X\r\n \r\nc\xe2\x80\xa8d O\r\n")
    assert read_conll(path).texts == [["a", "b"], ["c\u2028d"]]


@pytest.mark.parametrize("content", ["", "\n \n", "-DOCSTART- O\n\n"])
def test_empty_files(write, content):
    assert refused(write("a", content)).reason == "the file is empty"


def test_known_labels(write):
    examples = read_conll(write("a", "a O\n\nb B-X\nc I-X\n\nd B-Y\n"))
    assert examples.with_known_labels(examples.label_names) is examples
    known = ["O", "B-X", "I-X"]
    with pytest.raises(SourceError, match="line 6: unknown tag 'B-Y'"):
        examples.with_known_labels(known)
    kept = examples.with_known_labels(known, skip_bad_rows=True)
    assert kept.texts == [["a"], ["b", "c"]] and kept.rows == [1, 3]
    assert kept.skipped[0][0] == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "sentences", "entities"),
    [
        ("wnut17/wnut17train.conll", 3394, 1975),
        ("wnut17/emerging.dev.conll", 1009, 836),
        ("wnut17/emerging.test.annotated", 1287, 1079),
        ("btc_ner/h.conll", 2001, 3368),
        ("uner_zh_gsdsimp/zh_gsdsimp-ud-train.iob2", 3997, 6118),
        ("uner_zh_gsdsimp/zh_gsdsimp-ud-test.iob2", 500, 763),
    ],
)
def test_published_data(file, sentences, entities):
    """Set NER_DATA to the folder that holds these (the counts are the publishers')."""
    path = Path(os.environ.get("NER_DATA", "missing"), file)
    if not path.exists():
        pytest.skip("NER_DATA holds no such file")
    examples = read_conll(path)
    assert len(examples) == sentences and not examples.repaired
    assert sum(tag[0] == "B" for tags in examples.labels for tag in tags) == entities
