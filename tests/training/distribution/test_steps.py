"""The same numbers on one device, several devices and several workers."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from keras_bert.launching.shares import free_ports

SCRIPT = pathlib.Path(__file__).with_name("tasks_under_strategies.py")
ROOT = pathlib.Path(__file__).parents[3]


def start(checkpoint, out, *arguments, config=None):
    """Starts the script in a process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}
    environment |= {"TF_CONFIG": json.dumps(config)} if config else {}
    command = [sys.executable, str(SCRIPT), str(checkpoint), str(out), *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(*processes, limit=900):
    """Waits for processes; none is left behind."""
    try:
        for process in processes:
            output, _ = process.communicate(timeout=limit)
            assert process.returncode == 0, output[-5000:]
    finally:
        for process in processes:
            process.kill()


def read(path):
    """(kind, task, case) → what came of it."""
    found = {}
    for key, value in np.load(path).items():
        *name, what = key.split("|")
        found.setdefault(tuple(name), {})[what] = value
    return found


def check_equal(ours, theirs, tolerance=1e-5):
    assert ours.keys() == theirs.keys()
    assert ours["steps"] == theirs["steps"]
    assert ours["copies apart"] == 0.0
    for name in theirs.keys() - {"seeds"}:
        np.testing.assert_allclose(
            ours[name], theirs[name], atol=tolerance, rtol=tolerance, err_msg=name
        )
    losses = theirs["score loss"]
    assert losses[0] != losses[1]


def check_mirrored(found, tolerance=1e-5):
    names = [name[1:] for name in found if name[0] == "one"]
    for name in names:
        check_equal(found["mirrored", *name], found["one", *name], tolerance)
    return names


def workers(checkpoint, folder, *arguments):
    """Two processes that train together, and one that trains alone; their results."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    outs = [folder / f"worker_{i}.npz" for i in range(2)] + [folder / "one.npz"]
    processes = [
        start(
            checkpoint,
            outs[i],
            "--kinds",
            "workers",
            *arguments,
            config={"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}},
        )
        for i in range(2)
    ]
    processes.append(start(checkpoint, outs[2], "--kinds", "one", *arguments))
    finish(*processes)
    return [read(out) for out in outs]


def test_two_devices(tiny_checkpoint, tmp_path):
    out = tmp_path / "found.npz"
    tasks = ("tags",)
    finish(start(tiny_checkpoint, out, "--kinds", "one", "mirrored", "--tasks", *tasks))
    assert len(check_mirrored(read(out))) == len(tasks)


def test_two_workers(tiny_checkpoint, tmp_path):
    first, second, alone = workers(tiny_checkpoint, tmp_path, "--tasks", "classes")
    for found in (first, second):
        check_equal(found["workers", "classes", ""], alone["one", "classes", ""])
    assert (
        first["workers", "classes", ""]["weights"] == second["workers", "classes", ""]["weights"]
    ).all()


@pytest.mark.slow
def test_other_units_are_dropped_on_other_devices(tiny_checkpoint, tmp_path):
    out = tmp_path / "found.npz"
    arguments = ("--kinds", "mirrored", "--tasks", "classes", "--cases", '{"": {"dropout": 0.1}}')
    finish(start(tiny_checkpoint, out, *arguments))
    found = read(out)["mirrored", "classes", ""]
    assert found["seeds"].shape[1] == 2 and len(found["seeds"]) > 5
    assert (np.abs(np.diff(found["seeds"], axis=1)) > 10**6).all()
    assert found["copies apart"] == 0.0


@pytest.mark.slow
def test_every_task_on_two_devices(tiny_checkpoint, tmp_path):
    out = tmp_path / "found.npz"
    finish(start(tiny_checkpoint, out, "--kinds", "one", "mirrored"), limit=3000)
    assert len(check_mirrored(read(out))) == 10


@pytest.mark.slow
def test_three_devices(tiny_checkpoint, tmp_path):
    out = tmp_path / "found.npz"
    arguments = ("--kinds", "one", "mirrored", "--devices", "3", "--tasks", "tags", "pairs")
    finish(start(tiny_checkpoint, out, *arguments), limit=3000)
    assert len(check_mirrored(read(out))) == 2


#: Where Keras' own clips on one device, rows of a token that is used several times count as weights
#: of their own; under a strategy they are summed first.
ROWS_APART = 1e-4

#: Name → options of a run, and how far weights and scores may be apart.
CASES = {
    "SGD": ({"optimizer": "sgd"}, 1e-5),
    "SGD, clipped": (
        {"optimizer": "sgd", "optimizer_options": {"global_clipnorm": 0.05}},
        ROWS_APART,
    ),
    "SGD, clipped one by one": (
        {"optimizer": "sgd", "optimizer_options": {"clipnorm": 0.05}},
        ROWS_APART,
    ),
    "AdamW": ({}, 1e-5),
    "AdamW, clipped hard": ({"optimizer_options": {"global_clipnorm": 0.05}}, 1e-5),
    "AdamW, not clipped": ({"optimizer_options": {"global_clipnorm": None}}, 1e-5),
    "AdamW of 2018": ({"optimizer_options": {"bias_correction": False}}, 1e-5),
    "AdamW, accumulated": ({"optimizer_options": {"gradient_accumulation_steps": 2}}, 1e-5),
    "AdamW, averaged": ({"optimizer_options": {"use_ema": True, "ema_momentum": 0.9}}, 1e-5),
    "AdamW, loss scaled": ({"scaling": True}, 1e-5),
    "AdamW, layer decay": ({"optimizer_options": {"layer_decay": 0.8}}, 1e-5),
    "AdamW, two steps at a time": ({"compile": {"steps_per_execution": 2}}, 1e-5),
    "AdamW, XLA": ({"compile": {"jit_compile": True}}, 1e-5),
    "AdamW, bfloat16": ({"model": {"dtype": "mixed_bfloat16"}}, 2e-2),
    "AdamW, float16": ({"model": {"dtype": "mixed_float16"}}, 5e-3),
    "LAMB": ({"optimizer": "lamb"}, 1e-5),
    "LAMB, accumulated, clipped hard": (
        {
            "optimizer": "lamb",
            "optimizer_options": {"gradient_accumulation_steps": 2, "global_clipnorm": 0.05},
        },
        1e-5,
    ),
}


@pytest.mark.slow
def test_every_way_of_training_on_two_devices(tiny_checkpoint, tmp_path):
    out = tmp_path / "found.npz"
    cases = json.dumps({name: options for name, (options, _) in CASES.items()})
    arguments = ("--kinds", "one", "mirrored", "--tasks", "classes", "--cases", cases)
    finish(start(tiny_checkpoint, out, *arguments), limit=3000)
    found = read(out)
    for name, (_, tolerance) in CASES.items():
        ours, theirs = (found[kind, "classes", name] for kind in ("mirrored", "one"))
        check_equal(ours, theirs, tolerance)


@pytest.mark.slow
def test_ways_of_training_on_two_workers(tiny_checkpoint, tmp_path):
    names = ("AdamW, clipped hard", "AdamW, accumulated", "AdamW, two steps at a time", "LAMB")
    cases = json.dumps({name: CASES[name][0] for name in names})
    first, _, alone = workers(
        tiny_checkpoint, tmp_path, "--tasks", "classes", "pairs", "--cases", cases
    )
    for (_, *name), ours in first.items():
        check_equal(ours, alone["one", *name])
