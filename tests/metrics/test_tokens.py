import keras
import numpy as np
import pytest

from keras_bert.metrics.tokens import TokenAccuracy


def test_counts_labelled_tokens_alone():
    metric = TokenAccuracy()
    chances = np.eye(3)[[[0, 1, 2], [2, 2, 2]]]
    metric.update_state([[0, 2, -1], [2, -1, 1]], chances)
    assert float(metric.result()) == pytest.approx(2 / 4)
    metric.update_state([[-1, -1, -1]], chances[:1])
    assert float(metric.result()) == pytest.approx(2 / 4)
    metric.reset_state()
    assert float(metric.result()) == 0
    metric.update_state([[0, 2, -1], [2, -1, 1]], chances, sample_weight=[1, 0])
    assert float(metric.result()) == pytest.approx(1 / 2)


def test_is_saved():
    metric = TokenAccuracy(ignored=-100, name="a")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.ignored == -100 and again.name == "a"
