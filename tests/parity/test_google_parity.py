"""TensorFlow 1 checkpoints against Google's own code; see fixtures/make/google_checkpoints.py."""

from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints import open_checkpoint
from keras_bert.layers import ClassificationHead
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "google"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/expected.npz"))


def read(name):
    """(inputs, expected outputs)."""
    arrays = dict(np.load(FOLDER / name / "expected.npz"))
    return {name: arrays.pop(name) for name in INPUTS}, arrays


def test_all_cases_are_there():
    assert CASES == ["albert", "albert_groups", "bert", "bert_classifier", "electra"]


@pytest.mark.parametrize("name", CASES)
def test_encoder(name):
    inputs, expected = read(name)
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / name))
    outputs = encoder(inputs)
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    assert off(outputs["encoder_outputs"], expected["encoder_outputs"]) <= TOLERANCE
    assert (outputs["pooled_output"] is not None) == ("pooled_output" in expected)
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE


def test_classifier():
    inputs, expected = read("bert_classifier")
    checkpoint = open_checkpoint(str(FOLDER / "bert_classifier"))
    assert checkpoint.labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
    encoder, head = kb.BertEncoder(checkpoint.config), ClassificationHead(3)
    head.build((None, checkpoint.config.hidden_size))
    report = checkpoint.load_classifier(encoder, head)
    assert not report.fresh and not report.ignored
    assert off(head(encoder(inputs)["pooled_output"]), expected["logits"]) <= TOLERANCE
