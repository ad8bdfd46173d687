"""Rotary positions: queries and keys are turned by angles that grow with their place."""

import numpy as np
from keras import ops

__all__ = ["frequencies", "rotated", "rotation"]


def frequencies(size, theta):
    """How far each pair of numbers turns from one place to the next, in radians.

    Args:
        size: Width of a head, even.
        theta: The slowest pair turns almost so many times more slowly than the first.

    Returns:
        NumPy array (size / 2,) float32: 1, and ever less.

    Source: section 3.2.2 of Su et al. 2021 (arXiv:2104.09864).

    Example:
        >>> print(frequencies(4, 100.0))
        [1.  0.1]
    """
    # Rounded to float32 after each step, as PyTorch does: in place 8,000 a frequency that is off
    # in its last bit has turned by 5e-4 too much or too little.
    exponents = np.arange(0, size, 2, dtype="float32") / np.float32(size)
    powers = np.power(np.float64(theta), exponents.astype("float64")).astype("float32")
    return np.float32(1.0) / powers


def rotation(length, size, theta):
    """Cosine and sine of the angles of places 0, 1, 2, ...

    Args:
        length: Number of places, int or scalar tensor.
        size: Width of a head.
        theta: As for ``frequencies``.

    Returns:
        Two tensors (length, size / 2) float32.

    Example:
        >>> cosine, sine = rotation(3, 4, 100.0)
        >>> round(float(sine[2, 0]), 4)
        0.9093
    """
    places = ops.expand_dims(ops.cast(ops.arange(length), "float32"), -1)
    angles = places * frequencies(size, theta)
    return ops.cos(angles), ops.sin(angles)


def rotated(x, cosine, sine):
    """Turns each pair of numbers by its angle; number i has its partner half a head further on.

    Args:
        x: (..., length, size), floating.
        cosine: (length, size / 2), float32.
        sine: Likewise.

    Returns:
        A tensor like x. Computed in float32.

    Source: section 3.4.2 of Su et al. 2021; partners as in ``rotate_half`` of transformers'
    ``modeling_modernbert.py``.

    Example:
        >>> x = keras.ops.convert_to_tensor([[1.0, 0.0]])
        >>> quarter = keras.ops.zeros((1, 1)), keras.ops.ones((1, 1))
        >>> print(keras.ops.convert_to_numpy(rotated(x, *quarter)))
        [[0. 1.]]
    """
    first, second = ops.split(ops.cast(x, "float32"), 2, axis=-1)
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return ops.cast(ops.concatenate(turned, axis=-1), x.dtype)
