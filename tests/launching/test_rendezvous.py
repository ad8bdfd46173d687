"""Workers meet before TensorFlow starts, or say who did not come."""

import concurrent.futures
import socket
import time

import pytest

from keras_bert.launching import rendezvous
from keras_bert.launching.addresses import Addresses
from keras_bert.launching.peers import PeerLost
from keras_bert.launching.rendezvous import meet
from keras_bert.launching.shares import free_ports


@pytest.fixture
def workers():
    return tuple(f"localhost:{port}" for port in free_ports(3))


def arrive(workers, task_id, timeout, after=0.0):
    time.sleep(after)
    meet(Addresses(workers, task_id, "TF_CONFIG"), timeout)
    return time.monotonic()


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(rendezvous, "_PATIENCE", 0.5)


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.mark.parametrize("late", [0, 1])
def test_all_wait_for_the_last(workers, threads, late):
    started = time.monotonic()
    delays = [0.6 if i == late else 0.0 for i in range(3)]
    ends = [threads.submit(arrive, workers, i, 20, delays[i]) for i in range(3)]
    assert min(end.result() for end in ends) - started > 0.6


def test_who_does_not_come_is_named(workers, threads):
    chief, other = (threads.submit(arrive, workers, i, 1.0) for i in (0, 1))
    with pytest.raises(PeerLost, match=r"2 of 3 came .* missing: worker 2 \(localhost:\d+\)"):
        chief.result(10)
    with pytest.raises(PeerLost, match=r"worker 0 \(localhost:\d+, the chief\) did not let"):
        other.result(10)


def test_no_chief_and_no_such_host(workers):
    with pytest.raises(PeerLost, match=r"waited 0\.5 s.*refused"):
        arrive(workers, 1, 0.5)
    with pytest.raises(PeerLost, match="worker 0 .nowhere.invalid:1, the chief."):
        arrive(("nowhere.invalid:1", *workers[1:]), 1, 0.5)


def test_other_addresses_and_two_of_a_number(workers, threads):
    chief = threads.submit(arrive, workers, 0, 3.0)
    with pytest.raises(ValueError, match="TF_CONFIG: the chief has other addresses"):
        arrive(workers[:2], 1, 3.0)
    first = threads.submit(arrive, workers, 1, 3.0)
    time.sleep(0.5)
    with pytest.raises(ValueError, match="there is another worker 1 already"):
        arrive(workers, 1, 3.0)
    arrive(workers, 2, 3.0)
    assert first.result() and chief.result()


def test_a_worker_that_went_and_came_again(workers, threads):
    chief = threads.submit(arrive, workers, 0, 10.0)
    time.sleep(0.3)
    with pytest.raises(PeerLost):
        arrive(workers, 1, 0.5)
    ends = [threads.submit(arrive, workers, i, 10.0) for i in (1, 2)]
    assert chief.result() and all(end.result() for end in ends)


def test_strangers_and_a_taken_port(workers, threads):
    host, port = workers[0].split(":")
    with socket.create_server(("", int(port))):
        with pytest.raises(PeerLost, match=f"port {port} of this machine.*in use"):
            arrive(workers, 0, 0.5)
        with pytest.raises(PeerLost, match="other workers are missing|did not let"):
            arrive(workers, 1, 0.5)
    ends = [threads.submit(arrive, workers, i, 20.0) for i in range(2)]
    time.sleep(0.3)
    for line in (b"GET / HTTP/1.1\n", b"[]\n", b"x" * 9000, b"", b'{"cluster": 1}\n'):
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(line)
    with socket.create_connection((host, int(port))):  # says nothing and stays
        arrive(workers, 2, 20.0)
    assert all(end.result() for end in ends)


def test_a_server_that_is_no_chief(workers, threads):
    def talk():
        with socket.create_server(("", int(workers[0].split(":")[1]))) as server:
            server.settimeout(5)
            connection, _ = server.accept()
            connection.sendall(b"\x00\x00\x06\x04 something of HTTP/2\n")
            connection.close()

    threads.submit(talk)
    time.sleep(0.2)
    with pytest.raises(PeerLost, match="something else answers there|refused"):
        arrive(workers, 1, 0.6)
