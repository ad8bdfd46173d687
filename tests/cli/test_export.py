"""``keras-bert export``."""

import os

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
