"""docs/distributed.md: its manifests, scripts and tables are true."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from keras_bert.launching import exit_codes
from keras_bert.launching.clusters import STRATEGIES, find_cluster

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "distributed.md").read_text()
yaml = pytest.importorskip("yaml")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def manifests():
    return [document for block in blocks("yaml") for document in yaml.safe_load_all(block)]


def test_kinds(manifests):
    kinds = [(manifest["apiVersion"], manifest["kind"]) for manifest in manifests]
    service, job = ("v1", "Service"), ("batch/v1", "Job")
    assert kinds == [
        *(service, job),
        *(service, ("apps/v1", "StatefulSet")),
        ("kubeflow.org/v1", "TFJob"),
    ]


@pytest.mark.parametrize("place", [1, 3])
def test_pods_find_each_other(manifests, place):
    service, workers = manifests[place - 1], manifests[place]
    spec = workers["spec"]
    pod = spec["template"]
    (container,) = pod["spec"]["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    count = spec.get("completions", spec.get("replicas"))
    assert spec.get("parallelism", count) == count
    for index in range(count):
        found = find_cluster(environment, f"{workers['metadata']['name']}-{index}")
        assert found.task_id == index
        assert len(found.workers) == count
        # NAME-0.SERVICE:PORT, in which the service is the one that the pods belong to.
        host, port = found.workers[index].split(":")
        assert host.split(".")[1] == service["metadata"]["name"]
        assert int(port) == container["ports"][0]["containerPort"]
    domain = spec.get("serviceName", pod["spec"].get("subdomain"))
    assert domain == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert spec.get("selector", {}).get("matchLabels", {}).items() <= (
        pod["metadata"]["labels"].items()
    )


def test_a_job_gives_up_where_starting_again_is_no_use(manifests):
    rules = manifests[1]["spec"]["podFailurePolicy"]["rules"]
    assert rules[0]["onExitCodes"]["values"] == [exit_codes.FAILED, exit_codes.WRONG_USAGE]


def test_what_a_tfjob_sets(manifests):
    (kind, replicas), *others = manifests[4]["spec"]["tfReplicaSpecs"].items()
    assert (kind, others) == ("Worker", [])
    (container,) = replicas["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"
    port = container["ports"][0]["containerPort"]
    # As the training operator's genTFConfigJSONStr writes it.
    addresses = ", ".join(
        f'"cards-worker-{i}.default.svc:{port}"' for i in range(replicas["replicas"])
    )
    config = (
        f'{{"cluster": {{"worker": [{addresses}]}}, "task": {{"type": "worker", "index": 1}}, '
        '"environment": "cloud"}'
    )
    found = find_cluster({"TF_CONFIG": config})
    assert (found.task_id, found.workers[0]) == (1, "cards-worker-0.default.svc:2222")


@pytest.fixture
def programs(tmp_path):
    """Runs a script with stand-ins for programs; its exit code and what they were called with."""

    def run(script, **bodies):
        for name, body in bodies.items():
            program = tmp_path / name.replace("_", "-")
            program.write_text(f'#!/bin/sh\necho {program.name} "$@" >> {tmp_path}/calls\n{body}\n')
            program.chmod(0o755)
        process = subprocess.Popen(
            ["/bin/sh", "-c", script],
            env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return code, (tmp_path / "calls").read_text().splitlines()

    return run


@pytest.mark.parametrize(
    ("codes", "expected", "starts", "requeued"),
    [
        ([0], 0, 1, False),
        ([75, 137, 0], 0, 3, False),
        ([75, 1, 0], 1, 2, False),
        ([42, 0], 42, 1, True),
        ([75, 75, 75, 75, 0], 75, 4, False),
    ],
)
def test_the_slurm_script(programs, codes, expected, starts, requeued):
    (script,) = (block for block in blocks("bash") if "#SBATCH" in block)
    codes = " ".join(map(str, codes))
    srun = f'n=$(grep -c "^srun" calls); set -- {codes}; shift $((n - 1)); exit $1'
    code, calls = programs(script, srun=srun, scontrol="")
    assert code == expected
    assert sum("keras-bert train" in call for call in calls) == starts
    assert ("scontrol requeue 7" in calls) == requeued


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("exit 75", 75),
        # Told to stop while it trains: it saves, and its code is passed on.
        ("trap 'sleep 0.3; exit 42' TERM; sleep 0.3; kill $PPID; while :; do sleep 0.1; done", 42),
        # Done: the pod waits until it is told to stop.
        ("(sleep 0.7; kill -TERM $PPID) &", 0),
    ],
)
def test_the_stateful_set_passes_signals_on(programs, manifests, body, expected):
    (container,) = manifests[3]["spec"]["template"]["spec"]["containers"]
    script = container["command"][2]
    assert container["command"][:2] == ["/bin/sh", "-c"]
    code, calls = programs(script, keras_bert=body)
    assert code == expected
    assert calls == ["keras-bert train --from=/data/minilm --train=/data/train.csv "
                     "--output=/data/runs/cards --resume=/data/state/cards"]  # fmt: skip


def test_tables():
    table = PAGE.split("## Exit codes")[1].split("##")[0]
    told = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    known = re.findall(r"^(\d+)  +(.*?)  +(.*)$", exit_codes.__doc__, re.MULTILINE)
    assert told == known
    rows = re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted({*STRATEGIES, "strategy"} - {"auto"})


def test_options_are_those_of_the_command_line(capsys):
    from keras_bert.cli.main import main

    main(["launch", "--help"])
    known = capsys.readouterr().out
    for command in re.findall(r"^keras-bert launch (.*?) -- ", PAGE, re.MULTILINE):
        for option in re.findall(r"--?[a-z-]+", command):
            assert option in known
    main(["train", "--help"])
    known = capsys.readouterr().out
    for option in ("--strategy", "--devices", "--from", "--train", "--output", "--resume"):
        assert option in known
