"""What a classifier's outputs stand for: targets, answers, weights, in Python and in the graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.models.problems import (
    MultiLabelCrossentropy,
    Regression,
    SingleLabel,
    make_problem,
)

SINGLE = SingleLabel(["bad", "fair", "good"])
MANY = make_problem(["toy", "book", "new"], None, True, 0.5)
NUMBER = Regression()

# What problem.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], None, False, 0.5), "two labels at least.*num_labels=1 without labels is a regr"),
        (([], None, True, 0.5), r"one label at least; received \[\]\.$"),
        ((["a"], None, False, 0.5), "two labels at least"),
        ((["a", "b"], 3, False, 0.5), r"num_labels=3, and there are 2 labels"),
        (([], 0, False, 0.5), "num_labels=0. Expected a whole number"),
        (([], 2.0, False, 0.5), "num_labels=2.0"),
        (([], True, False, 0.5), "num_labels=True"),
        ((["a", "b"], None, True, 1.5), "threshold=1.5. Expected a probability"),
        ((["a", "b"], None, True, None), "threshold=None"),
    ],
)
def test_arguments_that_are_no_problem(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_problem(*arguments)


@pytest.mark.parametrize(
    ("arguments", "kind", "outputs"),
    [
        (([], 1, False, 0.5), "regression", 1),
        (([], 1, True, 0.5), "multi_label_classification", 1),
        (([], 2, False, 0.5), "single_label_classification", 2),
        ((["a"], 1, True, 0.5), "multi_label_classification", 1),
    ],
)
def test_problems(arguments, kind, outputs):
    problem = make_problem(*arguments)
    assert (problem.problem_type, problem.outputs) == (kind, outputs)


# Any number of labels.


def test_sets_of_labels():
    forms = [["new", "toy"], {"book"}, [], (), "toy|new", " book | toy ", "", b"new", [2, "book"]]
    forms += [np.array(["toy"]), np.array([2, 0]), [0.0, 1.0, 1.0], np.array([True, False, False])]
    wanted = ["toy new", "book", "", "", "toy new", "toy book", "", "new", "book new"]
    wanted += ["toy", "toy new", "book new", "toy"]
    forms += [[0, 1, 1], np.array([1, 0, 0])]
    wanted += ["book new", "toy"]
    marks = [[float(name in words.split()) for name in MANY.labels] for words in wanted]
    assert MANY.targets(forms).tolist() == marks


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["ugly"], "Example 1 has the unknown label 'ugly'; the model knows toy, book, new"),
        ("toy|ugly", "Example 1 has the unknown label 'ugly'"),
        ([3], "Example 1 has the unknown label 3"),
        ([0, 2, 0], r"Example 1 has the label 0 twice: \[0, 2, 0\]"),
        (["toy", 0], "Example 1 has the label 0 twice"),
        (None, "Example 1 has the labels None. Expected a list or set"),
        (1, "Example 1 has the labels 1"),
        ([[0]], r"unknown label \[0\]"),
        ([0.5, 0.0, 0.0], "unknown label 0.5"),
        ([1.0, 0.0], "unknown label 1.0"),
    ],
)
def test_what_is_no_set_of_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        MANY.targets([["toy"], labels])


def test_of_two_labels_whole_numbers_are_labels():
    problem = make_problem(["a", "b"], None, True, 0.5)
    forms = [[0, 1], [0], [1], [0.0, 1.0], [False, False]]
    assert problem.targets(forms).tolist() == [[1, 1], [1, 0], [0, 1], [0, 1], [0, 0]]


def test_a_name_with_the_separator_is_taken_whole():
    problem = make_problem(["a|b", "c"], None, True, 0.5)
    assert problem.targets(["a|b", ["c"]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert problem.graph_targets(tf.constant(["a|b", ""])).numpy().tolist() == [[1, 0], [0, 0]]


def test_sets_of_labels_in_the_graph():
    wanted = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    forms = [
        tf.ragged.constant([["new", "toy"], [], ["book"]]),
        tf.ragged.constant([[2, 0], [], [1]], dtype=tf.int64),
        tf.constant(["toy|new", "", " book "]),
        tf.constant([["toy", "new"], ["", ""], ["book", ""]]),
        tf.constant(wanted),
        tf.constant(wanted) > 0.5,
        tf.cast(wanted, tf.int64),
    ]
    for labels in forms:
        found = tf.function(MANY.graph_targets)(labels)
        assert found.dtype == tf.float32 and found.numpy().tolist() == wanted
        assert found.shape[-1] == 3
    bad = [tf.constant(["ugly"]), tf.ragged.constant([[3]]), tf.constant([[0.5, 0.0, 0.0]])]
    for labels in bad:
        with pytest.raises(tf.errors.InvalidArgumentError):
            MANY.graph_targets(labels)


def test_answers_of_many_labels():
    logits = tf.constant([[2.0, -1.0, 0.0], [-2.0, -0.1, -5.0]])
    answers = MANY.answers(logits)
    assert answers["labels"].to_list() == [[b"toy", b"new"], []]
    np.testing.assert_allclose(answers["probabilities"], 1 / (1 + np.exp(-logits)), rtol=1e-6)
    assert MANY.answers(logits[:0])["labels"].to_list() == []


def test_loss_of_many_labels_takes_weights_of_texts_and_of_labels():
    loss, random = MultiLabelCrossentropy(), np.random.default_rng(0)
    marks = (random.random((4, 3)) < 0.5).astype(np.float32)
    logits = random.normal(size=(4, 3)).astype(np.float32)
    each = np.log1p(np.exp(-np.where(marks, logits, -logits)))
    assert float(loss(marks, logits)) == pytest.approx(each.mean(), rel=1e-5)
    assert float(loss(marks, logits)) == pytest.approx(
        float(keras.losses.BinaryCrossentropy(from_logits=True)(marks, logits)), rel=1e-5
    )
    of_texts = np.array([0.0, 1.0, 2.0, 0.5], np.float32)
    weighted = float(loss(marks, logits, sample_weight=of_texts))
    assert weighted == pytest.approx((each * of_texts[:, None]).mean(), rel=1e-5)
    of_labels = random.random((4, 3)).astype(np.float32)
    weighted = float(loss(marks, logits, sample_weight=of_labels))
    assert weighted == pytest.approx((each * of_labels).mean(), rel=1e-5)


# Numbers.


def test_numbers_as_they_come():
    found = NUMBER.targets([1, 2.5, "3.25", b"-4", np.float32(0.5), np.int64(7), " 1e2 "])
    assert found.dtype == np.float32
    assert found.tolist() == [1, 2.5, 3.25, -4, 0.5, 7, 100]


@pytest.mark.parametrize(
    "label", [None, "good", "", "nan", np.nan, np.inf, "1e99", True, [1.0], 1j]
)
def test_what_is_no_number(label):
    with pytest.raises(ValueError, match="Example 1 has the label .*expected a finite number"):
        NUMBER.targets([1.0, label])


def test_numbers_in_the_graph():
    for labels in (tf.constant(["1.5", "2"]), tf.constant([1.5, 2.0], tf.float64)):
        assert NUMBER.graph_targets(labels).numpy().tolist() == [1.5, 2.0]
    for labels in (tf.constant(["one"]), tf.constant([np.nan])):
        with pytest.raises(tf.errors.InvalidArgumentError):
            NUMBER.graph_targets(labels)


def test_spearman_of_whole_answers():
    answers = [{"value": value} for value in (0.1, 0.4, 0.3, 9.0)]
    assert NUMBER.scores(["1", 2, 3.0, 4], answers) == {"spearman": pytest.approx(0.8)}


# Weights of classes.


def test_weights_by_name():
    assert SINGLE.class_weights({"good": 3, 0: 0.5}, None).tolist() == [0.5, 1.0, 3.0]
    weights = SINGLE.sample_weights(tf.constant([2, 0, 1]), SINGLE.class_weights({"good": 3}, None))
    assert weights.numpy().tolist() == [3.0, 1.0, 1.0]


def test_balanced_weights():
    """As scikit-learn's ``compute_class_weight``; a class that no text has weighs 1."""
    targets = np.array([0, 0, 0, 1])
    found = SINGLE.class_weights("balanced", lambda: targets)
    np.testing.assert_allclose(found, [4 / 9, 4 / 3, 1])
    marks = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]], np.float32)
    np.testing.assert_allclose(MANY.class_weights("balanced", lambda: marks), [3, 1, 1])


@pytest.mark.parametrize(
    ("problem", "weights", "message"),
    [
        (SINGLE, {"ugly": 2}, "class_weight has the label 'ugly'; the model knows bad"),
        (SINGLE, {"good": "two"}, r"class_weight\['good'\] is 'two'; expected a number"),
        (MANY, {"toy": -1}, r"class_weight\['toy'\] is -1"),
        (MANY, {"toy": np.nan}, r"class_weight\['toy'\] is nan"),
        (SINGLE, "even", "class_weight='even'. Expected a dict"),
        (SINGLE, [1, 2, 3], "Expected a dict"),
        (NUMBER, "balanced", "there are no classes"),
    ],
)
def test_weights_that_are_none(problem, weights, message):
    with pytest.raises(ValueError, match=message):
        problem.class_weights(weights, None)
