"""Metrics: TF Serving's names, in the form that Prometheus reads."""

import re
import urllib.request

import pytest

from keras_bert.serving.metrics import METRICS_PATH, Metrics

# Name, labels in braces, number: Prometheus' text format.
_LINE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]+="([^"\\\n]|\\.)*",?)*\})? [0-9.e+-]+')


def test_every_line_is_one(server):
    server.post("/v1/models/half_plus_three:predict", {"instances": [1]})
    body = {"signature_name": "classify", "examples": [{"x": 1.0}] * 3}
    server.post("/v1/models/half_plus_three:classify", body)
    server.post("/v1/models/half_plus_three:predict", b"{")
    with urllib.request.urlopen(server.url + METRICS_PATH) as response:
        assert response.headers["content-type"].startswith("text/plain")
        text = response.read().decode()
    lines = text.splitlines()
    for line in lines:
        assert line.startswith("# TYPE ") or _LINE.fullmatch(line), line
    for name in (
        ":tensorflow:serving:request_count",
        ":tensorflow:serving:request_latency",
        ":tensorflow:serving:runtime_latency",
        ":tensorflow:serving:request_example_counts",
        ":tensorflow:serving:request_example_count_total",
        ":tensorflow:serving:batching_session:queuing_latency",
        ":tensorflow:serving:batching_session:processed_batch_size",
    ):
        assert any(line.startswith(f"# TYPE {name} ") for line in lines), name
    count = ':tensorflow:serving:request_count{model_name="half_plus_three",status="OK"}'
    assert any(line.startswith(count) for line in lines)
    assert 'status="INVALID_ARGUMENT"' in text
    assert 'API="classify",entrypoint="REST"' in text


def test_histograms_add_up():
    metrics = Metrics()
    times = [1e-6, 10e-6, 17e-6, 0.02, 5000.0]
    for seconds in times:
        metrics.request("m", "predict", "REST", "OK", seconds)
    lines = metrics.text().splitlines()
    name = ":tensorflow:serving:request_latency"
    buckets = [line for line in lines if line.startswith(f"{name}_bucket")]
    counts = [int(line.rsplit(" ", 1)[1]) for line in buckets]
    assert counts == sorted(counts) and counts[-1] == len(times)
    assert len(buckets) == 34 and 'le="+Inf"' in buckets[-1] and 'le="10"' in buckets[0]
    assert counts[:2] == [1, 3]  # a bucket is what is below its limit
    total = next(line for line in lines if line.startswith(f"{name}_sum"))
    assert float(total.rsplit(" ", 1)[1]) == pytest.approx(sum(times) * 1e6, rel=1e-5)


def test_names_are_escaped():
    metrics = Metrics()
    metrics.request('a"b\\c\nd', "predict", "REST", "OK", 1)
    assert r'model_name="a\"b\\c\nd"' in metrics.text()
