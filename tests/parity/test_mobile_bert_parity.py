"""MobileBERT against Hugging Face PyTorch; see fixtures/make/mobile_bert.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "mobile_bert"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """(name, encoder, inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / request.param / "expected.npz"))
    inputs = {name: arrays.pop(name) for name in INPUTS}
    return (
        request.param,
        kb.BertEncoder.from_pretrained(str(FOLDER / request.param)),
        inputs,
        arrays,
    )


def test_all_cases_are_there():
    assert len(CASES) == 9


def test_encoder(case):
    _, encoder, inputs, expected = case
    outputs = encoder(inputs, return_attention_scores=True)
    # Theirs begin with the embeddings' output.
    assert off(outputs["encoder_outputs"], expected["hidden_states"][1:]) <= TOLERANCE
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    assert off(outputs["attention_scores"], expected["attentions"]) <= TOLERANCE
    assert (outputs["pooled_output"] is not None) == ("pooled_output" in expected)
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE


def test_embeddings(case):
    _, encoder, inputs, expected = case
    found = encoder.embeddings(inputs["input_word_ids"], inputs["input_type_ids"])
    assert off(found, expected["hidden_states"][0]) <= TOLERANCE


def test_first_token_alone(case):
    _, encoder, inputs, expected = case
    outputs = encoder(inputs, first_token_only=True, return_attention_scores=True)
    assert off(outputs["sequence_output"], expected["sequence_output"][:, :1]) <= TOLERANCE
    last = expected["attentions"][-1][:, :, :1]
    assert off(outputs["attention_scores"][-1], last) <= TOLERANCE
