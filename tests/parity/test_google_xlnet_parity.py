"""XLNet's TensorFlow 1 checkpoints against its own code; see fixtures/make/google_xlnet.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "google_xlnet"


def read(name):
    """(inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    names = (*INPUTS, "permutation_mask", "target_mapping")
    return {name: arrays.pop(name) for name in names if name in arrays}, arrays


def test_encoder():
    inputs, expected = read("classifier")
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / "classifier"))
    assert isinstance(encoder, kb.XLNetEncoder)
    assert off(encoder(inputs)["sequence_output"], expected["output"]) <= TOLERANCE


def test_biases_that_the_layers_share():
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / "classifier"))
    first, second = (block.attention for block in encoder.blocks)
    for name in ("content_bias", "position_bias", "segment_bias"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert np.abs(first.segment_vectors - second.segment_vectors).max() > 0.1


def test_query_stream():
    inputs, expected = read("pretraining")
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / "pretraining"))
    assert off(encoder(inputs)["query_output"], expected["output"]) <= TOLERANCE


@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_language_model():
    inputs, expected = read("pretraining")
    model = kb.BertMaskedLM.from_pretrained(str(FOLDER / "pretraining"))
    report = model.load_report
    assert not report.fresh and set(report.ignored.values()) == {"state of the optimiser"}
    logits = np.asarray(model(inputs))
    assert logits.shape == (*expected["targets"].shape, 41)
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    found = -np.take_along_axis(scores, expected["targets"][..., None], axis=-1)[..., 0]
    assert off(found, expected["losses"]) <= TOLERANCE


@pytest.mark.filterwarnings("ignore:The model takes ids only")
def test_classifier():
    inputs, expected = read("classifier")
    model = kb.BertClassifier.from_pretrained(str(FOLDER / "classifier"))
    # Fine-tuned models have lost what the query stream begins with.
    assert model.load_report.fresh == ["embeddings.query_embedding"]
    assert np.asarray(model.encoder.embeddings.query_embedding).std() > 0
    assert not model.head_is_fresh
    assert off(model(inputs), expected["logits"]) <= TOLERANCE
