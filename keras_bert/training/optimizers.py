"""AdamW as BERT means it."""

import keras
import tensorflow as tf

from keras_bert.training.moments import NOT_DECAYED, MomentOptimizer

__all__ = ["AdamW"]


@keras.saving.register_keras_serializable("keras_bert")
class AdamW(MomentOptimizer):
    """Adam with decoupled weight decay and clipping by the global norm.

    Differs from ``keras.optimizers.AdamW`` where that differs from the method: the gradient of
    an embedding whose rows are used several times in a batch is summed before it is squared;
    epsilon is added after the bias correction, as in the paper and in PyTorch; biases and
    LayerNorm are not decayed; gradients of replicas are summed before they are clipped.

    Accumulating gradients and rates by layer: see ``MomentOptimizer``.

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
        **kwargs: Passed to ``keras.optimizers.Optimizer``, such as
            ``gradient_accumulation_steps``.

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
            learning_rate,
            weight_decay,
            beta_1,
            beta_2,
            epsilon,
            bias_correction,
            not_decayed,
            layer_decay,
            global_clipnorm=global_clipnorm,
            name=name,
            **kwargs,
        )

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its moments by one dense step."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        rate = self._rate_of(index, learning_rate, dtype)
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
