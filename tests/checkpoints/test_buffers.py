"""Memory that becomes a tensor: shared where that is safe, copied where it is not."""

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_bert.checkpoints.buffers import (
    ALIGNMENT,
    SMALL,
    as_tensor,
    empty,
    to_be_filled,
    untouched,
)
from keras_bert.layers.linear import Linear

LARGE = (64, SMALL // 128)


def filled(shape, dtype="float32"):
    array = empty(shape, dtype)
    array[...] = np.arange(array.size).reshape(shape) % 251
    return array


def shares_memory(tensor, array):
    return np.shares_memory(np.asarray(memoryview(tensor)), array)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (5, 7), (3, 0, 2), LARGE])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_empty_is_aligned(shape, dtype):
    array = empty(shape, np.dtype(getattr(ml_dtypes, dtype, dtype)))
    assert array.shape == shape and array.dtype == dtype
    assert array.ctypes.data % ALIGNMENT == 0 or not array.size
    assert array.flags.writeable and array.flags.c_contiguous


def test_large_memory_is_shared_and_outlives_the_array():
    array = filled(LARGE)
    tensor, expected = as_tensor(array), array.copy()
    assert shares_memory(tensor, array)
    del array
    others = [filled(LARGE) for _ in range(8)]  # would write over it if it had been freed
    np.testing.assert_array_equal(tensor, expected)
    assert len(others) == 8


def small():
    return filled((3, 5))


def misaligned():
    whole = filled((LARGE[0] + 1, LARGE[1]))
    return whole.reshape(-1)[1 : 1 + LARGE[0] * LARGE[1]].reshape(LARGE)


def strided():
    return filled((LARGE[0], 2 * LARGE[1]))[:, : LARGE[1]]


def turned():
    return filled(LARGE[::-1]).T


def read_only():
    array = filled(LARGE)
    array.flags.writeable = False
    return array


def integers():
    return filled(LARGE, "int32")


def scalar():
    return filled(())


@pytest.mark.parametrize(
    "make",
    [small, misaligned, strided, turned, read_only, integers, scalar],
    ids=lambda f: f.__name__,
)
def test_everything_else_is_copied(make):
    array = make()
    tensor = as_tensor(array)
    assert tensor.dtype == array.dtype.name and not shares_memory(tensor, array)
    np.testing.assert_array_equal(tensor, array)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "bfloat16"])
@pytest.mark.parametrize("shape", [(), (0, 4), (3,), LARGE])
def test_untouched_is_zeros(shape, dtype):
    tensor = untouched(shape, dtype)
    assert tuple(tensor.shape) == shape and tensor.dtype == dtype
    assert not np.any(np.asarray(tensor, "float32"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "mixed_bfloat16"])
def test_what_nobody_fills_holds_zeros(dtype):
    with to_be_filled():
        layer = Linear(LARGE[1], dtype=dtype)
        layer.build((None, LARGE[0]))
    assert layer.kernel.dtype == keras.dtype_policies.get(dtype).variable_dtype
    assert not np.any(np.asarray(layer.kernel, "float32"))
    assert np.asarray(layer(keras.ops.ones((2, LARGE[0]))), "float32").sum() == 0


def test_outside_layers_start_at_random():
    with to_be_filled():
        pass
    layer = Linear(LARGE[1])
    layer.build((None, LARGE[0]))
    assert np.std(layer.kernel) > 0.01


def test_a_variable_in_shared_memory_is_trained():
    array = filled(LARGE)
    layer = Linear(LARGE[1])
    layer.build((None, LARGE[0]))
    layer.kernel.assign(as_tensor(array))
    before = array.copy()
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    inputs, targets = np.ones((4, LARGE[0]), "float32"), np.zeros((4, LARGE[1]), "float32")
    loss = [model.train_on_batch(inputs, targets) for _ in range(2)]
    assert not np.array_equal(layer.kernel, before) and loss[1] != loss[0]
    # What was lent stays as it was: training writes to memory of the framework's own.
    np.testing.assert_array_equal(array, before)
