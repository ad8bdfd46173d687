"""Layer normalisation."""

import keras
from keras import ops

from keras_bert.layers import gradients

__all__ = ["LayerNorm"]


@keras.saving.register_keras_serializable("keras_bert")
class LayerNorm(keras.layers.LayerNormalization):
    """``keras.layers.LayerNormalization`` over the last axis, with a lean gradient in training.

    Args:
        epsilon: Added to the variance.
        center: Whether there is a ``beta``, which is added.

    Shapes: (..., features) floating → the same, in the layer's compute dtype. Always computed in
    float32.

    Source: Ba et al. 2016 (arXiv:1607.06450).

    Example:
        >>> x = keras.ops.convert_to_tensor([[1.0, 3.0]])
        >>> print(keras.ops.convert_to_numpy(LayerNorm(epsilon=1e-12)(x)))
        [[-1.  1.]]
    """

    def call(self, inputs, training=None):
        """Normalises each row."""
        if not training:
            return super().call(inputs)
        # Their values: TensorFlow takes no variables where a gradient is given.
        gamma = ops.copy(self.gamma)
        beta = ops.copy(self.beta) if self.center else ops.zeros_like(gamma)
        inputs = ops.cast(inputs, "float32")
        normal = gradients.layer_norm(inputs, gamma, beta, self.epsilon)
        return ops.cast(normal, self.compute_dtype)
