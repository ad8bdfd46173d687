"""Feed-forward part with a gate: GeGLU and its relatives."""

import keras
from keras import ops

from keras_bert.layers.activations import get_activation
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.linear import Linear

__all__ = ["GatedFeedForward"]


@keras.saving.register_keras_serializable("keras_bert")
class GatedFeedForward(keras.layers.Layer):
    """``dropout(activation(x W) * (x V)) U``, with W and V in one matrix.

    Args:
        hidden_size: Width of input and output.
        intermediate_size: Width in between.
        activation: Name of an activation; ``"gelu"`` makes it a GeGLU.
        dropout_rate: Dropout in between.
        use_bias: Whether the linear layers have biases.
        initializer_range: Standard deviation of new kernels.

    Shapes: (..., hidden) floating → the same.

    Source: section 2 of Shazeer 2020 (arXiv:2002.05202).

    Example:
        >>> GatedFeedForward(8, 12)(keras.ops.ones((2, 5, 8))).shape
        (2, 5, 8)
    """

    def __init__(
        self,
        hidden_size,
        intermediate_size,
        activation="gelu",
        dropout_rate=0.0,
        use_bias=True,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.activation = activation
        self.dropout_rate = dropout_rate
        self.use_bias = use_bias
        self.initializer_range = initializer_range
        get_activation(activation)  # an unknown one is an error here already
        linear = {
            "initializer_range": initializer_range,
            "use_bias": use_bias,
            "dtype": self.dtype_policy,
        }
        self.input_and_gate = Linear(2 * intermediate_size, name="input_and_gate", **linear)
        self.output_linear = Linear(hidden_size, name="output", **linear)
        self.dropout = Dropout(dropout_rate, dtype=self.dtype_policy)

    def build(self, *_):
        """Creates the weights of both linear layers."""
        self.input_and_gate.build((None, None, self.hidden_size))
        self.output_linear.build((None, None, self.intermediate_size))

    def call(self, inputs, training=None):
        """Applies the layer."""
        widened, gate = ops.split(self.input_and_gate(inputs), 2, axis=-1)
        gated = get_activation(self.activation, training)(widened) * gate
        return self.output_linear(self.dropout(gated, training=training))

    def compute_output_shape(self, input_shape):
        """(..., hidden) → the same."""
        return tuple(input_shape)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "activation": self.activation,
            "dropout_rate": self.dropout_rate,
            "use_bias": self.use_bias,
            "initializer_range": self.initializer_range,
        }
