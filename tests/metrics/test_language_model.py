import keras
import numpy as np
import pytest

from keras_bert.metrics import MaskedAccuracy, Perplexity


@pytest.fixture
def batches():
    random = np.random.default_rng(4)
    ids = [np.array([[1, -1], [3, 0]]), np.array([[2, 2], [-1, -1]])]
    return [(i, random.normal(size=(2, 2, 5)).astype(np.float32)) for i in ids]


def test_means_over_tokens_of_all_batches(batches):
    losses, hits = [], []
    for ids, logits in batches:
        log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        for row, place in np.argwhere(ids >= 0):
            losses.append(-log[row, place, ids[row, place]])
            hits.append(logits[row, place].argmax() == ids[row, place])
    accuracy, perplexity = MaskedAccuracy(), Perplexity()
    for batch in batches:
        accuracy.update_state(*batch)
        perplexity.update_state(*batch)
    assert float(accuracy.result()) == pytest.approx(np.mean(hits))
    assert float(perplexity.result()) == pytest.approx(np.exp(np.mean(losses)), rel=1e-5)


@pytest.mark.parametrize("kind, nothing", [(MaskedAccuracy, 0.0), (Perplexity, 1.0)])
def test_saved_reset_and_without_tokens(batches, kind, nothing):
    metric = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(kind()))
    metric.update_state(*batches[0])
    metric.reset_state()
    metric.update_state([[-1]], np.zeros((1, 1, 3)))
    assert float(metric.result()) == nothing
