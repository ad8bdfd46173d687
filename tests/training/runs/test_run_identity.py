"""What tells one run from another."""

import numpy as np
import tensorflow as tf

from keras_bert.training.runs.run_identity import _as_text, _flat, data_identity, differences

EXAMPLES = (["a", ("b", "c"), {"word": 1.5}] * 700, [0, None, {"x", "y", "z"}] * 700)


def test_data():
    found = data_identity(EXAMPLES)
    assert found["rows"] == 2100
    texts, labels = EXAMPLES
    assert data_identity((list(texts), list(labels))) == found
    other = data_identity(([*texts[:-1], "d"], labels))
    assert {name for name in found if other[name] != found[name]} == {"texts"}
    other = data_identity((texts, [*labels[:-1], 1]))
    assert {name for name in found if other[name] != found[name]} == {"labels"}


def test_sets_have_no_order():
    """Python's is another in each process."""
    labels = [{"x", "y", "z"}, {"z", "y", "x"}]
    assert _as_text(labels[0]) == _as_text(labels[1]) == ["'x'", "'y'", "'z'"]


def test_arrays_and_datasets():
    one = {"ids": np.arange(6).reshape(3, 2)}, np.array(["a", "b", "c"], dtype=object)
    assert data_identity(one)["rows"] == 3
    for other in (
        ({"ids": np.arange(6).reshape(3, 2) + 1}, one[1]),
        ({"ids": np.arange(6, dtype=np.int32).reshape(3, 2)}, one[1]),
        (one[0], np.array(["a", "b", "d"], dtype=object)),
    ):
        assert data_identity(other) != data_identity(one)
    rows = tf.data.Dataset.from_tensor_slices([3, 1, 2])
    assert data_identity(rows) == data_identity(rows)
    assert data_identity(rows)["batches"] == 3
    assert data_identity(rows) != data_identity(rows.skip(1).take(2).concatenate(rows.take(1)))
    ragged = tf.data.Dataset.from_tensors(tf.ragged.constant([[1], [2, 3]]))
    assert data_identity(ragged)["first"] != data_identity(ragged.map(lambda x: x + 1))["first"]
    shuffled = rows.shuffle(3)
    assert data_identity(shuffled, in_order=False) == data_identity(shuffled, in_order=False)


def test_configurations():
    config = {
        "class_name": "Model",
        "name": "model_3",
        "config": {"size": 3, "rates": [0.1, 0.2], "vocabulary": ["token"] * 100, "none": None},
    }
    found = _flat({"model": config})
    assert found["model.class_name"] == "Model"
    assert (found["model.size"], found["model.rates"]) == (3, "[0.1, 0.2]")
    assert found["model.vocabulary"].startswith("digest ")
    assert set(found) == {"model.class_name", "model.size", "model.rates", "model.vocabulary"}


def test_differences():
    before, now = {"epochs": 3, "rate": 0.5, "gone": "a"}, {"epochs": 4, "rate": 0.5, "new": True}
    assert differences(before, now) == {
        "epochs": "epochs was 3 and is 4",
        "gone": "gone was 'a' and is not given",
        "new": "new was not given and is True",
    }
