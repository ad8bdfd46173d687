"""ModernBERT against Hugging Face PyTorch; see fixtures/make/modernbert.py."""

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import inspect
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "modernbert"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
#: Case with a head → (the model that answers it, the kind of its head).
HEADS = {
    "masked_lm": ("BertMaskedLM", "masked_lm"),
    "masked_lm_bare": ("BertMaskedLM", "masked_lm"),
    "classifier": ("BertClassifier", "classifier"),
    "classifier_mean": ("BertClassifier", "classifier"),
    "older_config": ("BertClassifier", "classifier"),
    "token_classifier": ("BertTokenClassifier", "token_classifier"),
    "span_labeler": ("BertSpanLabeler", "span_labeler"),
    "multiple_choice": ("BertMultipleChoice", "multiple_choice"),
}

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """(encoder, inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / request.param / "expected.npz"))
    inputs = {name: arrays.pop(name) for name in INPUTS}
    # The common name: whatever a folder holds, it gives the right encoder.
    return kb.BertEncoder.from_pretrained(str(FOLDER / request.param)), inputs, arrays


def test_all_cases_are_there():
    assert len(CASES) == 9


def test_encoder(case):
    encoder, inputs, expected = case
    assert isinstance(encoder, kb.ModernBertEncoder)
    outputs = encoder(inputs, return_attention_scores=True)
    assert outputs["pooled_output"] is None
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    # Theirs begin with the embeddings' output.
    assert off(outputs["encoder_outputs"], expected["hidden_states"][1:]) <= TOLERANCE
    assert off(outputs["attention_scores"], expected["attentions"]) <= TOLERANCE


def test_first_token_alone(case):
    encoder, inputs, expected = case
    outputs = encoder(inputs, first_token_only=True, return_attention_scores=True)
    assert off(outputs["sequence_output"], expected["sequence_output"][:, :1]) <= TOLERANCE
    last = expected["attentions"][-1][:, :, :1]
    assert off(outputs["attention_scores"][-1], last) <= TOLERANCE


def check_head(model, inputs, expected):
    if isinstance(model, kb.BertMultipleChoice):
        # The rows of the batch are the choices of one question.
        inputs = {name: ids[None] for name, ids in inputs.items()}
    outputs = model(inputs)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    for name, ours in outputs.items():
        assert off(ours, expected[name]) <= TOLERANCE, name


@pytest.mark.parametrize("name", HEADS)
def test_head(name, tmp_path):
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    inputs = {key: arrays.pop(key) for key in INPUTS}
    model_class = getattr(kb, HEADS[name][0])
    model = model_class.from_pretrained(str(FOLDER / name))
    assert not model.load_report.fresh and not model.load_report.ignored
    check_head(model, inputs, arrays)
    model.save(tmp_path / "model.keras")
    check_head(keras.saving.load_model(tmp_path / "model.keras"), inputs, arrays)
    check_head(model_class.from_pretrained(str(tmp_path)), inputs, arrays)


@pytest.mark.parametrize("name", CASES)
def test_inspection(name):
    found = inspect(str(FOLDER / name))
    assert found.family == "modernbert" and not found.report.ignored
    assert found.heads == ([HEADS[name][1]] if name in HEADS else [])
    assert "ModernBertConfig" in repr(found.config)
    assert "2 heads" in str(found) or "3 heads" in str(found) or "4 heads" in str(found)
