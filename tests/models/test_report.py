"""``model.report``: from labelled texts to a page that says what ``evaluate`` says."""

import re
import sys

import keras
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.models import UntrainedHeadWarning
from keras_bert.models.task import TaskModel
from tests.metrics.report.pages import read

LABELS = ["bad", "good"]
TEST = [("very good", "good"), ("a <i>day</i>", "bad"), ("a <i>day</i>", "good"), ("", "bad")]


@pytest.fixture(scope="module")
def model(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)
    model.head_is_fresh = False
    return model


def score_on(path, name):
    found = re.search(rf"<dt>{name}</dt><dd>([^<]*)</dd>", path.read_text("utf-8"))
    return float(found.group(1))


def test_page_says_what_evaluate_says(model, tmp_path):
    path = model.report(TEST, str(tmp_path / "report.html"))
    scores = model.evaluate(TEST, verbose=0)
    assert path == tmp_path / "report.html"
    assert score_on(path, "accuracy") == pytest.approx(scores["accuracy"], abs=1e-4)
    assert score_on(path, "macro-F1") == pytest.approx(scores["macro_f1"], abs=1e-4)
    assert score_on(path, "cross entropy") == pytest.approx(scores["loss"], abs=2e-4)
    text = read(path.read_text("utf-8")).text
    assert "BertClassifier" in text and "2 layers of width 32" in text
    assert "a <i>day</i>" in text  # whatever the model says, one of the two is an error


def test_forms_of_data(model, tmp_path):
    texts, labels = map(list, zip(*TEST, strict=True))
    expected = score_on(model.report(TEST, tmp_path / "a.html"), "accuracy")
    dataset = tf.data.Dataset.from_tensor_slices((texts, labels))
    (tmp_path / "test.csv").write_text("text,label\nvery good,good\nvery bad,bad\n")
    examples = kb.read_examples(str(tmp_path / "test.csv"))
    for x, y in ((texts, labels), (dataset, None), (dataset.batch(3), None)):
        assert score_on(model.report(x, tmp_path / "b.html", y), "accuracy") == expected
    page = model.report(examples, tmp_path / "c.html", batch_size=1).read_text("utf-8")
    assert "<title>BertClassifier on test.csv</title>" in page
    page = model.report(TEST, tmp_path / "d.html", title="Day & night").read_text("utf-8")
    assert "<title>Day &amp; night</title>" in page


def test_pairs_and_label_numbers(model, tmp_path):
    path = model.report([(("is it", "good"), 1), (("is it", "bad"), 0)], tmp_path / "pairs.html")
    assert "is it" in read(path.read_text("utf-8")).text


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([], ValueError, "no texts"),
        ([("a", "ugly")], ValueError, "Example 0 has the unknown label 'ugly'"),
        ([("a", "good"), (None, "bad")], TypeError, r"texts\[1\]"),
        (tf.data.Dataset.from_tensor_slices(["a"]), TypeError, "of .text, label."),
    ],
)
def test_bad_data(model, tmp_path, x, error, message):
    with pytest.raises(error, match=message):
        model.report(x, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_errors_come_before_the_predictions(model, tmp_path, monkeypatch):
    monkeypatch.setattr(TaskModel, "_answer_all", None)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.report(TEST, tmp_path / "no" / "report.html")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"keras-bert-garden\[report\]"):
        model.report(TEST, tmp_path / "report.html")


def test_a_task_without_sections_shows_its_scores(model, tmp_path, monkeypatch):
    monkeypatch.setattr(kb.BertClassifier, "report_sections", TaskModel.report_sections)
    monkeypatch.setattr(kb.BertClassifier, "scores", lambda *_: {"exact_match": 75.5})
    assert score_on(model.report(TEST, tmp_path / "report.html"), "exact match") == 75.5


def test_an_untrained_head_warns(tiny_checkpoint, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)
    with pytest.warns(UntrainedHeadWarning, match="BertClassifier.report"):
        model.report(TEST, tmp_path / "report.html")
