"""LAMB: Adam for large batches, with a learning rate that every matrix scales by itself."""

import keras
import tensorflow as tf

from keras_bert.training.moments import NOT_DECAYED, MomentOptimizer

__all__ = ["LAMB"]

#: Ends of the paths of weights that hold several matrices side by side → how many. Each is a layer
#: to the method, as it is where it is a variable of its own.
JOINED = {"query_key_value/kernel": 3, "query_key_value/bias": 3}


@keras.saving.register_keras_serializable("keras_bert")
class LAMB(MomentOptimizer):
    """Adam's step with weight decay, scaled to the length of the weights that it changes.

    ``w -= learning_rate · ‖w‖ / ‖u‖ · u`` with ``u = m̂ / (√v̂ + ε) + λ · w``: every matrix changes
    by the same share of itself, so that the learning rate of large batches can be high from the
    start. Where a norm is 0 the factor is 1. Weights that are exempt from it are those that are
    exempt from the decay, unless ``not_adapted`` says otherwise: they take Adam's step.

    The learning rate is not AdamW's: it is about the share by which weights change in a step. The
    paper's is 5/(2³·10³) · √(batch / 512), 6.25e-4 for a batch of 512, in pretraining.

    Differs from ``keras.optimizers.Lamb`` in having the method's weight decay inside the factor, in
    the exemptions, in clipping by the global norm, and as ``AdamW`` does. Accumulating gradients
    and rates by layer: see ``MomentOptimizer``. Queries, keys and values, one variable here, have a
    factor each.

    Args:
        learning_rate: A number or a ``LearningRateSchedule``.
        weight_decay: λ.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        bias_correction: Whether the moments are corrected for their start at zero, as in
            algorithm 2; the paper's appendix on it finds that warm-up can take its place.
        global_clipnorm: Largest norm of all gradients together; larger ones are scaled down.
        not_decayed: Last parts of variable names that are exempt from weight decay.
        not_adapted: Last parts of variable names whose step is not scaled; None: those that are
            not decayed; (): none.
        layer_decay: Factor from a layer to the one below it, in (0, 1]; None: 1.
        name: Name of the optimiser.
        **kwargs: Passed to ``keras.optimizers.Optimizer``, such as
            ``gradient_accumulation_steps``.

    Source: You et al. 2020 (arXiv:1904.00962), algorithm 2 with φ(z) = z; the exemptions as in
    ``official/modeling/optimization/lamb.py`` of the TensorFlow Model Garden.

    Raises:
        ValueError: If ``layer_decay`` is outside (0, 1].

    Example:
        >>> optimizer = LAMB(learning_rate=0.1, weight_decay=0.0)
        >>> w = keras.Variable([3.0, 4.0], name="kernel")
        >>> optimizer.apply([keras.ops.convert_to_tensor([0.5, 0.5])], [w])
        >>> [round(x, 3) for x in w.numpy().tolist()]  # both by 0.1 · 5 / √2
        [2.646, 3.646]
    """

    def __init__(
        self,
        learning_rate=6.25e-4,
        weight_decay=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        bias_correction=True,
        global_clipnorm=1.0,
        not_decayed=NOT_DECAYED,
        not_adapted=None,
        layer_decay=None,
        name="lamb",
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
        self.not_adapted = None if not_adapted is None else tuple(not_adapted)

    def build(self, variables):
        """Creates the two moments of every variable."""
        if self.built:
            return
        super().build(variables)
        exempt = self.not_decayed if self.not_adapted is None else self.not_adapted
        self._adapted = [v.name not in exempt for v in variables]
        self._matrices = [_number_of_matrices(v) for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its moments by one dense step."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        rate = self._rate_of(index, learning_rate, dtype)
        weight = tf.convert_to_tensor(variable)
        step = self._adam_step(tf.cast(gradient, dtype), index, dtype)
        if self.weight_decay and self._decayed[index]:
            step = step + self.weight_decay * weight
        if self._adapted[index]:
            step = _scaled(step, weight, self._matrices[index])
        variable.assign(weight - rate * step)

    def _adam_step(self, gradient, index, dtype):
        """Updates the moments; returns m̂ / (√v̂ + ε)."""
        momentum, velocity = self._momentums[index], self._velocities[index]
        beta_1, beta_2 = tf.constant(self.beta_1, dtype), tf.constant(self.beta_2, dtype)
        mean = beta_1 * momentum + (1.0 - beta_1) * gradient
        square = beta_2 * velocity + (1.0 - beta_2) * tf.square(gradient)
        momentum.assign(mean)
        velocity.assign(square)
        first, second = self._powers(dtype)
        return mean / (1.0 - first) / (tf.sqrt(square / (1.0 - second)) + self.epsilon)

    def get_config(self):
        """Returns the constructor's arguments."""
        exempt = self.not_adapted
        return {**super().get_config(), "not_adapted": None if exempt is None else list(exempt)}


def _number_of_matrices(variable):
    path = getattr(variable, "path", variable.name)
    return next((number for end, number in JOINED.items() if path.endswith(end)), 1)


def _scaled(step, weight, matrices):
    """A step as long as the weight is, in each of the matrices that lie side by side in it."""
    shape = weight.shape
    if matrices > 1:
        step, weight = (tf.reshape(t, (*shape[:-1], matrices, -1)) for t in (step, weight))
    longest, length = _length(weight, matrices), _length(step, matrices)
    usable = (longest > 0) & (length > 0)
    return tf.reshape(step * tf.where(usable, longest / tf.where(usable, length, 1), 1), shape)


def _length(tensor, matrices):
    """Norm of a tensor, or of each of its matrices, that can be multiplied with it."""
    axes = list(range(tensor.shape.rank))
    if matrices > 1:
        del axes[-2]
    return tf.sqrt(tf.reduce_sum(tf.square(tensor), axes, keepdims=True))
