"""Workers that end together, are heard, started again, and never left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from keras_bert.launching import keeper

# Which worker this is, and how often it has been started by now; a few words in Python.
WORKER = """
import json, os, signal, subprocess, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
def die(number=signal.SIGKILL): os.kill(os.getpid(), number)
def times(folder):
    path = f"{folder}/{task}"
    open(path, "a").write("x")
    return os.path.getsize(path)
"""
LINUX = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")


def command(script, *options, workers=2):
    options = map(str, ("-n", workers, *options))
    return [sys.executable, "-m", "keras_bert", "launch", *options, "--", "python", "-c",
            WORKER + script]  # fmt: skip


def launch(script, *options, workers=2, **environment):
    """Exit code, stdout and stderr lines of a launcher."""
    done = subprocess.run(
        command(script, *options, workers=workers),
        env=without_cluster() | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def without_cluster():
    return {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}


@contextlib.contextmanager
def launching(script, *options):
    """A launcher whose workers have each said "up"; it and they are ended for sure."""
    process = subprocess.Popen(
        command(f"{script}\nprint('up', flush=True)\ntime.sleep(60)", *options),
        env=without_cluster(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        ups = sorted(process.stdout.readline() for _ in range(2))
        assert ups == ["[0] up\n", "[1] up\n"]
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_each_gets_its_place_and_its_share():
    script = "print(json.dumps([os.environ[n] for n in ('TF_CONFIG', 'OMP_NUM_THREADS')]))"
    code, out, err = launch(script, workers=3, OMP_NUM_THREADS="7")
    assert (code, err) == (0, [])
    rows = [json.loads(line.removeprefix(f"[{i}] ")) for i, line in enumerate(sorted(out))]
    configs = [json.loads(text) for text, _ in rows]
    assert [config["task"] for config in configs] == [
        {"type": "worker", "index": i} for i in range(3)
    ]
    assert len(set(configs[0]["cluster"]["worker"])) == 3
    assert all(config["cluster"] == configs[0]["cluster"] for config in configs)
    assert {threads for _, threads in rows} == {"7"}


def test_what_workers_write(tmp_path):
    script = (
        "print('1/9\\r2/9'); print('half', end=''); sys.stdout.flush(); time.sleep(.3); print(' ü')"
        "; print('wrong', file=sys.stderr); os.write(1, b'\\xff no end')"
    )
    for _ in range(2):  # logs go on
        code, out, err = launch(script, "--bare-chief", "--log-dir", tmp_path / "logs")
    assert code == 0
    assert sorted(out) == sorted(
        f"{prefix}{line}" for prefix in ("", "[1] ") for line in ("2/9", "half ü", "\ufffd no end")
    )
    assert sorted(err) == ["[1] wrong", "wrong"]
    log = (tmp_path / "logs" / "worker-1.log").read_bytes().splitlines(keepends=True)
    assert log.count(b"wrong\n") == 2 and log.count("half ü\n".encode()) == 2


def test_one_that_fails_ends_the_others_and_is_not_started_again(tmp_path):
    script = f"times({str(tmp_path)!r})\nif task: sys.exit('no such file')\ntime.sleep(60)"
    started = time.monotonic()
    code, _, err = launch(script, "--restarts", "3")
    assert code == 1
    assert time.monotonic() - started < 20
    assert err[0] == "[1] no such file"
    assert err[1].startswith("keras-bert launch: worker 1 failed (exit code 1) after ")
    assert err[1].endswith(" s; it wrote last:") and err[2] == "    no such file"
    assert err[3] == "keras-bert launch: ending worker 0"
    assert (tmp_path / "0").read_text() == "x"


def test_killed_ones_are_started_again(tmp_path):
    script = (
        f"n = times({str(tmp_path)!r})\nif task and n < 3: die()\nif n < 3: sys.exit(75)\nprint(n)"
    )
    code, out, err = launch(script, "--restarts", "3")
    assert (code, sorted(out)) == (0, ["[0] 3", "[1] 3"])
    assert any("worker 1 was killed by SIGKILL" in line for line in err)
    assert [line for line in err if "starting all" in line] == [
        f"keras-bert launch: starting all workers again; restart {i} of 3" for i in (1, 2)
    ]


@pytest.mark.parametrize(
    ("script", "expected", "starts"),
    [
        ("die()", 137, 2),
        ("sys.exit(75)", 75, 2),
        ("sys.exit(42)", 42, 1),
        ("sys.exit(2)", 2, 1),
        ("if task: time.sleep(.3)\nsys.exit(75 if not task else 1)", 1, 1),  # the reason comes late
        ("if task: die()\nsys.exit(42)", 137, 2),
    ],
)
def test_codes(tmp_path, script, expected, starts):
    code, _, _ = launch(f"times({str(tmp_path)!r})\n{script}", "--restarts", "1")
    assert code == expected
    assert len((tmp_path / "0").read_text()) == starts


@pytest.mark.parametrize(
    ("script", "signals", "expected"),
    [
        ("", ["SIGTERM"], 143),
        ("", ["SIGINT"], 130),
        ("signal.signal(15, lambda *_: sys.exit(42))", ["SIGTERM"], 42),
        ("signal.signal(15, lambda *_: sys.exit(0))", ["SIGTERM"], 0),
        ("signal.signal(2, signal.SIG_IGN)", ["SIGINT", "SIGINT"], 130),
    ],
)
def test_signals_are_passed_on(script, signals, expected):
    with launching(script, "--restarts", "2") as process:
        for name in signals:
            process.send_signal(getattr(signal, name))
            time.sleep(0.3)
        assert process.wait(20) == expected


def test_out_of_time():
    with launching("signal.signal(15, signal.SIG_IGN)", "--grace", "0.5") as process:
        process.terminate()
        assert process.wait(20) == 143
        assert "SIGKILL to worker 0 and worker 1, out of time" in process.stderr.read()


def test_a_reader_that_goes():
    launcher = f"{sys.executable} -m keras_bert launch -n 2 -- sh -c"
    shell = f"{launcher} 'while :; do echo x; sleep 0.1; done' | head -n 1"
    done = subprocess.run(
        ["sh", "-c", shell], env=without_cluster(), timeout=30, capture_output=True, text=True
    )
    assert done.stdout in ("[0] x\n", "[1] x\n")


# Something that a worker starts, in a session of its own and deaf to SIGTERM.
STRAY = """
signal.signal(15, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
"""


def keeper_of(process):
    """The mark of a launcher's workers, and the process that keeps them."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        children = file.read().split()
    for child in children:
        with open(f"/proc/{child}/cmdline") as file:
            arguments = file.read().split("\0")
        if any(argument.endswith("keeper.py") for argument in arguments):
            return arguments[-2], int(child)
    raise AssertionError(children)


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("how", ["worker dies", "launcher killed", "launcher and group killed"])
def test_nothing_is_left_behind(how):
    # Deaf to SIGTERM themselves, too, but for the one case that would only take longer.
    hears = "signal.signal(15, signal.SIG_DFL)" if how == "worker dies" else ""
    with launching(STRAY + hears) as process:
        mark, keeper_id = keeper_of(process)
        found = keeper.marked(mark)
        assert len(found) == 4  # two workers, and what each has started
        if how == "worker dies":
            os.kill(min(found), signal.SIGKILL)
            assert process.wait(30) == 137
        else:
            os.killpg(process.pid, signal.SIGKILL) if "group" in how else process.kill()
            process.wait()
        deadline = time.monotonic() + 20
        while (keeper.marked(mark) or is_there(keeper_id)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert keeper.marked(mark) == []
        assert not is_there(keeper_id)


def is_there(process):
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False
