"""``keras-bert serve``: wrong usage in one line; the server itself is in tests/serving."""

import pytest

from .conftest import failure, run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give FOLDER, --model or --models-config"),
        (["f", "--port", "70000"], "expected a port, 0 to 65535"),
        (["f", "--model", "name"], "expected NAME=FOLDER"),
        (["f", "--model", "a/b=c"], "expected NAME=FOLDER"),
        (["f", "--timeout-seconds", "0"], "expected a number above 0"),
        (["f", "--max-request-mb", "inf"], "expected a number above 0"),
    ],
)
def test_wrong_usage(arguments, message):
    code, _, err = run("serve", *arguments)
    assert code == 2
    assert message in err


def test_what_cannot_be_served(tmp_path):
    assert "There is no folder" in failure("serve", tmp_path / "none")
    assert "There is no folder" in failure("serve", "--model", f"a={tmp_path / 'none'}")
    (tmp_path / "saved_model.pb").touch()
    assert "is one version of a model" in failure("serve", tmp_path)
    broken = tmp_path / "config"
    broken.write_text("nonsense")
    assert "is no batching config" in failure("serve", tmp_path.parent, "--batching-config", broken)
    assert "is no models config" in failure("serve", "--models-config", broken)


def test_it_says_what_it_is_not():
    code, out, _ = run("serve", "--help")
    assert code == 0
    assert "In production use TF Serving" in out
