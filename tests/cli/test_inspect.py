"""``keras-bert inspect``."""

from pathlib import Path

from .conftest import failure, run

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def test_a_checkpoint():
    code, out, err = run("inspect", FIXTURES / "google" / "albert")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == str(FIXTURES / "google" / "albert")
    assert "  family     albert" in lines
    assert (
        "  encoder    2 layers, hidden 24, embeddings 16, 2 heads, feed-forward 40, gelu_tanh"
        in lines
    )


def test_refused(tmp_path):
    assert "no checkpoint at" in failure("inspect", tmp_path / "none")
    assert "is no checkpoint folder" in failure("inspect", tmp_path)
