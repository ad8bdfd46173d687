"""``keras-bert predict``, with the trained and with the exported model."""

import io
import json
import os
import subprocess
import sys

import pytest

from .conftest import failure, run

pytestmark = pytest.mark.usefixtures("quick")


def test_a_table(trained):
    texts = ("how do I pay?", "this is the worst,\nbad \x1b service", "")
    code, out, err = run("predict", "--model", trained.folder, *texts)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["question", "complaint"]
    assert lines[0].endswith("   how do I pay?")
    assert lines[1].endswith("   this is the worst, bad \ufffd service")
    assert len(lines) == 3


def test_top_labels(trained):
    code, out, _ = run("predict", "--model", trained.folder, "how do I pay?", "--top", 2)
    first, second = (line.split() for line in out.splitlines())
    assert (code, first[1], len(second)) == (0, "question", 2)
    assert float(first[0]) > float(second[0])
    _, out, _ = run("predict", "--model", trained.folder, "a", "b", "--top", 99, "--json")
    for line in out.splitlines():
        top = json.loads(line)["top"]
        assert {entry["label"] for entry in top} == {"complaint", "praise", "question"}
        assert sum(entry["probability"] for entry in top) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.txt", "how do I pay?\n\nnever again, poor food\n", [1, 3]),
        ("a.csv", 'label,text\n,how do I pay?\n,"never again, poor food"\n', [2, 3]),
        ("a.jsonl", '{"text": "how do I pay?"}\n{"text": "never again, poor food"}\n', [1, 2]),
    ],
)
def test_files_in_and_out(trained, tmp_path, name, content, rows):
    source, target = tmp_path / name, tmp_path / "answers.jsonl"
    source.write_text(content)
    arguments = ("predict", "--model", trained.folder, "--input", source)
    code, out, err = run(*arguments, "--output", target)
    assert (code, out, err) == (0, f"wrote 2 answers to {target}\n", "")
    answers = [json.loads(line) for line in target.read_text().splitlines()]
    assert [answer["row"] for answer in answers] == rows
    assert [answer["text"] for answer in answers] == ["how do I pay?", "never again, poor food"]
    assert [answer["label"] for answer in answers] == ["question", "complaint"]
    assert 0 < answers[0]["probability"] <= 1
    assert sorted(os.listdir(tmp_path)) == sorted([name, "answers.jsonl"])
    assert run(*arguments, "--json")[1] == target.read_text()


def test_standard_input(trained, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("how do I pay?\n\nbad food\n"))
    code, out, _ = run("predict", "--model", trained.folder, "--input", "-")
    assert (code, len(out.splitlines())) == (0, 2)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    message = failure("predict", "--model", trained.folder, "--input", "-")
    assert "the standard input holds no text" in message


def test_the_exported_model_answers_the_same(trained, tmp_path):
    folder = tmp_path / "saved_models" / "tiny"
    code, out, err = run("export", "--model", trained.folder, "--output", folder, "--no-verify")
    wrote = f"wrote {folder / '1'}\nnot verified\nfor TensorFlow Serving 2.12 and newer\n"
    assert (code, out, err) == (0, wrote, "")
    texts = ("how do I pay?", "bad food", "")
    _, expected, _ = run("predict", "--model", trained.folder, *texts, "--top", 3, "--json")
    for place in (folder, folder / "1"):
        code, answers, err = run("predict", "--saved-model", place, *texts, "--top", 3, "--json")
        assert (code, err) == (0, "")
        for line, other in zip(answers.splitlines(), expected.splitlines(), strict=True):
            answer, wanted = json.loads(line), json.loads(other)
            assert answer["text"] == wanted["text"]
            assert answer["label"] == wanted["label"]
            assert answer["probability"] == pytest.approx(wanted["probability"], abs=1e-5)
            assert [t["label"] for t in answer["top"]] == [t["label"] for t in wanted["top"]]
    message = failure("predict", "--saved-model", folder, "--pair", "a", "b")
    assert "must be a text" in message
    assert failure("predict", "--saved-model", tmp_path, "a")


def test_refused(trained, tmp_path):
    model = ("predict", "--model", trained.folder)
    assert "nothing.txt does not exist" in failure(*model, "--input", "nothing.txt")
    (tmp_path / "empty.txt").touch()
    assert "holds no rows" in failure(*model, "--input", tmp_path / "empty.txt")
    (tmp_path / "broken.txt").write_bytes(b"fine\n\xff\n")
    assert "line 2: the text is not valid UTF-8" in failure(
        *model, "--input", tmp_path / "broken.txt"
    )
    assert "is not valid UTF-8" in failure(*model, "caf\udce9")
    assert "the model takes single texts" in failure(*model, "--pair", "a", "b")
    assert "there is no folder" in failure(*model, "a", "--output", tmp_path / "no" / "a.jsonl")
    assert "it is a folder" in failure(*model, "a", "--output", tmp_path)
    assert "there is no model at" in failure("predict", "--model", tmp_path / "none", "a")
    assert "no folder" in failure("predict", "--saved-model", tmp_path / "none", "a")


def test_a_failure_leaves_the_old_answers(trained, tmp_path):
    target = tmp_path / "answers.jsonl"
    target.write_text("old answers")
    failure("predict", "--model", trained.folder, "--pair", "a", "b", "--output", target)
    assert target.read_text() == "old answers"
    assert os.listdir(tmp_path) == ["answers.jsonl"]


@pytest.mark.slow
def test_as_a_process(trained):
    """The one test that starts the program itself: nothing on stderr but what is ours."""
    done = subprocess.run(
        [sys.executable, "-m", "keras_bert", "predict", "--model", trained.folder, "how do I pay?"],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert done.returncode == 0
    assert done.stdout.split()[1] == "question"
    assert done.stderr == ""
