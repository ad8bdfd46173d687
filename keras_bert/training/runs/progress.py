"""The progress of ``fit``: a bar in a terminal or notebook, lines in a log."""

from __future__ import annotations

import os
import sys
import time

import keras

from keras_bert.training.runs.pace import Paced
from keras_bert.training.runs.progress_text import (
    MARKS,
    Field,
    duration,
    fitted,
    number,
    rate,
    wrapped,
)

__all__ = ["ProgressBar", "line_due"]

#: Seconds between two drawings of a bar; a notebook sends each of them to a browser.
REDRAW = {"terminal": 0.1, "notebook": 0.5}

#: Seconds between two lines where there is no terminal: at first, and at most.
LINES_APART, LINES_APART_AT_MOST = 10.0, 300.0

#: Keras' ``verbose`` → what is shown; of "progress" the terminal decides whether bar or lines.
STYLES = {0: None, 1: "progress", 2: "epochs", "auto": "progress"}

#: Rates that are shown, with their ranks: see ``Field``.
_RATES = (
    ("examples_per_second", 3, lambda v: (f"{rate(v)} examples/s", f"{rate(v)} ex/s")),
    ("tokens_per_second", 4, lambda v: (f"{rate(v)} tokens/s", f"{rate(v)} tok/s")),
    ("padding", 5, lambda v: (f"{v:.1%} padding", f"pad {v:.1%}")),
)


class ProgressBar(Paced, keras.callbacks.ProgbarLogger):
    """Shows how far ``fit`` has come, in the place of Keras' progress bar.

    Epoch, steps, loss and metrics so far, examples and tokens (without padding) per second, the
    share of padding, and the time left of the epoch and of the run. At the end of an epoch a line
    with all its scores stays.

    In a terminal or notebook it is one line that is written over, never wider than the terminal:
    where there is little room, the least important parts are left out. Elsewhere, as in a file of
    logs, it is a line every ten seconds at most, and later every twentieth of the time so far, but
    one each 5 minutes. ``verbose`` of ``fit`` decides as with Keras: 1 shows this, 2 a line per
    epoch, 0 nothing.

    Args:
        pace: The ``Pace`` to read; None: one of its own, which knows of padding where a task model
            is trained.
        style: "bar", "lines" or "epochs"; None: by ``verbose`` and what is written to.
        stream: What to write to; None: ``sys.stdout``.
        width: Characters of a line; None: the terminal's.
        clock: Returns seconds.

    Raises:
        ValueError: If there is no such style.

    Example:
        >>> model.fit(texts, callbacks=[ProgressBar(style="lines")])       # doctest: +SKIP
        Epoch 1/3  312/1024  loss 0.4312  412 examples/s  18.2k tokens/s  3.1% padding ...
    """

    def __init__(self, pace=None, style=None, stream=None, width=None, clock=time.monotonic):
        super().__init__(pace)
        if style not in (None, "bar", "lines", "epochs"):
            raise ValueError(f"style={style!r}; expected 'bar', 'lines', 'epochs' or None.")
        self._asked, self._stream, self._width, self._clock = style, stream, width, clock
        self._style, self._drawn, self._tested, self._in_fit = None, "", None, False

    # What Keras tells. Outside of ``fit``, that is its own bar's.

    def on_train_begin(self, logs=None):
        """Decides how to show progress."""
        super().on_train_begin(logs)
        self._in_fit = True
        self._out = sys.stdout if self._stream is None else self._stream
        self._style = self._asked or self._style_of(STYLES.get(self.verbose, "epochs"))
        self._marks = MARKS["unicode" if _can_write(self._out, MARKS["unicode"]) else "ascii"]
        self._redraw = REDRAW["notebook" if _is_notebook() else "terminal"]
        self._started = self._last = self._clock()
        self._drawn, self._logs = "", {}

    def on_epoch_begin(self, epoch, logs=None):
        """Shows that an epoch has begun, whose first step may take a while."""
        self.drive("on_epoch_begin", epoch)
        self._logs, self._tested = {}, None
        self._draw()

    def on_train_batch_end(self, batch, logs=None):
        """Shows the steps so far, if it is time to."""
        self.drive("on_train_batch_end", batch)
        self._logs = logs or {}
        if self._style == "bar":
            self._draw(self._redraw)
        elif self._style == "lines" and self._is_line_due():
            self._write("  ".join(field.long for field in self._fields()) + "\n")

    def on_epoch_end(self, epoch, logs=None):
        """Shows the epoch's scores, in a line that stays."""
        self.drive("on_epoch_end", epoch)
        if self._style is not None:
            texts = self._summary(logs or {})
            text = wrapped(texts, self._columns()) if self._style == "bar" else "  ".join(texts)
            self._over(text)
            self._write("\n")
            self._drawn, self._last = "", self._clock()

    def on_train_end(self, logs=None):
        """Leaves the line to others."""
        self.close()

    def on_test_begin(self, logs=None):
        """Shows that the epoch is being validated."""
        if not self._in_fit:
            return super().on_test_begin(logs)
        self._tested = 0
        self._draw()
        return None

    def on_test_batch_end(self, batch, logs=None):
        """Shows how far validation has come."""
        if not self._in_fit:
            return super().on_test_batch_end(batch, logs)
        self._tested = batch + 1
        self._draw(self._redraw)
        return None

    def on_test_end(self, logs=None):
        """Nothing within ``fit``, where the epoch's line follows."""
        if not self._in_fit:
            super().on_test_end(logs)

    def close(self, error=None):
        """Ends the line, after a run that went to its end or did not."""
        if self._drawn:
            self._write("\n")
        self._drawn, self._in_fit = "", False

    # What is shown.

    def _style_of(self, style):
        if style != "progress":
            return style
        terminal = hasattr(self._out, "isatty") and self._out.isatty()
        overwrites = terminal and os.environ.get("TERM") != "dumb"
        return "bar" if overwrites or (self._stream is None and _is_notebook()) else "lines"

    def _draw(self, apart=0.0):
        """Draws the bar, unless it was drawn a moment ago."""
        now = self._clock()
        if self._style != "bar" or now - self._last < apart:
            return
        self._last = now
        pace = self.pace
        share = min(pace.step / pace.steps, 1.0) if pace.steps else None
        self._over(fitted(self._fields(), self._columns(), self._marks, share))

    def _fields(self):
        """What is shown in the midst of an epoch."""
        pace = self.pace
        steps = str(pace.steps or "?")
        fields = [
            Field(f"Epoch {pace.epoch + 1}/{pace.epochs}", f"{pace.epoch + 1}/{pace.epochs}", 0),
            _plain(f"{pace.step:>{len(steps)}}/{steps}", 0),
        ]
        fields += [
            _plain(f"{name} {number(value)}", 1 if name == "loss" else 6)
            for name, value in _ordered(self._logs)
        ]
        if self._tested is not None:
            return [*fields, Field(f"validating, batch {self._tested}", "validating", 1)]
        if not pace.run.steps and not pace.step:
            return [*fields, Field("building the graph", "starting", 1)]
        rates = pace.recent().rates()
        fields += [Field(*text(rates[name]), rank) for name, rank, text in _RATES if name in rates]
        left = pace.left()
        if left is not None:
            epoch, run = map(duration, left)
            texts = (f"{epoch} left, run {run}", f"left {epoch}/{run}")
            one = (f"{epoch} left", f"left {epoch}")
            fields.append(Field(*(one if pace.epochs == 1 else texts), 2))
        return fields

    def _summary(self, logs):
        """What stays of an epoch."""
        pace = self.pace
        rates = pace.epoch_rates()
        texts = [
            f"Epoch {pace.epoch + 1}/{pace.epochs}",
            f"{pace.step} step{'s' * (pace.step != 1)} in {_took(pace.done.seconds)}",
            *(f"{name} {number(value)}" for name, value in _ordered(logs)),
        ]
        return texts + [text(rates[name])[0] for name, _, text in _RATES if name in rates]

    def _is_line_due(self):
        now = self._clock()
        due = line_due(now - self._started, now - self._last)
        if due:
            self._last = now
        return due

    def _columns(self):
        """Characters of a line. The last column stays free: some terminals go on to the next."""
        return (self._width or _columns_of(self._out)) - 1

    def _over(self, text):
        """Writes over what was drawn, all at once so that nothing flickers."""
        if self._style != "bar":
            self._write(text)
        elif text != self._drawn:
            first, line, rest = text.partition("\n")
            width = len(self._drawn)
            self._write(f"\r{first.ljust(width)}{line}{rest}")
            self._drawn = text

    def _write(self, text):
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()


def line_due(elapsed: float, since_last: float) -> bool:
    """Whether it is time for another line, where lines stay.

    Args:
        elapsed: Seconds since the run began.
        since_last: Seconds since the last line.

    Example:
        >>> line_due(60, 9), line_due(60, 10), line_due(3_600, 60), line_due(36_000, 300)
        (False, True, False, True)
    """
    return since_last >= max(LINES_APART, min(elapsed / 20, LINES_APART_AT_MOST))


def _plain(text, rank):
    return Field(text, text, rank)


def _ordered(logs):
    """Loss first, then as they come; scores of validation last."""

    def place(item):
        name = item[0]
        return name.startswith("val_"), name.removeprefix("val_") != "loss"

    return sorted(logs.items(), key=place)


def _took(seconds):
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _can_write(stream, text):
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _columns_of(stream):
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        columns = 0
    columns = columns or int(os.environ.get("COLUMNS", "0") or 0)
    return max(columns, 20) if columns else (100 if _is_notebook() else 80)


def _is_notebook():
    """Whether stdout is a notebook's, where a line can be written over, too."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
