"""The warm-up file, read with TF Serving's own messages."""

import pytest
import tensorflow as tf

from keras_bert.export import ask
from keras_bert.export.requests import Request
from keras_bert.export.warmup import WARMUP_FILE, warmup_requests, write_warmup

prediction_log_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2", reason="needs tensorflow-serving-api"
)


def read(path):
    """The records of a warm-up file."""
    records = tf.data.TFRecordDataset(str(path))
    return [prediction_log_pb2.PredictionLog.FromString(r.numpy()) for r in records]


def test_every_record_can_be_replayed(exported):
    loaded = ask.load(str(exported))
    seen = {}
    for log in read(exported / WARMUP_FILE):
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        signature = request.model_spec.signature_name
        assert request.model_spec.name == "reviews"
        if kind == "classify_log":
            examples = request.input.example_list.examples
            inputs = {"inputs": [one.SerializeToString() for one in examples]}
        else:
            assert kind == "predict_log"
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        answers = ask.call(loaded, inputs, signature)
        rows = {len(values) for values in answers.values()}
        assert len(rows) == 1
        seen.setdefault(signature, set()).update(rows)
    assert seen == {name: {1, 32} for name in ("serving_default", "examples", "tokens", "classify")}


def test_numbers_go_into_a_regression(tmp_path):
    example = tf.train.Example().SerializeToString()
    write_warmup(
        tmp_path / "a" / "b",
        "näme",
        [Request("regress", {"inputs": [example] * 300})],
        {"regress": {}},
    )
    (log,) = read(tmp_path / "a" / "b")
    assert log.regress_log.request.model_spec.name == "näme"
    assert len(log.regress_log.request.input.example_list.examples) == 300


def test_sizes_are_filled_with_the_texts_there_are():
    requests = [Request("serving_default", {"text": [b"a", b"b"]}), Request("tokens", {"ids": []})]
    found = warmup_requests(requests, [1, 5])
    assert [r.inputs for r in found] == [{"text": [b"a"]}, {"text": [b"a", b"b", b"a", b"b", b"a"]}]
    found = warmup_requests([*requests, requests[0]], [1, 5])
    assert [len(r.inputs["text"]) for r in found] == [1, 5, 1]
