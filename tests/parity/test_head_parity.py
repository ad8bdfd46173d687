"""Every head of every family against Hugging Face PyTorch; see fixtures/make/heads.py."""

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "heads"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
#: How a case's name ends → the model that answers it.
MODELS = {
    "maskedlm": "BertMaskedLM",
    "maskedlm_untied": "BertMaskedLM",
    "tokenclassification": "BertTokenClassifier",
    "questionanswering": "BertSpanLabeler",
    "multiplechoice": "BertMultipleChoice",
    "pretraining": "BertPretrainer",
    "nextsentenceprediction": "BertPretrainer",
}

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


def read(name):
    """(model, inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    kind = next(kind for kind in sorted(MODELS, key=len) if name.endswith(kind))
    model = getattr(kb, MODELS[kind]).from_pretrained(str(FOLDER / name))
    return model, {key: arrays.pop(key) for key in INPUTS}, arrays


def check(outputs, expected):
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    assert outputs.keys() == expected.keys()
    for name, theirs in expected.items():
        assert off(outputs[name], theirs) <= TOLERANCE, name


def test_all_cases_are_there():
    assert len(CASES) == 37


@pytest.mark.parametrize("name", CASES)
def test_outputs(name, tmp_path):
    model, inputs, expected = read(name)
    report = model.load_report
    assert not report.fresh and not model.head_is_fresh
    # Nothing of the checkpoint is left but what its class holds and does not use.
    assert all("pooler" in left or "bias" in left for left in report.ignored), report
    check(model(inputs), expected)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model) and not again.head_is_fresh
    check(again(inputs), expected)
    check(type(model).from_pretrained(str(tmp_path))(inputs), expected)


def test_some_places_of_a_masked_lm():
    model, inputs, expected = read("bert_maskedlm")
    places = np.array([[3, 1], [0, 5], [1, 1]], np.int32)
    logits = model({**inputs, "masked_lm_positions": places})
    theirs = np.take_along_axis(expected["logits"], places[..., None], axis=1)
    assert off(logits, theirs) <= TOLERANCE
    model, inputs, expected = read("bert_pretraining")
    outputs = model({**inputs, "masked_lm_positions": places})
    theirs = np.take_along_axis(expected["masked_lm"], places[..., None], axis=1)
    assert off(outputs["masked_lm"], theirs) <= TOLERANCE
    assert off(outputs["next_sentence"], expected["next_sentence"]) <= TOLERANCE
