"""Small SavedModels, and a server of them that runs for all tests of this folder."""

import contextlib
import dataclasses
import json
import shutil
import threading
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  The tiny export's ops.

from keras_bert.serving import Limits, ModelSource, Server, ServerConfig


def _spec(shape, dtype, name=None):
    return tf.TensorSpec(shape, dtype, name)


def _function(*specs):
    return tf.function(input_signature=specs, autograph=False)


def save_half_plus(folder, added):
    """A model as TF Serving's documents have it: x → x / 2 + ``added``, in every form."""
    module = tf.Module()

    def features(records):
        parsed = tf.io.parse_example(records, {"x": tf.io.FixedLenFeature([1], tf.float32, [0.0])})
        return parsed["x"] / 2 + added

    @_function(_spec(None, tf.float32, "x"))
    def predict(x):
        return {"y": x / 2 + added}

    @_function(_spec([None], tf.string, "inputs"))
    def regress(inputs):
        return {"outputs": features(inputs)}

    @_function(_spec([None], tf.string, "inputs"))
    def scores(inputs):
        return {"scores": features(inputs)}

    @_function(_spec([None], tf.string, "inputs"))
    def classify(inputs):
        value = features(inputs)
        names = tf.tile([["half", "über"]], [tf.shape(value)[0], 1])
        return {"classes": names, "scores": tf.concat([value, -value], 1)}

    signatures = {
        "serving_default": predict,
        "tensorflow/serving/regress": regress,
        "regress_x_to_y": regress,
        "classify_x_to_y": scores,
        "classify": classify,
    }
    tf.saved_model.save(module, str(folder), signatures)


def save_kinds(folder):
    """Several inputs and types; what comes in goes out."""

    @_function(
        _spec([None], tf.string, "tag"),
        _spec([None, None], tf.int64, "signal"),
        _spec([None, None, None], tf.float32, "sensor"),
    )
    def echo(tag, signal, sensor):
        return {"tag_bytes": tag, "tag": tag, "signal": signal, "sensor": sensor}

    @_function(_spec([None], tf.string, "text"))
    def reverse(text):
        return {"text": tf.strings.join([text, "|"])}

    types = (tf.bool, tf.float64, tf.int8, tf.int32, tf.uint8, tf.uint32, tf.uint64)

    @_function(*(_spec([None], dtype, dtype.name) for dtype in types))
    def numbers(*values):
        return {value.dtype.name: tf.identity(value) for value in values}

    @_function(_spec([None], tf.int32, "times"))
    def busy(times):
        """Takes a millisecond or so for each time."""
        start = tf.zeros([200, 200])
        count = tf.reduce_max(times)
        _, value = tf.while_loop(
            lambda i, _: i < count,
            lambda i, value: (i + 1, tf.matmul(value, value) + 1e-3),
            [tf.constant(0), start],
        )
        return {"times": times + tf.cast(value[0, 0] * 0, tf.int32)}

    @_function(_spec([None], tf.int32, "index"))
    def picky(index):
        """Fails where a number is none of 0, 1, 2."""
        with tf.control_dependencies([tf.debugging.assert_less(index, 3)]):
            return {"value": tf.gather(tf.constant([10.0, 20.0, 30.0]), index)}

    @_function(_spec([None, None], tf.float32, "rows"))
    def lengths(rows):
        return {"rows": tf.identity(rows)}

    @_function(_spec([], tf.float32, "scalar"))
    def scalar(scalar):
        return {"twice": scalar * 2}

    signatures = {
        "serving_default": echo,
        "reverse": reverse,
        "numbers": numbers,
        "busy": busy,
        "picky": picky,
        "lengths": lengths,
        "scalar": scalar,
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures)


def save_as_tensorflow_1(folder):
    """X → x / 2 + 3 as TF Serving's own test models are: no shapes said, and a wrong type."""
    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as session:
        added = v1.get_variable("b", initializer=3.0, use_resource=False)
        records = v1.placeholder(tf.string, name="tf_example")
        parsed = tf.io.parse_example(records, {"x": tf.io.FixedLenFeature([1], tf.float32)})
        x = tf.identity(parsed["x"], name="x")
        y = tf.add(x / 2, added, name="y")

        def info(tensor, dtype=tf.float32):
            named = v1.saved_model.build_tensor_info(tensor)
            named.tensor_shape.Clear()
            named.dtype = dtype.as_datatype_enum
            return named

        def signature(inputs, outputs, method):
            return v1.saved_model.build_signature_def(
                inputs, outputs, f"tensorflow/serving/{method}"
            )

        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature({"x": info(x)}, {"y": info(y)}, "predict"),
                "tensorflow/serving/regress": signature(
                    {"inputs": info(records)}, {"outputs": info(y)}, "regress"
                ),
            },
        )
        builder.save()


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """SavedModels made once; read only: ``half_plus_three`` and others."""
    folder = tmp_path_factory.mktemp("made")
    save_half_plus(folder / "half_plus_three" / "123", 3)
    save_half_plus(folder / "half_plus_two" / "1", 2)
    save_kinds(folder / "kinds" / "7")
    (folder / "tensorflow_1").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_as_tensorflow_1(folder / "tensorflow_1" / "00000123")
    return folder


@pytest.fixture(scope="session")
def reviews(tiny_checkpoint, tmp_path_factory) -> Path:
    """The folder ``reviews`` with an export of a tiny classifier."""
    import keras_bert as kb

    folder = tmp_path_factory.mktemp("exports") / "reviews"
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kb.export.saved_model(model, folder, verify=False)
    return folder


@dataclasses.dataclass
class Running:
    """A server in a thread."""

    server: Server
    thread: threading.Thread

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def grpc(self) -> str:
        return self.server.grpc_url.removeprefix("grpc://")

    def get(self, path):
        """GET: status and JSON, or text where it is none."""
        return exchanged(urllib.request.Request(self.url + path))

    def post(self, path, body):
        """POST of JSON or of bytes: status and JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return exchanged(urllib.request.Request(self.url + path, data))

    def metric(self, name: str) -> float:
        """Sum of a metric's values."""
        text = self.server.service.metrics.text()
        lines = [line for line in text.splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def exchanged(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            status, content = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode()


@contextlib.contextmanager
def running(**config):
    """A server on free ports of this machine, until the context ends."""
    ready = threading.Event()
    config = {"port": 0, "grpc_port": 0, "poll_seconds": 0.05, **config}
    server = Server(ServerConfig(**config), lambda _: ready.set())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield Running(server, thread)
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def server(made, reviews):
    """A server of all models here, with the default batching and a limit of 256 KiB."""
    with running(
        roots=(str(made),),
        models={"reviews": ModelSource(str(reviews))},
        limits=Limits(request_bytes=2**18, request_seconds=20),
    ) as found:
        yield found


@pytest.fixture
def make_server():
    """Starts servers of its own configuration, ended with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **config: stack.enter_context(running(**config))


def put(source: Path, target: Path) -> None:
    """Puts a version in its place in one step, as an export does."""
    staged = target.with_name(f".staged-{target.name}")
    shutil.copytree(source, staged)
    staged.rename(target)
