"""AdamW as BERT means it."""

import keras
import tensorflow as tf

__all__ = ["AdamW"]

#: Names of weights that are not decayed: biases, and LayerNorm's two. Keras calls LayerNorm's
#: weights gamma and beta and matches the bare variable name, so that "LayerNorm" matches nothing.
NOT_DECAYED = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable("keras_bert")
class AdamW(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay and clipping by the global norm.

    Differs from ``keras.optimizers.AdamW`` where that differs from the method: the gradient of
    an embedding whose rows are used several times in a batch is summed before it is squared;
    epsilon is added after the bias correction, as in the paper and in PyTorch; biases and
    LayerNorm are not decayed.

    With ``gradient_accumulation_steps`` a step of the method is taken once in so many batches, by
    the mean of their gradients: it is that mean which is clipped, and schedules count steps of the
    method. (Of ``keras.optimizers`` they count batches, so that a warm-up is over too early.)
    ``finish_accumulation`` takes a step by what has come together before a group is complete.

    With ``layer_decay`` a weight's learning rate is multiplied by that, once for each layer between
    it and the head: the head learns at the full rate, the embeddings at the lowest. Weight decay
    goes by the same rate. See ``PartialTraining`` for where a weight stands; those of other models
    than encoders count as head.

    Args:
        learning_rate: A number or a ``LearningRateSchedule``.
        weight_decay: λ of ``w -= learning_rate · λ · w``.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        bias_correction: Whether the moments are corrected for their start at zero. BERT's
            original release leaves it out, which makes fine-tuning on little data unstable.
        global_clipnorm: Largest norm of all gradients together; larger ones are scaled down.
        not_decayed: Last parts of variable names that are exempt from weight decay.
        layer_decay: Factor from a layer to the one below it, in (0, 1]; None: 1.
        name: Name of the optimiser.
        **kwargs: Passed to ``keras.optimizers.Optimizer``.

    Source: Loshchilov & Hutter 2019 (arXiv:1711.05101), algorithm 2; ``AdamWeightDecayOptimizer``
    in google-research/bert ``optimization.py``. On the correction: Mosbach et al. 2021
    (arXiv:2006.04884). On the layers' rates: section 5.3.4 of Sun et al. 2019 (arXiv:1905.05583).

    Raises:
        ValueError: If ``layer_decay`` is outside (0, 1].

    Example:
        >>> optimizer = AdamW(learning_rate=0.1, weight_decay=0.0)
        >>> w = keras.Variable([1.0], name="kernel")
        >>> optimizer.apply([keras.ops.convert_to_tensor([0.5])], [w])
        >>> round(float(w[0]), 3)
        0.9
    """

    def __init__(
        self,
        learning_rate=5e-5,
        weight_decay=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        bias_correction=True,
        global_clipnorm=1.0,
        not_decayed=NOT_DECAYED,
        layer_decay=None,
        name="adamw",
        **kwargs,
    ):
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            global_clipnorm=global_clipnorm,
            name=name,
            **kwargs,
        )
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

    def _get_current_learning_rate(self):
        # Keras asks a schedule for the number of the batch, also where it accumulates gradients.
        schedule = self._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return schedule(self.iterations)
        return super()._get_current_learning_rate()

    def _backend_apply_gradients(self, grads, trainable_variables):
        if self.gradient_accumulation_steps:
            # Rows of embeddings have no sum with those of other batches.
            grads = [tf.convert_to_tensor(grad) for grad in grads]
            self._stepped = list(trainable_variables)
        super()._backend_apply_gradients(grads, trainable_variables)

    def finish_accumulation(self):
        """Takes a step by the gradients of an incomplete group of batches; none: does nothing."""
        count = self._accumulated()
        if not count:
            return
        variables = self._stepped  # those alone that there are gradients for
        sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
        grads = self._clip_gradients([tf.convert_to_tensor(s) / float(count) for s in sums])
        self._backend_update_step(grads, variables, self.learning_rate)
        self._iterations.assign_add(self.gradient_accumulation_steps - count)
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
        return int(self._iterations) % steps if steps and self.built else 0

    def _clip_gradients(self, grads):
        # Summing the rows of a token first: clipping and squaring IndexedSlices as they are treats
        # every use of a token as a weight of its own.
        if not self.global_clipnorm:
            return super()._clip_gradients([tf.convert_to_tensor(grad) for grad in grads])
        grads = [_with_unique_rows(grad) for grad in grads]
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

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its moments by one dense step."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        rate = tf.cast(learning_rate, dtype)
        if self._rate_factors[index] != 1.0:
            rate = rate * self._rate_factors[index]
        first, second = self._powers(dtype)
        if self.weight_decay and self._decayed[index]:
            variable.assign(variable * (1.0 - rate * self.weight_decay))
        # One fused kernel. It computes rate·√(1-β₂ᵗ)/(1-β₁ᵗ) · m/(√v + ε), so that its ε must
        # be ε·√(1-β₂ᵗ) for the method's m̂/(√v̂ + ε).
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=first,
            beta2_power=second,
            lr=rate,
            beta1=tf.constant(self.beta_1, dtype),
            beta2=tf.constant(self.beta_2, dtype),
            epsilon=self.epsilon * tf.sqrt(1.0 - second),
            grad=tf.cast(gradient, dtype),
            use_locking=False,
        )

    def _powers(self, dtype):
        """β₁ᵗ and β₂ᵗ for this step, or zeros where nothing is to be corrected."""
        if not self.bias_correction:
            return tf.zeros((), dtype), tf.zeros((), dtype)
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


def _with_unique_rows(grad):
    """A gradient; rows of ``IndexedSlices`` that belong to one row of the variable are summed."""
    if not isinstance(grad, tf.IndexedSlices):
        return grad
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
