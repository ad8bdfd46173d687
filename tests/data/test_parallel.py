"""Parallel files: one line of each is one example."""

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.parallel import read_parallel


@pytest.fixture
def three(write):
    return [
        write("s1.dev", "a\n\nc \n"),
        write("s2.dev", "d\r\ne\r\nf"),
        write("labels.dev", "x\ny\nx\n"),
    ]


def test_three_files(three):
    examples = read_parallel(three)
    assert examples.texts == [("a", "d"), ("", "e"), ("c ", "f")]
    assert (examples.labels, examples.rows) == (["x", "y", "x"], [1, 2, 3])
    assert examples.describe() == (
        "s1.dev + s2.dev + labels.dev: 3 rows, text in column 's1.dev', text pair in column "
        "'s2.dev', label in column 'labels.dev', 2 labels"
    )


def test_roles(three, write):
    first, second, labels = three
    assert read_parallel({"label": labels, "text": first}).texts == ["a", "", "c "]
    assert read_parallel([first]).labels is None
    triplets = read_parallel({"negative": labels, "text": first, "text_pair": second})
    assert triplets.texts[0] == ("a", "d", "x")
    scores = write("scores", "1\n2.5\n3\n")
    examples = read_parallel([first, second, scores], label_kind="value")
    assert examples.labels == [1.0, 2.5, 3.0]


def test_files_of_different_length(three, write):
    three[1] = write("short", "d\ne\n")
    with pytest.raises(SourceError, match=r"line 3: .*short ends before this line"):
        read_parallel(three)
    with pytest.raises(SourceError, match="ends before"):
        read_parallel(three, skip_bad_rows=True)


def test_broken_rows(three, write):
    three[2] = write("labels", b"x\n\n\xff\n")
    with pytest.raises(
        SourceError, match=r"s1\.dev \+ s2\.dev \+ labels, line 2: the label is emp"
    ):
        read_parallel(three)
    examples = read_parallel(three, skip_bad_rows=True)
    assert (examples.texts, [row for row, _ in examples.skipped]) == ([("a", "d")], [2, 3])


def test_unclear_paths(three, tmp_path):
    with pytest.raises(ValueError, match="2 files; say what they are"):
        read_parallel(three[:2])
    with pytest.raises(ValueError, match=r"expected 'text' and more of"):
        read_parallel({"text": three[0], "tags": three[1]})
    with pytest.raises(TypeError, match="one path; expected a list"):
        read_parallel(three[0])
    with pytest.raises(FileNotFoundError):
        read_parallel([tmp_path / "nothing"])
