"""Two processes that train together, and what becomes of one that loses the other."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from keras_bert.launching.exit_codes import PEER_LOST
from keras_bert.launching.shares import free_ports
from keras_bert.training import PeerLost, cluster_of, lost_peers, wait
from keras_bert.training.distribution import clusters

# Adds up a number of every worker, step after step; what happens is printed as JSON.
WORKER = """
import json, os, signal, sys, time
import keras_bert as kb
import tensorflow as tf
from keras_bert.launching.exit_codes import PEER_LOST, leave

last = int(sys.argv[1])
try:
    made = kb.training.strategy("auto", join_timeout=60, peer_timeout=4)
    cluster = kb.training.cluster_of(made)
    with made.scope():
        value = tf.Variable(1.0)

    @tf.function
    def step():
        def add():
            here = tf.distribute.get_replica_context()
            return here.all_reduce("SUM", value + cluster.task_id)
        return made.run(add)

    with kb.training.lost_peers(made):
        for number in range(last):
            total = float(step())
            if number == 3:
                print("going", flush=True)
            time.sleep(0.02)
    kb.training.wait(made)
    print(json.dumps([total, vars(cluster)]), flush=True)
    leave(0)
except kb.training.PeerLost as error:
    print(json.dumps(str(error)), flush=True)
    leave(PEER_LOST)
"""
FOREVER = 10**6


class Workers:
    """Two workers; they are ended for sure."""

    def __init__(self, steps, chief_by_name=False):
        first, second = (f"127.0.0.1:{port}" for port in free_ports(2))
        cluster = {"worker": [first, second]}
        tasks = [("worker", 0), ("worker", 1)]
        if chief_by_name:
            cluster, tasks = {"chief": [first], "worker": [second]}, [("chief", 0), ("worker", 0)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(steps)],
                env=os.environ
                | {
                    "TF_CONFIG": json.dumps(
                        {"cluster": cluster, "task": {"type": kind, "index": index}}
                    ),
                    "TF_NUM_INTEROP_THREADS": "2",
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    "CUDA_VISIBLE_DEVICES": "",
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for kind, index in tasks
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.communicate()

    def until_they_go(self):
        assert [process.stdout.readline() for process in self.processes] == ["going\n"] * 2

    def end_of(self, number):
        """Exit code and last line of one."""
        output, _ = self.processes[number].communicate(timeout=60)
        return self.processes[number].returncode, json.loads(output.splitlines()[-1])


def lost(workers, who, how):
    """What the other says when one is sent a signal, and after how many seconds."""
    workers.until_they_go()
    started = time.monotonic()
    workers.processes[who].send_signal(how)
    code, message = workers.end_of(1 - who)
    assert code == PEER_LOST
    return message, time.monotonic() - started


@pytest.mark.slow
def test_a_killed_worker():
    with Workers(FOREVER) as workers:
        message, seconds = lost(workers, 1, signal.SIGKILL)
    assert re.match(r"worker 0 lost worker 1 \(127\.0\.0\.1:\d+\), which ended or does", message)
    assert "Start all workers again" in message
    assert seconds < 15  # peer_timeout is 4


@pytest.mark.slow
@pytest.mark.parametrize("chief_by_name", [False, True])
def test_two_workers(chief_by_name):
    with Workers(20, chief_by_name) as workers:
        for number in range(2):
            code, (total, cluster) = workers.end_of(number)
            assert (code, total) == (0, 3.0)
            assert cluster == {
                "is_chief": number == 0,
                "task_id": number,
                "workers": 2,
                "replicas": 2,
                "local_replicas": 1,
            }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "how"), [(0, signal.SIGKILL), (0, signal.SIGSTOP), (1, signal.SIGSTOP)]
)
def test_lost_workers(who, how):
    with Workers(FOREVER) as workers:
        message, seconds = lost(workers, who, how)
    assert f"worker {1 - who} lost worker {who} (127.0.0.1:" in message
    assert seconds < 15


@pytest.mark.slow
def test_a_cluster_is_started_again(tmp_path):
    # In its first life worker 1 is killed after some steps; in the second all goes well.
    script = WORKER.replace(
        'print("going", flush=True)',
        "been = sys.argv[2]; first = not os.path.exists(been); time.sleep(0.5)\n"
        "                if cluster.task_id and first:\n"
        "                    open(been, 'x').close(); os.kill(os.getpid(), signal.SIGKILL)",
    )
    launcher = [sys.executable, "-m", "keras_bert", "launch", "-n", "2", "--restarts", "1", "--"]
    done = subprocess.run(
        [*launcher, "python", "-c", script, "20", str(tmp_path / "been")],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "keras-bert launch: worker 1 was killed by SIGKILL" in done.stderr
    assert "starting all workers again; restart 1 of 1" in done.stderr
    assert done.stdout.count("[3.0, ") == 2


class Two(tf.distribute.MultiWorkerMirroredStrategy):
    """What is asked of a strategy of two workers, without any."""

    num_replicas_in_sync = 2
    cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": ["a:1", "b:1"]}), task_type="worker", task_id=1
    )

    def __init__(self):
        pass


@pytest.mark.parametrize(
    ("error", "who"),
    [
        (
            tf.errors.UnavailableError(
                None, None, "Collective ops is aborted by: x\n/job:worker/replica:0/task:0 y"
            ),
            r"worker 0 \(a:1, the chief\), .*\(TensorFlow: x\)",
        ),
        (
            tf.errors.DeadlineExceededError(None, None, "RPC: /tensorflow.CoordinationService/H"),
            "worker 0",
        ),
        (tf.errors.InternalError(None, None, "NCCL: unhandled system error"), "another worker"),
    ],
)
def test_errors_that_mean_a_lost_worker(error, who):
    with pytest.raises(PeerLost, match=f"worker 1 lost {who}") as found:
        with lost_peers(Two()):
            raise error
    assert found.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.UnavailableError(None, None, "Error executing an HTTP request: gs://bucket"),
        tf.errors.InvalidArgumentError(None, None, "NaN"),
        tf.errors.InternalError(
            None,
            None,
            "Collective ops is aborted by: Collective instance 450 expected type 1 and data_type 9 "
            "but got type 0 and data_type 1\n... remote target /job:worker/replica:0/task:0",
        ),
        ValueError("Collective ops is aborted"),
    ],
)
def test_other_errors_pass(error):
    with pytest.raises(type(error), match=re.escape(str(error))):
        with lost_peers(Two()):
            raise error


def test_one_process_loses_nobody():
    wait()
    error = tf.errors.InternalError(None, None, "NCCL")
    with pytest.raises(tf.errors.InternalError), lost_peers():
        raise error
    assert cluster_of(Two()) == clusters.Cluster(False, 1, 2, 2, 1)
