import os
import subprocess
import sys

import pytest

from keras_bert import environment


@pytest.fixture
def installed(monkeypatch):
    """Replaces what is installed by a dict package → version."""

    def install(**versions):
        versions = {name.replace("_", "-"): version for name, version in versions.items()}
        monkeypatch.setattr(environment, "_version", versions.get)

    return install


def test_what_is_installed_here_goes_together():
    environment.check_environment()


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow_cpu", "tensorflow_tpu"])
def test_other_minor_version_of_tensorflow_text(installed, name):
    installed(keras="3.15.1", tensorflow_text="2.19.0", **{name: "2.20.0"})
    with pytest.raises(ImportError, match=r"tensorflow-text 2\.19\.0 .*tensorflow-text==2\.20\.\*"):
        environment.check_environment()


def test_other_patch_version_is_fine(installed):
    installed(keras="3.15.1", tensorflow="2.20.0", tensorflow_text="2.20.1")
    environment.check_environment()


def test_without_tensorflow_text(installed):
    installed(keras="3.15.1", tensorflow="2.20.0")
    environment.check_environment()


def test_keras_2(installed):
    installed(keras="2.15.0", tensorflow="2.15.0")
    with pytest.raises(ImportError, match=r"needs Keras 3, and keras 2\.15\.0"):
        environment.check_environment()


def test_without_tensorflow(installed):
    installed(keras="3.15.1")
    environment.check_environment()


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_legacy_keras_is_one_clear_line():
    done = run("import keras_bert", TF_USE_LEGACY_KERAS="1")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: keras_bert needs Keras 3, but TF_USE_LEGACY_KERAS=1")


def test_import_is_cheap():
    """Beyond TensorFlow and Keras, importing the package loads its own modules and no more."""
    done = run(
        "import sys, tensorflow, keras; before = set(sys.modules); import keras_bert;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print('tensorflow_text' in sys.modules, sorted(new - {'keras_bert'}))"
    )
    text_loaded, others = done.stdout.split(" ", 1)
    assert text_loaded == "False", done.stderr
    third_party = set(eval(others)) - set(sys.stdlib_module_names)
    assert third_party <= {"ml_dtypes", "flatbuffers"}, third_party


def test_encoder_on_another_backend_imports_no_tensorflow():
    pytest.importorskip("jax", reason="JAX is not installed")
    done = run(
        "import sys, numpy, keras_bert as kb;"
        "e = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,"
        "num_attention_heads=2, intermediate_size=8));"
        "print(e({'input_word_ids': numpy.ones((1, 3), 'int32')})['pooled_output'].shape,"
        "'tensorflow' in sys.modules)",
        KERAS_BACKEND="jax",
    )
    assert done.stdout.strip() == "(1, 8) False", done.stderr
