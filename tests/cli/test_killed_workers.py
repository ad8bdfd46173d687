"""Two workers, of which one is killed again and again: the weights of a run that never was."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_bert.cli.trained_model import load_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc"),
]


STEPS = 201


def start(checkpoint, data, folder):
    """A launcher of two workers that train 201 steps."""
    train = ("train", "--from", checkpoint, "--train", data, "--batch-size", 3, "--epochs", 67)
    options = ("--output", folder / "out", "--resume", folder / "run", "--save-every", 7)
    options += ("--quiet", "--keep", 2)
    command = [sys.executable, "-m", "keras_bert", "launch", "-n", 2, "--restarts", 99, "--"]
    return subprocess.Popen(
        [str(part) for part in (*command, *train, *options)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "KERAS_BERT_PEER_TIMEOUT": "10"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workers_of(folder) -> list[int]:
    """Processes that train for a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = str(folder).encode() in (path / "cmdline").read_bytes()
            if ours and b"TF_CONFIG=" in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            pass  # it has ended
    return found


def steps_of(folder) -> int:
    """How far the checkpoints say that a run is."""
    names = [p.name for p in (folder / "run").glob("step-*")] if folder.exists() else []
    return max((int(name.split("-")[1]) for name in names), default=-1)


def weights_of(folder):
    return load_model(str(folder / "out"), compile=False).get_weights()


def finished(process, limit=900):
    output, _ = process.communicate(timeout=limit)
    assert process.returncode == 0, output[-3000:]


def test_killed_workers_come_to_the_same_weights(tiny_checkpoint, data, tmp_path):
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    finished(start(tiny_checkpoint, data, undisturbed))
    killed = tmp_path / "killed"
    killed.mkdir()
    process, chance = start(tiny_checkpoint, data, killed), random.Random(11)
    wanted = int(os.environ.get("KERAS_BERT_KILLS", "3"))
    # Killed after so many steps; several may lie between two checkpoints, of which all but the
    # first kill the run while it starts again.
    moments = sorted(chance.randrange(STEPS - 25) for _ in range(wanted))
    seen = set()
    try:
        for moment in moments:
            until = time.monotonic() + 300
            while steps_of(killed) < moment or len(set(workers_of(killed)) - seen) < 2:
                assert process.poll() is None, f"the run was over before step {moment}"
                assert time.monotonic() < until, f"it did not come to step {moment}"
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.3))
            victims = sorted(set(workers_of(killed)) - seen)
            os.kill(chance.choice(victims), signal.SIGKILL)
            seen.update(victims)
        finished(process)
    finally:
        process.kill()
        for pid in workers_of(killed):
            os.kill(pid, signal.SIGKILL)
    print(f"{len(moments)} kills, after steps {moments}")
    for ours, theirs in zip(weights_of(killed), weights_of(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
