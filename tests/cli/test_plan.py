import argparse
import json

import pytest

from keras_bert.cli.main import main
from keras_bert.cli.plan import memory
from keras_bert.training import plan_memory


def test_table(capsys):
    arguments = ["plan", "base", "--seq-length", "128", "512", "--batch-size", "1", "64"]
    assert main([*arguments, "--memory", "16GiB"]) == 0
    out = capsys.readouterr().out
    assert "109,482,240 parameters" in out
    assert "! 3" in out  # 64 texts of 512 tokens do not fit
    assert len(out.splitlines()) == 3 + 4 + 2 + 2


def test_json(capsys):
    arguments = ["plan", "large", "--seq-length", "384", "--batch-size", "2", "--json"]
    assert main([*arguments, "--dtype", "mixed_bfloat16", "--accumulate", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    plain, again = found["steps"]
    told = plan_memory("large", 2, 384, dtype="mixed_bfloat16", accumulate=2)
    assert plain["peak"] == told.peak and plain["how"] == "plain"
    assert again["activations"] < plain["activations"]
    assert found["largest_batch"] == []


def test_a_checkpoint(tiny_checkpoint, capsys):
    arguments = ["plan", str(tiny_checkpoint), "--seq-length", "16", "--batch-size", "1"]
    assert main(arguments) == 0
    assert "parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "size"),
    [("16GiB", 2**34), ("24GB", 24 * 10**9), ("1.5m", 1_500_000), ("7", 7), ("2 kib", 2048)],
)
def test_amounts(text, size):
    assert memory(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1G", "0", "1.2.3G", "12PB", "1e9"])
def test_no_amounts(text):
    with pytest.raises(argparse.ArgumentTypeError, match="no amount of memory"):
        memory(text)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere/at/all"], 1, "nowhere/at/all"),
        (["base", "--seq-length", "1024"], 1, "positions for: 512"),
        (["base", "--batch-size", "0"], 2, "whole number from 1 on"),
        (["base", "--memory", "lots"], 2, "no amount of memory"),
    ],
)
def test_errors(arguments, code, message, capsys):
    assert main(["plan", *arguments]) == code
    assert message in capsys.readouterr().err
