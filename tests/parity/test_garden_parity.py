"""TF Model Garden's checkpoints against its own code; see fixtures/make/garden.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "garden"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
#: No config: the activation is guessed, and a warning says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*neither bert_config.json nor params.yaml")


def read(name):
    """(inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    return {name: arrays.pop(name) for name in INPUTS}, arrays


def test_all_cases_are_there():
    assert CASES == [
        "classifier",
        "classifier_own_pooler",
        "encoder",
        "encoder_v2",
        "pretrainer",
        "pretrainer_items",
        "pretrainer_v1",
        "span_labeler",
        "token_classifier",
    ]


@pytest.mark.parametrize("name", CASES)
def test_encoder(name):
    inputs, expected = read(name)
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / name))
    outputs = encoder(inputs)
    for output in ("sequence_output", "pooled_output", "encoder_outputs"):
        assert off(outputs[output], expected[output]) <= TOLERANCE, output


@pytest.mark.parametrize(
    "name, model_class",
    [
        ("classifier", kb.BertClassifier),
        ("classifier_own_pooler", kb.BertClassifier),
        ("pretrainer", kb.BertPretrainer),
        ("pretrainer_items", kb.BertMaskedLM),
        ("pretrainer_v1", kb.BertPretrainer),
        ("span_labeler", kb.BertSpanLabeler),
        ("token_classifier", kb.BertTokenClassifier),
    ],
)
@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_heads(name, model_class):
    inputs, expected = read(name)
    model = model_class.from_pretrained(str(FOLDER / name))
    assert not model.load_report.fresh and not model.head_is_fresh
    if "masked_lm" in expected:
        inputs["masked_lm_positions"] = expected["masked_lm_positions"]
    outputs = model(inputs)
    only = "masked_lm" if model_class is kb.BertMaskedLM else "logits"
    outputs = outputs if isinstance(outputs, dict) else {only: outputs}
    for key, ours in outputs.items():
        assert off(ours, expected[key]) <= TOLERANCE, key
