"""A loss that is no number, or explodes, stops the run and leaves the batch for a look."""

from __future__ import annotations

import bisect
import collections
import contextlib
import math

import keras

from keras_bert.training.runs.bad_batch import save_bad_batch
from keras_bert.training.runs.pace import Paced

__all__ = ["LossRule", "StopOnBadLoss", "TrainingDiverged"]


class TrainingDiverged(RuntimeError):
    """The loss is no number any more, or has exploded.

    Attributes:
        step: The step: batches since the run's first, from 1.
        epoch: The epoch, from 1.
        loss: The loss of that step.
        file: The file with the batch, a ``pathlib.Path``; None where it could not be written.
    """

    #: What the run's log says it ended by.
    run_log_reason = "diverged"

    def __init__(self, message, step, epoch, loss, file=None):
        super().__init__(message)
        self.step, self.epoch, self.loss, self.file = step, epoch, loss, file

    def __reduce__(self):
        return type(self), (str(self), self.step, self.epoch, self.loss, self.file)


class LossRule:
    """When a loss is bad.

    It is no number: NaN or infinite. Or it has exploded: ``steps`` steps in a row it was more than
    ``factor`` times its level, which is the median of the last ``window`` losses that were not, or
    the median of the run's first ``steps`` losses where that is more. So it takes neither a few
    hard batches for an explosion, nor ordinary ones once nearly all losses are near zero.

    Args:
        factor: How much more than its level.
        steps: Steps in a row.
        window: Losses that the level is the median of.

    Raises:
        ValueError: If ``factor`` is not above 1, or another one is less than 1.

    Example:
        >>> rule = LossRule(factor=10, steps=2)
        >>> [rule.verdict(loss) for loss in (0.7, 0.6, 9.0, 0.5, 9.0, 9.0)]
        [None, None, None, None, None, 'exploded']
        >>> rule.verdict(float("nan"))
        'is nan'
    """

    def __init__(self, factor=10.0, steps=10, window=100):
        if not factor > 1 or steps < 1 or window < 1:
            raise ValueError(
                f"Expected factor > 1, steps >= 1 and window >= 1; received factor={factor!r}, "
                f"steps={steps!r}, window={window!r}."
            )
        self.factor, self.steps, self.window = factor, int(steps), int(window)
        #: The last losses in order, bad ones among them.
        self.seen = collections.deque(maxlen=self.window)
        self._recent, self._sorted = collections.deque(), []
        self._first, self.in_a_row = [], 0

    @property
    def level(self) -> float | None:
        """What losses are compared with; None before the first."""
        if not self._sorted:
            return None
        return max(_middle(self._sorted), _middle(sorted(self._first)))

    def verdict(self, loss: float) -> str | None:
        """What is wrong with the loss of one more step; None: nothing."""
        self.seen.append(loss)
        if not math.isfinite(loss):
            return f"is {loss:g}"
        level = self.level
        # A loss that can be negative, such as a user's own, has no factors.
        if level is not None and level > 0 and loss > self.factor * level:
            self.in_a_row += 1
            return "exploded" if self.in_a_row >= self.steps else None
        self.in_a_row = 0
        self._take(loss)
        return None

    def _take(self, loss):
        if len(self._first) < self.steps:
            self._first.append(loss)
        self._recent.append(loss)
        bisect.insort(self._sorted, loss)
        if len(self._recent) > self.window:
            self._sorted.pop(bisect.bisect_left(self._sorted, self._recent.popleft()))


def _middle(ordered):
    """Median of sorted numbers; of an even number the lower of the two in the middle."""
    return ordered[(len(ordered) - 1) // 2]


class StopOnBadLoss(Paced, keras.callbacks.Callback):
    """Stops ``fit`` at once where the loss is NaN or infinite, or explodes: see ``LossRule``.

    It raises ``TrainingDiverged``, after it has saved the batch for a look, and sees that the model
    is left with weights that are good for something:

    * Not a number, while all weights are finite: they stay. So it is where the function that
      trains takes no step by gradients that are not finite.
    * Else it gets those of the best epoch back where ``fit`` keeps them, which is with validation
      data; or those that the epoch began with, of which a copy is kept in the host's memory as
      long as there is no best epoch. A task model's optimiser then starts from the beginning, since
      its moments are spoilt, too.

    Steps that Keras' ``LossScaleOptimizer`` leaves out in float16 have a finite loss and go by.

    The loss looked at is that of each single step where the model tells (``model.last_step``, as
    task models do), else Keras' mean of the epoch so far, which is no number as soon as one step's
    is not, but shows an explosion late. Keras reads its logs from the device after every step; so
    this waits for nothing that would not be waited for anyway.

    Args:
        factor: See ``LossRule``.
        steps: See ``LossRule``.
        window: See ``LossRule``.
        folder: Where the batch goes, made if need be; None: beside the run's log, and without one
            to the system's folder for temporary files.
        keep_weights: Whether a copy of the weights is kept while there is no best epoch.
        pace: The ``Pace`` to read; None: one of its own.

    Raises:
        ValueError: As ``LossRule``.

    Example:
        >>> import keras_bert as kb
        >>> model.fit(texts, stop_on_bad_loss=StopOnBadLoss(folder="runs"))  # doctest: +SKIP
        >>> try:                                                             # doctest: +SKIP
        ...     model.fit(texts)
        ... except kb.training.TrainingDiverged as error:
        ...     batch = np.load(error.file)
        ...     print(error.step, batch["texts"], batch["targets"])
    """

    def __init__(
        self,
        factor=10.0,
        steps=10,
        window=100,
        folder=None,
        keep_weights=True,
        pace=None,
    ):
        super().__init__(pace)
        self._rule = lambda: LossRule(factor, steps, window)
        self.rule = self._rule()
        self.folder, self.keep_weights = folder, keep_weights
        self._keeper = self._log_folder = None
        self._weights = None

    def use(self, pace, keeper=None, log_folder=None):
        """Takes what ``fit`` of a task model has for this run; returns the callback.

        Args:
            pace: The ``Pace`` to read.
            keeper: What keeps the best epoch's weights: has ``kept`` and ``restore()``.
            log_folder: Where the run's log is.
        """
        self._keeper, self._log_folder = keeper, log_folder
        return super().use(pace)

    def on_train_begin(self, logs=None):
        """Forgets the losses of a run before."""
        super().on_train_begin(logs)
        self.rule = self._rule()

    def on_epoch_begin(self, epoch, logs=None):
        """Keeps the weights, if nothing else does."""
        super().on_epoch_begin(epoch, logs)
        self._weights = None
        if self.keep_weights and not getattr(self._keeper, "kept", False):
            self._weights = [v.value.numpy() for v in self.model.trainable_variables]

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss.

        Raises:
            TrainingDiverged: If it is bad.
        """
        super().on_train_batch_end(batch, logs)
        loss, mean = self._losses(logs or {})
        verdict = None if loss is None else self.rule.verdict(loss)
        # Several steps in one: the last one's loss may be a number by chance, their mean is not.
        if verdict is None and mean is not None and not math.isfinite(mean):
            loss, verdict = mean, f"is {mean:g}"
        if verdict is not None:
            self._stop(loss, verdict)

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the weights: what the last step made of them, no other step will tell.

        Raises:
            TrainingDiverged: If they are no numbers.
        """
        super().on_epoch_end(epoch, logs)
        if self.rule.seen and not _are_finite(self.model.trainable_variables):
            self._stop(self.rule.seen[-1], "is a number, but left weights that are none")

    def on_train_end(self, logs=None):
        """Lets the copy of the weights go."""
        self._weights = None

    def _losses(self, logs):
        """This step's loss, or the epoch's mean in its place; and the mean."""
        mean = logs.get("loss")
        mean = None if mean is None else float(mean)
        own = getattr(getattr(self.model, "last_step", None), "loss", None)
        return (mean if own is None else float(own)), mean

    def _stop(self, loss, verdict):
        pace = self.pace
        step, epoch, rate = pace.total_steps, pace.epoch + 1, pace.learning_rate()
        facts = {"step": step, "epoch": epoch, "loss": loss, "learning_rate": rate}
        facts["losses"] = list(self.rule.seen)
        file = None
        try:
            file = save_bad_batch(self.folder or self._log_folder, facts, self.model, pace)
            said = f"The batch is in {file}: numpy.load reads it"
        except OSError as error:
            said = f"The batch could not be saved ({error})"
        level = self.rule.level
        usual = "" if level is None else f"; the losses before were about {level:.4g}"
        weights = self._put_back(verdict)
        self._weights = None
        raise TrainingDiverged(
            f"The loss {_said(verdict, loss, self.rule)} in step {step} (epoch {epoch}, batch "
            f"{pace.step}{f' of {pace.steps}' * bool(pace.steps)}){usual}. {said}. {weights} Usual "
            f"causes: a learning rate that is too high (it is {_rate(rate)}), targets or weights "
            "of examples that are no numbers or out of range, float16.",
            *(step, epoch, loss, file),
        )

    def _put_back(self, verdict):
        """Sees that the weights are good for something; says what they are."""
        finite = _are_finite(self.model.trainable_variables)
        if verdict != "exploded" and finite:
            return "The model's weights are all finite and stay as they are."
        if getattr(self._keeper, "kept", False):
            self._keeper.restore()
            which = "of the best epoch"
        elif self._weights is not None:
            for variable, kept in zip(self.model.trainable_variables, self._weights, strict=True):
                variable.assign(kept)
            which = f"that epoch {self.pace.epoch + 1} began with"
        elif finite:
            return "The model keeps the weights that it came to."
        else:
            return "The model's weights are no numbers any more: load it anew."
        if hasattr(self.model, "recompile"):
            with _scope_of(self.model):
                self.model.recompile()
        return f"The model has the weights back {which}, and its optimiser starts anew."


def _said(verdict, loss, rule):
    if verdict != "exploded":
        return verdict
    times = f"{rule.steps} steps in a row above {rule.factor:g} times its level"
    return f"has exploded, {times}, to {loss:.4g}"


def _rate(rate):
    return "not known" if rate is None else f"{rate:.3g}"


def _are_finite(variables):
    ops = keras.ops
    parts = [ops.all(ops.isfinite(v.value)) for v in variables]
    return not parts or bool(ops.all(ops.stack(parts)))


def _scope_of(model):
    """Where variables of a model are made."""
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()
