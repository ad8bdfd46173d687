"""SavedModels of TF Hub against TF Model Garden's own export; see fixtures/make/garden.py."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "tf_hub"


@pytest.fixture(scope="module", params=["encoder", "masked_lm"])
def case(request, tmp_path_factory):
    """(name, folder, inputs, expected outputs)."""
    folder = tmp_path_factory.mktemp(request.param) / "1"
    with tarfile.open(FOLDER / f"{request.param}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    arrays = dict(np.load(FOLDER / f"{request.param}.npz"))
    return request.param, str(folder), {name: arrays.pop(name) for name in INPUTS}, arrays


def test_encoder(case):
    _, folder, inputs, expected = case
    outputs = kb.BertEncoder.from_pretrained(folder)(inputs)
    for output in ("sequence_output", "pooled_output", "encoder_outputs"):
        assert off(outputs[output], expected[output]) <= TOLERANCE, output


def test_masked_lm(case):
    name, folder, inputs, expected = case
    model = kb.BertMaskedLM.from_pretrained(folder)
    assert model.head_is_fresh == (name == "encoder")
    if name == "masked_lm":
        inputs = {**inputs, "masked_lm_positions": expected["masked_lm_positions"]}
        assert off(model(inputs), expected["masked_lm"]) <= TOLERANCE


def test_tokenizer(case):
    name, folder, _, _ = case
    model = kb.BertClassifier.from_pretrained(folder, labels=["bad", "good"])
    tokens = model.preprocessor.tokenizer.tokenize(["A"]).to_list()
    # "a" is known, "A" is not.
    assert tokens == ([[5]] if name == "masked_lm" else [[1]])
