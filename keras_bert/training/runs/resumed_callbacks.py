"""What Keras calls while a run is trained that an earlier process has begun."""

from __future__ import annotations

import keras

__all__ = ["ResumedCallbacks", "history_of", "recall"]


class ResumedCallbacks(keras.callbacks.CallbackList):
    """All callbacks of a run, that hear nothing of batches that an earlier process trained on.

    What ``ExactResume`` does comes before the others where something is given back to the run, and
    behind them where it is saved: what they have changed counts.

    Args:
        run: An ``ExactResume``.
        *args: As ``keras.callbacks.CallbackList`` takes them.
        **kwargs: As ``keras.callbacks.CallbackList`` takes them.
    """

    def __init__(self, run, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._run = run

    def on_train_begin(self, logs=None):
        """Has logs go on, callbacks begin, and then remember."""
        self._run.logs_go_on(self.callbacks)
        super().on_train_begin(logs)
        self._run.training_begins(self.callbacks)

    def on_epoch_begin(self, epoch, logs=None):
        """Leads the first epoch past the batches that were trained on."""
        super().on_epoch_begin(epoch, logs)
        self._run.epoch_begins(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        """Says so to callbacks where the batch is trained on."""
        if self._run.batch_begins(batch):
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """Saves, once callbacks have done what they do."""
        if not self._run.is_past:
            super().on_train_batch_end(batch, logs)
            self._run.batch_ended(batch)

    def on_test_begin(self, logs=None):
        """Keeps the metrics of training while they are used for validation."""
        self._run.validation_begins()
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Saves, once callbacks have done what they do."""
        self._run.validation_ended()
        super().on_epoch_end(epoch, logs)
        self._run.epoch_ended(epoch)


def history_of(callbacks) -> keras.callbacks.History:
    """The history among callbacks, which Keras puts there."""
    return next(c for c in callbacks if isinstance(c, keras.callbacks.History))


def recall(history, state):
    """Puts the epochs before into a history."""
    history.epoch = list(state["history"]["epochs"])
    history.history = {name: list(values) for name, values in state["history"]["scores"].items()}
