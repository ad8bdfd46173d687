"""Learning-rate schedules that are told the length of the run when it starts."""

from __future__ import annotations

import math
import weakref

import keras
import tensorflow as tf

from keras_bert.models.head_model import inner_optimizer

__all__ = [
    "SCHEDULES",
    "WarmupConstant",
    "WarmupCosineDecay",
    "WarmupLinearDecay",
    "WarmupPolynomialDecay",
    "WarmupSchedule",
    "place_schedule",
    "run_schedule",
]


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak, then what a subclass makes of the rest of the run.

    ``peak · s / w`` in the first ``w`` steps, with ``s`` counted from the start of the run; then
    ``rate(left)``, where ``left`` falls from 1 at step ``w`` to 0 at the end of the run.

    The numbers of the run are variables, because the traced training function outlives one call of
    ``fit``. A schedule made outside of ``strategy.scope()`` is moved into it by ``start_run`` and
    by the optimisers of this package: XLA reads no variable of another device.

    Args:
        peak: Largest learning rate.
        total_steps: Optimiser steps of the run. None: ``fit`` of a task model fills it in from
            epochs and batches, anew for every call.
        warmup: Share of the run, in [0, 1], spent in warm-up.
        warmup_steps: Number of steps in warm-up; given, it counts in place of ``warmup``.
        decay_during_warmup: Whether ``left`` falls from the first step of the run on, warm-up
            included, as in BERT's original release: the rate then drops from the peak to
            ``rate(1 - w / total)`` where the warm-up ends.

    Raises:
        ValueError: If ``peak`` is below 0, ``warmup`` outside [0, 1] or ``warmup_steps`` no number
            from 0 on; if the schedule is used before the number of steps is known.
    """

    def __init__(
        self,
        peak,
        total_steps=None,
        warmup=0.1,
        warmup_steps=None,
        decay_during_warmup=False,
    ):
        super().__init__()
        if not peak >= 0:
            raise ValueError(f"peak is the largest learning rate, 0 or more; received {peak!r}.")
        if not 0 <= warmup <= 1:
            raise ValueError(
                f"warmup is a share of the run in [0, 1]; received {warmup!r}. A number of steps "
                "is warmup_steps."
            )
        if warmup_steps is not None and not (
            warmup_steps >= 0 and int(warmup_steps) == warmup_steps
        ):
            raise ValueError(
                f"warmup_steps is a number of steps, from 0 on; received {warmup_steps!r}. A share "
                "of the run is warmup."
            )
        self.peak = float(peak)
        self.warmup = float(warmup)
        self.warmup_steps = None if warmup_steps is None else int(warmup_steps)
        self.decay_during_warmup = bool(decay_during_warmup)
        self._first, self._total = 0, total_steps
        self._make_variables()

    def _make_variables(self):
        # Weak: a schedule can be copied, a strategy cannot.
        self._strategy = weakref.ref(tf.distribute.get_strategy())
        with tf.init_scope():
            self._first_step = tf.Variable(float(self._first), trainable=False, name="first_step")
            self._total_steps = tf.Variable(
                float(self._total or 0), trainable=False, name="total_steps"
            )

    @property
    def first_step(self) -> int:
        """The optimiser's step at which the current run started."""
        return self._first

    @property
    def total_steps(self) -> int | None:
        """Steps of the current run; None where not known yet."""
        return self._total

    def start_run(self, first_step: int, total_steps: int):
        """Starts a new run of ``total_steps`` at the optimiser's step ``first_step``."""
        self._first, self._total = int(first_step), int(total_steps)
        place_schedule(self)
        self._first_step.assign(float(first_step))
        self._total_steps.assign(float(total_steps))

    def __call__(self, step):
        """Learning rate (scalar float32) at an optimiser step."""
        if not self._total and self._needs_the_total:
            raise ValueError(
                f"{type(self).__name__} does not know the number of steps: give total_steps, or "
                "train with fit of a keras_bert model, which fills it in."
            )
        step = tf.cast(step, tf.float32) - self._first_step
        total = tf.convert_to_tensor(self._total_steps)
        rising = self._warmup_steps_of(total)
        falls_from = 0.0 if self.decay_during_warmup else rising
        left = (total - step) / tf.maximum(total - falls_from, 1.0)
        risen = tf.clip_by_value(step / tf.maximum(rising, 1.0), 0.0, 1.0)
        return tf.where(
            step < rising, self.peak * risen, self.rate(tf.clip_by_value(left, 0.0, 1.0))
        )

    @property
    def _needs_the_total(self):
        return True

    def _warmup_steps_of(self, total):
        if self.warmup_steps is not None:
            return tf.constant(float(self.warmup_steps))
        return tf.round(total * self.warmup)

    def rate(self, left):
        """Learning rate after warm-up.

        Args:
            left: Share of the decay that is still to come, from 1 to 0; scalar float32.
        """
        raise NotImplementedError

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "peak": self.peak,
            "total_steps": self._total,
            "warmup": self.warmup,
            "warmup_steps": self.warmup_steps,
            "decay_during_warmup": self.decay_during_warmup,
        }


@keras.saving.register_keras_serializable("keras_bert")
class WarmupLinearDecay(WarmupSchedule):
    """Linear warm-up from 0 to the peak, then linear decay to 0 at the end of the run.

    Args:
        *args: As ``WarmupSchedule`` takes them: peak, total_steps, warmup, warmup_steps,
            decay_during_warmup.
        **kwargs: The same.

    Source: Devlin et al. 2018, appendix A.2; with ``decay_during_warmup=True``
    ``create_optimizer`` in google-research/bert ``optimization.py``.

    Example:
        >>> schedule = WarmupLinearDecay(1e-3, total_steps=100, warmup=0.1)
        >>> [round(float(schedule(s)), 6) for s in (0, 5, 10, 55, 100)]
        [0.0, 0.0005, 0.001, 0.0005, 0.0]
    """

    def rate(self, left):
        """``peak · left``."""
        return self.peak * left


class _DecayTo(WarmupSchedule):
    """A decay that ends at another rate than 0."""

    def __init__(self, peak, total_steps=None, warmup=0.1, end_rate=0.0, **kwargs):
        super().__init__(peak, total_steps, warmup, **kwargs)
        if not 0 <= end_rate <= peak:
            raise ValueError(
                f"end_rate is the learning rate at the end, from 0 to the peak of {peak!r}; "
                f"received {end_rate!r}."
            )
        self.end_rate = float(end_rate)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "end_rate": self.end_rate}


@keras.saving.register_keras_serializable("keras_bert")
class WarmupPolynomialDecay(_DecayTo):
    """Linear warm-up from 0 to the peak, then ``end_rate + (peak - end_rate) · left ** power``.

    Args:
        peak: As ``WarmupSchedule`` takes it, as are the other arguments that are not named here.
        total_steps: The same.
        warmup: The same.
        end_rate: Learning rate at the end of the run and after it.
        power: 1 falls in a line; above 1 fast at first, below 1 fast at the end.
        **kwargs: The same.

    Raises:
        ValueError: If ``end_rate`` is not from 0 to the peak, or ``power`` not above 0.

    Source: ``polynomial_decay`` of TensorFlow 1, which ``optimization.py`` of google-research/bert
    and google-research/albert builds on.

    Example:
        >>> schedule = WarmupPolynomialDecay(1.0, 10, warmup=0.0, end_rate=0.2, power=2)
        >>> [round(float(schedule(s)), 3) for s in (0, 5, 10)]
        [1.0, 0.4, 0.2]
    """

    def __init__(self, peak, total_steps=None, warmup=0.1, end_rate=0.0, power=1.0, **kwargs):
        super().__init__(peak, total_steps, warmup, end_rate, **kwargs)
        if not power > 0:
            raise ValueError(f"power is above 0; received {power!r}.")
        self.power = float(power)

    def rate(self, left):
        """``end_rate + (peak - end_rate) · left ** power``."""
        return self.end_rate + (self.peak - self.end_rate) * tf.pow(left, self.power)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable("keras_bert")
class WarmupCosineDecay(_DecayTo):
    """Linear warm-up from 0 to the peak, then half a cosine wave down to the end rate.

    Args:
        peak: As ``WarmupSchedule`` takes it, as are the other arguments that are not named here.
        total_steps: The same.
        warmup: The same.
        end_rate: Learning rate at the end of the run and after it.
        **kwargs: The same.

    Raises:
        ValueError: If ``end_rate`` is not from 0 to the peak.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), equation 5, without restarts.

    Example:
        >>> schedule = WarmupCosineDecay(1.0, 10, warmup=0.0)
        >>> [round(float(schedule(s)), 3) for s in (0, 5, 10)]
        [1.0, 0.5, 0.0]
    """

    def rate(self, left):
        """``end_rate + (peak - end_rate) · (1 - cos(π · left)) / 2``."""
        wave = (1.0 - tf.cos(math.pi * left)) / 2.0
        return self.end_rate + (self.peak - self.end_rate) * wave


@keras.saving.register_keras_serializable("keras_bert")
class WarmupConstant(WarmupSchedule):
    """Linear warm-up from 0 to the peak, which then stays.

    With ``warmup_steps`` (or no warm-up) the length of the run need not be known.

    Args:
        *args: As ``WarmupSchedule`` takes them.
        **kwargs: The same.

    Example:
        >>> schedule = WarmupConstant(1.0, warmup_steps=4)
        >>> [float(schedule(s)) for s in (0, 1, 4, 1000)]
        [0.0, 0.25, 1.0, 1.0]
    """

    @property
    def _needs_the_total(self):
        return self.warmup_steps is None and self.warmup > 0

    def rate(self, left):
        """The peak."""
        return tf.constant(self.peak)


#: Names that ``default_optimizer`` and ``compile`` take.
SCHEDULES = {
    "linear": WarmupLinearDecay,
    "polynomial": WarmupPolynomialDecay,
    "cosine": WarmupCosineDecay,
    "constant": WarmupConstant,
}


def run_schedule(optimizer):
    """The schedule of an optimiser that is told of runs; None where it has none.

    Args:
        optimizer: Any of Keras', also one that scales the loss around another.
    """
    # Private: Keras' own property has the rate of this step.
    schedule = getattr(inner_optimizer(optimizer), "_learning_rate", None)
    return schedule if hasattr(schedule, "start_run") else None


def place_schedule(schedule):
    """Moves a schedule's variables to where the current strategy has a model's.

    Only into a strategy's scope, never out of it: what was traced there reads the variables there.
    Does nothing to schedules of others, in a replica function, and where they are already.

    Args:
        schedule: What an optimiser has for a learning rate.
    """
    here = tf.distribute.get_strategy()
    if (
        isinstance(schedule, WarmupSchedule)
        and tf.distribute.has_strategy()
        and tf.distribute.in_cross_replica_context()
        and schedule._strategy() is not here
    ):
        schedule._make_variables()
