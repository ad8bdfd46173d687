"""``keras-bert launch``: what it starts; how that ends, tests/launching tells."""

import sys

import pytest

from keras_bert import launching
from keras_bert.cli.main import main

KERAS_BERT = [sys.executable, "-m", "keras_bert"]


@pytest.fixture
def started(monkeypatch):
    """What would be launched: programs and options; 7 is the exit code."""
    calls = []

    def launch(*arguments, **options):
        calls.append((*arguments, options))
        return 7

    monkeypatch.setattr(launching, "launch", launch)
    return calls


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["train", "--from", "m", "-n", "3"], [*KERAS_BERT, "train", "--from", "m", "-n", "3"]),
        (["python", "-m", "x", "--", "y"], [sys.executable, "-m", "x", "--", "y"]),
        (["python3", "x.py"], [sys.executable, "x.py"]),
        (["x/y.py", "--seed", "1"], [sys.executable, "x/y.py", "--seed", "1"]),
        (["sh", "-c", "true"], ["sh", "-c", "true"]),
    ],
)
def test_programs(started, command, program):
    assert main(["launch", "-n", "2", "--", *command]) == 7
    assert started[0][:2] == (program, 2)


def test_options(started):
    assert main(["launch", "--workers", "3", "--", "train"]) == 7
    options = "--restarts 4 --port 9000 --log-dir logs --bare-chief --grace 2.5"
    assert main(["launch", "-n", "2", *options.split(), "--", "train"]) == 7
    assert [call[2] for call in started] == [
        dict(restarts=0, port=None, log_dir=None, bare_chief=False, grace=60.0),
        dict(restarts=4, port=9000, log_dir="logs", bare_chief=True, grace=2.5),
    ]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["launch", "-n", "2"], "launch does not launch itself"),
        (["no-such"], "'no-such' is no command of keras-bert (train, launch, "),
    ],
)
def test_what_cannot_be_started(started, capsys, command, message):
    assert main(["launch", "-n", "2", "--", *command]) == 2
    assert message in capsys.readouterr().err
    assert not started


def test_a_worker_launches_no_others(monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    assert main(["launch", "-n", "2", "--", "train"]) == 1
    assert "TF_CONFIG is set, so this process is one worker" in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    from keras_bert.launching.shares import _bound, free_ports

    (port,) = free_ports(1)
    with _bound(port):
        assert main(["launch", "-n", "2", "--port", str(port), "--", "sh", "-c", "true"]) == 1
    assert f"port {port} cannot be had" in capsys.readouterr().err
