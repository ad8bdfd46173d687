"""CSV and TSV: rows, the lines where they start, and what is broken in them."""

import csv

import pytest

from keras_bert.data.sources import read_examples

from .conftest import refused


def test_rows_are_lines_where_records_start(write):
    content = 'text,label\r\n"one\r\ntwo\r\n",x\r\n\r\nthree,y\r\n"four\n\n",x\nfive,y'
    examples = read_examples(write("a.csv", content))
    assert examples.texts == ["one\r\ntwo\r\n", "three", "four\n\n", "five"]
    assert examples.rows == [2, 6, 7, 10]


def test_a_text_of_megabytes_and_the_csv_limit_put_back(write):
    before = csv.field_size_limit(100)
    try:
        long = "word " * 400_000
        assert read_examples(write("a.csv", f"text,label\n{long},x\n")).texts == [long]
        assert csv.field_size_limit() == 100
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "row", "reason"),
    [
        ("text,label\na,x\nb\n", 3, "2 columns ('text', 'label') expected, 1 found"),
        ("text,label\na,x\nb, c,x\n", 3, "3 found; a field that holds a comma needs quotes"),
        ("text,label\na,x\nb,\n", 3, "the label is empty"),
        ("text,label\na,x\nb,  \n", 3, "the label is empty"),
        (b"text,label\na,x\ncaf\xe9,y\n", 3, "not valid UTF-8 (byte 0xE9 after 3 characters)"),
        (b"text,label\na,x\na,caf\xe9\n", 3, "the label is not valid UTF-8"),
        ("text,label\na,x\nb\0c,x\n", 3, "NUL"),
        ('text,label\na,x\n"b,x\nc,y\n', 3, "a quote is opened here and never closed"),
        ('text,label\na,x\n"b" c,x\n', 3, "text follows a closing quote"),
        ('text,label\n"a\nb",x\n"c" d,x\n', 4, "text follows a closing quote"),
        ("text,label\na,x\n" + "b" * 10_000_001 + ",x\n", 3, "longer than 10,000,000 characters"),
    ],
)
def test_broken_csv_rows(write, content, row, reason):
    error = refused(write("a.csv", content))
    assert error.row == row
    assert reason in error.reason
    assert f", line {row}: " in str(error)


@pytest.mark.parametrize(
    ("content", "row", "reason"),
    [
        ("text\tlabel\na\tx\nb\n", 3, "1 found; quotes mean nothing in .tsv"),
        ('text\tlabel\n"a\nb"\tx\n', 2, "quotes mean nothing in .tsv"),
        ("text\tlabel\na\tb\tx\n", 2, "2 columns ('text', 'label') expected, 3 found"),
        ("text\tlabel\na\t\n", 2, "the label is empty"),
        (b"text\tlabel\n\xff\tx\n", 2, "byte 0xFF after 0 characters"),
    ],
)
def test_broken_tsv_rows(write, content, row, reason):
    error = refused(write("a.tsv", content))
    assert error.row == row
    assert reason in error.reason


def test_an_open_quote_costs_one_row_only(write):
    rows = "".join(f'"text {i}",x\n' for i in range(5))
    path = write("a.csv", f'text,label\n{rows}"never closed,x\n{rows}')
    examples = read_examples(path, skip_bad_rows=True)
    assert len(examples) == 10
    assert examples.rows == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert [row for row, _ in examples.skipped] == [7]
    path = write("b.csv", 'text,label\n"never closed,x\na,x\nb,y\n')
    examples = read_examples(path, skip_bad_rows=True)
    assert (examples.texts, examples.rows) == (["a", "b"], [3, 4])


def test_many_open_quotes_do_not_take_forever(write):
    content = "text,label\n" + '"open,x\nfine,y\n' * 2_000
    assert len(read_examples(write("a.csv", content), skip_bad_rows=True)) == 2_000


def test_header_only(write):
    for content in ("text,label\n", "text,label", "text,label\n\n\n"):
        assert "the file holds no rows" in refused(write("a.csv", content)).reason
    reason = refused(write("a.csv", "text,label\na\nb\n"), skip_bad_rows=True).reason
    assert "no row could be used, 2 rows skipped; line 2: 2 columns" in reason
