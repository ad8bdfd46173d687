"""A classifier, and its export made once for all tests of this folder that only read it."""

from pathlib import Path

import pytest

import keras_bert as kb


@pytest.fixture(scope="session")
def model(tiny_checkpoint):
    """A trained classifier of three labels; tests must not change it."""
    return kb.BertClassifier.from_pretrained(str(tiny_checkpoint))


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory) -> Path:
    """The version folder of ``model``'s export, verified when it was written."""
    folder = tmp_path_factory.mktemp("saved_models")
    with pytest.MonkeyPatch.context() as patch:
        # The fresh process must not see what is on this one's path.
        decoy = tmp_path_factory.mktemp("decoy")
        (decoy / "tensorflow.py").write_text("raise ImportError('not this one')")
        patch.setenv("PYTHONPATH", str(decoy))
        return Path(kb.export.saved_model(model, folder / "reviews"))


@pytest.fixture(scope="session")
def texts() -> list:
    """Texts of all kinds that a server may be sent."""
    return [
        "I love this service",
        "",
        "Why was my card refused? " * 40,
        "naïve café, ÅNGSTRÖM",
        "我的卡 🙂",
        b"ill-formed \xff\xfe bytes",
        "question\x00 with [SEP] and\ttabs",
    ]
