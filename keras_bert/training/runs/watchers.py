"""All that watches a run of ``fit``: progress, logs, and what stops it when the loss goes bad."""

from __future__ import annotations

import os

import keras

from keras_bert.training.callbacks import TensorBoard
from keras_bert.training.runs.pace import Pace
from keras_bert.training.runs.progress import ProgressBar
from keras_bert.training.runs.run_log import RunLog
from keras_bert.training.runs.watch import StopOnBadLoss

__all__ = ["Watchers"]


class Watchers:
    """What ``fit`` was asked to show, write and watch, as callbacks with one ``Pace`` among them.

    Args:
        model: A task model.
        plan: Its ``BatchPlan``; None: not known.
        log: As ``fit`` takes it.
        progress: As ``fit`` takes it.
        stop_on_bad_loss: As ``fit`` takes it.
        tensorboard: As ``fit`` takes it.
        keeper: The callback that keeps the best weights.
        options: The other arguments of ``keras.Model.fit``; ``verbose`` is set to 0 where nothing
            is to be shown.

    Raises:
        OSError: If the log cannot be written.
        TypeError: If an argument is something else; the message says what it may be.
    """

    def __init__(self, model, plan, log, progress, stop_on_bad_loss, tensorboard, keeper, options):
        # Of all workers one writes: the strategy says which.
        chief = bool(model.distribute_strategy.extended.should_save_summary)
        # The first pass of a plan is made to count its batches.
        self.pace = Pace(plan, repeats=not options.get("steps_per_epoch"))
        if progress is False or not chief:
            options["verbose"] = 0
        self._model = model
        self._bar = _progress(progress if chief else False, self.pace)
        self._log = _log(log, self.pace, chief)
        self._watch = _watch(stop_on_bad_loss, self.pace, keeper, self._log)
        self._tensorboard = (
            None if tensorboard is None else TensorBoard(tensorboard, pace=self.pace)
        )

    def around(self, callbacks) -> list:
        """The callbacks of a run: others see the pace counted, and watchers what others did."""
        own = any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks)
        bar = None if own else self._bar
        # The log has the bad step's row before the run is stopped.
        last = (self._tensorboard, self._log, self._watch, bar)
        return [self.pace, *callbacks, *(one for one in last if one is not None)]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """Ends line and log, with what is being raised, if anything is."""
        for one in (self._bar, self._log):
            if one is not None:
                one.close(error)
        # Data, and the last batches.
        self.pace.forget()
        self._model.last_step.forget()


def _progress(progress, pace):
    if progress is None or progress is True:
        return ProgressBar(pace)
    if progress is False or progress == "keras":
        return None
    if not isinstance(progress, ProgressBar):
        raise TypeError(
            f"progress is None, False, 'keras' or a keras_bert.training.ProgressBar; received "
            f"{progress!r}."
        )
    return progress.use(pace)


def _log(log, pace, chief):
    if log is None:
        return None
    if isinstance(log, RunLog):
        log.is_chief = log.is_chief and chief
        return log.use(pace)
    if not isinstance(log, str | os.PathLike):
        raise TypeError(f"log is a file or a keras_bert.training.RunLog; received {log!r}.")
    return RunLog(log, pace=pace, is_chief=chief)


def _watch(stop, pace, keeper, log):
    if not stop:
        return None
    watch = StopOnBadLoss() if stop is True else stop
    if not isinstance(watch, StopOnBadLoss):
        raise TypeError(
            "stop_on_bad_loss is True, False or a keras_bert.training.StopOnBadLoss; received "
            f"{stop!r}."
        )
    return watch.use(pace, keeper, None if log is None else log.path.parent)
