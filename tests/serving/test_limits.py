"""Requests that are too large, too slow, too many, or whose senders are gone."""

import http.client
import json
import os
import random
import socket
import threading
import time

import pytest

from keras_bert.serving import BatchingConfig, Limits, ModelSource
from keras_bert.serving.server import _listener

BUSY = "/v1/models/kinds:predict"


def busy_body(times) -> bytes:
    return json.dumps({"signature_name": "busy", "inputs": [times]}).encode()


@pytest.fixture
def small(make_server, made):
    """A server with room for one request besides the one it computes."""
    return make_server(
        models={"kinds": ModelSource(str(made / "kinds"))},
        batching=BatchingConfig(max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1),
        limits=Limits(request_bytes=10_000, request_seconds=1.0),
    )


def raw(server, data: bytes, wait: float = 10) -> bytes:
    """Sends bytes as they are; returns all that comes back."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(2**16):
            received += chunk
    return received


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body(server, chunked):
    host = server.url.removeprefix("http://")
    body = b'{"instances": ["' + b"a" * 300_000 + b'"]}'
    connection = http.client.HTTPConnection(host, timeout=20)
    content = iter([body[:100_000], body[100_000:]]) if chunked else body
    connection.request("POST", "/v1/models/reviews:predict", content)
    response = connection.getresponse()
    assert response.status == 413
    assert "more than 262144 bytes" in json.load(response)["error"]
    assert response.will_close
    connection.close()


def test_a_body_that_does_not_come(small):
    head = b"POST /v1/models/kinds:predict HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{"
    assert raw(small, head).startswith(b"HTTP/1.1 408")


def test_a_length_that_is_none(server):
    for length in (b"-1", b"nine", b"99999999999999999999999"):
        head = b"POST /v1/models/kinds:predict HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        answer = raw(server, head + b"content-length: " + length + b"\r\n\r\n{}")
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


def test_too_long_a_time(small):
    started = time.monotonic()
    status, answer = small.post(BUSY, busy_body(6000))
    assert (status, answer) == (504, {"error": "Timed out waiting for notification"})
    assert time.monotonic() - started < 5


def test_too_many_at_once(small):
    found = []

    def ask():
        found.append(small.post(BUSY, busy_body(300)))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    statuses = sorted(status for status, _ in found)
    assert set(statuses) <= {200, 503, 504} and 503 in statuses and 200 in statuses
    message = next(answer for status, answer in found if status == 503)["error"]
    assert message.startswith("The batch scheduling queue to which this task was submitted is full")
    # And then it answers again.
    assert small.post(BUSY, busy_body(1))[0] == 200


def test_clients_that_hang_up(server):
    """What they asked is not computed once they are gone, and others are answered."""
    before = server.metric(":tensorflow:serving:batching_session:input_batch_size_count")
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST {BUSY} HTTP/1.1\r\nhost: a\r\ncontent-length: "
    connections = []
    # The first ones keep all threads busy until the others have come and gone.
    for times in (*[4000] * (os.cpu_count() or 1), *[1] * 20):
        connection = socket.create_connection((host, int(port)))
        body = busy_body(times)
        connection.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
        connections.append(connection)
        time.sleep(0.005)
    for connection in connections:
        connection.close()
    assert server.post("/v1/models/half_plus_three:predict", {"instances": [0]})[0] == 200
    after = server.metric(":tensorflow:serving:batching_session:input_batch_size_count")
    assert after - before < 10, "of 21 and one more"


def test_rubbish_over_http(server):
    chance = random.Random(3)
    good = (
        b"POST /v1/models/half_plus_three:predict HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        b"content-length: 20\r\n\r\n" + b'{"instances": [1.0]}'
    )
    assert raw(server, good).startswith(b"HTTP/1.1 200")
    statuses = set()
    for _ in range(60):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            answer = raw(server, bytes(data), wait=0.3)
        except TimeoutError:  # It waits for the rest of what it was told would come.
            continue
        statuses.add(answer[9:12])
    assert statuses <= {b"200", b"400", b"404", b"413", b""}, statuses
    assert raw(server, good).startswith(b"HTTP/1.1 200")


def test_names_that_nobody_has_leave_no_trace(server):
    for number in range(30):
        server.post(f"/v1/models/unknown{number}:predict", {"instances": [1]})
        server.get(f"/unknown{number}")
    assert "unknown" not in server.server.service.metrics.text()


def test_limits_are_positive():
    with pytest.raises(ValueError, match="must be positive"):
        Limits(request_bytes=0)


def test_small_packets_go_at_once():
    """Asyncio sees to that where the socket says its protocol; else an answer takes 40 ms more."""
    with _listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
