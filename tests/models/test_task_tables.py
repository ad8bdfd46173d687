"""Task models are trained and asked with tables, and with tf.data of named features."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from tests.data.test_objects import Dataset

TEXTS = ["Where is my card?", "I love this!", "It is lost.", "Great, thanks."]
NUMBERS = [0, 2, 1, 2]
NAMES = {"names": ["question", "complaint", "praise"], "_type": "ClassLabel"}


@pytest.fixture(scope="module")
def model(tiny_checkpoint):
    return kb.BertClassifier.from_pretrained(str(tiny_checkpoint))


def test_every_form_of_the_same_data_has_the_same_score(model):
    table = {"sentence": TEXTS, "label": NUMBERS}
    named = tf.data.Dataset.from_tensor_slices({"idx": [7, 8, 9, 6], **table})
    expected = model.evaluate(TEXTS, NUMBERS)
    for x in (table, Dataset(table, {"label": NAMES}), named, named.batch(2)):
        found = model.evaluate(x)
        assert found["loss"] == pytest.approx(expected["loss"], abs=1e-6)
        assert found["accuracy"] == expected["accuracy"]


def test_answers_of_tables(model):
    expected = [answer["probabilities"] for answer in model.predict(TEXTS)]
    named = tf.data.Dataset.from_tensor_slices({"idx": [0, 1, 2, 3], "sentence": TEXTS})
    for x in ({"text": TEXTS}, Dataset({"text": TEXTS, "label": NUMBERS}), named):
        found = [answer["probabilities"] for answer in model.predict(x)]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pairs_keep_their_order(model):
    pairs = list(zip(TEXTS, TEXTS[::-1], strict=True))
    # In the order of their names the second text would be the first.
    columns = {"premise": TEXTS, "hypothesis": TEXTS[::-1], "label": NUMBERS}
    expected = model.evaluate(pairs, NUMBERS)["loss"]
    assert model.evaluate(columns)["loss"] == pytest.approx(expected, abs=1e-6)
    labels = columns.pop("label")
    apart = tf.data.Dataset.from_tensor_slices((columns, labels))
    assert model.evaluate(apart)["loss"] == pytest.approx(expected, abs=1e-6)


def test_fit(model, fixtures):
    keras.utils.set_random_seed(1)
    table = {"text": TEXTS, "label": ["question", "praise", "complaint", "praise"]}
    history = model.fit(table, validation_data=Dataset(table), verbose=0).history
    assert np.isfinite(history["val_loss"][0])
    with pytest.raises(ValueError, match="no label column found among 'text'"):
        model.fit({"text": TEXTS})
    with pytest.raises(ValueError, match="no text column found among 'words', 'label'"):
        model.fit({"words": TEXTS, "label": NUMBERS})
