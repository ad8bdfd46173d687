"""DualEncoder against sentence-transformers; see fixtures/make/sentence_transformers_models.py."""

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from tests.parity.comparison import INPUTS, TOLERANCE, off

CASES = ["mean", "joined", "weighted", "dense"]


@pytest.fixture(params=CASES)
def folder(request, fixtures):
    return fixtures / "sentence_transformers" / request.param


@pytest.fixture
def expected(folder):
    return dict(np.load(folder / "expected.npz"))


def embeddings(model, expected):
    return model({name: expected[name] for name in INPUTS})


def test_ids(folder, expected):
    model = kb.DualEncoder.from_pretrained(str(folder))
    assert off(embeddings(model, expected), expected["embeddings"]) <= TOLERANCE
    assert set(model.load_report.ignored) <= {"pooler.dense.weight", "pooler.dense.bias"}
    assert not model.load_report.fresh and not model.head_is_fresh


def test_texts(folder, expected):
    model = kb.DualEncoder.from_pretrained(str(folder))
    with pytest.warns(TruncationWarning, match="1 of 5 texts .* seq_length=24"):
        found = model.encode(expected["texts"].tolist(), batch_size=2)
    assert off(found, expected["text_embeddings"]) <= TOLERANCE


def test_written_and_read_again(folder, expected, tmp_path):
    kb.DualEncoder.from_pretrained(str(folder)).save_pretrained(tmp_path / "again")
    model = kb.DualEncoder.from_pretrained(str(tmp_path / "again"), verify=True)
    assert off(embeddings(model, expected), expected["embeddings"]) <= TOLERANCE
    assert set(model.load_report.parity) == {"sequence_output", "embeddings"}
    assert model.preprocessor.seq_length == 24


def test_saved_by_keras(folder, expected, tmp_path):
    kb.DualEncoder.from_pretrained(str(folder)).save(tmp_path / "model.keras")
    model = kb.DualEncoder.from_pretrained(str(tmp_path))
    assert off(embeddings(model, expected), expected["embeddings"]) <= TOLERANCE
    model.save_pretrained(tmp_path / "again")
