import numpy as np

from keras_bert.data.comparisons import read_comparisons
from keras_bert.data.examples import Examples


def test_forms():
    pairs = [("a", "b"), ("c", "d")]
    assert read_comparisons(pairs) == (pairs, None)
    assert read_comparisons(np.array(pairs)) == (pairs, None)
    triplets = [("a", "b", "c")]
    assert read_comparisons([list(triplets[0])]) == (triplets, None)
    forms = [[(pair, 1) for pair in pairs], [(*pair, 1.0) for pair in pairs]]
    forms += [[[list(pair), "1"] for pair in pairs]]
    for texts, scores in [*map(read_comparisons, forms), read_comparisons(pairs, ["1", 1.0])]:
        assert texts == pairs and scores.dtype == np.float32 and scores.tolist() == [1, 1]


def test_a_file():
    examples = Examples([("a", "b")], ["3.8"], [2], [], {}, "x.csv")
    texts, scores = read_comparisons(examples)
    assert texts == [("a", "b")] and scores.tolist() == np.float32([3.8]).tolist()
    examples.labels = None
    assert read_comparisons(examples) == ([("a", "b")], None)
