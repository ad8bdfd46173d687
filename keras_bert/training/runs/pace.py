"""How far a run has come, how fast it goes, and how long it has still to go."""

from __future__ import annotations

import collections
import dataclasses
import time

import keras
import numpy as np
import tensorflow as tf

__all__ = ["Amounts", "Pace", "Paced"]

#: Seconds that a rate is the mean of, and between two marks that it is measured from.
WINDOW, MARKS_APART = 10.0, 0.5


@dataclasses.dataclass(frozen=True)
class Amounts:
    """What has been gone through; None where that is not known.

    Attributes:
        steps: Batches.
        examples: Rows of data.
        tokens: Real tokens, without padding.
        positions: Tokens and padding.
        seconds: Time that it took.
    """

    steps: int = 0
    examples: int | None = 0
    tokens: int | None = 0
    positions: int | None = 0
    seconds: float = 0.0

    def __add__(self, other):
        return Amounts(*(_sum(*pair) for pair in zip(self._values(), other._values(), strict=True)))

    def __sub__(self, other):
        negative = Amounts(*(None if value is None else -value for value in other._values()))
        return self + negative

    def _values(self):
        return self.steps, self.examples, self.tokens, self.positions, self.seconds

    @property
    def padding(self) -> float | None:
        """Share of the positions that are padding, from 0 to 1."""
        known = self.positions and self.tokens is not None
        return 1 - self.tokens / self.positions if known else None

    @property
    def examples_per_second(self) -> float | None:
        """Examples per second."""
        return self._per_second(self.examples)

    @property
    def tokens_per_second(self) -> float | None:
        """Real tokens per second."""
        return self._per_second(self.tokens)

    def _per_second(self, count):
        return count / self.seconds if count and self.seconds > 0 else None

    def rates(self) -> dict[str, float]:
        """What is known of ``examples_per_second``, ``tokens_per_second``, ``padding``."""
        names = ("examples_per_second", "tokens_per_second", "padding")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class Pace(keras.callbacks.Callback):
    """Counts what a run goes through; other callbacks read it.

    What batches hold is known from a plan of them, before they are trained on; without one from the
    batch that the last step was given (``model.last_step``): its shape, and the sum of its mask.
    A step costs a few microseconds with a plan.

    The time of validation belongs to no rate, nor does that of a run's first step, in which the
    graph is built. Time left goes by positions, since long batches take longer, and counts
    validation once one was seen.

    Args:
        plan: A ``keras_bert.data.batch_plan.BatchPlan``; None: not known.
        repeats: Whether every epoch begins a pass of its own; not so with ``steps_per_epoch``.
        clock: Returns seconds.

    Attributes:
        epoch: Number of the epoch, from 0.
        epochs: Number of epochs.
        step: Batches of this epoch so far.
        steps: Batches per epoch; None where not known yet.
        done: ``Amounts`` of this epoch.
        run: ``Amounts`` of the run, of epochs that are over.
    """

    def __init__(self, plan=None, repeats=True, clock=time.perf_counter):
        super().__init__()
        self._plan, self._repeats, self._clock = plan, repeats, clock
        self._reset()

    def _reset(self):
        self.epoch, self.epochs, self.step, self.steps = 0, 1, 0, None
        self.done, self.run, self._run_timed, self._latest = (Amounts() for _ in range(4))
        self._pass, self._place, self._first = 0, 0, 0
        self._marks = collections.deque()
        self._rate = None
        self._begun = self._last_end = self._last_place = None
        self._between, self._last_mark, self._untimed = None, 0.0, None

    # What Keras tells.

    def on_train_begin(self, logs=None):
        """Forgets a run before."""
        self._reset()
        self.epochs = self.params.get("epochs") or 1
        self.steps = self.params.get("steps")

    def on_epoch_begin(self, epoch, logs=None):
        """Starts counting an epoch."""
        now = self._clock()
        if self._last_end is not None:
            self._between = now - self._last_end
        self._latest = self.timed()
        self._run_timed += self._latest
        self.run, self.done = self.run + self.done, Amounts()
        self.epoch, self.step = epoch, 0
        if self._repeats:
            self._pass, self._place = epoch, 0
        self._marks.clear()
        self._begun = self._last_mark = now
        if self._untimed is not None:
            # The graph is there: from here on all time counts.
            self._untimed = Amounts()
            self._marks.append(self._untimed)

    def on_train_batch_begin(self, batch, logs=None):
        """Notes the first of the batches that run as one."""
        self._first = batch

    def on_train_batch_end(self, batch, logs=None):
        """Counts the batches up to this one."""
        now = self._clock()
        if self.steps:
            # Of several steps in one, the last may be more than there are.
            batch = min(batch, self.steps - 1)
        steps = batch - min(self._first, batch) + 1
        self._last_place = self._advance(steps)
        held = self._held(steps)
        self.step = batch + 1
        self.done = dataclasses.replace(self.done + held, seconds=now - self._begun)
        if self._untimed is None:
            self._untimed = self.done
        if not self._marks or now - self._last_mark >= MARKS_APART:
            self._marks.append(self.done)
            self._last_mark = now
            while self.done.seconds - self._marks[0].seconds > WINDOW and len(self._marks) > 1:
                self._marks.popleft()
        self._last_end = now

    def on_epoch_end(self, epoch, logs=None):
        """Learns how many steps an epoch has, where that was not known."""
        self.steps = self.steps or self.step

    def forget(self):
        """Lets the plan go, and with it the data."""
        self._plan = self._rate = None

    # What others read.

    @property
    def total_steps(self) -> int:
        """Batches since the first epoch began, in this run or one that it goes on with."""
        return self.epoch * self.steps + self.step if self.steps else self.run.steps + self.step

    def recent(self) -> Amounts:
        """What the last seconds went through; of an epoch that just began the epoch before.

        Nothing after the run's first step, whose time is the graph's.
        """
        start = self._marks[0] if self._marks else Amounts()
        passed = self.done - start
        return self._latest if passed.seconds < MARKS_APART and self._latest.steps else passed

    def timed(self) -> Amounts:
        """What this epoch went through, but for the run's first step."""
        return self.done - (self._untimed or Amounts())

    def epoch_rates(self) -> dict[str, float]:
        """``Amounts.rates`` of this epoch; with the run's first step only where it is alone."""
        timed = self.timed()
        return (timed if timed.steps else self.done).rates()

    def learning_rate(self) -> float | None:
        """The learning rate that the optimiser is at; None where it has none."""
        optimizer = self.model.optimizer
        if self._rate is None:
            if getattr(optimizer, "learning_rate", None) is None:
                return None
            # A schedule's operations one by one would take a millisecond. A function that is traced
            # when it is called would have TensorFlow warn of too many, after some runs.
            rate = tf.function(lambda: tf.convert_to_tensor(optimizer.learning_rate))
            self._rate = rate.get_concrete_function()
        return float(self._rate())

    def left(self) -> tuple[float, float] | None:
        """Seconds left of the epoch and of the run; None where not known yet."""
        timed = self._run_timed + self.timed()
        if not self.steps or not timed.steps:
            return None
        done, total = self._work()
        per_unit = timed.seconds / (timed.positions if self._sizes() is not None else timed.steps)
        epoch = max(total - done, 0) * per_unit
        between = self._between or 0.0
        epochs_left = self.epochs - self.epoch - 1
        # Validation follows on the last epoch, too.
        return epoch, epoch + between + epochs_left * (total * per_unit + between)

    def rows(self) -> np.ndarray | None:
        """Numbers of the rows that the last step was given, as the plan counts; None: not known."""
        if self._plan is None or self._sizes() is None or not self.step:
            return None
        number, first, last = self._last_place
        return self._plan.rows(number, first, last)

    def examples_of(self, rows) -> tuple[np.ndarray, list | None]:
        """Numbers and texts of the examples that rows are of."""
        return self._plan.examples_of(rows), self._plan.texts_of(rows)

    def batch_of(self, rows):
        """What a model is given of some rows; see ``BatchPlan.batch``."""
        return self._plan.batch(rows)

    def plan_amounts(self) -> Amounts | None:
        """What the batches of one pass of the plan hold; None without a plan."""
        sizes = self._sizes()
        if sizes is None:
            return None
        columns = (sizes.examples, sizes.tokens, sizes.positions)
        return Amounts(len(sizes.examples), *(int(column.sum()) for column in columns))

    def _work(self):
        """Work done and all of the epoch's: positions where they are known, else steps."""
        whole = self.plan_amounts()
        if whole is not None and whole.steps == self.steps:
            return self.done.positions, whole.positions
        if whole is not None:
            return self.done.positions, self.done.positions / self.step * self.steps
        return self.step, self.steps

    def _sizes(self):
        return None if self._plan is None else self._plan.sizes(self._pass)

    def _advance(self, steps):
        """The pass and the first and last place in it of the batches that were just trained on."""
        if self._repeats:
            # As Keras counts: a run may go on in the middle of an epoch.
            self._place = self._first
        sizes = self._sizes()
        if sizes is not None and self._place >= len(sizes.examples):
            self._pass, self._place = self._pass + 1, 0
        first, self._place = self._place, self._place + steps
        return self._pass, first, self._place - 1

    def _held(self, steps):
        """What the batches held that were just trained on."""
        sizes = self._sizes()
        if sizes is None:
            return _held_by(self.model, steps)
        _, first, last = self._last_place
        columns = (sizes.examples, sizes.tokens, sizes.positions)
        if first == last and last < len(sizes.examples):
            return Amounts(1, *(int(column[first]) for column in columns))
        return Amounts(steps, *(int(column[first : last + 1].sum()) for column in columns))


class Paced:
    """A callback that reads a ``Pace``: one that it is given, or one of its own that it drives.

    Args:
        pace: The ``Pace``, a callback of the same run before this one; None: one of its own.
        *args: For the callback's class.
        **kwargs: For the callback's class.
    """

    def __init__(self, pace=None, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._own_pace = pace is None
        self.pace = Pace() if pace is None else pace

    def use(self, pace):
        """Reads another ``Pace`` from now on, which others drive; returns the callback."""
        self.pace, self._own_pace = pace, False
        return self

    def drive(self, event, *args):
        """Tells the ``Pace`` what Keras tells, if it is an own one."""
        if self._own_pace:
            getattr(self.pace, event)(*args)

    def set_params(self, params):
        """Takes epochs and steps."""
        self.drive("set_params", params)
        super().set_params(params)

    def set_model(self, model):
        """Takes the model."""
        self.drive("set_model", model)
        super().set_model(model)

    def on_train_begin(self, logs=None):
        """Starts counting."""
        self.drive("on_train_begin")
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        """Starts counting an epoch."""
        self.drive("on_epoch_begin", epoch)
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        """Notes a step."""
        self.drive("on_train_batch_begin", batch)
        super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """Counts a step."""
        self.drive("on_train_batch_end", batch)
        super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        """Ends an epoch."""
        self.drive("on_epoch_end", epoch)
        super().on_epoch_end(epoch, logs)


def _held_by(model, steps):
    """What a batch holds by its shape and its mask; others of the same step as much."""
    batch = getattr(getattr(model, "last_step", None), "batch", None)
    if not batch:
        return Amounts(steps, None, None, None)
    parts = {name: _parts(model, value) for name, value in batch.items()}
    examples = sum(int(part.shape[0]) for part in next(iter(parts.values()))) * steps
    masks = [part for name in parts if _is_mask(name) for part in parts[name]]
    if not masks:
        return Amounts(steps, examples, None, None)
    tokens = sum(int(np.count_nonzero(mask)) for mask in masks) * steps
    return Amounts(steps, examples, tokens, sum(int(np.prod(m.shape)) for m in masks) * steps)


def _is_mask(name):
    return name.rpartition("/")[2] == "input_mask"


def _parts(model, value):
    """A tensor, or those of all replicas of this worker."""
    if isinstance(value, tf.distribute.DistributedValues):
        return model.distribute_strategy.experimental_local_results(value)
    return value if isinstance(value, tuple | list) else (value,)


def _sum(one, other):
    return None if one is None or other is None else one + other
