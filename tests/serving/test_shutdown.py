"""The server as a process: it says where it listens, and ends without losing what it was asked."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

import keras_bert
from keras_bert.serving import Server, ServerConfig

ROOT = os.path.dirname(os.path.dirname(keras_bert.__file__))


@pytest.fixture
def process(made):
    """``keras-bert serve`` of the small models: the process and its address."""
    command = [sys.executable, "-m", "keras_bert", "serve", str(made), "--port", "0"]
    started = subprocess.Popen(
        [*command, "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    line = started.stdout.readline()
    address = re.search(r"http://[0-9.:]+", line)
    if not address:
        started.kill()
        pytest.fail(line + started.stderr.read())
    yield started, address[0]
    started.kill()
    started.communicate()


def post(url, times):
    body = json.dumps({"signature_name": "busy", "inputs": [times]}).encode()
    request = urllib.request.Request(f"{url}/v1/models/kinds:predict", body)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_what_was_begun_is_answered(process, number):
    started, url = process
    answers, refused, broken = [], [], []
    told = threading.Event()

    def ask():
        times = 10
        while True:
            try:
                found = post(url, times)
                (answers if found == {"outputs": [times]} else broken).append(found)
            except urllib.error.HTTPError as error:
                (refused if error.code == 503 else broken).append(error)
            except (urllib.error.URLError, ConnectionError) as error:
                # Nothing was taken: nobody listens any more, or the system hung up before that.
                (refused if told.is_set() else broken).append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    slow = []
    last = threading.Thread(target=lambda: slow.append(post(url, 1500)))
    time.sleep(0.5)
    last.start()
    time.sleep(0.2)
    told.set()
    started.send_signal(number)
    _, errors = started.communicate(timeout=40)
    for thread in [*threads, last]:
        thread.join(10)
    assert started.returncode == 0, errors
    assert slow == [{"outputs": [1500]}], errors
    assert not broken and len(answers) > 10
    assert len(refused) >= 4
    assert "Traceback" not in errors


def test_a_port_that_is_taken(server):
    taken = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1:{taken}: Address already in"):
        Server(ServerConfig(port=taken, grpc_port=None)).run()
    taken = int(server.grpc.rsplit(":", 1)[1])
    with pytest.raises(OSError, match=f"Cannot listen on 127.0.0.1:{taken}"):
        Server(ServerConfig(port=0, grpc_port=taken)).run()
