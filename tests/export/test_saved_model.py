"""The SavedModel: what it answers, what it stores, and how it comes into its folder."""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.export import ExportError, ask
from keras_bert.models.task import UntrainedHeadWarning

# The texts of these tests are too long on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")

REPOSITORY = Path(kb.__file__).parents[1]

# Exports the model of one folder to another; says when it has all it needs to publish.
EXPORT_SCRIPT = """
import importlib, sys
import keras_bert as kb
model = kb.BertClassifier.from_pretrained(sys.argv[1])
versions = importlib.import_module("keras_bert.export.versions")
publish = versions.publish
def wait_and_publish(*arguments):
    print("staged", flush=True)
    sys.stdin.readline()
    return publish(*arguments)
versions.publish = wait_and_publish
print(kb.export.saved_model(model, sys.argv[2], verify=False), flush=True)
"""


@pytest.fixture(scope="module")
def loaded(exported):
    return ask.load(str(exported))


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def probabilities(loaded, texts):
    return ask.call(loaded, {"text": texts})["probabilities"]


def start_export(checkpoint, target) -> subprocess.Popen:
    command = [sys.executable, "-c", EXPORT_SCRIPT, str(checkpoint), str(target)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY)


# What it answers.


def test_answers_are_the_models(loaded, model, texts):
    answers = ask.ask(loaded, texts)
    for answer, wanted in zip(answers, model.predict(texts), strict=True):
        assert answer["label"] == wanted["label"]
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
        assert answer["probability"] == answer["probabilities"].max()
    # Else the test would compare one constant with another.
    assert len({answer["probability"] for answer in answers}) == len(texts)


def test_signatures_have_their_names_types_and_free_sizes(loaded):
    def described(signature):
        tensors = loaded.signatures[signature]
        inputs = tensors.structured_input_signature[1].items()
        return (
            {name: (spec.dtype, tuple(spec.shape)) for name, spec in inputs},
            {name: (t.dtype, tuple(t.shape)) for name, t in tensors.structured_outputs.items()},
        )

    answers = {
        "label": (tf.string, (None,)),
        "probability": (tf.float32, (None,)),
        "probabilities": (tf.float32, (None, 3)),
    }
    ids = ("input_word_ids", "input_mask", "input_type_ids")
    assert described("serving_default") == ({"text": (tf.string, (None,))}, answers)
    assert described("tokens") == ({name: (tf.int32, (None, None)) for name in ids}, answers)
    serialized = {"examples": (tf.string, (None,))}
    assert described("examples") == (serialized, answers)
    classes = {"classes": (tf.string, (None, 3)), "scores": (tf.float32, (None, 3))}
    assert described("classify") == ({"inputs": (tf.string, (None,))}, classes)
    assert set(loaded.signatures) == {"serving_default", "tokens", "examples", "classify"}


def test_tokens_answer_as_their_text(loaded, model, texts):
    ids = {name: tensor.numpy() for name, tensor in model.preprocessor(texts).items()}
    from_ids = ask.call(loaded, ids, "tokens")
    np.testing.assert_allclose(from_ids["probabilities"], probabilities(loaded, texts), atol=1e-6)


def test_a_text_answers_the_same_alone_and_in_company(loaded, texts):
    together = probabilities(loaded, texts)
    alone = np.concatenate([probabilities(loaded, [text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_text_at_all(loaded):
    answers = ask.call(loaded, {"text": []})
    shapes = {name: value.shape for name, value in answers.items()}
    assert shapes == {"label": (0,), "probability": (0,), "probabilities": (0, 3)}


def test_a_text_of_a_megabyte(loaded):
    words = "why was my card refused? "
    huge = words * (2**20 // len(words))
    cut = words * 64  # More than the 64 tokens that the model reads.
    np.testing.assert_array_equal(probabilities(loaded, [huge]), probabilities(loaded, [cut]))
    assert np.isfinite(probabilities(loaded, ["x" * 2**20, "\U0001f642" * 2**18])).all()


def test_bytes_that_are_not_utf8_are_passed_over(loaded):
    broken = probabilities(loaded, [b"my \xff\xc3car\xe2\x82d"])
    np.testing.assert_array_equal(broken, probabilities(loaded, ["my card"]))
    assert np.isfinite(probabilities(loaded, [bytes(range(256))])).all()


# What it stores.


def test_weights_are_stored_once_and_nothing_else(own_model, tmp_path):
    model = own_model
    model.optimizer.build(model.trainable_variables)  # Twice the weights in slots.
    path = Path(kb.export.saved_model(model, tmp_path / "built", verify=False))
    weights = sum(weight.nbytes for weight in model.get_weights())
    stored = (path / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert weights <= stored < 1.05 * weights + 20_000
    assert len(tf.saved_model.load(str(path)).weights) == len(model.trainable_variables)


def test_it_stands_alone(exported, model, texts, tmp_path):
    moved = shutil.copytree(exported, tmp_path / "elsewhere" / "7")
    answers = probabilities(ask.load(str(moved.parent)), texts)
    wanted = [answer["probabilities"] for answer in model.predict(texts)]
    np.testing.assert_allclose(answers, wanted, atol=1e-5)
    lines = (moved / "assets" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    assert lines[:-1] == model.preprocessor.tokenizer.vocabulary and lines[-1] == ""


def test_it_says_what_it_is(exported, model):
    record = json.loads((exported / ask.METADATA).read_text(encoding="utf-8"))
    check, same_bits = record.pop("checks")
    assert same_bits["passed"] is True
    signatures, sizes = record.pop("signatures"), record.pop("bytes")
    assert signatures["classify"]["outputs"]["scores"] == {"dtype": "float32", "shape": [None, 3]}
    assert sizes["variables/variables.data-00000-of-00001"] > 4 * record.pop("parameters")
    assert record.pop("encoder")["hidden_size"] == model.encoder.config.hidden_size
    # The two that TF Serving 2.20 links besides TensorFlow's own.
    outside = ["FastBertNormalize", "FastWordpieceTokenizeWithOffsets"]
    assert record.pop("ops_outside_core_tensorflow") == outside
    assert record.pop("versions").keys() == {"keras_bert", "keras", "tensorflow", "tensorflow_text"}
    assert record == {
        "task": "BertClassifier",
        "weights": "variables",
        "inputs": ["text"],
        "labels": model.labels,
        "seq_length": 64,
        "stride": None,
        "oldest_tensorflow_serving": "2.12",
    }
    assert check["texts"] > 10 and 0 <= check["max_difference"] <= check["tolerance"] == 1e-5


def test_the_model_is_as_before_and_the_terminal_too(model, tmp_path, capfd):
    weights = [weight.copy() for weight in model.get_weights()]
    before = model.predict(["I love this"])[0]["probability"]
    kb.export.saved_model(model, tmp_path / "cards", verify=False)
    assert model.predict(["I love this"])[0]["probability"] == before
    for weight, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)
    assert ".tmp-" not in "".join(capfd.readouterr())


# Other models.


@pytest.fixture
def own_model(tiny_checkpoint):
    """A model that a test may change."""
    return kb.BertClassifier.from_pretrained(str(tiny_checkpoint))


@pytest.mark.slow
def test_pairs(own_model, texts, tmp_path):
    own_model.takes_pairs = True
    path = kb.export.saved_model(own_model, tmp_path / "pairs")
    loaded = ask.load(path)
    assert loaded.text_inputs == ("text_a", "text_b")
    pairs = list(zip(texts, reversed(texts), strict=True))
    answers = ask.ask(loaded, pairs)
    for answer, wanted in zip(answers, own_model.predict(pairs), strict=True):
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
    swapped = ask.ask(loaded, [pair[::-1] for pair in pairs])
    assert answers[0]["probability"] != swapped[0]["probability"]
    with pytest.raises(TypeError, match=r"texts\[0\] must be 2 texts \(text_a, text_b\)"):
        ask.ask(loaded, ["single"])


def test_any_answers_and_padding_to_few_lengths(own_model, tmp_path, monkeypatch):
    def width(self, inputs, training=None):
        batch, seq = tf.unstack(tf.shape(inputs["input_word_ids"]))
        return {"width": tf.fill([batch], seq)}

    monkeypatch.setattr(kb.BertClassifier, "call", width)
    monkeypatch.setattr(kb.BertClassifier, "answers", lambda self, raw: raw)
    loaded = ask.load(kb.export.saved_model(own_model, tmp_path / "width", verify=False))
    for texts, wanted in (
        (["a"], 8),
        (["a " * 7, "a"], 12),
        (["a " * 40], 48),
        (["a " * 100, ""], 64),
    ):
        assert ask.ask(loaded, texts) == [{"width": wanted}] * len(texts)
    path = kb.export.saved_model(own_model, tmp_path / "bare", verify=False, lengths="longest")
    for texts, wanted in ((["a"], 3), (["a b c", "a"], 5), (["a " * 100, ""], 64), ([""], 2)):
        assert ask.ask(ask.load(path), texts) == [{"width": wanted}] * len(texts)


@pytest.mark.slow
def test_mixed_precision_answers_in_float32(tiny_checkpoint, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), dtype="mixed_bfloat16")
    path = kb.export.saved_model(model, tmp_path / "half", sample=["I love this", "why?"])
    answers = ask.call(ask.load(path), {"text": ["I love this"]})
    assert answers["probabilities"].dtype == answers["probability"].dtype == np.float32


def test_an_untrained_head_warns(tiny_checkpoint, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=["yes", "no"])
    with pytest.warns(UntrainedHeadWarning, match="export's answers will be random") as warned:
        kb.export.saved_model(model, tmp_path / "fresh", verify=False)
    assert [warning.filename for warning in warned] == [__file__]


def test_what_is_no_task_model(model, tmp_path):
    with pytest.raises(TypeError, match=r"exports a task model.*received a BertEncoder"):
        kb.export.saved_model(model.encoder, tmp_path / "encoder")
    assert list(tmp_path.iterdir()) == []


# How it comes into its folder.


def test_the_next_version_leaves_the_others_alone(exported, model, tmp_path):
    target = tmp_path / "cards"
    shutil.copytree(exported, target / "1")
    before = contents(target)
    assert kb.export.saved_model(model, target, verify=False) == str(target / "2")
    after = contents(target)
    assert {name: after[name] for name in before} == before
    with pytest.raises(FileExistsError, match="Version 2 exists"):
        kb.export.saved_model(model, target, version=2)
    assert kb.export.saved_model(model, target, version=5, verify=False) == str(target / "5")
    assert {name: contents(target)[name] for name in after} == after
    assert sorted(os.listdir(target)) == ["1", "2", "5"]


@contextlib.contextmanager
def nothing_changes(target):
    """That a version, and nothing else, is in a folder before and after."""
    (target / "1").mkdir(parents=True)
    (target / "1" / "saved_model.pb").write_bytes(b"served")
    before = contents(target)
    yield
    assert contents(target) == before
    assert os.listdir(target) == ["1"]


@pytest.mark.slow
def test_an_export_that_answers_otherwise_is_not_kept(own_model, tmp_path, monkeypatch):
    answers = own_model.answers
    drift = iter([0.0, 2e-5])  # One trace is exported, the other one verifies.

    def drifting(raw):
        return {**answers(raw), "probability": answers(raw)["probability"] + next(drift)}

    monkeypatch.setattr(own_model, "answers", drifting)
    with (
        nothing_changes(tmp_path / "cards"),
        pytest.raises(ExportError, match=r"'probability' with .*a difference of 2.0e-05"),
    ):
        kb.export.saved_model(own_model, tmp_path / "cards")


def test_xla_is_refused(own_model, tmp_path, monkeypatch):
    # TF Serving answers such a request with "INTERNAL: XLA compilation disabled".
    compiled = tf.function(own_model.answers, jit_compile=True)
    own_model.answers = lambda raw: {"probabilities": compiled(raw)["probabilities"]}
    monkeypatch.setattr(own_model, "answers", own_model.answers)
    with (
        nothing_changes(tmp_path / "cards"),
        pytest.raises(ExportError, match="jit_compile=True"),
    ):
        kb.export.saved_model(own_model, tmp_path / "cards", verify=False)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupt_or_error_while_writing(model, tmp_path, monkeypatch, error):
    def write_half(module, folder, *_):
        (Path(folder) / "saved_model.pb").write_bytes(b"half")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", write_half)
    with nothing_changes(tmp_path / "cards"), pytest.raises((KeyboardInterrupt, OSError)):
        kb.export.saved_model(model, tmp_path / "cards", verify=False)


def test_a_disk_that_is_full(model, tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    weights = sum(weight.nbytes for weight in model.get_weights())
    with nothing_changes(tmp_path / "cards"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (weights // 2, limits[1]))
        try:
            with pytest.raises(ExportError, match="could not be written"):
                kb.export.saved_model(model, tmp_path / "cards", verify=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_exports_at_once_and_a_kill_in_the_middle(model, tiny_checkpoint, exported, tmp_path):
    target = tmp_path / "cards"
    shutil.copytree(exported, target / "1")
    before = contents(target)
    killed, other = exports = [start_export(tiny_checkpoint, target) for _ in range(2)]
    try:
        for process in exports:
            assert process.stdout.readline() == "staged\n"
        # Both have written everything and neither has shown anything.
        assert [name for name in os.listdir(target) if name.isdecimal()] == ["1"]
        assert kb.export.saved_model(model, target, verify=False) == str(target / "2")
        killed.kill()
        assert other.communicate("go\n", timeout=120)[0].strip() == str(target / "3")
    finally:
        for process in exports:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
    names = sorted(os.listdir(target))
    assert names[1:] == ["1", "2", "3"] and names[0].startswith(".tmp-")
    assert {name: contents(target)[name] for name in before} == before
    assert ask.find_version(str(target)) == str(target / "3")
    assert contents(target / "2").keys() == contents(target / "3").keys() == {*contents(exported)}


# As the server does it.


def serialized_example(text: bytes) -> bytes:
    """A ``tf.Example`` with a text."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
    features = tf.train.Features(feature={"text": feature})
    return tf.train.Example(features=features).SerializeToString()


@pytest.mark.slow
def test_in_cpp_as_the_server_does(exported, model, texts, tmp_path):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to build against TensorFlow's C++ library")
    library = Path(tf.sysconfig.get_lib())
    if not (library / "libtensorflow_cc.so.2").exists():
        pytest.skip("this TensorFlow comes without libtensorflow_cc.so.2")
    program = tmp_path / "serve"
    command = [compiler, "-w", *tf.sysconfig.get_compile_flags()]
    command += [str(Path(__file__).with_name("serve.cc")), "-o", str(program)]
    # Nothing in the program names the session factory, which registers itself when loaded.
    command += ["-Wl,--no-as-needed", f"-L{library}", f"-Wl,-rpath,{library}"]
    command += ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    subprocess.run(command, check=True, timeout=600)

    text_ops = Path(importlib.import_module("tensorflow_text").__file__).parent / "python" / "ops"
    # No more than what the server links for this model.
    linked = ("_fast_bert_normalizer.so", "_fast_wordpiece_tokenizer.so")
    libraries = ":".join(str(text_ops / name) for name in linked)
    raw = [text.encode() if isinstance(text, str) else text for text in texts]

    def asked(signature, name, column):
        cells = ",".join(text.hex() or "-" for text in column)
        command = [program, exported, signature, libraries, f"{name}={cells}"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr[-2000:]
        found = {}
        for line in run.stdout.splitlines():
            output, row, *values = line.split()
            found[output, int(row)] = values
        return found

    rows = asked("serving_default", "text", raw)
    wanted = model.predict(texts)
    assert len(rows) == 3 * len(texts)
    for i, answer in enumerate(wanted):
        assert rows["label", i] == [answer["label"]]
        got = [float.fromhex(value) for value in rows["probabilities", i]]
        np.testing.assert_allclose(got, answer["probabilities"], atol=1e-5)
    classes = asked("classify", "inputs", map(serialized_example, raw))
    for i in range(len(texts)):
        assert classes["scores", i] == rows["probabilities", i]
        assert classes["classes", i] == model.labels
    # A scalar in the place of a batch is refused; without a check it ends the server.
    for signature, name, cell in (
        ("serving_default", "text", raw[0]),
        ("classify", "inputs", serialized_example(raw[0])),
        ("examples", "examples", serialized_example(raw[0])),
    ):
        command = [program, exported, signature, libraries, f"{name}=!{cell.hex()}"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert run.returncode == 1 and "INVALID_ARGUMENT" in run.stderr, run.stderr[-2000:]


def test_a_tokenizer_in_python_is_refused(model, tmp_path, monkeypatch):
    tokenizer = model.preprocessor.tokenizer
    in_python = type(tokenizer).from_config({**tokenizer.get_config(), "backend": "python"})
    monkeypatch.setattr(model.preprocessor, "tokenizer", in_python)
    with pytest.raises(ExportError, match=r"tokenizer is a Python function \(backend='python'\)"):
        kb.export.saved_model(model, tmp_path / "reviews")
    assert not (tmp_path / "reviews").exists()
