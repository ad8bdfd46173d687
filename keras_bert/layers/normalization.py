"""Layer normalisation, and what MobileBERT has in its place."""

import keras
from keras import ops

from keras_bert.layers import gradients

__all__ = ["LayerNorm", "NoNorm", "make_norm"]


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


@keras.saving.register_keras_serializable("keras_bert")
class NoNorm(keras.layers.Layer):
    """``gamma * x + beta``: layer normalisation without the normalising.

    Shapes: (..., features) floating → the same, in the layer's compute dtype.

    Source: section 3.3 of Sun et al. 2020 (arXiv:2004.02984).

    Example:
        >>> NoNorm()(keras.ops.ones((2, 3))).shape
        (2, 3)
    """

    def build(self, input_shape):
        """Creates gamma and beta (features,)."""
        width = input_shape[-1:]
        self.gamma = self.add_weight(name="gamma", shape=width, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=width, initializer="zeros")

    def call(self, inputs, training=None):
        """Scales and shifts each feature."""
        return inputs * self.gamma + self.beta

    def compute_output_shape(self, input_shape):
        """The same."""
        return input_shape


def make_norm(kind: str, epsilon: float, **kwargs) -> keras.layers.Layer:
    """The layer for an ``EncoderConfig``'s ``normalization``.

    Args:
        kind: ``"layer_norm"`` or ``"no_norm"``.
        epsilon: For the first of them.
        **kwargs: Passed to the layer, such as ``name``.

    Example:
        >>> type(make_norm("no_norm", 1e-12)).__name__
        'NoNorm'
    """
    return NoNorm(**kwargs) if kind == "no_norm" else LayerNorm(epsilon=epsilon, **kwargs)
