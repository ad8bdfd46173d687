"""Ports, cores and GPUs among workers of one machine."""

import os
import socket

import pytest

from keras_bert.launching.shares import core_count, free_ports, gpu_shares, thread_settings


def test_ports_are_free_and_different():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < 32_768  # where Linux begins with those of connections
    with socket.create_server(("", ports[0])):
        with pytest.raises(OSError, match=f"port {ports[0]} cannot be had"):
            free_ports(1, first=ports[0])
    assert free_ports(1, first=ports[0]) == ports[:1]


def test_cores_are_shared():
    assert 1 <= core_count() <= os.cpu_count()
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    assert thread_settings(2, {}, 16) == dict.fromkeys(threads, "8")
    assert thread_settings(4, {}, 2) == dict(zip(threads, ("1", "1", "2"), strict=True))
    assert thread_settings(4, dict.fromkeys(threads, "3"), 2) == {}


def test_gpus_are_shared(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpu_shares(3, {}, tmp_path) == ["0", "1", "10"]
    assert gpu_shares(2, {"CUDA_VISIBLE_DEVICES": "4,5,6,7,8"}) == ["4,5", "6,7"]
    assert gpu_shares(2, {"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == [None, None]
    assert gpu_shares(2, {"CUDA_VISIBLE_DEVICES": "-1"}, tmp_path) == [None, None]
    assert gpu_shares(1, {}, tmp_path / "nothing") == [None]
    with pytest.raises(ValueError, match="2 workers and 1 GPU: each worker needs one of its own"):
        gpu_shares(2, {"CUDA_VISIBLE_DEVICES": "0"})
