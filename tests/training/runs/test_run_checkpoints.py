"""A folder of checkpoints: whole ones alone are read, the latest stay, one run writes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.training import CheckpointWarning, RunCheckpoints
from keras_bert.training.runs import run_checkpoints


@pytest.fixture
def folder(tmp_path):
    run = RunCheckpoints(tmp_path / "run", keep=2)
    run.open()
    yield run
    run.close()


def write(folder, step, kind=None, weights=None, value=None):
    name = None if weights is None else folder.write_weights(step, 0, weights)
    callbacks = [] if name is None else [{"class": "A", "state": {}, "weights": {"best": name}}]
    state = {"step": step, "finished": kind == "final", "callbacks": callbacks}
    variables = {"model": [tf.Variable([float(step if value is None else value)] * 3)]}
    return folder.write(step, kind, state, variables)


def read(folder, path):
    variable = tf.Variable([0.0] * 3)
    folder.read(path, {"model": [variable]})
    return variable.numpy().tolist()


def names(folder):
    return sorted(path.name for path in folder.folder.iterdir() if path.name != "lock")


def test_the_latest_is_read_and_as_many_stay_as_asked_for(folder):
    assert folder.latest() is None
    for step in (0, 7, 14):
        assert write(folder, step)
    write(folder, 14, "epoch", value=5)
    assert names(folder) == ["step-00000014", "step-00000014-epoch"]
    path, state = folder.latest()
    assert (path.name, state["step"], read(folder, path)) == ("step-00000014-epoch", 14, [5.0] * 3)
    write(folder, 14, "final")
    assert names(folder) == ["step-00000014", "step-00000014-epoch", "step-00000014-final"]
    assert folder.latest(lambda state: not state["finished"])[0].name == "step-00000014-epoch"


def test_weights_stay_as_long_as_a_checkpoint_needs_them(folder):
    weights = [np.arange(6, dtype=np.float32).reshape(2, 3), np.float16([1.5]), np.int64([7])]
    write(folder, 1, weights=weights)
    write(folder, 2)
    found = folder.read_weights("best-00000001")
    for ours, theirs in zip(found, weights, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    write(folder, 3)
    assert names(folder) == ["step-00000002", "step-00000003"]


def damage(kind, path):
    data = path / "variables.data-00000-of-00001"
    if kind == "cut":
        data.write_bytes(data.read_bytes()[:-4])
    elif kind == "changed":
        data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    elif kind == "lost":
        data.unlink()
    elif kind == "no manifest":
        (path / "manifest.json").unlink()
    elif kind == "half a manifest":
        (path / "manifest.json").write_text('{"files": {"state.j')
    elif kind == "state":
        (path / "state.json").write_text("{}")


@pytest.mark.parametrize(
    "kind", ["cut", "changed", "lost", "no manifest", "half a manifest", "state"]
)
def test_a_damaged_one_is_passed_over(folder, kind):
    write(folder, 1)
    write(folder, 2)
    damage(kind, folder.folder / "step-00000002")
    with pytest.warns(CheckpointWarning, match="step-00000002 is damaged .* passed over"):
        path, _ = folder.latest()
    assert path.name == "step-00000001"
    # Out of the way, so that it does not count among the latest.
    assert names(folder) == ["damaged-step-00000002", "step-00000001"]


def test_one_whose_best_weights_are_damaged_is_passed_over(folder):
    write(folder, 1)
    write(folder, 2, weights=[np.ones(3)])
    (folder.folder / "best-00000002" / "variables.index").unlink()
    with pytest.warns(CheckpointWarning, match="damaged"):
        assert folder.latest()[0].name == "step-00000001"


def test_what_was_being_written_is_cleared_away(tmp_path):
    half = tmp_path / ".writing-step-00000009"
    half.mkdir()
    (half / "variables.index").write_text("half")
    (tmp_path / ".deleting-step-00000001").mkdir()
    (tmp_path / "notes.txt").write_text("somebody's")
    run = RunCheckpoints(tmp_path)
    run.open()
    assert run.latest() is None
    run.close()
    assert sorted(os.listdir(tmp_path)) == ["lock", "notes.txt"]


def test_a_write_that_fails_leaves_the_others(folder, monkeypatch):
    write(folder, 1)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_checkpoints, "_seal", full)
        with pytest.warns(CheckpointWarning, match="could not be written.*No space left"):
            assert not write(folder, 2)
        with pytest.warns(CheckpointWarning, match="best-00000002 could not be written"):
            assert folder.write_weights(2, 0, [np.ones(2)]) is None
    assert names(folder) == ["step-00000001"]
    assert write(folder, 3)
    assert folder.latest()[0].name == "step-00000003"


def test_another_run_is_kept_out(folder):
    with pytest.raises(RuntimeError, match="written to by another run of this process"):
        RunCheckpoints(folder.folder).open()
    # A process of its own, without TensorFlow: it takes the lock or says that it cannot.
    script = (
        "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'a+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    command = [sys.executable, "-c", script, str(folder.folder / "lock")]
    held = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "BlockingIOError" in held.stderr
    folder.close()
    assert subprocess.run(command, timeout=60).returncode == 0


def test_the_lock_of_a_process_that_died_is_none(tmp_path):
    (tmp_path / "lock").write_text("process 1 on elsewhere\n")
    run = RunCheckpoints(tmp_path)
    run.open()
    run.close()
    run.open()
    run.close()


def test_only_the_chief_writes(folder):
    waits = []
    other = RunCheckpoints(folder.folder, is_chief=False, barrier=lambda: waits.append(1))
    other.open()
    assert write(other, 1, weights=[np.ones(2)])
    assert names(folder) == []
    assert len(waits) == 3  # opened, weights and variables written
    other.close()


@pytest.mark.parametrize("options", [{"save_every": 0}, {"keep": 0}, {"keep": 1.5}])
def test_bad_numbers(options):
    with pytest.raises(ValueError, match=r"a whole number from 1 on; received"):
        RunCheckpoints("anywhere", **options)


def test_what_a_manifest_says(folder):
    write(folder, 1)
    path = folder.folder / "step-00000001"
    files = json.loads((path / "manifest.json").read_text())["files"]
    assert sorted([*files, "manifest.json"]) == sorted(os.listdir(path))
    assert all(found["bytes"] == (path / name).stat().st_size for name, found in files.items())
