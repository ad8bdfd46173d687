"""``--strategy`` and ``--devices``: who prints and writes, and the end of workers."""

import dataclasses
import os
import subprocess
import sys

import pytest

from keras_bert import training
from keras_bert.cli import main as module
from keras_bert.cli.trained_model import load_model
from keras_bert.launching.exit_codes import PEER_LOST
from keras_bert.training import PeerLost, cluster_of

from .conftest import run


@pytest.fixture
def train(tiny_checkpoint, data, tmp_path):
    def run_it(*options):
        return run(
            *("train", "--from", tiny_checkpoint, "--train", data, "--output", tmp_path / "out"),
            *("--epochs", 1, "--batch-size", 9, *options),
        )

    return run_it


def test_only_the_chief_writes_and_prints(monkeypatch, train, tmp_path):
    helper = dataclasses.replace(cluster_of(), is_chief=False, task_id=1)
    monkeypatch.setattr(training, "cluster_of", lambda made: helper)
    waited = []
    monkeypatch.setattr(training, "wait", waited.append)
    code, out, _ = train("--tensorboard", tmp_path / "logs")
    assert (code, out) == (0, "")
    assert len(waited) == 1  # for the chief, which still writes
    assert list(tmp_path.iterdir()) == []


def test_a_lost_worker(monkeypatch, train, tmp_path):
    def none(*arguments):
        raise PeerLost("waited 600 s for all workers")

    monkeypatch.setattr(training, "strategy", none)
    code, _, err = train("--strategy", "multi_worker")
    assert code == PEER_LOST
    assert err == "keras-bert: error: waited 600 s for all workers\n"


def test_what_there_is_not(train):
    code, _, err = train("--strategy", "multi_worker")
    assert code == 1
    assert "nothing says who the other workers are" in err
    code, _, err = train("--strategy", "none", "--devices", "2")
    assert code == 1
    assert "devices=2 goes with" in err


def test_parameter_servers_are_refused_with_the_reason(train):
    code, _, err = train("--strategy", "parameter_server")
    assert code == 2
    assert "depend on who was faster" in " ".join(err.split())


@pytest.mark.parametrize(
    ("joined", "command_line", "leaves"),
    [(True, True, [0]), (True, False, []), (False, True, [])],
)
def test_a_worker_does_not_take_tensorflow_apart(monkeypatch, joined, command_line, leaves):
    left = []
    monkeypatch.setattr(module, "has_joined", lambda: joined)
    monkeypatch.setattr(module, "is_command_line", lambda: command_line)
    monkeypatch.setattr(module, "leave", left.append)
    run("--version")
    assert left == leaves


@pytest.mark.slow
def test_two_workers_write_one_model(tiny_checkpoint, data, tmp_path):
    train = ("train", "--from", tiny_checkpoint, "--train", data, "--validation", data)
    options = ("--output", tmp_path / "out", "--epochs", "1", "--batch-size", "4")
    done = subprocess.run(
        [sys.executable, "-m", "keras_bert", "launch", "-n", "2", "--", *train, *options],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote ") == 1
    assert "[1] " not in done.stdout
    assert sorted(os.listdir(tmp_path / "out")) == ["model.keras", "training.json"]
    model = load_model(str(tmp_path / "out"), compile=False)
    assert model.predict(["where is my card?"])[0]["label"] in model.labels
