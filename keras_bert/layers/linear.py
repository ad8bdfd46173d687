"""Dense layer whose matrix product always runs on (tokens, features)."""

import keras
from keras import ops

from keras_bert.layers.activations import get_activation
from keras_bert.layers.initializers import normal
from keras_bert.layers.low_rank import LowRank

__all__ = ["Linear"]


@keras.saving.register_keras_serializable("keras_bert")
class Linear(LowRank, keras.layers.Layer):
    """``activation(x @ kernel + bias)`` over the last axis, with or without the bias.

    ``keras.layers.Dense`` hands a three-dimensional input to ``tensordot``. This layer folds all
    leading axes into one first, so that TensorFlow's graph optimiser sees MatMul, BiasAdd and
    activation in a row and replaces the three by one oneDNN kernel. With ``enable_lora`` the kernel
    is frozen and gets a change of low rank; see ``LowRank``.

    Args:
        units: Width of the output.
        activation: A name that ``keras_bert.layers.activations.get_activation`` knows, or None.
        initializer_range: Standard deviation of the kernel's truncated normal.
        use_bias: Whether there is a bias.

    Shapes: (..., features) floating → (..., units), in the layer's compute dtype.

    Example:
        >>> Linear(3)(keras.ops.ones((2, 5, 4))).shape
        (2, 5, 3)
    """

    def __init__(self, units, activation=None, initializer_range=0.02, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = activation
        self.initializer_range = initializer_range
        self.use_bias = use_bias
        self.bias = None
        if activation is not None:
            get_activation(activation)  # an unknown one is an error here already

    def build(self, input_shape):
        """Creates kernel (features, units) and, if there is one, bias (units,)."""
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=normal(self.initializer_range),
        )
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs, training=None):
        """Applies the layer: (..., features) → (..., units)."""
        return self.product(inputs, self.kernel, self.bias, training, self.change)

    def product(self, inputs, kernel, bias, training=None, change=None):
        """Applies the layer with other weights than its own, such as a slice of them."""
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        flat = ops.matmul(rows, kernel)
        changed = None if change is None else change(rows)
        if changed is not None:
            flat = ops.add(flat, changed)
        if bias is not None:
            # ops.add with a vector on the right becomes BiasAdd, which the fusion looks for.
            flat = ops.add(flat, bias)
        if self.activation is not None:
            flat = get_activation(self.activation, training)(flat)
        return ops.reshape(flat, (*ops.shape(inputs)[:-1], kernel.shape[-1]))

    def compute_output_shape(self, input_shape):
        """(..., features) → (..., units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": self.activation,
            "initializer_range": self.initializer_range,
            "use_bias": self.use_bias,
        }
