"""Weights of transformers' TensorFlow classes; see fixtures/make/tensorflow_models.py."""

import json

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.huggingface.families import FAMILIES
from tests.checkpoints.test_tensorflow_weights import FOLDER, unpacked
from tests.parity.comparison import INPUTS, TOLERANCE, off

CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))
#: How the name of a class ends → the model that answers as it does.
MODELS = {
    "ForSequenceClassification": "BertClassifier",
    "ForTokenClassification": "BertTokenClassifier",
    "ForQuestionAnswering": "BertSpanLabeler",
    "ForMultipleChoice": "BertMultipleChoice",
    "ForMaskedLM": "BertMaskedLM",
    "ForPreTraining": "BertPretrainer",
    "ForNextSentencePrediction": "BertPretrainer",
}

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """(folder, class that saved it, inputs, expected outputs)."""
    folder = unpacked(request.param, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] not in FAMILIES:
        pytest.skip(f"{config['model_type']} is no family that is read")
    arrays = dict(np.load(FOLDER / request.param / "expected.npz"))
    inputs = {name: arrays.pop(name) for name in INPUTS}
    return folder, config["architectures"][0], inputs, arrays


def test_all_cases_are_there():
    assert len(CASES) == 30


def test_encoder(case):
    folder, _, inputs, expected = case
    outputs = kb.BertEncoder.from_pretrained(str(folder))(inputs)
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    assert (outputs["pooled_output"] is not None) == ("pooled_output" in expected)
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE


def test_head(case):
    folder, class_name, inputs, expected = case
    kinds = [kind for kind in MODELS if class_name.endswith(kind)]
    if not kinds:
        assert class_name.endswith("Model")
        return
    model = getattr(kb, MODELS[kinds[0]]).from_pretrained(str(folder))
    assert not model.load_report.fresh and not model.head_is_fresh
    if kinds == ["ForMultipleChoice"]:
        inputs = {name: rows[None] for name, rows in inputs.items()}
    outputs = model(inputs)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    wanted = {name: x for name, x in expected.items() if not name.endswith("_output")}
    if wanted.keys() == {"logits"}:
        (only,) = outputs
        outputs = {"logits": outputs[only]}
    assert outputs.keys() == wanted.keys()
    for name, theirs in wanted.items():
        assert off(outputs[name], theirs) <= TOLERANCE, name
