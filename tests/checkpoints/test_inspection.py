from pathlib import Path

import pytest

import keras_bert as kb

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def test_hugging_face_classifier():
    found = kb.checkpoints.inspect(str(FIXTURES / "classifier" / "three_labels"))
    assert (found.format, found.family) == ("Hugging Face", "bert")
    assert found.labels == ["question", "complaint", "praise"]
    assert found.tokenizer == "WordPieceTokenizer, 220 tokens"
    # 220 + 64 + 2 rows, two LayerNorms and four matrices in each of 2 blocks, pooler, head.
    model = kb.BertClassifier.from_pretrained(str(FIXTURES / "classifier" / "three_labels"))
    assert found.parameters == model.encoder.count_params() + model.head.count_params()
    assert found.heads == ["classifier"]
    assert "  labels     question, complaint, praise\n" in str(found)
    assert f"  parameters {found.parameters:,}\n" in str(found)


def test_what_is_left_out_is_said():
    found = kb.checkpoints.inspect(str(FIXTURES / "google" / "bert"))
    assert (found.format, found.family, found.labels) == ("Google TensorFlow 1", "bert", None)
    assert found.tokenizer.startswith("none: ")
    assert found.heads == ["masked_lm", "next_sentence"]
    assert "    global_step: state of the optimiser" in str(found).splitlines()
    assert len(found.report.loaded) + len(found.report.ignored) == 49


@pytest.mark.parametrize("name", ["roberta", "electra", "albert_groups", "distilbert_masked_lm"])
def test_families(name):
    found = kb.checkpoints.inspect(str(FIXTURES / "families" / name))
    assert found.family == name.split("_")[0]
    assert (found.labels is None) == ("_" in name)


def test_own_files(tmp_path):
    model = kb.BertClassifier.from_pretrained(str(FIXTURES / "classifier" / "three_labels"))
    model.save(tmp_path / "model.keras")
    found = kb.checkpoints.inspect(str(tmp_path))
    assert (found.format, found.family) == ("keras_bert", "BertClassifier")
    assert found.labels == model.labels
    assert found.parameters == model.encoder.count_params() + model.head.count_params()
