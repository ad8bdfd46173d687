"""The server over a long time: load, new versions, clients that hang up, rubbish.

``KERAS_BERT_SOAK_SECONDS`` says how long (60).
"""

import contextlib
import dataclasses
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from .conftest import put
from .test_shutdown import ROOT

SECONDS = float(os.environ.get("KERAS_BERT_SOAK_SECONDS", "60"))
LIMIT = 1  # MB of a request
TEXTS = ["where is my card?", "great service, thanks", "naïve 我的卡 🙂", "", "bad food " * 30]
# Versions that are loaded and unloaded leave some of TensorFlow's own memory behind until it has
# seen a few; after a third of the time nothing more may be added than this.
MOST_GROWTH = 0.15


@dataclasses.dataclass
class Found:
    """What the clients have seen."""

    answered: int = 0
    wrong: list = dataclasses.field(default_factory=list)
    refused: int = 0

    def count(self, is_right, what) -> None:
        self.answered += 1
        if not is_right:
            self.wrong.append(what)


@pytest.fixture
def served(made, reviews, tmp_path):
    """A server's process, its REST and gRPC addresses, and the folder of its models."""
    root = tmp_path / "models"
    (root / "half").mkdir(parents=True)
    put(made / "half_plus_two" / "1", root / "half" / "1")
    shutil.copytree(made / "kinds", root / "kinds")
    shutil.copytree(reviews, root / "reviews")
    command = [sys.executable, "-m", "keras_bert", "serve", str(root)]
    options = ["--port", "0", "--grpc-port", "0", "--max-request-mb", str(LIMIT)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, *options, "--poll-seconds", "0.2"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
        )
        line = process.stdout.readline()
        rest, grpc_address = re.search(r"http://(\S+) and grpc://(\S+)", line).groups()
        yield process, rest, grpc_address, root
        process.kill()
        process.wait()


def ask(connection, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data)
    response = connection.getresponse()
    content = response.read()
    return response.status, content


def expected_reviews(rest):
    connection = http.client.HTTPConnection(rest, timeout=60)
    answers = {}
    for text in TEXTS:
        status, content = ask(connection, "/v1/models/reviews:predict", {"instances": [text]})
        assert status == 200
        answers[text] = json.loads(content)["predictions"][0]
    return answers


def asking_half(rest, found, chance, _):
    connection = http.client.HTTPConnection(rest, timeout=60)

    def once():
        x = chance.randrange(1000)
        status, content = ask(connection, "/v1/models/half:predict", {"instances": [x, 2 * x]})
        answer = json.loads(content)
        right = [{"predictions": [x / 2 + n, x + n]} for n in (2, 3)]
        found.count(status == 200 and answer in right, (x, status, answer))

    return once


def asking_reviews(rest, found, chance, expected):
    connection = http.client.HTTPConnection(rest, timeout=60)

    def once():
        texts = [chance.choice(TEXTS) for _ in range(chance.choice((1, 2, 3, 4, 40)))]
        status, content = ask(connection, "/v1/models/reviews:predict", {"instances": texts})
        rows = json.loads(content).get("predictions", [])
        right = status == 200 and len(rows) == len(texts)
        for row, text in zip(rows, texts, strict=False):
            wanted = expected[text]
            difference = np.subtract(row["probabilities"], wanted["probabilities"])
            right = right and np.abs(difference).max() < 1e-5
        found.count(right, (texts, status, content[:200]))

    return once


def asking_grpc(address, found, chance, _):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address))

    def once():
        values = np.array([chance.randrange(3) for _ in range(3)], np.int32)
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "kinds", "picky"
        if chance.random() < 0.1:
            values[1] = 7  # which is refused, in the company of others
        request.inputs["index"].CopyFrom(tf.make_tensor_proto(values))
        try:
            answer = tf.make_ndarray(stub.Predict(request, timeout=60).outputs["value"]).tolist()
            found.count(answer == [10 * (v + 1) for v in values], (values, answer))
        except grpc.RpcError as error:
            right = 7 in values and error.code() == grpc.StatusCode.INVALID_ARGUMENT
            found.count(right, (values, error))

    return once


def hanging_up(rest, found, chance, _):
    host, port = rest.split(":")

    def once():
        body = json.dumps({"signature_name": "busy", "inputs": [5]}).encode()
        head = f"POST /v1/models/kinds:predict HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}"
        data = head.encode() + b"\r\n\r\n" + body
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(data[: chance.randrange(1, len(data) + 1)])
            time.sleep(chance.random() * 0.01)
        time.sleep(0.02)

    return once


def sending_rubbish(rest, found, chance, _):
    good = json.dumps({"instances": [1.0, [2.0], {"b64": "aa"}], "signature_name": "x"}).encode()

    def once():
        connection = http.client.HTTPConnection(rest, timeout=60)
        kind = chance.randrange(3)
        path = chance.choice(["half", "kinds", "reviews", f"no{chance.random()}"])
        if kind == 0:
            body = b'{"instances": ["' + b"a" * (2**20 + chance.randrange(2**20)) + b'"]}'
        elif kind == 1:
            body = bytearray(good)
            for _ in range(chance.randrange(1, 6)):
                body[chance.randrange(len(body))] = chance.randrange(256)
        else:
            body = b"[" * chance.randrange(1, 100_000)
        status, content = ask(connection, f"/v1/models/{path}:predict", bytes(body))
        wanted = (413,) if kind == 0 else (400, 404)
        found.count(status in wanted and list(json.loads(content)) == ["error"], (status, content))
        found.refused += 1
        connection.close()
        time.sleep(0.02)

    return once


def sending_broken_messages(address, found, chance, _):
    channel = grpc.insecure_channel(address)
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    good = request.SerializeToString()

    def once():
        data = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(grpc.RpcError):
            raw(bytes(data), timeout=60)
        time.sleep(0.02)

    return once


def change_versions(made, root, ended, changes):
    sources = (made / "half_plus_two" / "1", made / "half_plus_three" / "123")
    number = 1
    while not ended.wait(1.0):
        number += 1
        put(sources[(number + 1) % 2], root / "half" / str(number))
        if number % 7 == 0:  # one that cannot be loaded
            (root / "half" / str(number) / "saved_model.pb").write_bytes(b"broken")
        shutil.rmtree(root / "half" / str(number - 2), ignore_errors=True)
        changes.append(number)


def memory(rest) -> float:
    connection = http.client.HTTPConnection(rest, timeout=60)
    connection.request("GET", "/monitoring/prometheus/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.M)[1])


@pytest.mark.slow
def test_nothing_wrong_nothing_lost_and_no_memory(served, made):
    process, rest, grpc_address, root = served
    expected = expected_reviews(rest)
    found, ended, changes, failures = Found(), threading.Event(), [], []

    def run(make, address, seed):
        once = make(address, found, random.Random(seed), expected)
        while not ended.is_set():
            try:
                once()
            except Exception as error:  # A request that was lost.
                failures.append((make.__name__, repr(error)))
                once = make(address, found, random.Random(seed), expected)

    kinds = [asking_half, asking_half, asking_reviews, hanging_up, sending_rubbish]
    clients = [(make, rest) for make in kinds]
    clients += [(make, grpc_address) for make in (asking_grpc, sending_broken_messages)]
    threads = [
        threading.Thread(target=run, args=(make, address, seed))
        for seed, (make, address) in enumerate(clients)
    ]
    threads.append(threading.Thread(target=change_versions, args=(made, root, ended, changes)))
    for thread in threads:
        thread.start()
    samples, end = [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(min(5.0, SECONDS / 20))
        samples.append(memory(rest))
    ended.set()
    for thread in threads:
        thread.join(60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    third = samples[len(samples) // 3 :]
    early, late = np.median(third[: len(third) // 4 + 1]), np.median(third[-len(third) // 4 :])
    print(
        f"{SECONDS:.0f} s: {found.answered} answers, {len(changes)} version changes, memory "
        f"{early / 2**20:.0f} MB after a third, {late / 2**20:.0f} MB at the end"
    )
    assert not failures, failures[:5]
    assert not found.wrong, found.wrong[:5]
    assert found.answered > 20 * SECONDS and found.refused > SECONDS
    assert len(changes) > SECONDS / 4
    assert late < early * (1 + MOST_GROWTH), [round(s / 2**20) for s in samples]
