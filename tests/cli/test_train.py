"""``keras-bert train``: what it writes, what it refuses, and what it never damages."""

import argparse
import json
import os
import signal

import numpy as np
import pytest

from keras_bert.cli.train import add_arguments
from keras_bert.cli.trained_model import load_model
from keras_bert.models import BertClassifier
from keras_bert.training import LAMB, AdamW, read_run_log
from keras_bert.training.recipes import OPTIMIZERS
from keras_bert.training.schedules import SCHEDULES

from .conftest import failure, run


def train(tiny_checkpoint, data, folder, *more):
    return "train", "--from", tiny_checkpoint, "--train", data, "--output", folder, *more


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="broken.csv"):
        path = tmp_path / name
        path.write_text(content)
        return path

    return write_file


def test_what_is_written_and_printed(trained, data, tiny_checkpoint):
    assert sorted(os.listdir(trained.folder)) == ["model.keras", "training.json"]
    record = json.loads((trained.folder / "training.json").read_text())
    assert record["settings"]["source"] == str(tiny_checkpoint)
    assert record["settings"]["learning_rate"] == 5e-3
    assert record["columns"] == {"text": "text", "label": "label"}
    assert (record["rows"], record["labels"]) == (9, ["complaint", "praise", "question"])
    assert len(record["history"]["val_macro_f1"]) == 20
    assert record["history"]["accuracy"][-1] > record["history"]["accuracy"][0]
    assert record["seconds"] > 0
    assert not record["interrupted"]
    assert record["versions"]["tensorflow"].startswith("2.")
    assert f"{data}: 9 rows, text in column 'text', label in column 'label', 3 labels" in (
        trained.output
    )
    assert "Epoch 20/20" in trained.output
    assert f"wrote {trained.folder / 'model.keras'}" in trained.output


def test_optimizer_and_schedule(tiny_checkpoint, data, tmp_path, monkeypatch):
    made = []

    def stop(model, *args, **kwargs):
        made.append((type(model.optimizer), type(model.optimizer._learning_rate)))
        raise ValueError("far enough")

    monkeypatch.setattr(BertClassifier, "fit", stop)
    arguments = train(tiny_checkpoint, data, tmp_path / "out")
    for names in ([], ["--optimizer", "lamb", "--schedule", "cosine"]):
        assert "far enough" in failure(*arguments, *names)
    assert made == [(AdamW, SCHEDULES["linear"]), (LAMB, SCHEDULES["cosine"])]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    choices = {action.dest: action.choices for action in parser._actions}
    assert (choices["optimizer"], choices["schedule"]) == (list(OPTIMIZERS), list(SCHEDULES))


def test_lengths_reach_fit(tiny_checkpoint, data, tmp_path, monkeypatch):
    made = []

    def stop(self, *args, **kwargs):
        made.append((kwargs.get("pad_to"), kwargs.get("drop_remainder")))
        raise ValueError("far enough")

    monkeypatch.setattr(BertClassifier, "fit", stop)
    arguments = train(tiny_checkpoint, data, tmp_path / "out")
    for names in ([], ["--pad-to", "max"], ["--pad-to", "16,32", "--drop-remainder"]):
        assert "far enough" in failure(*arguments, *names)
    assert made == [(None, None), ("max", False), ([16, 32], True)]
    for lengths in ("32,16", "1", "16;32", "", "max,16"):
        code, _, said = run(*arguments, "--pad-to", lengths)
        assert code == 2 and "lengths from 2 on that rise" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("text,label\n", "holds no rows"),
        ("text,label\na,x\nb\n", "line 3: 2 columns"),
        ("text,label\na,x\nb,x\n", "every row has the label 'x'; two or more are needed"),
        ("text,other\na,x\n", "no label column found"),
        ("stuff,label\na,x\n", "no text column found"),
    ],
)
def test_refused_data(tiny_checkpoint, write, tmp_path, content, message):
    path = write(content)
    assert message in failure(*train(tiny_checkpoint, path, tmp_path / "new" / "out"))
    assert not (tmp_path / "new").exists()  # what was made for nothing is taken away again


def test_refused_files(tiny_checkpoint, data, write, tmp_path):
    out = tmp_path / "out"
    assert "nothing.csv does not exist" in failure(*train(tiny_checkpoint, "nothing.csv", out))
    assert "has no data files" in failure(*train(tiny_checkpoint, tmp_path, out))
    assert "the suffix is .doc" in failure(*train(tiny_checkpoint, write("a", "a.doc"), out))
    assert "nowhere" in failure(*train(tmp_path / "nowhere", data, out))
    assert str(tmp_path) in failure(*train(tmp_path, data, out))
    validation = write("text,label\nhi,praise\nhi,unknown\n")
    message = failure(*train(tiny_checkpoint, data, out, "--validation", validation))
    assert f"{validation}, line 3: unknown label 'unknown'" in message
    assert not out.exists()


def test_an_output_that_cannot_be_written_is_said_first(tiny_checkpoint, write, tmp_path):
    in_the_way = write("a file", "file")
    for folder in (in_the_way, in_the_way / "below"):
        message = failure(*train(tiny_checkpoint, "not even looked for.csv", folder))
        assert f"cannot write to {folder}" in message
    assert in_the_way.read_text() == "a file"


def test_sequences_longer_than_the_model_takes(tiny_checkpoint, data, tmp_path):
    message = failure(*train(tiny_checkpoint, data, tmp_path / "out", "--seq-length", 4096))
    assert "4096" in message


def test_skipped_rows_are_counted_and_named(tiny_checkpoint, write, tmp_path, monkeypatch):
    monkeypatch.setattr(BertClassifier, "fit", lambda self, *args, **kwargs: None)
    path = write("text,label\nhi,x\nhello\nbye,y\n" + "bad\n" * 7)
    code, out, err = run(*train(tiny_checkpoint, path, tmp_path / "out", "--skip-bad-rows"))
    assert code == 0
    assert "2 rows" in out and "8 bad rows skipped" in out
    assert f"skipped {path}, line 3: 2 columns" in err
    assert f"skipped 3 more of {path}" in err


def test_pairs(tiny_checkpoint, write, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(BertClassifier, "fit", lambda self, x, **kwargs: seen.update(x=x, **kwargs))
    path = write("1,a,b\n0,c,d\n")
    columns = ("--text-column", 2, "--text-pair-column", 3, "--label-column", 1)
    code, _, _ = run(*train(tiny_checkpoint, path, tmp_path / "out", *columns, "--epochs", 7))
    assert code == 0
    assert seen["x"].texts == [("a", "b"), ("c", "d")]
    assert seen["x"].labels == ["1", "0"]
    assert (seen["epochs"], seen["batch_size"]) == (7, None)


@pytest.fixture
def interrupted(monkeypatch):
    """Makes training stop by Ctrl-C, before or after its first step."""

    def interrupt(after_a_step):
        def interrupted_fit(self, *args, **kwargs):
            self.head_is_fresh = not after_a_step
            raise KeyboardInterrupt

        monkeypatch.setattr(BertClassifier, "fit", interrupted_fit)

    return interrupt


def test_ctrl_c_keeps_the_weights(tiny_checkpoint, data, tmp_path, interrupted):
    interrupted(after_a_step=True)
    folder = tmp_path / "out"
    code, _, err = run(*train(tiny_checkpoint, data, folder))
    assert code == 130
    line = f"keras-bert: interrupted; best weights so far are in {folder / 'model.keras'}\n"
    assert err.endswith(line)
    assert load_model(str(folder)).labels == ["complaint", "praise", "question"]
    assert json.loads((folder / "training.json").read_text())["interrupted"]
    # A finished model is worth more than an interrupted one.
    (folder / "model.keras").write_text("a finished model")
    assert run(*train(tiny_checkpoint, data, folder))[0] == 130
    assert (folder / "model.keras").read_text() == "a finished model"
    assert sorted(os.listdir(folder)) == [
        "interrupted.json",
        "interrupted.keras",
        "model.keras",
        "training.json",
    ]


def test_goes_on_where_it_was_ended(tiny_checkpoint, data, tmp_path, monkeypatch):
    state, out = tmp_path / "state", tmp_path / "out"
    options = ("--resume", state, "--save-every", 2, "--keep", 1, "--batch-size", 3, "--epochs", 1)
    with monkeypatch.context() as patch:
        # SIGTERM, as it would be noted during the first batch.
        ask = lambda self: setattr(self, "asked", signal.SIGTERM)  # noqa: E731
        patch.setattr("keras_bert.training.runs.stop_signals.StopSignals.install", ask)
        code, _, err = run(*train(tiny_checkpoint, data, out, *options))
    assert code == 42
    assert sorted(os.listdir(state)) == ["lock", "step-00000001"]
    assert err.endswith(f"keras-bert: asked to end; saved in {state}\n")
    assert not out.exists()
    assert run(*train(tiny_checkpoint, data, out, *options))[0] == 0
    assert sorted(os.listdir(state)) == ["lock", "step-00000003-epoch", "step-00000003-final"]
    assert len(json.loads((out / "training.json").read_text())["history"]["loss"]) == 1
    wrong = failure(*train(tiny_checkpoint, data, out, *options, "--seed", 1))
    assert "of another run: seed was '0' and is '1'" in wrong


@pytest.mark.parametrize(
    "options, message",
    [
        (("--keep", 2), "--keep goes with --resume FOLDER"),
        (("--save-every", 2), "--save-every goes with --resume FOLDER"),
        (("--drop-remainder",), "--drop-remainder goes with --pad-to LENGTHS"),
        (("--resume", "a", "--seeds", 2), "--resume is of one run: give --seed, not --seeds"),
    ],
)
def test_wrong_use_of_resume(tiny_checkpoint, data, tmp_path, options, message):
    code, _, err = run(*train(tiny_checkpoint, data, tmp_path / "out", *options))
    assert code == 2
    assert message in err


def test_ctrl_c_before_the_first_step_writes_nothing(tiny_checkpoint, data, tmp_path, interrupted):
    interrupted(after_a_step=False)
    code, _, err = run(*train(tiny_checkpoint, data, tmp_path / "out"))
    assert code == 130
    assert err.endswith("keras-bert: interrupted\n")
    assert not (tmp_path / "out").exists()


def test_a_failed_save_damages_nothing(tiny_checkpoint, data, tmp_path, monkeypatch):
    def full_disk(self, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(BertClassifier, "fit", lambda self, *args, **kwargs: None)
    monkeypatch.setattr(BertClassifier, "save", full_disk)
    (tmp_path / "model.keras").write_text("the old model")
    assert "No space left on device" in failure(*train(tiny_checkpoint, data, tmp_path))
    assert os.listdir(tmp_path) == ["model.keras"]
    assert (tmp_path / "model.keras").read_text() == "the old model"


def test_a_log_and_no_progress(tiny_checkpoint, data, tmp_path):
    log = tmp_path / "logs" / "run.jsonl"
    options = ("--epochs", 2, "--log", log, "--quiet")
    code, out, _ = run(*train(tiny_checkpoint, data, tmp_path / "out", *options))
    assert code == 0
    assert "Epoch" not in out and "step" not in out and "wrote" in out
    rows = read_run_log(log)
    assert [row["event"] for row in rows] == ["start", "epoch", "epoch", "end"]
    assert (rows[0]["seed"], rows[0]["data"]["examples"]) == (0, 9)
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["settings"]["log"] == str(log)
    assert record["history"]["loss"] == [row["loss"] for row in rows[1:3]]


def test_a_loss_that_goes_bad(tiny_checkpoint, data, tmp_path, monkeypatch):
    monkeypatch.setattr(BertClassifier, "default_loss", lambda self: lambda y, z: z[:, 0] * np.nan)
    out = tmp_path / "out"
    code, _, err = run(*train(tiny_checkpoint, data, out, "--epochs", 1, "--quiet"))
    assert code == 1 and err.startswith("keras-bert: error: The loss is nan in step 1 (epoch 1")
    assert "unexpected" not in err and err.count("\n") == 1
    assert os.listdir(out) == ["bad-batch-step-1.npz"]
    assert sorted(np.load(out / "bad-batch-step-1.npz")["rows"]) == list(range(9))
