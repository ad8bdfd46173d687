"""JSON Lines: objects, their keys, and what is broken in them."""

import pytest

from keras_bert.data.examples import SourceError
from keras_bert.data.sources import read_examples

from .conftest import refused


def test_jsonl_labels_are_taken_as_written(write):
    content = "".join(
        f'{{"text": "t", "label": {label}}}\n' for label in ("1", "true", "2.5", '"a"')
    )
    assert read_examples(write("a.jsonl", content)).labels == ["1", "true", "2.5", "a"]


GOOD = '{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "b", "label": "x"', "not JSON"),
        ("text", "not JSON: Expecting value at character 1"),
        ('["b", "x"]', "one JSON object per line expected, a JSON array found"),
        ("null", "a JSON null found"),
        ('{"text": "b"}', "the object has no 'label'"),
        ('{"text": null, "label": "x"}', "the text is null; a string is expected"),
        ('{"text": 3, "label": "x"}', "the text is 3, a int"),
        ('{"text": ["b"], "label": "x"}', "the text is ['b'], a list"),
        ('{"text": "b", "label": null}', "the label is null"),
        ('{"text": "b", "label": ["x", "y"]}', "the label is ['x', 'y'], a list"),
        ('{"text": "b", "label": ""}', "the label is empty"),
        ('{"text": "b\\u0000", "label": "x"}', "NUL"),
        ('{"text": "b\\ud800", "label": "x"}', "half a surrogate pair after 1 characters"),
        (b'{"text": "b\xff", "label": "x"}', "not valid UTF-8"),
        ("[" * 100_000, "JSON that cannot be read"),
        ('{"text": "b", "label": ' + "1" * 5000 + "}", "JSON that cannot be read"),
    ],
)
def test_broken_jsonl_rows(write, line, reason):
    line = line.encode() if isinstance(line, str) else line
    path = write("a.jsonl", GOOD.encode() + b"\n" + line + b"\n" + GOOD.encode())
    error = refused(path)
    assert error.row == 3
    assert reason in error.reason
    examples = read_examples(path, skip_bad_rows=True)
    assert (examples.rows, [row for row, _ in examples.skipped]) == ([1, 4], [3])


def test_keys_of_the_first_object_count(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('broken\n{"text": "a", "label": "x"}\n{"text": "b", "label": "y", "more": 1}\n')
    assert read_examples(path, skip_bad_rows=True).texts == ["a", "b"]
    with pytest.raises(SourceError, match="line 1: not JSON"):
        read_examples(path)
    path.write_text("broken\nbroken\n")
    with pytest.raises(SourceError, match="line 1: not JSON"):
        read_examples(path, skip_bad_rows=True)
