"""Versions: which is served while they come, go, fail, and are replaced."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_bert.serving import Client
from keras_bert.serving.errors import ServingError
from keras_bert.serving.library import Library, ModelSource, find_models
from keras_bert.serving.metrics import Metrics
from keras_bert.serving.models_config import read_models_config
from keras_bert.serving.warm_up import WARM_UP_REQUESTS

from .conftest import put, save_half_plus


@pytest.fixture
def root(tmp_path, made) -> Path:
    """A folder with version 1 of a model ``half``: x / 2 + 2."""
    (tmp_path / "half").mkdir()
    put(made / "half_plus_two" / "1", tmp_path / "half" / "1")
    return tmp_path


@pytest.fixture
def library(root):
    library = Library((str(root),))
    library.refresh()
    yield library
    library.close()


def answer(library, version=None, label=None) -> float:
    """What the model says of 0: the number it adds."""
    with library.lease("half", version, label) as servable:
        signature = servable.signature(None)
        return float(servable.run(signature, {"x": np.zeros(1, np.float32)})["y"][0])


def states(library) -> dict:
    return {number: state.state for number, state in library.status("half").items()}


def test_the_newest_version_is_served(library, root, made):
    assert (answer(library), states(library)) == (2, {1: "AVAILABLE"})
    put(made / "half_plus_three" / "123", root / "half" / "10")
    assert answer(library) == 2
    library.refresh()
    assert (answer(library), states(library)) == (3, {10: "AVAILABLE", 1: "END"})
    with pytest.raises(ServingError, match="Specific\\(half, 1\\)"):
        answer(library, 1)
    # Rollback is deleting a folder.
    shutil.rmtree(root / "half" / "10")
    library.refresh()
    assert (answer(library), states(library)) == (2, {10: "END", 1: "AVAILABLE"})


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(library, root):
    (root / "half" / "2").mkdir()
    (root / "half" / "2" / "saved_model.pb").write_bytes(b"nothing that TensorFlow knows")
    library.refresh()
    assert answer(library) == 2
    assert states(library) == {2: "END", 1: "AVAILABLE"}
    failed = library.status("half", 2)[2]
    assert failed.code != "OK" and "Cannot load" in failed.message
    before = library.status("half", 2)[2]
    library.refresh()
    assert library.status("half", 2)[2] is before  # not tried again and again
    # Even where the one before is no longer on the disk.
    shutil.rmtree(root / "half" / "1")
    library.refresh()
    assert answer(library) == 2
    # What is put right is loaded.
    shutil.rmtree(root / "half" / "2")
    save_half_plus(root / "half" / "2", 7)
    library.refresh()
    assert (answer(library), states(library)) == (7, {2: "AVAILABLE", 1: "END"})


def test_a_model_without_versions_is_gone(library, root):
    shutil.rmtree(root / "half")
    library.refresh()
    with pytest.raises(ServingError, match=r"Latest\(half\)"):
        answer(library)
    assert library.names == []


def test_a_model_that_comes_later(library, root, made):
    put_in = root / "other"
    put_in.mkdir()
    put(made / "half_plus_three" / "123", put_in / "1")
    (root / "not a model").mkdir()
    library.refresh()
    assert library.names == ["half", "other"]
    assert library.missing() == []


def test_a_folder_in_the_place_of_another(library, root):
    shutil.rmtree(root / "half" / "1")
    save_half_plus(root / "half" / "1", 5)
    library.refresh()
    assert (answer(library), states(library)) == (5, {1: "AVAILABLE"})
    (root / "half" / "1" / "saved_model.pb").write_bytes(b"broken")
    library.refresh()
    assert answer(library) == 5


def test_what_is_being_written_is_passed_over(library, root, made):
    shutil.copytree(made / "half_plus_three" / "123", root / "half" / ".keras_bert-12")
    shutil.copytree(made / "half_plus_three" / "123", root / "half" / "tmp")
    (root / "half" / "9").touch()  # a file
    library.refresh()
    assert (answer(library), states(library)) == (2, {1: "AVAILABLE"})


def test_a_version_in_use_is_kept_until_it_is_not(library, root, made):
    with library.lease("half") as servable:
        put(made / "half_plus_three" / "123", root / "half" / "2")
        thread = threading.Thread(target=library.refresh)
        thread.start()
        while answer(library) == 2:
            time.sleep(0.01)
        assert thread.is_alive()
        signature = servable.signature(None)
        assert servable.run(signature, {"x": np.zeros(1, np.float32)})["y"] == [2]
    thread.join(20)
    assert states(library) == {2: "AVAILABLE", 1: "END"}


def warm_up_file(version: Path, *records) -> None:
    path = version / WARM_UP_REQUESTS
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def predict_log(signature="", value=1.0) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([value], tf.float32))
    return log.SerializeToString()


def examples_log(kind: str, signature: str) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    if kind == "multi_inference_log":
        for name, method in (("classify", "classify"), ("regress_x_to_y", "regress")):
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            task.model_spec.signature_name = name
    else:
        request.model_spec.signature_name = signature
    request.input.example_list.examples.add()
    return log.SerializeToString()


def staged(root, made, *records) -> None:
    shutil.copytree(made / "half_plus_three" / "123", root / ".staged")
    warm_up_file(root / ".staged", *records)
    (root / ".staged").rename(root / "half" / "2")


def test_warm_up_is_replayed_before_a_version_is_served(root, made):
    metrics = Metrics()
    library = Library((str(root),), metrics=metrics)
    library.refresh()
    staged(
        root,
        made,
        predict_log(),
        examples_log("classify_log", "classify"),
        examples_log("regress_log", "regress_x_to_y"),
        examples_log("multi_inference_log", ""),
    )
    library.refresh()
    assert (answer(library), states(library)) == (3, {2: "AVAILABLE", 1: "END"})
    name = ":tensorflow:serving:model_warmup_records_read"
    path = root / "half" / "2"
    assert f'{name}{{model_path="{path}",status="OK"}} 4' in metrics.text()
    library.close()


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([predict_log(), predict_log("none")], 'Serving signature key "none" not found'),
        ([b"\xff no record"], "Failed to parse warmup record"),
        ([predict_log()] * 1001, "exceeds the maximum"),
    ],
)
def test_a_version_that_fails_its_warm_up_is_not_served(library, root, made, records, message):
    staged(root, made, *records)
    library.refresh()
    assert answer(library) == 2
    assert message in library.status("half", 2)[2].message


def test_a_torn_warm_up_file(library, root, made):
    staged(root, made, predict_log())
    shutil.rmtree(root / "half" / "2")
    shutil.copytree(made / "half_plus_three" / "123", root / ".torn")
    warm_up_file(root / ".torn", predict_log())
    path = root / ".torn" / WARM_UP_REQUESTS
    path.write_bytes(path.read_bytes()[:-3])
    (root / ".torn").rename(root / "half" / "2")
    library.refresh()
    assert answer(library) == 2
    assert library.status("half", 2)[2].code == "DATA_LOSS"


def test_chosen_versions_and_labels(root, made):
    put(made / "half_plus_three" / "123", root / "half" / "2")
    path = root / "models.config"
    path.write_text(
        "model_config_list { config { name: 'half' base_path: 'half' "
        "model_version_policy { specific { versions: 1 versions: 2 } } "
        "version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 2 } } }"
    )
    library = Library(models=read_models_config(path))
    library.refresh()
    assert states(library) == {2: "AVAILABLE", 1: "AVAILABLE"}
    assert (answer(library, 1), answer(library, 2), answer(library)) == (2, 3, 3)
    assert (answer(library, label="stable"), answer(library, label="canary")) == (2, 3)
    with pytest.raises(ServingError, match="Unrecognized servable version label: other"):
        answer(library, label="other")
    library.close()


def test_labels_over_the_wire(root, made, make_server):
    put(made / "half_plus_three" / "123", root / "half" / "2")
    labels = {"stable": 1, "canary": 2}
    server = make_server(models={"half": ModelSource(str(root / "half"), (1, 2), labels)})
    for label, added in (("stable", 2.0), ("canary", 3.0)):
        body = {"instances": [0.0]}
        answer = server.post(f"/v1/models/half/labels/{label}:predict", body)
        assert answer == (200, {"predictions": [added]})
        for url in (server.url, f"grpc://{server.grpc}"):
            client = Client(url, "half", label=label)
            assert client.call({"x": [0.0]})["y"].tolist() == [added]
    _, status = server.get("/v1/models/half")
    assert [version["version"] for version in status["model_version_status"]] == ["2", "1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config { }", "is no models config"),
        ("", "names no model"),
        ("model_config_list { config { name: 'a' } }", "needs a name of its own and a base_path"),
        (
            "model_config_list { config { name: 'a' base_path: '/a' "
            "model_version_policy { all { } } } }",
            "received the policy 'all'",
        ),
    ],
)
def test_configs_that_are_refused(tmp_path, text, message):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_models_config(path)


def test_folders_of_models(root):
    assert find_models(str(root)) == {"half": ModelSource(str(root / "half"))}
    assert find_models(str(root / "half")) == {"half": ModelSource(str(root / "half"))}
    with pytest.raises(ValueError, match="is one version of a model"):
        find_models(str(root / "half" / "1"))
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        find_models(str(root / "none"))


def test_versions_change_under_load(made, tmp_path, make_server):
    """No request is lost or gets an answer of no version while five of them follow each other."""
    folder = tmp_path / "models" / "half"
    folder.mkdir(parents=True)
    sources = (made / "half_plus_two" / "1", made / "half_plus_three" / "123")
    put(sources[0], folder / "1")
    server = make_server(roots=(str(tmp_path / "models"),))
    found, ended = [], threading.Event()

    def ask():
        while not ended.is_set():
            found.append(server.post("/v1/models/half:predict", {"instances": [0.0, 1.0]}))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in range(2, 7):
        put(sources[(version + 1) % 2], folder / str(version))
        if version > 2:
            shutil.rmtree(folder / str(version - 2))
        server_has(server, version)
    ended.set()
    for thread in threads:
        thread.join(30)
    assert len(found) > 20
    answers = [{"predictions": [2.0, 2.5]}, {"predictions": [3.0, 3.5]}]
    assert all(status == 200 and document in answers for status, document in found)
    assert {str(document) for _, document in found} == set(map(str, answers))


def server_has(server, version) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        status, document = server.get(f"/v1/models/half/versions/{version}")
        if status == 200 and document["model_version_status"][0]["state"] == "AVAILABLE":
            return
        time.sleep(0.02)
    raise AssertionError(f"version {version} is not served: {server.get('/v1/models/half')}")
