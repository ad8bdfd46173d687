"""docs/serving.md: its manifests, configurations and commands are true."""

import re
import shlex
from pathlib import Path

import pytest

from keras_bert.cli.main import COMMANDS
from keras_bert.serving.batching_config import read_batching_config
from keras_bert.serving.models_config import read_models_config

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
yaml = pytest.importorskip("yaml")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def manifests():
    (block,) = blocks("yaml")
    return list(yaml.safe_load_all(block))


def test_configurations(tmp_path):
    models, batching, _ = blocks("proto")
    path = tmp_path / "file"
    path.write_text(models)
    found = read_models_config(path)["cards"]
    assert (found.versions, found.labels) == ((1, 2), {"stable": 1, "canary": 2})
    path.write_text(batching)
    assert read_batching_config(path).allowed_batch_sizes == (1, 8, 32)


def test_the_manifests_belong_together(manifests, tmp_path):
    settings, deployment, service = manifests
    assert [m["kind"] for m in manifests] == ["ConfigMap", "Deployment", "Service"]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {p["targetPort"] for p in service["spec"]["ports"]} == set(ports)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["spec"]["volumes"]}
    # Each file that is named is in the ConfigMap, and is what its reader takes.
    files = [arg.split("=")[1] for arg in container["args"] if "/config/" in arg]
    assert sorted(files) == sorted(f"{mounts['config']}/{name}" for name in settings["data"])
    for name, text in settings["data"].items():
        (tmp_path / name).write_text(text)
    assert list(read_models_config(tmp_path / "models.config")) == ["cards"]
    assert read_batching_config(tmp_path / "batching.config").max_batch_size == 32
    probe = container["readinessProbe"]["httpGet"]
    assert probe == {"path": "/v1/models/cards", "port": "rest"}


def test_commands():
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words[:1] == ["keras-bert"]:
                assert words[1] in COMMANDS, line
