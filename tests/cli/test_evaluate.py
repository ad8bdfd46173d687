"""``keras-bert evaluate``."""

import json

import pytest

from .conftest import failure, run


def test_scores(trained, data):
    code, out, err = run("evaluate", "--model", trained.folder, "--data", data)
    assert (code, err) == (0, "")
    scores = dict(line.split() for line in out.splitlines()[-4:])
    assert set(scores) == {"loss", "accuracy", "macro_f1", "matthews_correlation"}
    assert float(scores["accuracy"]) == 1.0
    assert out.startswith(f"{data}: 9 rows")


def test_json(trained, quick, data, tmp_path):
    changed = tmp_path / "data.jsonl"
    rows = [{"sentence": "where is my card?", "intent": label} for label in ("question", "praise")]
    changed.write_text("".join(json.dumps(row) + "\n" for row in rows) + "[]\n")
    arguments = ("--model", trained.folder / "model.keras", "--data", changed, "--json")
    assert "line 3: one JSON object per line" in failure("evaluate", *arguments)
    code, out, err = run("evaluate", *arguments, "--skip-bad-rows")
    assert code == 0
    scores = json.loads(out)
    assert (scores["accuracy"], scores["rows"], scores["skipped"]) == (0.5, 2, 1)
    assert err.count("\n") == 1


def test_unknown_labels(trained, quick, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,label\nhi,question\nhi,unheard of\n")
    message = failure("evaluate", "--model", trained.folder, "--data", path)
    assert f"{path}, line 3: unknown label 'unheard of'; the model knows 'complaint'" in message
    code, out, _ = run("evaluate", "--model", trained.folder, "--data", path, "--skip-bad-rows")
    assert code == 0
    assert "1 row," in out and "1 bad row skipped" in out


def test_pairs_for_a_model_of_single_texts(trained, quick, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("sentence1,sentence2,label\na,b,question\n")
    message = failure("evaluate", "--model", trained.folder, "--data", path)
    assert "has pairs of texts and the model takes single texts" in message
    arguments = ("--model", trained.folder, "--data", path, "--text-column", "sentence1", "--json")
    assert run("evaluate", *arguments)[0] == 0


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04 and then nothing"])
def test_damaged_models(tmp_path, data, content):
    (tmp_path / "model.keras").write_bytes(content)
    message = failure("evaluate", "--model", tmp_path, "--data", data)
    assert f"{tmp_path / 'model.keras'} cannot be loaded as a model" in message


def test_a_truncated_model(trained, tmp_path, data):
    whole = (trained.folder / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in failure("evaluate", "--model", tmp_path, "--data", data)


def test_a_model_of_another_kind(tmp_path, data):
    import keras

    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    message = failure("evaluate", "--model", path, "--data", data)
    assert "holds a Sequential, no task model of keras_bert" in message


def test_wrong_places(tmp_path, tiny_checkpoint, data):
    assert "there is no model at nowhere" in failure(
        "evaluate", "--model", "nowhere", "--data", data
    )
    assert "holds no model.keras; give the --output folder" in failure(
        "evaluate", "--model", tmp_path, "--data", data
    )
    message = failure("evaluate", "--model", tiny_checkpoint, "--data", data)
    assert f"keras-bert train --from {tiny_checkpoint}" in message
    assert "is no .keras file" in failure("evaluate", "--model", data, "--data", data)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    assert "--saved-model" in failure("evaluate", "--model", tmp_path, "--data", data)
