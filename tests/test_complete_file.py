"""Files that are either complete or not there."""

import os

import pytest

from keras_bert.complete_file import complete_file


def test_a_complete_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with complete_file(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".keras")
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with pytest.raises(error), complete_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.keras"]


def test_refused_places(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"), complete_file(tmp_path):
        pass
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        with complete_file(tmp_path / "none" / "a.txt"):
            pass
