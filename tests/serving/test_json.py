"""JSON in and out, without a server: random values go through unchanged, rubbish is refused."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.serving.errors import ServingError
from keras_bert.serving.json_answers import predict_body
from keras_bert.serving.json_documents import decimals, parse
from keras_bert.serving.json_examples import read_examples
from keras_bert.serving.json_requests import read_predict
from keras_bert.serving.servable import TensorSpec

FLOATS = {"x": TensorSpec(tf.float32, None, "x:0")}
TEXTS = {"text": TensorSpec(tf.string, (None,), "text:0")}


def test_decimals_are_exact_and_short():
    chance = np.random.default_rng(3)
    bits = chance.integers(0, 2**32, 3000, np.uint32)
    for values in (bits.view(np.float32), chance.normal(size=500).astype(np.float32)):
        texts = decimals(values)
        found = np.array([float(text.replace("Infinity", "inf")) for text in texts])
        with np.errstate(over="ignore"):
            assert np.array_equal(found.astype(np.float32), values, equal_nan=True)
        assert all("." in text or "e" in text or text[-1] in "Ny" for text in texts)
    assert decimals(np.array([0.2, 3, 9e6, 3e-5], np.float32)) == ["0.2", "3.0", "9e+06", "3e-05"]
    assert decimals(np.array([1 / 3, 1e300])) == ["0.33333333333333331", "1e+300"]


@pytest.mark.parametrize(
    "shape", [(), (3,), (2, 3), (2, 0), (0, 3), (2, 3, 0), (2, 0, 3), (2, 1, 2)]
)
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "object"])
def test_tensors_go_round(shape, dtype):
    values = np.arange(int(np.prod(shape))).reshape(shape)
    if dtype == "object":
        flat = [f'"{value}\\ü\n'.encode() for value in values.reshape(-1)]
        values = np.empty(values.size, object)
        values[:] = flat
        values = values.reshape(shape)
    else:
        values = values.astype(dtype)
    found = json.loads(predict_body({"y": values}, in_rows=False))["outputs"]
    expected = values.tolist()
    if dtype == "object":
        expected = json.loads(json.dumps(expected, default=bytes.decode))
    assert found == expected
    if shape:
        assert json.loads(predict_body({"y": values}, in_rows=True))["predictions"] == expected


def test_random_nested_lists():
    chance = random.Random(5)
    for _ in range(200):
        shape = [chance.randrange(1, 4) for _ in range(chance.randrange(1, 4))]
        values = np.random.default_rng(chance.randrange(99)).normal(size=shape)
        body = json.dumps({"instances": values.tolist()}).encode()
        found = read_predict(parse(body), FLOATS).inputs["x"]
        assert np.array_equal(found, values.astype(np.float32))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"inputs": ' + b"[" * 50_000,
        b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"inputs": ' + b"9" * 5_000 + b"}",
        b'{"inputs": [1' + b"0" * 400 + b"]}",
        b'{"inputs": [1e999]}',
        b'{"inputs": [1.5, -1.0e+400]}',
        b'{"a": "\\ud800\\ud800"}',
        b"\xff\xfe\x00",
        b"{" * 3000,
        b'{"instances": [[[[',
    ],
)
def test_rubbish_is_refused(body):
    with pytest.raises(ServingError) as caught:
        read_predict(parse(body), FLOATS)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert len(caught.value.message) < 2000
    caught.value.message.encode()


def test_fuzzed_requests():
    chance = random.Random(11)
    good = [
        (json.dumps({"instances": [[1.5, 2], [3, 4]]}), lambda d: read_predict(parse(d), FLOATS)),
        (json.dumps({"inputs": ["a", {"b64": "aa=="}]}), lambda d: read_predict(parse(d), TEXTS)),
        (json.dumps({"examples": [{"a": [1, 2], "b": "c"}]}), read_examples),
    ]
    refused = 0
    for _ in range(3000):
        text, read = chance.choice(good)
        data = bytearray(text.encode())
        for _ in range(chance.randrange(1, 5)):
            place = chance.randrange(len(data))
            if chance.random() < 0.5:
                data[place] = chance.choice(b'[]{}",:0123456789abtruefalsn\\ \xff\x00-.eE')
            else:
                data[place : place + chance.randrange(3)] = b""
        try:
            read(bytes(data))
        except ServingError as error:
            refused += 1
            assert error.code in ("INVALID_ARGUMENT", "UNIMPLEMENTED")
            error.message.encode()
    assert 1000 < refused < 3000
