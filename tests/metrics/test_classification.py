import numpy as np

from keras_bert.metrics import MacroF1


def macro_f1(true, guess):
    """Mean F1 over the classes that appear, from precision and recall."""
    scores = []
    for c in sorted(set(true) | set(guess)):
        hits = sum(t == c and g == c for t, g in zip(true, guess, strict=True))
        precision = hits / max(sum(g == c for g in guess), 1)
        recall = hits / max(sum(t == c for t in true), 1)
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return float(np.mean(scores))


def test_equals_the_definition_over_batches():
    random = np.random.default_rng(3)
    for classes, count in ((2, 50), (7, 400), (77, 300)):
        true, logits = random.integers(0, classes, count), random.normal(size=(count, classes))
        logits[np.arange(count), true] += random.integers(0, 2, count) * 3
        metric = MacroF1(classes)
        for i in range(0, count, 37):
            metric.update_state(true[i : i + 37], logits[i : i + 37])
        assert abs(float(metric.result()) - macro_f1(true, logits.argmax(1))) < 1e-6
        metric.reset_state()
        assert float(metric.result()) == 0.0


def test_classes_that_never_appear_are_left_out():
    metric = MacroF1(10)
    metric.update_state([1, 2], np.eye(10)[[1, 2]])
    assert float(metric.result()) == 1.0


def test_sample_weights():
    weighted, repeated = MacroF1(3), MacroF1(3)
    true, logits = np.array([0, 1, 2, 1]), np.eye(3)[[0, 2, 2, 1]]
    weighted.update_state(true, logits, sample_weight=[1, 3, 0, 2])
    rows = [0, 1, 1, 1, 3, 3]
    repeated.update_state(true[rows], logits[rows])
    assert abs(float(weighted.result()) - float(repeated.result())) < 1e-6
