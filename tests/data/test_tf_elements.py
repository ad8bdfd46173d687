import pytest
import tensorflow as tf

from keras_bert.data.examples import SourceError
from keras_bert.data.inputs import is_texts
from keras_bert.data.tf_elements import has_texts, text_elements

PAIR = {"hypothesis": ["b"], "idx": [0], "label": [1], "premise": ["a"]}


def dataset(elements, batched=False):
    made = tf.data.Dataset.from_tensor_slices(elements)
    return made.batch(2) if batched else made


def first(made):
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), next(iter(made)))


def test_named_features():
    assert first(text_elements(dataset(PAIR))) == ((b"a", b"b"), 1)
    assert first(text_elements(dataset(PAIR), with_labels=False)) == (b"a", b"b")
    one = dataset({"idx": [0, 1], "label": [1, 0], "sentence": ["a", "b"]}, batched=True)
    texts, labels = first(text_elements(one))
    assert (texts.tolist(), labels.tolist()) == ([b"a", b"b"], [1, 0])


def test_named_texts_with_labels_apart_keep_their_order():
    texts = {"premise": ["a"], "hypothesis": ["b"]}
    assert first(text_elements(dataset((texts, [1])))) == ((b"a", b"b"), 1)
    assert first(text_elements(dataset((texts, [1], [0.5])))) == ((b"a", b"b"), 1, 0.5)


def test_everything_else_is_left_alone():
    ids = {"input_word_ids": [[1, 2]], "input_mask": [[1, 1]]}
    for elements in (["a"], (["a"], [1]), ((["a"], ["b"]), [1]), ids, (ids, [1])):
        made = dataset(elements)
        assert text_elements(made) is made


def test_which_hold_texts():
    assert has_texts(dataset(PAIR))
    assert is_texts(dataset(PAIR))
    assert not has_texts(dataset({"input_word_ids": [[1, 2]]}))
    assert not has_texts(dataset(([1], ["a label"])))


def test_missing_features():
    with pytest.raises(SourceError, match="no text column found among 'words', 'label'"):
        text_elements(dataset({"words": ["a"], "label": [1]}))
    with pytest.raises(SourceError, match="no label column found among 'text'"):
        text_elements(dataset({"text": ["a"]}), with_labels=True)
