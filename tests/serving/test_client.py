"""The client: typed answers over both transports, and what it does when a server is not there."""

import http.server
import json
import socket
import threading
import time

import numpy as np
import pytest

from keras_bert.export import ask
from keras_bert.serving import Client, ServingError
from keras_bert.serving.transport import Backoff, TensorInfo

TEXTS = ["I love this service", "", "naïve café 我的卡 🙂", b"bad \xff bytes", "Why? " * 40]


@pytest.fixture(params=["rest", "grpc"])
def client(server, request):
    url = server.url if request.param == "rest" else f"grpc://{server.grpc}"
    with Client(url) as client:
        yield client


def test_answers_as_the_export_gives_them(client, reviews):
    expected = ask.ask(ask.load(str(reviews)), TEXTS, batch_size=2)
    client.batch_size = 2
    found = client.predict(TEXTS, model="reviews")
    for answer, wanted in zip(found, expected, strict=True):
        assert answer.keys() == wanted.keys()
        assert answer["label"] == wanted["label"]
        assert type(answer["probability"]) is float
        assert answer["probability"] == pytest.approx(wanted["probability"], abs=1e-6)
        assert answer["probabilities"].dtype == np.float32
        assert np.abs(answer["probabilities"] - wanted["probabilities"]).max() < 1e-6
    assert client.predict([], model="reviews") == []


def test_both_transports_give_the_same_bits(server):
    rest, grpc = Client(server.url, "reviews"), Client(f"grpc://{server.grpc}", "reviews")
    for ours, theirs in zip(rest.predict(TEXTS[:2]), grpc.predict(TEXTS[:2]), strict=True):
        assert ours["probability"] == theirs["probability"]
        assert np.array_equal(ours["probabilities"], theirs["probabilities"])
    assert rest.signatures() == grpc.signatures()
    assert rest.status() == grpc.status()


def test_tensors(client):
    inputs = {"tag": [b"a\xff", "b"], "signal": [[1], [2]], "sensor": [[[0.1, 0.2]], [[1, np.nan]]]}
    found = client.call(inputs, "kinds")
    assert found["tag_bytes"].tolist() == [b"a\xff", b"b"]
    assert found["signal"].dtype == np.int64 and found["signal"].tolist() == [[1], [2]]
    sensor = np.array(inputs["sensor"], np.float32)
    assert np.array_equal(found["sensor"], sensor, equal_nan=True)
    empty = {"tag": [], "signal": np.zeros((0, 3)), "sensor": np.zeros((0, 1, 1))}
    assert {name: len(value) for name, value in client.call(empty, "kinds").items()} == {
        name: 0 for name in found
    }
    assert float(client.call({"scalar": 4.5}, "kinds", "scalar")["twice"]) == 9.0
    assert client.predict([{"text": "a"}, "bc"], "kinds", "reverse") == [
        {"text": "a|"},
        {"text": "bc|"},
    ]


def test_classify_and_regress(client):
    client.batch_size = 2
    examples = [{"x": 4.0}, {"x": [8.0]}, {"x": np.float32(2), "other": ["a", b"\xff"]}]
    rows = client.classify(examples, "half_plus_three", "classify")
    assert rows == [[("half", v), ("über", -v)] for v in (5.0, 7.0, 4.0)]
    assert client.regress(examples, "half_plus_three", "regress_x_to_y") == [5.0, 7.0, 4.0]


def test_the_model(client):
    assert {n: s.state for n, s in client.status("half_plus_three").items()} == {123: "AVAILABLE"}
    signature = client.signatures("reviews")["serving_default"]
    assert signature.inputs == {"text": TensorInfo("object", (None,))}
    assert signature.outputs["probabilities"] == TensorInfo("float32", (None, 3))
    assert client.wait_until_ready(5, "reviews") == 1


def test_what_the_server_refuses(client):
    with pytest.raises(ServingError, match="Servable not found") as caught:
        client.predict(["a"], model="none")
    assert (caught.value.code, caught.value.http_status) == ("NOT_FOUND", 404)
    with pytest.raises(ServingError) as caught:
        client.predict(["a" * 2**19], model="reviews")
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    with pytest.raises(ServingError) as caught:
        client.call({"index": [99]}, "kinds", "picky")
    assert caught.value.code == "INVALID_ARGUMENT"


def test_what_the_client_refuses(server):
    client = Client(server.url)
    with pytest.raises(ValueError, match="Say which model"):
        client.predict(["a"])
    with pytest.raises(TypeError, match="received a single one"):
        client.predict("a", model="reviews")
    with pytest.raises(TypeError, match="Expected a text"):
        client.predict([1], model="reviews")
    with pytest.raises(ValueError, match="No signature 'none'"):
        client.predict(["a"], model="reviews", signature="none")
    with pytest.raises(ValueError, match=r"takes \['text'\]; received \['texts'\]"):
        client.call({"texts": ["a"]}, "reviews")
    with pytest.raises(TypeError, match=r"texts\[1\] must be 3 texts"):
        client.predict([("a", "b", "c"), ("a", "b")], "kinds")
    with pytest.raises(ValueError, match="Expected http://HOST:PORT"):
        Client("127.0.0.1:8501")
    with pytest.raises(ValueError, match="a version or a label"):
        Client(server.url, version=1, label="stable")
    with pytest.raises(ValueError, match="must be positive"):
        Client(server.url, timeout=0)


def test_a_chosen_version(server):
    assert len(Client(server.url, "reviews", version=1).predict(["a"])) == 1
    with pytest.raises(ServingError, match=r"Specific\(reviews, 2\)"):
        Client(server.url, "reviews", version=2).predict(["a"])
    with pytest.raises(ServingError, match="Unrecognized servable version label: x"):
        Client(server.url, "reviews", label="x").predict(["a"])


# A server that does as it is told.


@pytest.fixture
def scripted():
    """An HTTP server that gives the answers of a list, one after the other, and notes when."""
    script, times = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            times.append(time.monotonic())
            self.rfile.read(int(self.headers.get("content-length", 0)))
            what = script.pop(0)
            if what == "hang up":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if what == "wait":
                time.sleep(1.5)
                what = 200
            status, body = what if isinstance(what, tuple) else (what, b'{"error": "no"}')
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", script, times
    server.shutdown()
    server.server_close()


STATUS = json.dumps(
    {"model_version_status": [{"version": "3", "state": "AVAILABLE", "status": {}}]}
).encode()


@pytest.mark.parametrize(
    "trouble", [[503], [429, 502], ["hang up"], ["hang up", 503, "hang up"], [503] * 4]
)
def test_asked_again(scripted, trouble):
    url, script, times = scripted
    script += [*trouble, (200, STATUS)]
    assert list(Client(url, "m").status()) == [3]
    waits = np.diff(times)
    assert len(waits) == len(trouble)
    # A kept connection that was closed is opened again at once; else each wait is longer.
    kept = [i for i in range(1, len(waits)) if trouble[i] == "hang up" and trouble[i - 1] == 503]
    for attempt, wait in enumerate(np.delete(waits, kept)):
        assert wait >= 0.05 * 2**attempt


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (404, "NOT_FOUND"),
        (413, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (504, "DEADLINE_EXCEEDED"),
        (418, "UNKNOWN"),
    ],
)
def test_not_asked_again(scripted, status, code):
    url, script, times = scripted
    script += [(status, b'{"error": "why"}'), (200, STATUS)]
    with pytest.raises(ServingError, match="why") as caught:
        Client(url, "m").status()
    assert (caught.value.code, caught.value.http_status) == (code, status)
    assert len(times) == 1


def test_a_limit_to_asking_again(scripted):
    url, script, times = scripted
    script += [503] * 9
    with pytest.raises(ServingError) as caught:
        Client(url, "m", retries=2).status()
    assert caught.value.code == "UNAVAILABLE"
    assert len(times) == 3


def test_a_limit_to_waiting(scripted):
    url, script, times = scripted
    script += ["wait", 503]
    started = time.monotonic()
    with pytest.raises(ServingError) as caught:
        Client(url, "m", timeout=0.3).status()
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - started < 1.4
    assert len(times) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b""])
def test_answers_that_are_none(scripted, body):
    url, script, _ = scripted
    script += [(200, body)]
    with pytest.raises(ServingError, match="no JSON object") as caught:
        Client(url, "m").status()
    assert caught.value.code == "INTERNAL"
    script += [(502, body)] * 9
    with pytest.raises(ServingError):
        Client(url, "m", retries=0).status()


def test_a_kept_connection_that_was_closed(scripted):
    url, script, times = scripted
    client = Client(url, "m", retries=0)
    script += [(200, STATUS), "hang up", (200, STATUS)]
    assert list(client.status()) == [3]
    assert list(client.status()) == [3]  # on a new connection, though no retry is allowed
    assert len(times) == 3


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_is_there(scheme):
    with pytest.raises(ServingError) as caught:
        Client(f"{scheme}://127.0.0.1:1", "m", retries=1, timeout=5).status()
    assert caught.value.code == "UNAVAILABLE"


def test_the_wait_grows_and_is_in_time():
    tries = []

    def fail(seconds):
        tries.append(seconds)
        raise ServingError("UNAVAILABLE", "busy")

    with pytest.raises(ServingError):
        Backoff(retries=50, first=0.02, longest=0.05).call(fail, 0.4)
    assert 5 < len(tries) < 25
    assert tries == sorted(tries, reverse=True)
