"""Memory that becomes a tensor as it is: where there is a gigabyte of weights, copies count."""

from __future__ import annotations

import math

import keras
import numpy as np

from keras_bert.layers.initializers import without_random_start

__all__ = ["as_tensor", "empty", "to_be_filled", "untouched"]

#: TensorFlow's kernels load from addresses that this divides. Source: ``EIGEN_MAX_ALIGN_BYTES`` in
#: tensorflow/core/framework/allocator.h, ``kAllocatorAlignment``.
ALIGNMENT = 64

#: Below this a copy is cheaper than what it takes to do without.
SMALL = 1 << 16

#: What NumPy can lend to others without a copy (`bfloat16` is none of its own types).
LENT = ("float16", "float32", "float64")


def empty(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """An array at an address that suits `as_tensor`, with whatever was in memory before.

    Example:
        >>> empty((2, 3)).ctypes.data % ALIGNMENT
        0
    """
    return _aligned(np.empty, shape, dtype)


def _aligned(make, shape, dtype):
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    raw = make(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def as_tensor(array: np.ndarray):
    """The backend's tensor of an array, without a copy where that can be.

    The tensor then lives in the array's memory: nobody may write there afterwards.

    Args:
        array: An array; only what `empty` made, large and whole, is not copied.

    Example:
        >>> as_tensor(np.ones((2, 3), "float32")).shape
        TensorShape([2, 3])
    """
    is_lent = (
        keras.backend.backend() == "tensorflow"
        and array.nbytes >= SMALL
        and array.dtype.name in LENT
        and array.flags.c_contiguous
        and array.flags.writeable
        and array.ctypes.data % ALIGNMENT == 0
    )
    if not is_lent:
        return keras.ops.convert_to_tensor(array)
    # Here, for encoders on another backend do without it.
    import tensorflow as tf

    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def untouched(shape: tuple[int, ...], dtype: str | None = None):
    """Zeros that take no memory until something is written there: an initializer.

    The system hands out a page of memory, zeros, when it is first touched. A variable whose value
    is replaced as a whole before anybody looks has cost nothing then; and if nobody replaces it,
    it holds zeros.

    Example:
        >>> float(keras.ops.sum(untouched((300, 300), "float32")))
        0.0
    """
    dtype = keras.backend.standardize_dtype(dtype)
    if dtype not in LENT:
        return keras.ops.zeros(shape, dtype)
    return as_tensor(_aligned(np.zeros, shape, dtype))


def to_be_filled():
    """A context in which layers start from `untouched`, for weights that are about to be loaded."""
    return without_random_start(untouched)
