"""What an export offers beside texts: ``tf.Example``, and TF Serving's own calls."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.export import ask
from keras_bert.export.signatures import make_signatures, row_lengths

pytestmark = pytest.mark.filterwarnings("ignore")


def example(**texts):
    """A serialised ``tf.Example``."""
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[t.encode() for t in values]))
        for name, values in texts.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_lengths_end_with_the_longest_row():
    assert row_lengths(8) == [8]
    assert row_lengths(40) == [8, 12, 16, 24, 32, 40]
    assert row_lengths(1500)[-4:] == [384, 512, 1024, 1500]
    assert row_lengths(20, [10, 20]) == [10, 20]
    assert row_lengths(20, "longest") == "longest"


def test_examples_answer_as_their_texts(exported, texts):
    loaded = ask.load(str(exported))
    texts = [text if isinstance(text, bytes) else text.encode() for text in texts]
    wanted = ask.call(loaded, {"text": texts})
    answers = ask.call(loaded, {"examples": [_of_bytes(t) for t in texts]}, "examples")
    for name, values in wanted.items():
        np.testing.assert_array_equal(answers[name], values)
    classes = ask.call(loaded, {"inputs": [_of_bytes(t) for t in texts]}, "classify")
    np.testing.assert_array_equal(classes["scores"], wanted["probabilities"])
    best = classes["classes"][np.arange(len(texts)), classes["scores"].argmax(1)]
    assert best.tolist() == wanted["label"].tolist()


def _of_bytes(text):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))
    features = tf.train.Features(feature={"text": feature})
    return tf.train.Example(features=features).SerializeToString()


def test_an_example_without_the_text_is_refused(exported):
    loaded = ask.load(str(exported))
    with pytest.raises(tf.errors.InvalidArgumentError, match="text"):
        ask.call(loaded, {"inputs": [example(words=["a"])]}, "classify")
    with pytest.raises(tf.errors.InvalidArgumentError):
        ask.call(loaded, {"examples": [b"no example"]}, "examples")


def test_numbers_are_regressed(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), num_labels=1)
    model.takes_pairs = True
    functions = make_signatures(model)
    assert set(functions) == {"serving_default", "examples", "tokens", "regress"}
    pairs = [("the food", "is great"), ("my card", "")]
    wanted = [answer["value"] for answer in model.predict(pairs)]
    outputs = functions["regress"](tf.constant([example(text_a=[a], text_b=[b]) for a, b in pairs]))
    assert outputs.keys() == {"outputs"}
    np.testing.assert_allclose(outputs["outputs"], wanted, atol=1e-5)


def test_several_labels_are_classified(tiny_checkpoint):
    labels = ["a", "b", "c", "d"]
    model = kb.BertClassifier.from_pretrained(
        str(tiny_checkpoint), labels=labels, multi_label=True, seq_length=32, stride=8
    )
    functions = make_signatures(model)
    assert set(functions) == {"serving_default", "examples", "classify"}
    found = functions["classify"](
        tf.constant([example(text=["the food " * 40]), example(text=[""])])
    )
    assert [[c.decode() for c in row] for row in found["classes"].numpy()] == [labels, labels]
    wanted = np.stack([a["probabilities"] for a in model.predict(["the food " * 40, ""])])
    np.testing.assert_allclose(found["scores"], wanted, atol=1e-5)


def test_choices_come_as_several_values_of_a_feature(tiny_checkpoint):
    model = kb.BertMultipleChoice.from_pretrained(str(tiny_checkpoint))
    functions = make_signatures(model)
    examples = [("the food", ["is great", "is my card"]), ("my card", ["a", "b", "is late"])]
    names = model.text_inputs
    serialized = [example(**{names[0]: [p], names[1]: choices}) for p, choices in examples]
    found = functions["examples"](tf.constant(serialized))
    wanted = [answer["choice"] for answer in model.predict(examples)]
    assert [choice.decode() for choice in found["choice"].numpy()] == wanted


def test_what_the_preprocessor_is_told_counts(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    model.preprocessor.pad_to = "max"
    before = model.text_preprocessor()
    make_signatures(model)
    assert model.text_preprocessor() is before
    with pytest.raises(ValueError, match="rise"):
        model.preprocessor.pad_to = "longest"
        make_signatures(model, [8, 4])
