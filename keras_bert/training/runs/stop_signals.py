"""SIGTERM and Ctrl-C while a run is trained: it ends behind a batch, not inside of one."""

from __future__ import annotations

import contextlib
import signal

from keras_bert.launching.exit_codes import PREEMPTED

__all__ = ["Preempted", "StopSignals"]


class Preempted(SystemExit):
    """A run has saved its state and ends, as SIGTERM asked for; the process exits with 42."""

    def __init__(self):
        super().__init__(PREEMPTED)


class StopSignals:
    """Notes the first SIGTERM or Ctrl-C; a second one does what it does without this.

    In another thread than the main one, where Python takes no handlers, nothing is noted.

    Args:
        on_stop: Called, in the main thread between any two lines of Python, by the first signal.

    Attributes:
        asked: The number of the signal; None: there was none.

    Example:
        >>> signals = StopSignals(lambda: None)
        >>> signals.install()
        >>> signals.remove()
    """

    def __init__(self, on_stop):
        self._on_stop = on_stop
        self._before = {}
        self.asked = None

    def install(self):
        """Takes the handlers' places."""
        with contextlib.suppress(ValueError):  # not the main thread
            self._take(signal.SIGTERM)
            # Whoever has put a handler of his own there, as a notebook may, keeps it.
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._take(signal.SIGINT)

    def remove(self):
        """Puts back the handlers that were there."""
        for number, handler in self._before.items():
            # None: a handler that was not Python's.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _take(self, number):
        self._before[number] = signal.signal(number, self._note)

    def _note(self, number, _frame):
        self.remove()
        self.asked = number
        self._on_stop()

    def leave(self):
        """Ends what is running as the signal would have: raises.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            Preempted: After SIGTERM, or where another worker was asked.
        """
        raise KeyboardInterrupt if self.asked == signal.SIGINT else Preempted
