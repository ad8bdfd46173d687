"""Runs with several seeds."""

import keras
import numpy as np
import pytest

from keras_bert.training import over_seeds


class Stub:
    """Scores what its seed says."""

    main_metric = "accuracy"

    def __init__(self, table, calls):
        self.table, self.calls = table, calls
        self.draw = int(np.random.randint(1000))

    def fit(self, data, validation_data=None, **options):
        self.calls.append((data, validation_data, options, self.draw))

    def evaluate(self, data, verbose=1):
        return dict(self.table[data])


def make_with(scores, calls):
    """Makes of the seed a model with that seed's scores on "test" and "validation"."""
    return lambda seed: Stub(scores[seed], calls)


def table(test, validation=0.0, loss=1.0):
    return {
        "test": {"loss": loss, "accuracy": test},
        "validation": {"loss": loss, "accuracy": validation},
    }


def test_mean_deviation_and_best():
    calls = []
    scores = {0: table(0.8), 1: table(0.9), 2: table(0.7)}
    runs = over_seeds(make_with(scores, calls), "train", "test", seeds=3, epochs=2)
    assert runs.seeds == [0, 1, 2] and runs.best_seed == 1
    assert runs.best_model.table is scores[1]
    assert runs.mean == pytest.approx({"loss": 1.0, "accuracy": 0.8})
    assert runs.deviation == pytest.approx({"loss": 0.0, "accuracy": 0.1})
    assert [call[:3] for call in calls] == [("train", None, {"epochs": 2})] * 3
    assert len({call[3] for call in calls}) == 3  # different random numbers
    lines = str(runs).splitlines()
    assert lines[0].split() == ["seed", "loss", "accuracy"]
    assert lines[2].split() == ["1", "*", "1.0000", "0.9000"]
    assert lines[4].split("  ")[-1] == "0.8000 ± 0.1000"
    assert lines[5] == "* best by accuracy on the test data"


def test_the_same_seed_gives_the_same_run():
    draws = []
    for _ in range(2):
        calls = []
        over_seeds(make_with({7: table(0.5)}, calls), "train", "test", seeds=[7])
        draws.append(calls[0][3])
    assert draws[0] == draws[1]


@pytest.mark.slow
def test_best_by_validation_and_by_loss():
    scores = {0: table(0.9, 0.1, loss=0.2), 1: table(0.5, 0.6, loss=0.4)}
    runs = over_seeds(make_with(scores, []), "train", "test", 2, validation="validation")
    assert runs.best_seed == 1 and runs.mean["accuracy"] == pytest.approx(0.7)
    assert runs.chosen_by == "accuracy on the validation data"
    runs = over_seeds(make_with(scores, []), "train", "test", 2, monitor="val_loss")
    assert runs.best_seed == 0


def test_makers_with_and_without_a_seed():
    runs = over_seeds(lambda: Stub(table(0.5), []), "train", "test", seeds=1)
    assert runs.deviation["accuracy"] == 0
    runs = over_seeds(lambda size=3: Stub(table(size), []), "train", "test", seeds=1)
    assert runs.mean["accuracy"] == 3


def test_what_cannot_be_run():
    make = make_with({0: table(0.5), 1: table(0.5)}, [])
    for seeds in (0, [], [1, 1]):
        with pytest.raises(ValueError, match="or a list of different seeds"):
            over_seeds(make, "train", "test", seeds=seeds)
    with pytest.raises(ValueError, match="no score 'f1' to choose by; there are loss, accuracy"):
        over_seeds(make, "train", "test", seeds=1, monitor="f1")


def test_a_model(tiny_checkpoint):
    import keras_bert as kb

    train = [("very good", "good"), ("very bad", "bad")] * 2

    def make():
        return kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=["bad", "good"])

    runs = over_seeds(make, train, train, seeds=[5], verbose=0)
    assert set(runs.mean) == {"loss", "accuracy", "macro_f1", "matthews_correlation"}
    assert isinstance(runs.best_model, keras.Model)
