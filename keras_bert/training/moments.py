"""What AdamW and LAMB share: two moments, exemptions by name, rates by layer, groups of batches."""

from __future__ import annotations

import keras
import tensorflow as tf

# Private: which functions XLA compiles, TensorFlow's public API does not say.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from keras_bert.training.distribution.replicated import (
    apply_reduced,
    dense,
    on_this_replica,
    several_replicas,
    summed_over_replicas,
)
from keras_bert.training.schedules import place_schedule

__all__ = ["NOT_DECAYED", "MomentOptimizer"]

#: Names of weights that are not decayed: biases, and LayerNorm's two. Keras calls LayerNorm's
#: weights gamma and beta and matches the bare variable name, so that "LayerNorm" matches nothing.
NOT_DECAYED = ("bias", "gamma", "beta")


class MomentOptimizer(keras.optimizers.Optimizer):
    """An optimiser that keeps the first and second moment of every gradient.

    A subclass says in ``update_step`` what it makes of them, weight decay included.

    With ``gradient_accumulation_steps`` a step of the method is taken once in so many batches, by
    the mean of their gradients: it is that mean which is clipped; schedules and averages of the
    weights (``use_ema``) count steps of the method. (Of ``keras.optimizers`` they count batches, so
    that a warm-up is over too early.) ``finish_accumulation`` takes a step by what has come
    together before a group is complete.

    With ``layer_decay`` a weight's learning rate is multiplied by that, once for each layer between
    it and the head: the head learns at the full rate, the embeddings at the lowest. Weight decay
    goes by the same rate. See ``PartialTraining`` for where a weight stands; those of other models
    than encoders count as head.

    In a replica function of a ``tf.distribute`` strategy ``apply`` takes the replica's own
    gradients and sums them over all before it clips them (``keras.optimizers``: after).
    ``apply_reduced`` takes sums.

    Args:
        learning_rate: A number or a ``LearningRateSchedule``.
        weight_decay: λ, the share of a weight that is taken from it at a learning rate of 1.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        bias_correction: Whether the moments are corrected for their start at zero.
        not_decayed: Last parts of variable names that are exempt from weight decay.
        layer_decay: Factor from a layer to the one below it, in (0, 1]; None: 1.
        **kwargs: Passed to ``keras.optimizers.Optimizer``.

    Raises:
        ValueError: If ``layer_decay`` is outside (0, 1].
    """

    #: ``apply_reduced`` may leave ``IndexedSlices`` as they are.
    sums_rows = True

    def __init__(
        self,
        learning_rate,
        weight_decay,
        beta_1,
        beta_2,
        epsilon,
        bias_correction,
        not_decayed,
        layer_decay,
        **kwargs,
    ):
        place_schedule(learning_rate)
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction
        self.not_decayed = tuple(not_decayed)
        if layer_decay is not None and not 0 < layer_decay <= 1:
            raise ValueError(
                f"layer_decay is a factor from each layer to the one below, above 0 and at most 1; "
                f"received {layer_decay!r}."
            )
        self.layer_decay = layer_decay

    def build(self, variables):
        """Creates the two moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        self._decayed = [v.name not in self.not_decayed for v in variables]
        decay = 1.0 if self.layer_decay is None else self.layer_decay
        self._rate_factors = [decay ** getattr(v, "layers_above", 0) for v in variables]

    def apply(self, grads, trainable_variables=None):
        """Takes a step, or adds to a group of batches.

        Args:
            grads: A gradient for each variable; under a strategy those of this replica.
            trainable_variables: The variables. Default: those that it was built with.
        """
        if self.loss_scale_factor is not None:
            grads = dense(grads)  # which Keras divides by it
        if self._is_on_this_replica or not several_replicas():
            return super().apply(grads, trainable_variables)
        variables = (
            self._trainable_variables if trainable_variables is None else trainable_variables
        )
        return apply_reduced(self, summed_over_replicas(grads), variables)

    #: Whether gradients are summed over the replicas: so they are in the view that says True.
    _is_on_this_replica = False

    def _get_current_learning_rate(self):
        # Keras asks a schedule for the number of the batch, also where it accumulates gradients.
        schedule = self._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return schedule(self.iterations)
        return super()._get_current_learning_rate()

    # Steps, and groups of batches that make one.

    def _backend_apply_gradients(self, grads, trainable_variables):
        steps = self.gradient_accumulation_steps
        if not steps:
            self._take_step(grads, trainable_variables)
            return
        # Rows of embeddings have no sum with those of other batches.
        grads = dense(grads)
        # By number: variables in an attribute would be saved with the optimiser's own.
        self._stepped = tuple(self._get_variable_index(v) for v in trainable_variables)
        sums = [self._accumulated_gradients[i] for i in self._stepped]

        def complete():
            means = [(g + total) / steps for g, total in zip(grads, sums, strict=True)]
            self._take_step(means, trainable_variables)
            self._backend_reset_gradient_accumulators()

        keras.ops.cond(
            (self._iterations + 1) % steps == 0,
            complete,
            lambda: self._backend_increment_gradient_accumulators(grads, sums),
        )

    def _take_step(self, grads, variables):
        """One step of the method, by gradients that are not clipped yet."""
        grads = self._clip_gradients(grads)
        self._backend_update_step(grads, variables, self.learning_rate)
        if not self.use_ema:
            return
        # Here and not for every batch, as Keras does.
        self._update_model_variables_moving_average(self._trainable_variables)
        if self.ema_overwrite_frequency:
            keras.ops.cond(
                (self.iterations + 1) % self.ema_overwrite_frequency == 0,
                lambda: self._overwrite_model_variables_with_average_value(
                    self._trainable_variables
                ),
                lambda: None,
            )

    def finish_accumulation(self):
        """Takes a step by the gradients of an incomplete group of batches; none: does nothing.

        Called outside of replica functions, under any strategy.
        """
        count = self._accumulated()
        if not count:
            return
        # Private: the strategy in whose scope the optimiser was made.
        strategy = self._distribution_strategy
        if strategy.num_replicas_in_sync == 1:
            strategy.run(on_this_replica(self)._finish, (count,))
            return
        if "_finish_on_all" not in self.__dict__:
            # Into the dictionary: an attribute would be followed into checkpoints.
            self.__dict__["_finish_on_all"] = tf.function(
                lambda count: strategy.run(lambda n: on_this_replica(self)._finish(n), (count,))
            )
        self._finish_on_all(tf.constant(count))

    def _finish(self, count):
        # Those alone that there are gradients for; a run that goes on has none of its own yet.
        stepped = getattr(self, "_stepped", range(len(self._trainable_variables)))
        sums = [tf.convert_to_tensor(self._accumulated_gradients[i]) for i in stepped]
        variables = [self._trainable_variables[i] for i in stepped]
        self._take_step([total / tf.cast(count, total.dtype) for total in sums], variables)
        left = self.gradient_accumulation_steps - tf.cast(count, self._iterations.dtype)
        self._iterations.assign_add(left)
        self._backend_reset_gradient_accumulators()

    def drop_accumulation(self):
        """Forgets the gradients of an incomplete group, such as an interrupted run leaves."""
        count = self._accumulated()
        if count:
            self._iterations.assign_sub(count)
            self._backend_reset_gradient_accumulators()

    def _accumulated(self):
        """Number of batches since the last step."""
        steps = self.gradient_accumulation_steps
        return int(self._iterations.numpy()) % steps if steps and self.built else 0

    # What happens to gradients before the step.

    def _clip_gradients(self, grads):
        # Summing the rows of a token first: clipping and squaring IndexedSlices as they are treats
        # every use of a token as a weight of its own.
        if not self.global_clipnorm:
            return super()._clip_gradients(dense(grads))
        grads = _with_unique_rows(grads)
        # As super does, in half the passes over memory: no squares are written, gradients that need
        # no scaling are not copied, and an embedding's are a few rows until the very end.
        parts = [_values(grad) for grad in grads]
        norm = tf.sqrt(2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(g, tf.float32)) for g in parts]))
        parts = tf.cond(
            norm > self.global_clipnorm,
            lambda: [part * tf.cast(self.global_clipnorm / norm, part.dtype) for part in parts],
            lambda: parts,
        )
        return [_dense(grad, part) for grad, part in zip(grads, parts, strict=True)]

    def _apply_weight_decay(self, variables):
        """Nothing: ``update_step`` decays, in the same pass over the variable."""

    # For ``update_step``.

    def _rate_of(self, index, learning_rate, dtype):
        """Learning rate of the variable with this number."""
        rate = tf.cast(learning_rate, dtype)
        factor = self._rate_factors[index]
        return rate if factor == 1.0 else rate * factor

    def _powers(self, dtype):
        """β₁ᵗ and β₂ᵗ for this step, or what stands for 0 where nothing is to be corrected.

        Moments grow by 1-β as the variable's type has it, in float32 0.0010000467 for β₂ = 0.999.
        Corrections by powers of the same β take that back out; without them the second does.
        """
        if not self.bias_correction:
            return _excess(self.beta_1, dtype), _excess(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        return tf.pow(tf.constant(self.beta_1, dtype), step), tf.pow(
            tf.constant(self.beta_2, dtype), step
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "not_decayed": list(self.not_decayed),
            "layer_decay": self.layer_decay,
        }


def _excess(beta, dtype):
    """What 1-β in a dtype is too large by, as a share, taken from 0."""
    rounded = float(tf.as_dtype(dtype).as_numpy_dtype(beta))
    return tf.constant(1.0 - (1.0 - rounded) / (1.0 - beta), dtype)


def _with_unique_rows(grads):
    """Gradients; rows of ``IndexedSlices`` that belong to one row of the variable are summed."""
    if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return dense(grads)  # how many rows are different, XLA cannot know: shapes are fixed there
    return [_summed_rows(grad) if isinstance(grad, tf.IndexedSlices) else grad for grad in grads]


def _summed_rows(grad):
    rows, places = tf.unique(grad.indices)
    values = tf.math.unsorted_segment_sum(grad.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, grad.dense_shape)


def _values(grad):
    """What a gradient holds: itself, or the rows that are not zero."""
    return grad.values if isinstance(grad, tf.IndexedSlices) else grad


def _dense(grad, values):
    """The gradient with other values, all rows written out."""
    if not isinstance(grad, tf.IndexedSlices):
        return values
    return tf.convert_to_tensor(tf.IndexedSlices(values, grad.indices, grad.dense_shape))
