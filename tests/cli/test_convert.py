"""``keras-bert convert``."""

from pathlib import Path

import keras_bert as kb

from .conftest import failure, run

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def test_a_checkpoint(tmp_path):
    source, target = FIXTURES / "google" / "albert", tmp_path / "albert"
    code, out, err = run("convert", source, target)
    assert code == 0
    assert "takes ids only" not in err
    lines = out.splitlines()
    assert lines[0].startswith(f"{source}: 32 tensors loaded, 3 ignored")
    assert "  masked_lm: differs by 0 at most" in lines
    assert kb.BertPretrainer.from_pretrained(str(target), verify=True).load_report.parity


def test_help_names_all_formats():
    code, out, _ = run("convert", "--help")
    assert code == 0
    for name in kb.checkpoints.FORMATS:
        assert name in out


def test_refused(tmp_path):
    source = FIXTURES / "google" / "albert"
    assert "no checkpoint at" in failure("convert", tmp_path / "none", tmp_path / "new")
    assert "format='onnx' is unknown" in failure(
        "convert", source, tmp_path / "new", "--format", "onnx"
    )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    assert "holds something already" in failure("convert", source, tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
