"""XLNet against Hugging Face PyTorch; see fixtures/make/xlnet.py."""

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "xlnet"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
ALL_INPUTS = (*INPUTS, "permutation_mask", "target_mapping", "memory")
#: Ours → theirs, which begin with the embeddings' output where `True`.
OUTPUTS = {
    "sequence_output": ("sequence_output", False),
    "encoder_outputs": ("hidden_states", True),
    "attention_scores": ("attentions", False),
    "query_output": ("query_output", False),
    "query_outputs": ("query_hidden_states", True),
    "query_attention_scores": ("query_attentions", False),
    "memory": ("new_memory", False),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """(encoder, inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / request.param / "expected.npz"))
    inputs = {name: arrays.pop(name) for name in ALL_INPUTS if name in arrays}
    # The common name: whatever a folder holds, it gives the right encoder.
    return kb.BertEncoder.from_pretrained(str(FOLDER / request.param)), inputs, arrays


def test_all_cases_are_there():
    assert len(CASES) == 13


def test_encoder(case):
    encoder, inputs, expected = case
    assert isinstance(encoder, kb.XLNetEncoder)
    outputs = encoder(inputs, return_attention_scores=True, return_memory=True)
    assert outputs.pop("pooled_output") is None
    if "target_mapping" in inputs:
        # Theirs gives the query stream in its place; every block of it is compared.
        outputs.pop("sequence_output")
    for ours, value in outputs.items():
        theirs, has_embeddings = OUTPUTS[ours]
        assert off(value, expected[theirs][int(has_embeddings) :]) <= TOLERANCE, ours
    assert {theirs for theirs, _ in OUTPUTS.values()} & set(expected) == {
        OUTPUTS[ours][0] for ours in outputs
    }


def test_ids_alone(case):
    encoder, inputs, expected = case
    output = encoder(inputs["input_word_ids"])["sequence_output"]
    assert off(output, expected["plain_output"]) <= TOLERANCE


def test_what_a_classifier_reads(case):
    encoder, inputs, expected = case
    if "target_mapping" in inputs:
        with pytest.raises(ValueError, match="first_token_only=True is for classifiers"):
            encoder(inputs, first_token_only=True)
        return
    place = slice(0, 1) if encoder.config.classifier_pooling == "first" else slice(-1, None)
    if encoder.config.classifier_pooling == "mean_with_padding":
        outputs = encoder(inputs, first_token_only=True)
        mean = expected["sequence_output"].mean(axis=1, keepdims=True)
        assert off(outputs["sequence_output"], mean) <= TOLERANCE
        return
    outputs = encoder(inputs, first_token_only=True, return_attention_scores=True)
    assert off(outputs["sequence_output"], expected["sequence_output"][:, place]) <= TOLERANCE
    last = expected["attentions"][-1][:, :, place]
    assert off(outputs["attention_scores"][-1], last) <= TOLERANCE


#: Case → the model that answers it.
MODELS = {
    "classifier": "BertClassifier",
    "classifier_first": "BertClassifier",
    "classifier_mean": "BertClassifier",
    "token_classifier": "BertTokenClassifier",
    "multiple_choice": "BertMultipleChoice",
    "span_labeler": "BertSpanLabeler",
    "masked_lm": "BertMaskedLM",
    "causal_lm": "BertMaskedLM",
}


@pytest.mark.filterwarnings("ignore:The model takes ids only")
@pytest.mark.parametrize("name", MODELS)
def test_heads(name, tmp_path):
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    inputs = {key: arrays[key] for key in ALL_INPUTS if key in arrays}
    if name == "multiple_choice":
        inputs = {key: ids.reshape(-1, 2, ids.shape[-1]) for key, ids in inputs.items()}
    model = getattr(kb, MODELS[name]).from_pretrained(str(FOLDER / name))
    report = model.load_report
    assert not report.fresh and not report.ignored and not model.head_is_fresh
    expected = {key: arrays[key] for key in arrays if key.endswith("logits")}
    check(model(inputs), expected)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.encoder.config == model.encoder.config
    check(again(inputs), expected)
    check(type(model).from_pretrained(str(tmp_path))(inputs), expected)


def check(outputs, expected):
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    assert outputs.keys() == expected.keys()
    for name, theirs in expected.items():
        assert off(outputs[name], theirs) <= TOLERANCE, name
