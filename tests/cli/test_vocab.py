"""``keras-bert vocab``."""

import os
import sys

import pytest

from keras_bert.cli import vocab
from tests.text.test_vocabulary_learning import corpus

from .conftest import failure, run


@pytest.fixture
def files(tmp_path):
    lines = corpus(5)
    for name, part in (("a.txt", lines[:100]), ("b.txt", lines[100:])):
        (tmp_path / name).write_text("\n".join(part), encoding="utf-8")
    return [tmp_path / "a.txt", tmp_path / "b.txt"]


def test_writes_a_vocabulary(files, tmp_path):
    pytest.importorskip("tokenizers")
    target = tmp_path / "vocab.txt"
    code, out, err = run("vocab", *files, "--size", 400, "--unused", 3, "--output", target)
    assert (code, err) == (0, "")
    tokens = target.read_text(encoding="utf-8").splitlines()
    assert len(tokens) == 400
    assert tokens[:6] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"]
    assert "ä" not in tokens and "a" in tokens
    first, second = out.splitlines()
    assert first == f"wrote 400 tokens to {target}"
    assert second.startswith("5,200 words, ") and second.endswith("0.000% of the words unknown")
    code, out, _ = run("tokenize", "Pafö", "--tokenizer", target)
    assert code == 0 and out.startswith("pa")

    again = tmp_path / "again.txt"
    run("vocab", *reversed(files), "--size", 400, "--unused", 3, "--output", again)
    assert again.read_bytes() == target.read_bytes()
    run("vocab", *files, "--size", 400, "--cased", "--output", again)
    assert "ä" in again.read_text(encoding="utf-8").splitlines()


def test_says_when_the_corpus_is_too_small(files, tmp_path):
    pytest.importorskip("tokenizers")
    arguments = ("--size", 99_999, "--min-frequency", 50, "--output", tmp_path / "v.txt")
    _, out, _ = run("vocab", *files, *arguments)
    assert "the corpus holds no more with --min-frequency 50" in out


def test_a_failure_leaves_the_old_vocabulary(files, tmp_path):
    pytest.importorskip("tokenizers")
    target = tmp_path / "vocab.txt"
    target.write_text("old")
    assert "size=9 is too small" in failure("vocab", *files, "--size", 9, "--output", target)
    assert target.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt", "vocab.txt"]


def test_refused(files, tmp_path, monkeypatch):
    output = ("--output", tmp_path / "v.txt")
    assert "there is no file none.txt" in failure("vocab", "none.txt", *output)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert "keras-bert-garden[vocab]" in failure("vocab", *files, *output)


def test_progress(capsys):
    progress = vocab._Progress()
    for done in (1, 2, 500, 1000):
        progress("reading", done, 1000)
    lines = capsys.readouterr().err.split("\r")[1:]
    assert len(lines) == 3
    assert lines[1] == "reading  [############             ]  50 %"
    assert lines[2].endswith("100 %\n")
