"""ask.py: alone, without keras_bert."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert.export import ask

# The texts of these tests are too long on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")

SCRIPT = Path(ask.__file__)

# Runs ask.py by its path, then says what has been imported.
WATCHED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    code = end.code
print([name for name in sys.modules if name.startswith("keras_bert")], code, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def loaded(exported):
    return ask.load(str(exported))


def test_the_script_asks_in_a_process_that_has_never_heard_of_keras_bert(exported, model, texts):
    arguments = [text.encode() if isinstance(text, str) else text for text in texts]
    arguments = [text for text in arguments if b"\0" not in text]
    command = [sys.executable, "-I", "-c", WATCHED, SCRIPT, exported.parent, "--json", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, cwd="/")
    assert done.stderr.splitlines()[-1] == b"[] 0"
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer, wanted in zip(answers, model.predict(arguments), strict=True):
        assert answer["label"] == wanted["label"]
        assert answer["probability"] == pytest.approx(wanted["probability"], abs=1e-5)
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)


def test_lines_for_people(exported, model, capsys, monkeypatch):
    texts = ["I love this", "why\nis it \x1b[31mred? " + "very " * 40]
    assert ask.main([str(exported), *texts]) == 0
    first, second = capsys.readouterr().out.splitlines()
    wanted = model.predict(texts)
    width = max(len(answer["label"]) for answer in wanted)
    assert first == f"{wanted[0]['probability']:.3f}  {wanted[0]['label']:<{width}}   I love this"
    assert "why is it \ufffd[31mred? very" in second and second.endswith("…")
    monkeypatch.setattr("sys.stdin", iter([f"{texts[0]}\n"]))
    assert ask.main([str(exported)]) == 0
    assert capsys.readouterr().out.endswith("   I love this\n")


def test_the_order_and_types_of_answers(loaded, model, texts):
    many = texts * 3
    answers = ask.ask(loaded, many, batch_size=4)
    for answer, wanted in zip(answers, model.predict(many), strict=True):
        assert answer["label"] == wanted["label"]
        assert type(answer["label"]) is str and type(answer["probability"]) is float
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
    assert ask.ask(loaded, []) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["good", None], r"texts\[1\] must be a text; received None"),
        ([3.5], r"texts\[0\] must be a text; received 3.5"),
        ([("a", "b")], r"texts\[0\] must be a text"),
        ("one text", "must be a list"),
    ],
)
def test_what_is_no_text(loaded, texts, message):
    with pytest.raises(TypeError, match=message):
        ask.ask(loaded, texts)


def test_unknown_signatures_and_inputs(loaded):
    with pytest.raises(ValueError, match=r"'regress'.*'serving_default', 'tokens'"):
        ask.call(loaded, {"text": ["a"]}, "regress")
    with pytest.raises(ValueError, match=r"takes \['text'\]; received \['texts'\]"):
        ask.call(loaded, {"texts": ["a"]})


def test_the_highest_version_is_asked(tmp_path):
    for name in ("2", "10", "9", "11", ".tmp-12", "latest"):
        (tmp_path / name).mkdir()
        if name != "11":  # A folder with nothing in it is no version.
            (tmp_path / name / "saved_model.pb").write_bytes(b"")
    assert ask.find_version(tmp_path) == str(tmp_path / "10")
    assert ask.find_version(tmp_path / "9") == str(tmp_path / "9")


def test_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "1").mkdir()
    for path in (tmp_path, tmp_path / "none"):
        assert ask.main([str(path), "text"]) == 1
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no graph")
    assert ask.main([str(tmp_path), "text"]) == 1
    lines = capsys.readouterr().err.splitlines()
    starts = [
        f"error: {str(tmp_path)!r} is no exported",
        "error: There is no",
        "error: Cannot load",
    ]
    for start in starts:
        assert any(line.startswith(start) for line in lines)


def test_exact_values_survive_the_answers_file(loaded, tmp_path):
    requests = [
        {"signature_name": "serving_default", "inputs": {"text": ["a", {"b64": "/w=="}]}},
        {"signature_name": "serving_default", "inputs": {"text": []}},
    ]
    (tmp_path / "in.json").write_text(json.dumps(requests))
    arguments = ["--requests", str(tmp_path / "in.json"), str(tmp_path / "out.json")]
    assert ask.main([loaded.path, *arguments]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert {"tensorflow", "tensorflow_text"} <= set(result["modules"])
    wanted = ask.call(loaded, {"text": [b"a", b"\xff"]})
    full, none = (answer["probabilities"] for answer in result["answers"])
    values = np.array(full["values"], full["dtype"]).reshape(full["shape"])
    np.testing.assert_array_equal(values, wanted["probabilities"])
    assert none == {"dtype": "float32", "shape": [0, 3], "values": []}
