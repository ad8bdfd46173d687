"""MobileBERT against Hugging Face PyTorch; see fixtures/make/mobile_bert.py."""

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "mobile_bert"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
#: Case → the model that answers it.
MODELS = {
    "classifier": "BertClassifier",
    "masked_lm": "BertMaskedLM",
    "masked_lm_untied": "BertMaskedLM",
    "multiple_choice": "BertMultipleChoice",
    "next_sentence": "BertPretrainer",
    "pretraining": "BertPretrainer",
    "span_labeler": "BertSpanLabeler",
    "token_classifier": "BertTokenClassifier",
}
OF_HEADS = ("logits", "masked_lm", "next_sentence", "start_logits", "end_logits")


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
    assert len(CASES) == 10


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


def check(outputs, expected):
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    theirs = {name: expected[name] for name in OF_HEADS if name in expected}
    assert outputs.keys() == theirs.keys()
    for name in theirs:
        assert off(outputs[name], theirs[name]) <= TOLERANCE, name


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_heads(name, tmp_path):
    expected = dict(np.load(FOLDER / name / "expected.npz"))
    inputs = {key: expected.pop(key) for key in INPUTS}
    if name == "multiple_choice":
        inputs = {key: ids[None] for key, ids in inputs.items()}
    model = getattr(kb, MODELS[name]).from_pretrained(str(FOLDER / name))
    assert not model.load_report.fresh and not model.head_is_fresh
    unused = ("embedding_transformation", "bottleneck.attention", "cls.predictions")
    assert all(any(part in left for part in unused) for left in model.load_report.ignored)
    check(model(inputs), expected)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.encoder.config == model.encoder.config
    check(again(inputs), expected)
