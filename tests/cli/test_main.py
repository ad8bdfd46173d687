"""The command line as a whole: help, wrong usage, and one line for whatever goes wrong."""

import argparse
import subprocess
import sys
import warnings

import pytest

import keras_bert
from keras_bert.cli import main as module
from keras_bert.cli.main import main

COMMANDS = ["train", "launch", "evaluate", "predict", "export", "serve", "tokenize", "vocab"]
REQUIRED = {
    "train": ["--from", "m", "--train", "t.csv", "--output", "o"],
    "launch": ["-n", "2", "train"],
    "evaluate": ["--model", "m", "--data", "d.csv"],
    "predict": ["--model", "m", "text"],
    "export": ["--model", "m", "--output", "o"],
    "serve": ["saved_models"],
    "tokenize": ["text", "--tokenizer", "v.txt"],
    "vocab": ["c.txt", "--output", "v.txt"],
}


@pytest.fixture
def failing(monkeypatch):
    """Makes ``keras-bert export`` raise what is given; returns its exit code."""

    def run(error, *arguments):
        def raise_it(args):
            raise error

        monkeypatch.setattr(module.export, "run", raise_it)
        return main([*arguments, "export", *REQUIRED["export"]])

    return run


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS]])
def test_help_shows_an_example(command, capsys):
    assert main([*command, "--help"]) == 0
    output = capsys.readouterr().out
    assert "Example" in output
    assert f"\n  keras-bert {command[0] if command else 'train'} " in output
    assert max(map(len, output.splitlines())) <= 100


def test_a_run_that_saved_and_ends(failing):
    assert failing(SystemExit(42)) == 42
    assert failing(SystemExit("why")) == 1


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"keras-bert {keras_bert.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["--unknown", "train", *REQUIRED["train"]],
        *[[name] for name in COMMANDS],
        *[[name, *REQUIRED[name], "--unknown"] for name in COMMANDS],
        ["train", *REQUIRED["train"], "--epochs", "0"],
        ["train", *REQUIRED["train"], "--devices", "0"],
        ["train", *REQUIRED["train"], "--strategy", "mirror"],
        ["launch", "--", "train"],
        ["launch", "-n", "0", "--", "train"],
        ["launch", "-n", "2"],
        ["launch", "-n", "2", "--port", "80", "--", "train"],
        ["launch", "-n", "2", "--restarts", "-1", "--", "train"],
        ["launch", "-n", "2", "train", "--epochs", "3"],  # without --
        ["train", *REQUIRED["train"], "--epochs", "two"],
        ["train", *REQUIRED["train"], "--output", ""],
        ["evaluate", *REQUIRED["evaluate"], "--model", ""],
        ["train", *REQUIRED["train"], "--learning-rate", "-1"],
        ["train", *REQUIRED["train"], "--learning-rate", "nan"],
        ["train", *REQUIRED["train"], "--warmup", "1.5"],
        ["train", *REQUIRED["train"], "--seed", "-1"],
        ["train", *REQUIRED["train"], "--seed", str(2**32)],
        ["train", *REQUIRED["train"], "--batch", "8"],  # no abbreviations
        ["predict", "--model", "m"],
        ["predict", "text"],
        ["predict", "--model", "m", "--saved-model", "s", "text"],
        ["predict", "--model", "m", "text", "--pair", "a", "b"],
        ["predict", "--model", "m", "text", "--input", "a.txt"],
        ["predict", "--model", "m", "--pair", "a"],
        ["predict", "--model", "m", "text", "--top", "0"],
        ["tokenize", *REQUIRED["tokenize"], "--cased", "--uncased"],
        ["tokenize", *REQUIRED["tokenize"], "--json", "--explain"],
        ["tokenize", *REQUIRED["tokenize"], "--explain", "--offsets"],
        ["tokenize", *REQUIRED["tokenize"], "--compare", "other"],
        ["vocab", *REQUIRED["vocab"], "--size", "0"],
        ["vocab", *REQUIRED["vocab"], "--keep-accents", "--strip-accents"],
    ],
)
def test_wrong_usage(arguments, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: keras-bert")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\n  second"), "first second"),
        (TypeError("no text"), "no text"),
        (ImportError("needs the extra"), "needs the extra"),
        (
            FileNotFoundError(2, "No such file or directory", "a.csv"),
            "a.csv: No such file or directory",
        ),
        (OSError("disk"), "disk"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "unexpected KeyError: 'x' (--debug shows where)"),
        (RuntimeError("a\nb"), "unexpected RuntimeError: a b (--debug shows where)"),
        (ValueError("x" * 3000), "x" * 2000 + "… (--debug shows all of it)"),
    ],
)
def test_errors_are_one_line(failing, error, line, capsys):
    assert failing(error) == 1
    assert capsys.readouterr().err == f"keras-bert: error: {line}\n"


def test_errors_of_the_package_are_expected(failing, capsys):
    own = type("ExportError", (RuntimeError,), {"__module__": "keras_bert.export.errors"})
    assert failing(own("not kept")) == 1
    assert capsys.readouterr().err == "keras-bert: error: not kept\n"


@pytest.mark.parametrize("how", ["before", "variable"])
def test_debug_shows_the_traceback(failing, how, capsys, monkeypatch):
    if how == "variable":
        monkeypatch.setenv("KERAS_BERT_DEBUG", "1")
    assert failing(ValueError("broken"), *["--debug"] * (how == "before")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "keras-bert: error: broken"


def test_debug_may_stand_behind_the_command():
    parser = module._parser()
    for arguments in (["--debug", "export"], ["export", "--debug"]):
        assert parser.parse_args([*arguments, *REQUIRED["export"]]).debug
    assert not parser.parse_args(["export", *REQUIRED["export"]]).debug


def test_ctrl_c(failing, capsys):
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "keras-bert: interrupted\n"


def test_wrong_usage_found_late(failing, capsys):
    assert failing(argparse.ArgumentError(None, "give one of both")) == 2
    assert capsys.readouterr().err.endswith("keras-bert export: error: give one of both\n")


def test_warnings_are_one_line_each(monkeypatch, capsys):
    def warn(args):
        warnings.warn("12 of 30 texts\nwere cut", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(module.export, "run", warn)
    before = warnings.showwarning
    assert main(["export", *REQUIRED["export"]]) == 0
    assert capsys.readouterr().err == "keras-bert: warning: 12 of 30 texts were cut\n"
    assert warnings.showwarning is before


def test_a_wrong_environment_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    assert main(["export", *REQUIRED["export"]]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "TF_USE_LEGACY_KERAS" in error


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["predict", "--model", "m"]]
)
def test_tensorflow_is_not_imported_before_the_arguments_are_understood(arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "keras_bert", *arguments],
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported
    assert "tensorflow" not in imported
