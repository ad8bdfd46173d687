"""Learning-rate schedules that are told the length of the run when it starts."""

import keras
import tensorflow as tf

__all__ = ["WarmupLinearDecay"]


@keras.saving.register_keras_serializable("keras_bert")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to the peak, then linear decay to 0 at the end of the run.

    ``peak · s / w`` for the first ``w = warmup · total`` steps, then
    ``peak · (total - s) / (total - w)``, with ``s`` counted from the start of the run.

    Args:
        peak: Largest learning rate.
        total_steps: Optimiser steps of the run. None: ``fit`` of a task model fills it in from
            epochs and batches, anew for every call.
        warmup: Share of the run, in [0, 1], spent in warm-up.

    Raises:
        ValueError: If ``warmup`` is outside [0, 1], or the schedule is used before the number
            of steps is known.

    Source: Devlin et al. 2018, appendix A.2; ``create_optimizer`` in google-research/bert
    ``optimization.py`` (whose decay, different from here, already runs during warm-up).

    Example:
        >>> schedule = WarmupLinearDecay(1e-3, total_steps=100, warmup=0.1)
        >>> [round(float(schedule(s)), 6) for s in (0, 5, 10, 55, 100)]
        [0.0, 0.0005, 0.001, 0.0005, 0.0]
    """

    def __init__(self, peak, total_steps=None, warmup=0.1):
        super().__init__()
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup is a share of the run in [0, 1]; received {warmup!r}.")
        self.peak = float(peak)
        self.warmup = float(warmup)
        self._total = total_steps
        # Variables, because the traced training function outlives one call of fit.
        with tf.init_scope():
            self._first_step = tf.Variable(0.0, trainable=False, name="first_step")
            self._total_steps = tf.Variable(float(total_steps or 0), trainable=False)

    @property
    def first_step(self) -> int:
        """The optimiser's step at which the current run started."""
        return int(self._first_step)

    @property
    def total_steps(self):
        """Steps of the current run; None where not known yet."""
        return self._total

    def start_run(self, first_step: int, total_steps: int):
        """Starts a new run of ``total_steps`` at the optimiser's step ``first_step``."""
        self._total = int(total_steps)
        self._first_step.assign(float(first_step))
        self._total_steps.assign(float(total_steps))

    def __call__(self, step):
        """Learning rate (scalar float32) at an optimiser step."""
        if not self._total:
            raise ValueError(
                "WarmupLinearDecay does not know the number of steps: give total_steps, or train "
                "with fit of a keras_bert model, which fills it in."
            )
        step = tf.cast(step, tf.float32) - self._first_step
        warmup_steps = tf.round(self._total_steps * self.warmup)
        rising = step / tf.maximum(warmup_steps, 1.0)
        falling = (self._total_steps - step) / tf.maximum(self._total_steps - warmup_steps, 1.0)
        share = tf.where(step < warmup_steps, rising, falling)
        return self.peak * tf.clip_by_value(share, 0.0, 1.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"peak": self.peak, "total_steps": self._total, "warmup": self.warmup}
