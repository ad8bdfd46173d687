"""A model trained once through the command line, for all tests of it."""

import contextlib
import dataclasses
import io
from pathlib import Path

import pytest

from keras_bert.cli import evaluate, export, predict
from keras_bert.cli.main import main
from keras_bert.cli.trained_model import load_model, model_file

ROWS = [
    ("where is my card?", "question"),
    ("how do I pay?", "question"),
    ("when will it be here?", "question"),
    ("the card is lost and late", "complaint"),
    ("this is the worst, bad service", "complaint"),
    ("never again, poor food", "complaint"),
    ("great service, thanks", "praise"),
    ("I love this bank, it is nice", "praise"),
    ("best movie of the year, great", "praise"),
]


@dataclasses.dataclass
class Trained:
    """The output folder of ``keras-bert train``, its data, and what it printed."""

    folder: Path
    data: Path
    output: str


def run(*arguments) -> tuple[int, str, str]:
    """Runs ``keras-bert``: exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def failure(*arguments) -> str:
    """Runs ``keras-bert``, which must fail with one line; returns that line."""
    code, _, err = run(*arguments)
    assert code == 1, err
    assert err.startswith("keras-bert: error: "), err
    assert err.count("\n") == 1 and err.endswith("\n"), err
    return err


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A labelled file that the tiny checkpoint learns by heart."""
    path = tmp_path_factory.mktemp("data") / "train.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS))
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny_checkpoint, data) -> Trained:
    """What ``keras-bert train`` leaves after learning ``data``."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "tiny"
    code, out, err = run(
        *("train", "--from", tiny_checkpoint, "--train", data, "--validation", data),
        *("--output", folder, "--epochs", 20, "--batch-size", 3, "--learning-rate", 5e-3),
    )
    assert code == 0, err
    return Trained(folder, data, out)


@pytest.fixture(scope="session")
def loaded(trained):
    """The trained model in memory."""
    return load_model(str(trained.folder), compile=True)


@pytest.fixture
def quick(monkeypatch, trained, loaded):
    """Spares ``evaluate`` and ``predict`` the seconds of loading the trained model again."""

    def load(path, **options):
        return loaded if model_file(path).parent == trained.folder else load_model(path, **options)

    for module in (evaluate, predict, export):
        monkeypatch.setattr(module, "load_model", load)
