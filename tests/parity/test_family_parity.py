"""BERT's relatives against Hugging Face PyTorch; see fixtures/make/families.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "families"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
WITH_POOLER = {"roberta_model", "albert", "albert_groups"}
CLASSIFIERS = {"roberta", "xlm_roberta", "camembert", "electra", "albert", "distilbert"}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """(name, inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / request.param / "expected.npz"))
    inputs = {name: arrays.pop(name) for name in INPUTS}
    return request.param, inputs, arrays


def test_all_cases_are_there():
    assert len(CASES) == 13
    assert set(CASES) >= WITH_POOLER | CLASSIFIERS


def test_encoder(case):
    name, inputs, expected = case
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / name))
    outputs = encoder(inputs, return_attention_scores=True)
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    assert (outputs["pooled_output"] is not None) == (name in WITH_POOLER)
    if name in WITH_POOLER:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE
    # Theirs begin with the embeddings' output.
    assert off(outputs["encoder_outputs"], expected["hidden_states"][1:]) <= TOLERANCE
    assert off(outputs["attention_scores"], expected["attentions"]) <= TOLERANCE


def test_first_token_alone(case):
    name, inputs, expected = case
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / name))
    outputs = encoder(inputs, first_token_only=True)
    assert off(outputs["sequence_output"], expected["sequence_output"][:, :1]) <= TOLERANCE


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_classifier(name):
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    inputs = {name: arrays.pop(name) for name in INPUTS}
    model = kb.BertClassifier.from_pretrained(str(FOLDER / name))
    assert model.labels == [f"LABEL_{i}" for i in range(arrays["logits"].shape[1])]
    assert not model.load_report.fresh and not model.load_report.ignored
    assert off(model(inputs), arrays["logits"]) <= TOLERANCE
