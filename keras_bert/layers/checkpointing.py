"""Gradient checkpointing: a block keeps its inputs alone, and is computed again on the way back."""

import keras
from keras import ops

__all__ = ["Checkpointed"]


class Checkpointed(keras.layers.Layer):
    """A layer of which no more than its inputs is kept for the gradient.

    Outputs, gradients and random numbers are those of the layer itself. Training takes the time of
    one more way forward. In ``keras.remat`` and ``keras.RematScope``, which do the same, dropout
    draws new random numbers the second time, so that the gradients are those of another network;
    and on TensorFlow most of the memory stays in use, as nothing holds a block's way back before
    that of the block above it is done.

    Holds no weights of its own: made where it is called.

    Args:
        layer: The layer, with its weights. Its call changes no variables but those of its random
            numbers.

    Shapes: those of the layer. Inputs by position are tensors or None; gradients flow to those that
    are floating. Options go by name.

    Raises:
        NotImplementedError: On another backend than TensorFlow, in training with dropout.

    Source: Chen et al. 2016 (arXiv:1604.06174), section 3.

    Example:
        >>> from keras_bert.layers import Linear
        >>> layer = Linear(3)
        >>> layer.build((None, 4))
        >>> Checkpointed(layer)(keras.ops.ones((2, 4))).shape
        (2, 3)
    """

    def __init__(self, layer):
        # Without autocast variables have their own dtype here: what the block casts them to is made
        # anew on the way back too, and those that it does not cast are not cast here either.
        super().__init__(dtype="float32", autocast=False)
        self.layer = layer
        self.built = True

    def call(self, *inputs, training=None, **options):
        """Calls the layer."""
        # Said to the layer, which on the way back has no call around it that would know.
        options["training"] = training
        learning = self.layer.trainable_variables
        # By value, as those that learn: the function below then is one of its arguments alone.
        fixed = [(v, _value(v)) for v in self.layer.non_trainable_variables]
        seeds = [(v, x) for v, x in fixed if not _is_floating(x)]
        frozen = [(v, x) for v, x in fixed if _is_floating(x)]
        places = [i for i, x in enumerate(inputs) if x is not None and _is_floating(x)]
        structure = None

        def run(states, *tensors):
            nonlocal structure
            given = list(inputs)
            for place, tensor in zip(places, tensors, strict=False):
                given[place] = tensor
            weights = zip(learning, tensors[len(places) :], strict=True)
            numbers = [(v, x) for (v, _), x in zip(seeds, states, strict=True)]
            with keras.StatelessScope([*weights, *frozen, *numbers]) as scope:
                structure = self.layer(*given, **options)
            outputs = keras.tree.flatten(structure)
            return outputs, [scope.get_current_value(v) for v, _ in seeds]

        states = [x for _, x in seeds]
        tensors = [*(inputs[i] for i in places), *map(_value, learning)]
        outputs, states = _recomputed(run, states, tensors)
        for (variable, _), state in zip(seeds, states, strict=True):
            variable.assign(state)
        return keras.tree.pack_sequence_as(structure, outputs)


def _value(variable):
    # A tensor: of a Keras variable, as of TensorFlow's, convert_to_tensor makes itself.
    return ops.copy(variable)


def _is_floating(tensor):
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))


def _recomputed(function, states, tensors):
    """``function(states, *tensors)``: outputs, which have gradients, and the states after it.

    Kept for the gradient: states and tensors.
    """
    if keras.backend.backend() != "tensorflow":
        if states:
            # JAX takes no function with a derivative of its own that knows a mask from outside, as
            # ``gradients.dropped`` does, under its checkpoint.
            raise NotImplementedError(
                "Checkpointing with dropout needs Keras' TensorFlow backend. Here, set the "
                "dropout rates of the config to 0, or do without checkpointing."
            )
        return keras.remat(function)(states, *tensors)
    import tensorflow as tf

    states_after = None

    @tf.custom_gradient
    def value(*tensors):
        nonlocal states_after
        outputs, states_after = function(states, *tensors)

        def gradient(*upstream):
            # In a graph all would be computed as early as it can, and what is there already not
            # again. What depends on the upstream gradient is neither. It is a number that only we
            # know is zero: XLA knows no control dependencies, and the optimisers of graphs see
            # through ``x == x``. Negative zero changes no number at all.
            firsts = [tf.cast(tf.reshape(x, [-1])[:1], "float32") for x in upstream]
            zero = -tf.minimum(tf.reduce_sum(tf.abs(tf.concat(firsts, 0))), 0.0)
            again = [tensor + tf.cast(zero, tensor.dtype) for tensor in tensors[:1]]
            again += [tf.identity(tensor) for tensor in tensors[1:]]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs, _ = function([x + tf.cast(zero, x.dtype) for x in states], *again)
            found = tape.gradient(outputs, again, output_gradients=list(upstream))
            # Else the way back of the blocks below would begin before this block's weights have
            # their gradients, and all that these are made of would have to stay.
            with tf.control_dependencies([x for x in found if x is not None]):
                return [x if x is None else tf.identity(x) for x in found]

        return outputs, gradient

    return value(*tensors), states_after
