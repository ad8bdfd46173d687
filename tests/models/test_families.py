"""A classifier on each family: from text to answers, trained, saved and exported."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from keras import saving

import keras_bert as kb
from keras_bert.text.byte_pair.model import byte_character

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
TEXTS = ["a b", "the card is gone", "c", "z y x w v u"]
TRAIN = [("a b c", "LABEL_0"), ("x y z", "LABEL_1"), ("a c", "LABEL_0"), ("z y", "LABEL_1")]


def write_byte_pairs(folder):
    """A vocabulary of bytes with one merge; special tokens stand where RoBERTa has them."""
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *map(byte_character, range(256)), "Ġa"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nĠ a\n")


def write_words(folder):
    """Letters, as BERT's tokenizer reads them; Chinese ALBERT models come with such a file."""
    shutil.copy(FIXTURES / "encoder" / "gelu" / "vocab.txt", folder)


FAMILIES = {
    "roberta": write_byte_pairs,
    "electra": write_words,
    "distilbert": write_words,
    "albert": write_words,
}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(FIXTURES / "families" / request.param, folder, dirs_exist_ok=True)
    FAMILIES[request.param](folder)
    return kb.BertClassifier.from_pretrained(str(folder))


def probabilities(model, texts, **kwargs):
    return np.array([answer["probabilities"] for answer in model.predict(texts, **kwargs)])


def test_head_is_the_checkpoints(model):
    assert model.labels == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert not model.head_is_fresh and not model.load_report.fresh
    assert model.preprocessor.seq_length == model.encoder.config.max_seq_length


def test_neighbours_do_not_matter(model):
    # Padding comes with longer neighbours; where positions count tokens it must not be counted.
    together, alone = probabilities(model, TEXTS), probabilities(model, TEXTS, batch_size=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3


def test_the_longest_text_fits(model):
    probabilities(model, ["a " * 50])
    with pytest.raises(ValueError, match=f"{model.encoder.config.max_seq_length} "):
        model.encoder(tf.fill((1, model.encoder.config.max_seq_length + 1), 7))


@pytest.mark.slow
def test_trains_and_comes_back(model, tmp_path):
    before = model.get_weights()
    model.fit(TRAIN, batch_size=2, epochs=1, verbose=0)
    changed = [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    # All but the dropout's random states that this family does not draw from.
    assert np.mean(changed) > 0.9
    expected = probabilities(model, TEXTS)
    model.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras")
    assert again.encoder.config == model.encoder.config
    np.testing.assert_allclose(probabilities(again, TEXTS), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["roberta"], indirect=True)
def test_export_answers_alike(model, tmp_path):
    path = kb.export.saved_model(model, str(tmp_path / "exported"))
    answer = tf.saved_model.load(path).signatures["serving_default"]
    found = answer(tf.constant(TEXTS))["probabilities"]
    np.testing.assert_allclose(found, probabilities(model, TEXTS), atol=1e-5)


def test_pairs(model):
    """Also where there are no segment types, and separators alone tell the texts apart."""
    pairs = [(("a b", "c"), "LABEL_0"), (("x", "y z"), "LABEL_1")]
    model.fit(pairs, batch_size=2, epochs=1, verbose=0)
    found = probabilities(model, [("a b", "c"), ("a", "b c"), ("c", "a b")])
    assert np.ptp(found, axis=0).max() > 1e-4
