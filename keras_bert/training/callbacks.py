"""What happens beside the steps of a run: stopping early, ending epochs, logs for TensorBoard."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from keras_bert.metrics.directions import better
from keras_bert.training.runs.pace import Paced

__all__ = [
    "BestEpoch",
    "BestWeights",
    "EpochEnd",
    "MarkTrained",
    "NotePass",
    "TensorBoard",
    "best_epoch",
]


class BestEpoch(keras.callbacks.EarlyStopping):
    """Stops when a score of the validation data gets no better; gives the best weights back.

    Args:
        monitor: Name of the score, with its ``val_``.
        patience: Epochs without a better one after which training stops; None: it never stops.
        restore_best: Whether the model ends with the weights of the best epoch.
        verbose: 1 prints when it stops and which epoch was the best.

    Raises:
        ValueError: If the name does not say whether more is better; after the first validation,
            if there is no such score: the message names those that there are.

    Example:
        >>> BestEpoch("val_macro_f1", patience=3).mode
        'max'
    """

    def __init__(self, monitor, patience=None, restore_best=True, verbose=0):
        self.mode = better(monitor)
        if self.mode is None:
            raise ValueError(
                f"Is more of {monitor!r} better, or less? Its name does not tell. Give fit "
                f"callbacks=[keras.callbacks.EarlyStopping({monitor!r}, mode='max' or 'min')] in "
                "place of patience and monitor."
            )
        super().__init__(
            monitor=monitor,
            patience=math.inf if patience is None else patience,
            mode=self.mode,
            restore_best_weights=restore_best,
            verbose=verbose,
        )

    def get_monitor_value(self, logs):
        """The score of this epoch; None in an epoch that was not validated."""
        logs = logs or {}
        scores = [name for name in logs if name.startswith("val_")]
        if self.monitor in logs or not scores:
            return logs.get(self.monitor)
        raise ValueError(
            f"There is no score {self.monitor!r} to stop by; there are {', '.join(scores)}."
        )

    @property
    def kept(self) -> bool:
        """Whether there are best weights yet."""
        return self.best_weights is not None

    def restore(self):
        """Gives the model its best weights so far, if there was a validated epoch."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)


def best_epoch(model, monitor, patience, restore_best, has_validation, verbose=0):
    """The callback that what ``fit`` was asked for comes down to; None where nothing was.

    Args:
        model: A task model.
        monitor: As ``fit`` takes it.
        patience: As ``fit`` takes it.
        restore_best: As ``fit`` takes it.
        has_validation: Whether there is validation data.
        verbose: See ``BestEpoch``.

    Raises:
        ValueError: If a score is to be watched and there is no validation data, or a score is named
            and nothing is to be done with it.
    """
    if patience is None and not restore_best:
        if monitor is not None:
            raise ValueError(
                f"monitor={monitor!r} is what patience=... and restore_best=True go by; give one "
                "of them."
            )
        return None
    if patience is not None and (not isinstance(patience, int) or patience < 0):
        raise ValueError(f"patience is a number of epochs, from 0 on; received {patience!r}.")
    if not has_validation:
        asked = "restore_best=True" if patience is None else f"patience={patience}"
        raise ValueError(
            f"{asked} goes by scores of validation data, and there is none. Give fit "
            "validation_data."
        )
    name = model.main_metric if monitor is None else monitor
    name = name if name.startswith("val_") else f"val_{name}"
    return BestEpoch(name, patience, restore_best is None or restore_best, verbose)


class EpochEnd(keras.callbacks.Callback):
    """Takes a step by the gradients that are left when an epoch ends, before it is validated.

    Args:
        optimizer: An ``AdamW`` that accumulates gradients.
        steps: Batches of an epoch.
    """

    def __init__(self, optimizer, steps):
        super().__init__()
        self._optimizer = optimizer
        self._steps = steps

    def on_train_batch_end(self, batch, logs=None):
        """Takes the step after the last batch."""
        if batch + 1 >= self._steps:
            self._optimizer.finish_accumulation()

    def on_epoch_end(self, epoch, logs=None):
        """Takes it where an epoch ended before its time."""
        self._optimizer.finish_accumulation()


class MarkTrained(keras.callbacks.Callback):
    """Notes that the head has been trained, after the first step."""

    def on_train_batch_end(self, batch, logs=None):
        """Notes it."""
        self.model.head_is_fresh = False


class NotePass(keras.callbacks.Callback):
    """Tells the data which pass over it comes next."""

    def __init__(self, position):
        super().__init__()
        self._position = position

    def on_epoch_begin(self, epoch, logs=None):
        """Tells it."""
        self._position.epoch = epoch


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest validation loss, for an interrupt."""

    def __init__(self):
        super().__init__()
        self._best, self._weights = math.inf, None

    @property
    def kept(self) -> bool:
        """Whether there are best weights yet."""
        return self._weights is not None

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the weights where the epoch is the best so far."""
        loss = (logs or {}).get("val_loss")
        if loss is not None and loss < self._best:
            self._best, self._weights = loss, self.model.get_weights()

    def restore(self):
        """Gives the model its best weights so far, if there was a validated epoch."""
        if self._weights is not None:
            self.model.set_weights(self._weights)

    def get_state(self):
        """What a checkpoint of the run holds of it."""
        return {"best": float(self._best), "weights": self._weights}

    def set_state(self, state):
        """Takes what ``get_state`` returned."""
        self._best, self._weights = state["best"], state["weights"]


class TensorBoard(Paced, keras.callbacks.TensorBoard):
    """Keras' logs for TensorBoard; of every tenth step also the learning rate and how fast it goes.

    Of a step there are, beside Keras' ``batch_loss`` and metrics: ``batch_learning_rate``,
    ``batch_examples_per_second``, ``batch_tokens_per_second`` (without padding), ``batch_padding``
    (share of the positions).

    Args:
        folder: Where to.
        every: Steps between two entries.
        pace: The ``keras_bert.training.runs.pace.Pace`` to read; None: one of its own.
        **kwargs: Passed to ``keras.callbacks.TensorBoard``.

    Example:
        >>> import tempfile
        >>> TensorBoard(tempfile.mkdtemp()).update_freq
        10
    """

    def __init__(self, folder, every=10, pace=None, **kwargs):
        options = {"log_dir": str(folder), "write_graph": False, "update_freq": every}
        super().__init__(pace, **options, **kwargs)

    def on_train_batch_end(self, batch, logs=None):
        """Logs what Keras does, the learning rate and the rates."""
        super().on_train_batch_end(batch, logs)
        step = self._global_train_batch
        if step % self.update_freq == 0:
            values = self.pace.recent().rates()
            rate = self.pace.learning_rate()
            values |= {} if rate is None else {"learning_rate": rate}
            with self._train_writer.as_default():
                for name, value in values.items():
                    tf.summary.scalar(f"batch_{name}", value, step=step)
