"""``keras-bert export``."""

import os

import pytest

from .conftest import failure, run


def test_a_verified_export(trained, quick, tmp_path):
    folder = tmp_path / "saved_models" / "tiny"
    code, out, err = run("export", "--model", trained.folder, "--output", folder)
    assert (code, err) == (0, "")
    wrote, verified, same_bits, serving = out.splitlines()
    assert same_bits.endswith("they are those of the functions written: yes")
    assert serving == "for TensorFlow Serving 2.12 and newer"
    assert wrote == f"wrote {folder / '1'}"
    assert verified.startswith("verified: answers of a fresh process equal the Keras model's (")
    assert "largest difference" in verified
    assert (folder / "1" / "saved_model.pb").is_file()
    assert run("export", "--model", trained.folder, "--output", folder, "--no-verify")[0] == 0
    assert sorted(os.listdir(folder)) == ["1", "2"]


def test_refused(trained, quick, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        message = failure("export", "--model", trained.folder, "--output", folder)
        assert "is a file" in message
    assert "names a version" in failure(
        "export", "--model", trained.folder, "--output", tmp_path / "name" / "3"
    )
    assert "there is no model at" in failure(
        "export", "--model", tmp_path / "none", "--output", tmp_path / "name"
    )
    assert os.listdir(tmp_path) == ["file"]


def test_a_litert_file(trained, quick, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="LiteRT's interpreter")
    path = tmp_path / "tiny.tflite"
    code, out, err = run(
        *("export", "--model", trained.folder, "--format", "litert", "--output", path),
        *("--evaluation", trained.data, "--max-drop", 0.2, "--lengths", 16),
    )
    assert (code, err) == (0, "")
    scores, wrote, *verified = out.splitlines()
    assert scores.startswith("accuracy 1.0000 -> ") and scores.endswith(" (dynamic_int8)")
    assert wrote.startswith(f"wrote {path} (") and wrote.endswith(" MB, dynamic_int8)")
    assert verified[0].startswith("verified: a fresh process without TensorFlow computes")
    assert verified[1].startswith("verified: texts become the ids of the model's tokenizer")
    assert os.listdir(tmp_path) == ["tiny.tflite"]


def test_options_of_the_other_format(trained, quick, tmp_path):
    path = tmp_path / "x"
    for options, message in (
        (["--quantize", "float16"], "--quantize: only with --format litert"),
        (["--format", "litert", "--version", 2], "a LiteRT file has no versions"),
        (["--format", "litert", "--weights", "constants"], "--weights: a LiteRT file has no"),
        (["--format", "litert", "--quantize", "int8"], "takes --calibration"),
    ):
        code, _, err = run("export", "--model", trained.folder, "--output", path, *options)
        assert code == 2 and message in err
    assert not os.listdir(tmp_path)
