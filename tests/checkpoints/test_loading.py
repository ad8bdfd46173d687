"""Filling variables: what is joined and turned, and how much memory it takes on the way."""

import weakref

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import buffers, open_checkpoint
from keras_bert.checkpoints.loading import Tensors, fill
from keras_bert.layers.linear import Linear

CONFIG = kb.EncoderConfig(
    vocab_size=700, hidden_size=128, num_layers=3, num_attention_heads=2, intermediate_size=512
)


class Arrays(dict, Tensors):
    """Arrays by name, as a file would have them."""

    def shape(self, name):
        return self[name].shape

    def is_floating(self, name):
        return self[name].dtype.kind == "f"

    def read(self, name):
        return self[name]


def linear(rows, columns):
    layer = Linear(columns)
    layer.build((None, rows))
    return layer


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("rows, width", [(4, 2), (160, 384)])
def test_joined_and_turned(rows, width, count, turned):
    rng = np.random.default_rng(0)
    kernels = {f"k{i}": rng.normal(size=(rows, width)).astype("float32") for i in range(count)}
    biases = {f"b{i}": rng.normal(size=width).astype("float32") for i in range(count)}
    stored = {n: np.ascontiguousarray(k.T) if turned else k for n, k in kernels.items()}
    layer = linear(rows, count * width)
    table = {"kernel": tuple(kernels), "bias": tuple(biases)}
    fill("x", Arrays(**stored, **biases), [(layer, table)], {}, lambda v, _: turned and v.ndim == 2)
    np.testing.assert_array_equal(layer.kernel, np.concatenate([*kernels.values()], axis=1))
    np.testing.assert_array_equal(layer.bias, np.concatenate([*biases.values()]))


def test_the_one_tensor_of_several_that_is_not_finite_is_named():
    kernels = {name: np.ones((3, 3), "float32") for name in "abc"}
    kernels["b"][1, 1] = np.inf
    with pytest.warns(UserWarning, match="b holds NaN or infinity") as caught:
        fill("x", Arrays(kernels), [(linear(3, 9), {"kernel": tuple("abc")})], {}, lambda *_: True)
    assert len(caught) == 1


def test_numbers_whose_sum_overflows_are_finite(recwarn):
    layer = linear(2, 400)
    kernel = np.full((2, 400), 3e38, "float32")
    fill("x", Arrays(kernel=kernel), [(layer, {"kernel": "kernel"})], {}, lambda *_: False)
    np.testing.assert_array_equal(layer.kernel, kernel)
    assert not [w for w in recwarn if "holds NaN" in str(w.message)]


@pytest.fixture(scope="module", params=["huggingface", "kerashub", "google"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loading") / request.param
    kb.BertEncoder(CONFIG).save_pretrained(str(folder), format=request.param)
    return str(folder)


def test_memory_on_the_way(folder, monkeypatch):
    """Never more of our own beyond the weights than one tensor: kernels wait to be turned."""
    held, most = {}, 0
    allocate = buffers._aligned

    def counted(make, shape, dtype):
        nonlocal most
        raw = allocate(make, shape, dtype)
        if make is np.empty:
            base = raw.base if raw.base is not None else raw
            held[id(base)] = raw.nbytes
            weakref.finalize(base, held.pop, id(base))
            most = max(most, sum(held.values()))
        return raw

    monkeypatch.setattr(buffers, "_aligned", counted)
    encoder = open_checkpoint(folder).make_encoder()
    assert not held
    report = open_checkpoint(folder).load(encoder, {})
    sizes = [4 * np.prod(v.shape) for v in encoder.weights]
    assert len(report.loaded) > len(CONFIG.to_dict())
    assert most <= sum(sizes) + max(sizes)
    # What was turned is gone; what was not is the variable itself.
    assert sum(held.values()) <= sum(sizes)


def test_loaded_twice_is_two_models(folder):
    one, other = (kb.BertEncoder.from_pretrained(folder) for _ in range(2))
    words = np.array(other.embeddings.word_embeddings)
    one.embeddings.word_embeddings.assign_add(np.ones_like(words))
    np.testing.assert_array_equal(other.embeddings.word_embeddings, words)
    again = kb.BertEncoder.from_pretrained(folder)
    np.testing.assert_array_equal(again.embeddings.word_embeddings, words)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16", "float64"])
def test_other_dtypes_hold_the_same_rounded(folder, dtype):
    plain, other = (kb.BertEncoder.from_pretrained(folder, dtype=d) for d in ("float32", dtype))
    for one, two in zip(plain.weights, other.weights, strict=True):
        if one.dtype == "float32":
            rounded = np.asarray(one).astype(np.asarray(two.value).dtype)
            np.testing.assert_array_equal(np.asarray(two.value), rounded)
