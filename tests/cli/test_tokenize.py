"""``keras-bert tokenize``."""

import io
import json
import sys

import pytest

from tests.text.conftest import SMALL

from .conftest import failure, run


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(SMALL), encoding="utf-8")
    return path


def test_pieces_above_ids(vocabulary):
    code, out, err = run("tokenize", "unaffable 中国?", "", "A", "--tokenizer", vocabulary)
    assert (code, err) == (0, "")
    assert out == "un ##aff ##able 中 国 ?\n11 12    13     26 27 20\n\n\n\na\n14\n"


def test_offsets(vocabulary):
    _, out, _ = run("tokenize", "é中", "--tokenizer", vocabulary, "--offsets")
    assert out == "[UNK] 中\n1     26\n0-1   1-2\n"


def test_json(vocabulary, tmp_path):
    source = tmp_path / "texts.txt"
    source.write_bytes(b"\xef\xbb\xbfthe card\r\n\n\xc3\xa9\xffa ?\n")
    options = ("--tokenizer", vocabulary, "--json", "--offsets")
    code, out, err = run("tokenize", source, "is", *options)
    assert (code, err) == (0, "")
    first, second, third = map(json.loads, out.splitlines())
    assert first == {
        "line": f"{source}:1",
        "text": "the card",
        "pieces": ["the", "card"],
        "ids": [5, 6],
        "offsets": [[0, 3], [4, 8]],
        "byte_offsets": [[0, 3], [4, 8]],
    }
    assert (second["line"], second["text"]) == (f"{source}:3", "éa ?")
    assert (second["offsets"], second["byte_offsets"]) == ([[0, 2], [3, 4]], [[0, 4], [5, 6]])
    assert third["pieces"] == ["is"] and "line" not in third


def test_explain(vocabulary):
    _, out, _ = run("tokenize", "the <b>", "?", "--tokenizer", vocabulary, "--explain")
    lines = out.splitlines()
    assert lines[0].split() == ["piece", "id", "characters", "bytes", "text"]
    assert lines[2].endswith("<     unknown")
    assert lines[-1].split() == ["?", "20", "0–1", "0–1", "?"]


def test_compare(vocabulary, tmp_path):
    source = tmp_path / "texts.txt"
    source.write_text("the card\nß ?\nc\u00ada\nlost\n", encoding="utf-8")
    code, out, err = run("tokenize", source, "--tokenizer", vocabulary, "--compare", "tf_text")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{source}:2  ß ?",
        "  keras_bert  ß ?  [28, 20]",
        "  tf_text     [UNK] ?  [1, 20]",
        "1 of 4 texts differ (25.00%)",
    ]


def test_standard_input(vocabulary, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("the card\n\nlost\n"))
    _, out, _ = run("tokenize", "-", "--tokenizer", vocabulary)
    assert out == "-:1\nthe card\n5   6\n\n-:3\nlost\n8\n"


def test_case_of_a_vocabulary(vocabulary, tmp_path, tiny_checkpoint):
    def pieces(*arguments):
        return json.loads(run("tokenize", "The", "--json", *arguments)[1])["pieces"]

    assert pieces("--tokenizer", vocabulary) == ["the"]
    assert pieces("--tokenizer", vocabulary, "--cased") == ["[UNK]"]
    (tmp_path / "cased.txt").write_text("\n".join([*SMALL, "The"]), encoding="utf-8")
    assert pieces("--tokenizer", tmp_path / "cased.txt") == ["The"]
    assert pieces("--tokenizer", tmp_path / "cased.txt", "--uncased") == ["the"]
    assert pieces("--tokenizer", tiny_checkpoint) == ["the"]


def test_tokenizer_of_a_trained_model(trained):
    code, out, _ = run("tokenize", "how do I", "--tokenizer", trained.folder)
    assert (code, out.splitlines()[0].split()) == (0, ["how", "do", "i"])


def test_refused(vocabulary, tmp_path, tiny_checkpoint):
    here = ("--tokenizer", vocabulary)
    assert "there is no file nothing.txt" in failure("tokenize", "nothing.txt", *here)
    assert "nowhere" in failure("tokenize", "a", "--tokenizer", tmp_path / "nowhere")
    (tmp_path / "empty.txt").touch()
    assert "is empty" in failure("tokenize", "a", "--tokenizer", tmp_path / "empty.txt")
    message = failure("tokenize", "a", "--tokenizer", tiny_checkpoint, "--cased")
    assert "are for a vocab.txt" in message
