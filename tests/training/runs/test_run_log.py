"""The run's log: what stands in it, and that its lines are whole whatever happens."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_bert.training import RunLog, read_run_log
from keras_bert.training.runs.run_log import repair, run_facts

X, Y = np.ones((12, 2), "float32"), np.ones((12, 1), "float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(11)
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.AdamW(0.25), "mse", metrics=["mae"], jit_compile=False)
    return model


def fit(model, log, callbacks=(), x=X, **options):
    options = {"batch_size": 2, "epochs": 2, "verbose": 0, **options}
    return model.fit(x, Y, callbacks=[*callbacks, log], **options)


def events(path):
    return [row["event"] for row in read_run_log(path)]


def test_rows(model, tmp_path):
    path = tmp_path / "new" / "run.jsonl"
    history = fit(model, RunLog(path, every=4, data={"train": 12}), validation_data=(X, Y)).history
    rows = read_run_log(path)
    assert [row["event"] for row in rows] == [
        "start",
        "step",
        "epoch",
        "step",
        "step",
        "epoch",
        "end",
    ]
    assert [row.get("step") for row in rows] == [None, 4, 6, 8, 12, 12, 12]
    start, epochs = rows[0], [row for row in rows if row["event"] == "epoch"]
    assert start["versions"]["keras"] == keras.__version__
    assert start["model"] == "Sequential" and start["seed"] == 20  # of the fixture ``seeds``
    assert start["optimizer"]["config"]["learning_rate"] == 0.25
    assert (start["strategy"], start["replicas"], start["parameters"]) == (None, 1, 3)
    assert (start["epochs"], start["data"]) == (2, {"train": 12})
    assert len(start["config_sha256"]) == 64
    for name in ("loss", "mae", "val_loss", "val_mae"):
        assert [row[name] for row in epochs] == pytest.approx(history[name])
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert all(row["learning_rate"] == 0.25 and row["loss"] >= 0 for row in rows[1:-1])
    assert rows[-1]["why"] == "done"
    assert len({row["run"] for row in rows}) == 1
    assert sorted(row["time"] for row in rows) == [row["time"] for row in rows]


def test_the_digest_is_that_of_the_config():
    def digest(units):
        layers = [keras.layers.Input((2,), name="i"), keras.layers.Dense(units, name="d")]
        model = keras.Sequential(layers, name="n")
        model.compile("sgd", "mse")
        return run_facts(model)["config_sha256"]

    assert digest(1) == digest(1) != digest(2)


def test_every_row_is_there_at_once(model, tmp_path):
    path, seen = tmp_path / "run.jsonl", []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(path.read_bytes().count(b"\n"))

    fit(model, RunLog(path, every=1), [Look()], epochs=1)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(42), "preempted"),
        (ValueError("line\nbreak"), "error"),
    ],
)
def test_why_it_ended(model, tmp_path, error, why):
    class Fail(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise error

    log = RunLog(tmp_path / "run.jsonl")
    with pytest.raises(type(error)) as caught:
        fit(model, log, [Fail()])
    log.close(caught.value)
    log.close(caught.value)
    assert events(log.path) == ["start", "end"]
    end = read_run_log(log.path)[-1]
    assert end["why"] == why and end["error"].startswith(type(error).__name__)


def test_stopped_early(model, tmp_path):
    log = RunLog(tmp_path / "run.jsonl")
    fit(model, log, [keras.callbacks.EarlyStopping("loss", patience=0, baseline=-1.0)], epochs=5)
    assert read_run_log(log.path)[-1]["why"] == "stopped early"


def test_what_is_no_number(model, tmp_path):
    log = RunLog(tmp_path / "run.jsonl")
    log._open()
    log.write(
        "step", loss=math.nan, up=np.float32("inf"), nested=[{"down": -math.inf}], name="NaNa"
    )
    lines = log.path.read_text().splitlines()

    def refuse(constant):
        raise AssertionError(constant)

    row = json.loads(lines[0], parse_constant=refuse)
    assert (row["loss"], row["up"], row["nested"]) == ("NaN", "Infinity", [{"down": "-Infinity"}])
    row = read_run_log(log.path)[0]
    assert math.isnan(row["loss"]) and row["up"] == math.inf == -row["nested"][0]["down"]
    assert row["name"] == "NaNa"


def test_others_than_the_chief_write_nothing(model, tmp_path):
    log = RunLog(tmp_path / "run.jsonl", is_chief=False)
    fit(model, log)
    log.close(ValueError())
    assert not log.path.exists()


def test_a_file_that_exists_is_gone_on_with(model, tmp_path):
    log = RunLog(tmp_path / "run.jsonl")
    fit(model, log, epochs=1)
    before = log.path.read_bytes()
    # Killed in the midst of a row.
    with open(log.path, "ab") as file:
        file.write(b'{"event": "step", "lo')
    fit(model, RunLog(log.path), epochs=1)
    after = log.path.read_bytes()
    assert after.startswith(before)
    assert events(log.path) == ["start", "epoch", "end"] * 2
    assert len({row["run"] for row in read_run_log(log.path)}) == 2


def test_half_a_line_wherever_it_was_cut(tmp_path):
    whole = [{"a": "ä" * 3000}, {"b": 2}]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in whole).encode()
    first = text.index(b"\n") + 1
    path = tmp_path / "run.jsonl"
    for cut in [0, 1, 5, 4096, 5000, first - 1, *range(first, len(text) + 1)]:
        path.write_bytes(text[:cut])
        rows = read_run_log(path)
        assert rows == whole[: 2 if cut >= len(text) - 1 else 1 if cut >= first - 1 else 0]
        repair(path)
        assert read_run_log(path) == rows
        content = path.read_bytes()
        assert not content or content.endswith(b"\n")
        assert content.count(b"\n") == len(rows)


def test_a_file_that_is_no_log(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text('{"a": 1}\nno json\n{"b": 2}\n')
    with pytest.raises(ValueError, match=r"line 2: b'no json' is no JSON"):
        read_run_log(path)
    with pytest.raises(FileNotFoundError):
        read_run_log(tmp_path / "none.jsonl")
    with pytest.raises(OSError):
        RunLog(tmp_path)  # a folder: said before training
    with pytest.raises(ValueError, match="every is a number of steps"):
        RunLog(path, every=0)


#: Children that write rows until they are killed, in one process: TensorFlow is imported once.
KILLS = """
import os, random, signal, sys, time
from keras_bert.training import RunLog

random.seed(6)
for kill in range(20):
    child = os.fork()
    if not child:
        log = RunLog(sys.argv[1])
        log._open()
        for number in range(1, 1_000_000):
            log.write("step", kill=kill, number=number, filling="x" * random.randrange(20_000))
        os._exit(1)
    time.sleep(random.uniform(0.02, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_killed_twenty_times(tmp_path):
    path = tmp_path / "run.jsonl"
    subprocess.run([sys.executable, "-c", KILLS, str(path)], check=True, timeout=300)
    assert path.read_bytes().endswith(b"\n")
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    for kill in range(20):
        numbers = [row["number"] for row in rows if row["kill"] == kill]
        assert numbers == list(range(1, len(numbers) + 1))
    assert len({row["kill"] for row in rows}) > 10
