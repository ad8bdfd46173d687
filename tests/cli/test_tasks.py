"""Every task through the command line: trained, scored, reported, asked."""

import json

import pytest

from keras_bert.cli.main import main

from .conftest import failure, run

WORDS = "".join(
    f"{word}\t{tag}\n" if word else "\n"
    for word, tag in [
        *[("my", "O"), ("card", "B-THING"), ("is", "O"), ("late", "O"), ("", "")],
        *[("the", "O"), ("bank", "B-PLACE"), ("service", "I-PLACE"), ("", "")],
        *[("great", "O"), ("food", "B-THING"), ("", "")],
    ]
)
QUESTIONS = json.dumps(
    {
        "data": [
            {
                "paragraphs": [
                    {
                        "context": "my card is late and the food is great",
                        "qas": [
                            {
                                "id": "1",
                                "question": "what is late?",
                                "answers": [{"text": "card", "answer_start": 3}],
                            },
                            {
                                "id": "2",
                                "question": "what is great?",
                                "answers": [{"text": "food", "answer_start": 24}],
                            },
                        ],
                    }
                ]
            }
        ]
    }
)
CHOICES = '{"prompt": "the food", "endings": ["is great", "is my card"], "label": 0}\n' * 4

#: Task → file, what it holds, arguments of train, scores, arguments of predict, a key of answers.
CASES = {
    "tagging": ("a.conll", WORDS, (), {"f1", "token_accuracy"}, ("my card",), "entities"),
    "question-answering": (
        *("a.json", QUESTIONS, (), {"exact_match", "f1"}),
        *(("--pair", "what is late?", "my card is late"), "start"),
    ),
    "regression": (
        *("a.csv", "sentence1,sentence2,score\na,b,1.5\nc,d,2.5\ne,f,0.5\n"),
        *(("--task", "regression"), {"pearson", "spearman", "mse"}),
        *(("--pair", "a", "b"), "value"),
    ),
    "multi-label": (
        *("a.csv", "text,labels\ngood food,x|y\nbad food,x\nthe card,\n"),
        *(("--task", "multi-label"), {"micro_f1", "macro_f1"}, ("good food",), "labels"),
    ),
    "multiple-choice": (
        *("a.jsonl", CHOICES, ("--task", "multiple-choice"), {"accuracy"}),
        *(("the food", "is great", "is my card", "is late"), "choice"),
    ),
    "similarity": (
        *("a.csv", "sentence1,sentence2,score\na,b,1\nc,d,0\ne,f,0.5\n"),
        *(("--task", "similarity"), {"pearson", "spearman"}, ("a", "b"), "embedding"),
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_checkpoint):
    """Task → the folder that train wrote, its data, and what it printed; each made once."""
    found = {}

    def make(task):
        if task not in found:
            name, content, arguments, *_ = CASES[task]
            folder = tmp_path_factory.mktemp(task)
            data = folder / name
            data.write_text(content, encoding="utf-8")
            code, out, err = run(
                *("train", "--from", tiny_checkpoint, "--train", data, "--validation", data),
                *("--output", folder / "run", "--epochs", 2, "--batch-size", 2, *arguments),
            )
            assert code == 0, err
            found[task] = folder / "run", data, out
        return found[task]

    return make


#: Minutes all together; what the others are made of is tested where it is.
QUICK = ("tagging",)


@pytest.mark.parametrize(
    "task", [*QUICK, *(pytest.param(t, marks=pytest.mark.slow) for t in CASES if t not in QUICK)]
)
@pytest.mark.filterwarnings("ignore")
def test_trained_scored_and_asked(made, task):
    folder, data, output = made(task)
    *_, scores, question, key = CASES[task]
    assert str(data) in output and "Epoch 2/2" in output
    history = json.loads((folder / "training.json").read_text())["history"]
    assert scores <= {name.removeprefix("val_") for name in history}
    code, out, err = run("evaluate", "--model", folder, "--data", data, "--json")
    assert code == 0, err
    assert scores <= set(json.loads(out.splitlines()[-1]))
    code, out, err = run("predict", "--model", folder, *question, "--json")
    assert code == 0, err
    assert key in json.loads(out.splitlines()[0])
    code, out, err = run("predict", "--model", folder, *question)
    assert code == 0 and out.strip(), err


@pytest.mark.parametrize(
    "task", ["tagging", pytest.param("question-answering", marks=pytest.mark.slow)]
)
@pytest.mark.filterwarnings("ignore")
def test_answers_to_a_file_of_the_task(made, task):
    folder, data, _ = made(task)
    code, out, err = run("predict", "--model", folder, "--input", data, "--json")
    assert code == 0, err
    texts = {"tagging": 3, "question-answering": 2}[task]
    assert len(out.splitlines()) == texts


@pytest.mark.filterwarnings("ignore")
def test_a_report(made, tmp_path):
    pytest.importorskip("matplotlib", reason="pages take matplotlib, which is an extra")
    folder, data, _ = made("tagging")
    page = tmp_path / "page.html"
    code, out, err = run("evaluate", "--model", folder, "--data", data, "--report", page)
    assert code == 0, err
    assert f"wrote {page}" in out
    assert "<html" in page.read_text(encoding="utf-8")


def test_data_of_another_task(tiny_checkpoint, data, tmp_path):
    line = failure(
        *("train", "--from", tiny_checkpoint, "--train", data, "--output", tmp_path / "out"),
        *("--task", "question-answering"),
    )
    assert "no data for question-answering" in line


@pytest.mark.parametrize("option", ["--patience", "--seeds"])
def test_what_needs_validation(tiny_checkpoint, data, tmp_path, capsys, option):
    arguments = ("train", "--from", tiny_checkpoint, "--train", data, "--output", tmp_path / "o")
    assert main([str(a) for a in (*arguments, option, 2)]) != 0
    assert f"{option} needs --validation" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_several_seeds_and_parts(tiny_checkpoint, data, tmp_path):
    code, out, err = run(
        *("train", "--from", tiny_checkpoint, "--train", data, "--validation", data),
        *("--output", tmp_path / "out", "--epochs", 1, "--seeds", 2, "--freeze", 1),
        *("--layer-decay", 0.9, "--accumulate", 2, "--class-weight", "balanced"),
    )
    assert code == 0, err
    assert "mean ± sd" in out
    assert (tmp_path / "out" / "model.keras").is_file()
