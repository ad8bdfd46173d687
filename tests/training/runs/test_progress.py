"""The progress bar: in a terminal, in a log, and in the place of Keras' own."""

import io
import sys
import types

import keras
import numpy as np
import pytest

from keras_bert.training.runs.pace import Amounts
from keras_bert.training.runs.progress import ProgressBar, line_due


class Terminal(io.StringIO):
    """Shows what stands on the screen: ``\\r`` goes to the line's beginning and clears nothing."""

    def __init__(self, encoding="utf-8"):
        super().__init__()
        self._encoding, self.writes, self.longest = encoding, [], 0

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return True

    def write(self, text):
        text.encode(self._encoding)
        self.writes.append(text)
        return super().write(text)

    @property
    def screen(self):
        lines, column = [[]], 0
        for character in self.getvalue():
            if character == "\n":
                lines.append([])
                column = 0
            elif character == "\r":
                column = 0
            else:
                lines[-1][column : column + 1] = [character]
                column += 1
                self.longest = max(self.longest, column)
        return ["".join(line).rstrip() for line in lines]


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.fixture
def model():
    return types.SimpleNamespace()


def play(bar, clock, model, steps=20, epochs=2, verbose=1, seconds=0.5, until=None):
    """A run of steps that take half a second each; the last batches of epochs are validated."""
    pace = bar.pace
    pace._clock = clock
    bar.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
    bar.set_model(model)
    bar.on_train_begin()
    for epoch in range(epochs):
        bar.on_epoch_begin(epoch)
        for step in range(steps or 20):
            bar.on_train_batch_begin(step)
            clock.now += seconds
            pace._held = lambda steps: Amounts(steps, 8, 300, 400)
            bar.on_train_batch_end(step, {"accuracy": 0.5, "loss": 1 / (step + 1)})
            if until == (epoch, step):
                return
        bar.on_test_begin()
        for step in range(3):
            clock.now += seconds
            bar.on_test_batch_end(step, {"loss": 0.1})
        bar.on_test_end({"loss": 0.1})
        scores = {"accuracy": 0.75, "loss": 0.25, "val_accuracy": 0.5, "val_loss": 0.75}
        bar.on_epoch_end(epoch, scores)
    bar.on_train_end(scores)


def shown(width=100, encoding="utf-8", **options):
    out, clock = Terminal(encoding), Clock()
    bar = ProgressBar(stream=out, width=width, clock=clock)
    play(bar, clock, types.SimpleNamespace(), **options)
    return out, bar


def test_a_line_that_is_written_over():
    out, _ = shown(160, until=(1, 9))
    first, second = out.screen
    assert first == (
        "Epoch 1/2  20 steps in 0:10  loss 0.2500  accuracy 0.7500  val_loss 0.7500  "
        "val_accuracy 0.5000  16.0 examples/s  600 tokens/s  25.0% padding"
    )
    assert second.startswith("Epoch 2/2  ━━━") and "╸───" in second
    for part in ("10/20", "loss 0.1000", "accuracy 0.5000", "16.0 examples/s", "600 tokens/s"):
        assert f"  {part}" in second
    assert second.endswith("25.0% padding  0:05 left, run 0:07")


def test_what_is_seen_on_the_way():
    out, _ = shown(160, until=(0, 0))
    drawn = [text.strip() for text in out.writes]
    assert drawn[0].endswith("0/20  building the graph")
    assert "left" not in drawn[1]  # what the first step took says nothing
    out, _ = shown(160, epochs=1)
    assert any("validating, batch 2" in text for text in out.writes)
    assert any(text.rstrip().endswith("0:05 left") for text in out.writes)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 140, 250])
def test_no_width_wraps_or_leaves_anything_behind(width):
    out, _ = shown(width)
    screen = out.screen
    assert out.longest <= width - 1
    assert screen[-1] == ""
    scores = " ".join(screen)
    for part in ("loss 0.2500", "val_loss 0.7500", "val_accuracy 0.5000", "25.0% padding"):
        assert scores.count(part) == 2
    assert not any(mark in scores for mark in "━╸─")
    # Every drawing is one write, of which none clears first: nothing flickers.
    assert all(text.startswith("\r") for text in out.writes if text != "\n")


def test_terminals_without_such_characters():
    out, _ = shown(encoding="ascii", until=(0, 9))
    assert "====>" in out.screen[0]
    out = Terminal("ascii")
    bar = ProgressBar(stream=out, width=80, clock=(clock := Clock()))
    play(bar, clock, types.SimpleNamespace(), until=(0, 3))
    bar._over("café")
    assert "caf?" in out.getvalue()


def test_no_more_than_ten_drawings_a_second():
    out, _ = shown(steps=2000, epochs=1, seconds=0.001)
    assert 15 <= len(out.writes) <= 30


def test_unknown_number_of_steps():
    out, _ = shown(140, steps=None, until=(0, 4))
    assert "5/?" in out.screen[0] and "━" not in out.screen[0]
    out, _ = shown(140, steps=None, until=(1, 4))
    assert " 5/20" in out.screen[-1] and "━" in out.screen[-1]


def test_the_line_is_ended_whatever_happens():
    out, bar = shown(until=(0, 9))
    bar.close(ValueError())
    bar.close()
    assert out.getvalue().endswith("\n") and not out.getvalue().endswith("\n\n")


# Without a terminal.


def lines(**options):
    out, clock = io.StringIO(), Clock()
    play(ProgressBar(stream=out, clock=clock), clock, types.SimpleNamespace(), **options)
    return out.getvalue().splitlines()


def test_lines_at_a_bounded_rate():
    found = lines(steps=40, epochs=1)
    assert len(found) == 3
    assert found[0] == (
        "Epoch 1/1  20/40  loss 0.0500  accuracy 0.5000  16.0 examples/s  600 tokens/s  "
        "25.0% padding  0:10 left"
    )
    assert found[-1].startswith("Epoch 1/1  40 steps in 0:20  loss 0.2500")
    # A day of steps: some lines at first, later one every 5 minutes.
    day = lines(steps=8_640, epochs=1, seconds=10.0)
    assert 300 < len(day) < 450


def test_when_a_line_is_due():
    assert not line_due(5, 5) and line_due(10, 10)
    assert not line_due(1000, 49) and line_due(1000, 50)
    assert line_due(1e6, 300)


def test_verbose_decides():
    assert lines(verbose=0) == []
    assert [line.split("  ")[0] for line in lines(verbose=2, steps=100)] == [
        "Epoch 1/2",
        "Epoch 2/2",
    ]
    assert len(lines(verbose="auto")) >= 2


def test_a_dumb_terminal_and_a_notebook(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out, _ = shown()
    assert "\r" not in out.getvalue()
    monkeypatch.setenv("TERM", "xterm")
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    out, clock = io.StringIO(), Clock()
    monkeypatch.setattr(sys, "stdout", out)
    play(ProgressBar(clock=clock), clock, types.SimpleNamespace())
    assert "\r" in out.getvalue()


def test_unknown_style():
    with pytest.raises(ValueError, match="style='fancy'; expected 'bar'"):
        ProgressBar(style="fancy")


# In the place of Keras'.


@pytest.fixture(scope="module")
def small():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    return model, np.ones((12, 2), "float32"), np.ones((12, 1), "float32")


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_any_keras_model(small, verbose, capsys):
    model, x, y = small
    model.fit(
        *(x, y),
        batch_size=4,
        epochs=2,
        validation_data=(x, y),
        verbose=verbose,
        callbacks=[ProgressBar()],
    )
    output = capsys.readouterr().out
    assert output.count("\n") == (2 if verbose else 0)
    if verbose:
        assert "Epoch 2/2  3 steps in" in output and "val_loss" in output
        assert "ms/step" not in output  # Keras' own is not there, too


def test_keras_evaluates_and_predicts_as_ever(small, capsys):
    model, x, y = small
    model.evaluate(x, y, callbacks=[ProgressBar()])
    model.predict(x, callbacks=[ProgressBar()])
    assert capsys.readouterr().out.count("ms/step") >= 2
