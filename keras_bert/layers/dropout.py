"""Dropout on half the random bits."""

import keras
from keras import ops

from keras_bert.layers import gradients

__all__ = ["Dropout"]

#: Random bits for each element: the rate is a multiple of 1/65536.
BITS = 16


@keras.saving.register_keras_serializable("keras_bert")
class Dropout(keras.layers.Dropout):
    """``keras.layers.Dropout`` that draws 16 random bits for an element, not a number of 32.

    Drawing them is the costliest part of dropout on CPU. The rate is rounded to a multiple of
    1/65536, and the scale is that of the rounded rate, so that the mean is exact.

    Args:
        rate: Share that is set to zero, 0 to 1.
        seed: Seed of the layer's own random numbers.

    Shapes: any floating tensor → the same.

    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting".

    Example:
        >>> print(keras.ops.convert_to_numpy(Dropout(0.5)(keras.ops.ones(3))))
        [1. 1. 1.]
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(rate, seed=seed, **kwargs)
        #: What is left of the 2 ** BITS values that 16 bits take is kept.
        self._dropped = round(self.rate * 2**BITS)

    @property
    def scale(self):
        """What elements that stay are multiplied by."""
        return 2**BITS / (2**BITS - self._dropped) if self._dropped < 2**BITS else 0.0

    def call(self, inputs, training=False):
        """Sets elements to zero in training."""
        if not training or not self._dropped:
            return inputs
        return gradients.dropped(inputs, self.kept(ops.shape(inputs)), self.scale)

    def kept(self, shape):
        """Draws which elements of a tensor of this shape stay: bool."""
        if keras.backend.backend() != "tensorflow":
            uniform = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
            return uniform >= self._dropped / 2**BITS
        import tensorflow as tf

        count = tf.reduce_prod(shape)
        # As Keras' own random functions hand their seeds on: the state is int64.
        seed = tf.cast(tf.math.floormod(self.seed_generator.next(), tf.int32.max - 1), tf.int32)
        numbers = tf.random.stateless_uniform(
            [(count + 1) // 2], seed, minval=None, maxval=None, dtype=tf.int32
        )
        bits = tf.reshape(tf.bitcast(numbers, tf.int16), [-1])
        return tf.reshape(bits[:count] >= self._dropped - 2 ** (BITS - 1), shape)

    def get_config(self):
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["noise_shape"]
        return config
