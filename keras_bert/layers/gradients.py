"""Functions that know their own derivative.

Automatic differentiation keeps every intermediate tensor for the way back, such as five of a GELU's
width and three of attention's probabilities. These keep what the derivative needs, which halves
the memory of a training step. They are for training alone: on the way forward the plain functions
do less, and TensorFlow's graph optimiser fuses them.
"""

import contextlib
import math

import keras
from keras import ops

__all__ = ["attend", "dropped", "gelu", "gelu_tanh", "layer_norm"]


def gelu(x):
    """``x Φ(x)``, as ``keras.ops.gelu(x, approximate=False)``.

    Kept: the derivative ``Φ(x) + x φ(x)``, a tensor like ``x``.

    Source: Hendrycks & Gimpel 2016 (arXiv:1606.08415).

    Example:
        >>> round(float(gelu(keras.ops.convert_to_tensor(1.0))), 4)
        0.8413
    """

    def function(x):
        cumulative = 0.5 * ops.erfc(x * -math.sqrt(0.5))
        density = ops.exp(-0.5 * ops.square(x)) * (1.0 / math.sqrt(2.0 * math.pi))
        return x * cumulative, cumulative + x * density

    return _with_derivative(function, x)


def gelu_tanh(x):
    """``x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2``, GELU in google-research/bert's form.

    Kept: the derivative, a tensor like ``x``.

    Source: Hendrycks & Gimpel 2016 (arXiv:1606.08415), section 2.

    Example:
        >>> round(float(gelu_tanh(keras.ops.convert_to_tensor(1.0))), 4)
        0.8412
    """
    scale, cubic = math.sqrt(2.0 / math.pi), 0.044715

    def function(x):
        # Beyond ±10 the result no longer depends on it, and in half precision it would overflow.
        square = ops.minimum(ops.square(x), 100.0)
        tanh = ops.tanh(x * (scale + scale * cubic * square))
        half = 0.5 + 0.5 * tanh
        slope = (0.5 * scale + 1.5 * scale * cubic * square) * (1.0 - ops.square(tanh))
        return x * half, half + x * slope

    return _with_derivative(function, x)


def _with_derivative(function, x):
    """The first of ``function(x)``, whose derivative is the second, element by element."""

    @ops.custom_gradient
    def value(x):
        result, derivative = function(x)
        # Else the derivative would wait until it is asked for, and what it is made of with it.
        with _after(derivative):
            result = ops.copy(result)

        def gradient(upstream):
            return upstream * derivative

        return result, gradient

    return value(x)


def _after(tensor):
    """A context whose operations wait for a tensor. Only TensorFlow needs to be told.

    It computes what it can as early as it can, and what is computed twice only once, and so would
    keep on the way forward what is meant to be made anew on the way back.
    """
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([tensor])


def layer_norm(x, gamma, beta, epsilon):
    """Layer normalisation over the last axis, as ``keras.ops.layer_normalization``.

    Kept: the normalised input and a number per row.

    Args:
        x: (..., features), float32.
        gamma: Scale (features,).
        beta: Offset (features,).
        epsilon: Added to the variance.

    Returns:
        (..., features).

    Source: Ba et al. 2016 (arXiv:1607.06450), section 3; the gradient is that of the formula.

    Example:
        >>> x, ones = keras.ops.convert_to_tensor([[1.0, 3.0]]), keras.ops.ones(2)
        >>> print(keras.ops.convert_to_numpy(layer_norm(x, ones, ones, 0.0)))
        [[0. 2.]]
    """

    @ops.custom_gradient
    def value(x, gamma, beta):
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        inverse = ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + epsilon)
        normal = centred * inverse

        def gradient(upstream):
            rows = tuple(range(len(upstream.shape) - 1))
            scaled = upstream * gamma
            slope = scaled - ops.mean(scaled, axis=-1, keepdims=True)
            slope = slope - normal * ops.mean(scaled * normal, axis=-1, keepdims=True)
            return slope * inverse, ops.sum(upstream * normal, rows), ops.sum(upstream, rows)

        return normal * gamma + beta, gradient

    return value(x, gamma, beta)


def dropped(x, kept, scale):
    """``x`` where it is kept, times a scale, and 0 elsewhere.

    Kept in memory: which elements are, one byte each.

    Args:
        x: Floating.
        kept: Which elements stay, bool like x.
        scale: What they are multiplied by.

    Returns:
        A tensor like x.

    Example:
        >>> kept = keras.ops.convert_to_tensor([True, False])
        >>> print(keras.ops.convert_to_numpy(dropped(keras.ops.ones(2), kept, 2.0)))
        [2. 0.]
    """

    @ops.custom_gradient
    def value(x):
        def gradient(upstream):
            return upstream * _factors(kept, scale, upstream)

        return x * _factors(kept, scale, x), gradient

    return value(x)


def _factors(kept, scale, x):
    """What to multiply a tensor by, made when it is there."""
    if kept is None:
        return 1.0
    with _after(x):
        # A product takes half the time of a choice between two tensors.
        return ops.cast(kept, x.dtype) * scale


def attend(scores, value, kept=None, scale=1.0):
    """``dropout(softmax(scores)) @ value``.

    Kept in memory: the probabilities in value's dtype, beside what was given.

    Args:
        scores: (..., queries, keys), float32.
        value: (..., keys, features), floating.
        kept: Which probabilities dropout leaves, bool like scores, or None for all.
        scale: What it multiplies those by.

    Returns:
        (..., queries, features) in value's dtype.

    Source: section 3.2.1 of Vaswani et al. 2017 (arXiv:1706.03762).

    Example:
        >>> value = keras.ops.convert_to_tensor([[4.0], [8.0]])
        >>> print(keras.ops.convert_to_numpy(attend(keras.ops.zeros((1, 2)), value)))
        [[6.]]
    """

    @ops.custom_gradient
    def function(scores, value):
        def gradient(upstream):
            factors = _factors(kept, scale, upstream)
            slope = ops.matmul(upstream, ops.swapaxes(value, -1, -2)) * factors
            slope, given = ops.cast(slope, scores.dtype), ops.cast(probabilities, scores.dtype)
            slope = given * (slope - ops.sum(slope * given, axis=-1, keepdims=True))
            return slope, ops.matmul(ops.swapaxes(probabilities * factors, -1, -2), upstream)

        probabilities = ops.cast(ops.softmax(scores), value.dtype)
        left = probabilities * _factors(kept, scale, probabilities)
        return ops.matmul(left, value), gradient

    return function(scores, value)
