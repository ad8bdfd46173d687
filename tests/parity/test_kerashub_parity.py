"""Presets against KerasHub itself; see fixtures/make/kerashub.py.

Both sides define numbers in all places, those of padding too: there as here padding is hidden as a
key and computed as a query, and positions count it.
"""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from tests.checkpoints.presets import CASES, WITH_TEXTS, arrays_of, texts_of, unpack
from tests.parity.comparison import INPUTS, TOLERANCE, off

MODELS = {"classifier": ("BertClassifier", "logits"), "masked_lm": ("BertMaskedLM", "masked_lm")}

pytestmark = [
    pytest.mark.filterwarnings("ignore:The model takes ids only"),
    pytest.mark.filterwarnings("ignore:The vocabulary has"),
]


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """(name, folder, inputs, expected outputs)."""
    arrays = arrays_of(request.param)
    inputs = {name: arrays.pop(name) for name in INPUTS}
    return request.param, unpack(request.param, tmp_path / "preset"), inputs, arrays


def test_all_cases_are_there():
    assert len(CASES) == 13 and len(WITH_TEXTS) == 6


def test_encoder(case):
    _, folder, inputs, expected = case
    outputs = kb.BertEncoder.from_pretrained(folder)(inputs)
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    assert (outputs["pooled_output"] is not None) == ("pooled_output" in expected)
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE


def test_task(case):
    name, folder, inputs, expected = case
    kind = next((kind for kind in MODELS if name.endswith(kind)), None)
    assert list(open_checkpoint(folder).heads) == ([kind] if kind else [])
    if kind is None:
        return
    model_class, output = MODELS[kind]
    model = getattr(kb, model_class).from_pretrained(folder)
    assert not model.head_is_fresh
    left = set(model.load_report.ignored.values())
    assert left <= {"state of the optimiser", "pooler, which this model has no use for"}
    assert off(model(inputs), expected[output]) <= TOLERANCE
    model.save(folder + ".keras")
    again = keras.saving.load_model(folder + ".keras")
    assert off(again(inputs), expected[output]) <= TOLERANCE


@pytest.mark.parametrize("name", WITH_TEXTS)
def test_texts(name, tmp_path):
    expected = texts_of(name)
    folder = unpack(name, tmp_path)
    checkpoint = open_checkpoint(folder)
    tokenizer = kb.Tokenizer.from_pretrained(folder)
    assert tokenizer.tokenize(expected["texts"]).to_list() == expected["ids"]
    assert tokenizer.pad_id == expected["pad_id"]
    assert checkpoint.seq_length == expected["sequence_length"]
    if "packed" not in expected:
        return
    left, right = (list(column) for column in zip(*expected["pairs"], strict=True))
    packed = kb.Preprocessor(tokenizer, seq_length=checkpoint.seq_length)((left, right))
    names = {
        "token_ids": "input_word_ids",
        "padding_mask": "input_mask",
        "segment_ids": "input_type_ids",
    }
    for theirs, values in expected["packed"].items():
        np.testing.assert_array_equal(packed[names[theirs]], values)
