"""BertMultipleChoice: text to answers, any number of choices, saving, bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning

#: The right choice is the one with "good" in it, wherever it stands.
TRAIN = [
    (("how is the food", ["it is bad", "it is good"]), 1),
    (("how is the day", ["good", "bad", "poor"]), "good"),
    (("and the book", ["worst of all", "bad", "slow", "a good one"]), 3),
    (("what do you want", ["bad work", "good work"]), "good work"),
    (("the movie", ["very good", "very bad"]), 0),
    (("the service", ["poor", "bad", "good"]), 2),
]
EXAMPLES = [example for example, _ in TRAIN]


@pytest.fixture(scope="module")
def trained(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = kb.BertMultipleChoice.from_pretrained(str(tiny_checkpoint))
    model.compile(learning_rate=5e-3)
    model.fit(TRAIN, epochs=15, batch_size=3, verbose=0)
    return model


def test_learns_and_answers(trained):
    answers = trained.predict(EXAMPLES)
    for answer, (_, choices), (_, label) in zip(answers, EXAMPLES, TRAIN, strict=True):
        assert set(answer) == {"choice", "index", "probability", "probabilities"}
        assert answer["choice"] == choices[answer["index"]]
        assert answer["probabilities"].shape == (len(choices),)
        assert answer["probabilities"].sum() == pytest.approx(1, abs=1e-5)
        assert answer["probability"] == answer["probabilities"][answer["index"]]
        assert answer["probability"] == answer["probabilities"].max()
        assert label in (answer["index"], answer["choice"])
    scores = trained.evaluate(TRAIN, verbose=0)
    assert set(scores) == {"loss", "accuracy"} and scores["accuracy"] == 1


def test_probabilities_are_those_of_the_raw_logits(trained):
    """Each choice by itself as a pair, and softmax over them by hand."""
    answers = trained.predict(EXAMPLES)
    for answer, (prompt, choices) in zip(answers, EXAMPLES, strict=True):
        ids = trained.preprocessor(([prompt] * len(choices), choices))
        logits = np.asarray(trained({name: x[np.newaxis] for name, x in ids.items()}))[0]
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)


def test_loss_of_examples_with_different_numbers_of_choices(trained):
    losses = []
    for answer, (example, label) in zip(trained.predict(EXAMPLES), TRAIN, strict=True):
        index = label if isinstance(label, int) else example[1].index(label)
        losses.append(-np.log(answer["probabilities"][index]))
    for batch_size in (2, 32):
        scores = trained.evaluate(TRAIN, batch_size=batch_size, verbose=0)
        assert scores["loss"] == pytest.approx(np.mean(losses), abs=1e-4)


def test_choices_that_are_not_there(trained):
    """A row of padding has no probability, and changes nothing for the others."""
    prompt, choices = EXAMPLES[0]
    ids = trained.preprocessor(([prompt] * 3, [*choices, "good"]))
    there = {name: x[np.newaxis, :2] for name, x in ids.items()}
    padded = {name: tf.concat([x[:2], 0 * x[2:]], 0)[np.newaxis] for name, x in ids.items()}
    logits = np.asarray(trained(padded))
    np.testing.assert_allclose(logits[:, :2], trained(there), atol=1e-5)
    assert logits[0, 2] <= -1e9
    with tf.GradientTape() as tape:
        loss = trained.default_loss()(np.array([0]), trained(padded, training=True))
    gradients = tape.gradient(loss, trained.trainable_variables)
    assert all(np.isfinite(tf.convert_to_tensor(g)).all() for g in gradients if g is not None)


def test_dense_strings_in_a_graph(trained):
    """As an export takes them: rows filled up with empty strings."""
    most = max(len(choices) for _, choices in EXAMPLES)
    dense = [choices + [""] * (most - len(choices)) for _, choices in EXAMPLES]
    signature = [tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, None), tf.string)]
    function = tf.function(trained.text_answers, input_signature=signature, autograph=False)
    found = function(tf.constant([prompt for prompt, _ in EXAMPLES]), tf.constant(dense))
    assert found["probabilities"].shape == (len(EXAMPLES), most)
    for row, answer in enumerate(trained.predict(EXAMPLES)):
        assert found["choice"][row].numpy().decode() == answer["choice"]
        assert int(found["index"][row]) == answer["index"]
        count = len(answer["probabilities"])
        probabilities = found["probabilities"][row].numpy()
        np.testing.assert_allclose(probabilities[:count], answer["probabilities"], atol=1e-5)
        assert not probabilities[count:].any()
    assert found["truncated"].numpy().tolist() == [0] * len(EXAMPLES)


def test_a_prompt_of_context_and_start(trained):
    """SWAG: the endings go on from a start; the answer is the ending as it was given."""
    example = (("how is the food", "it is"), ["bad", "good"])
    (answer,) = trained.predict([example])
    (expected,) = trained.predict([EXAMPLES[0]])
    assert answer["choice"] == "good"
    np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], atol=1e-6)
    assert trained.evaluate([(example, "good")], verbose=0)["accuracy"] == 1


def test_saved_as_keras(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(trained.predict(EXAMPLES), again.predict(EXAMPLES), strict=True):
        np.testing.assert_array_equal(one.pop("probabilities"), other.pop("probabilities"))
        assert one == other
    assert again.evaluate(TRAIN, verbose=0) == trained.evaluate(TRAIN, verbose=0)


@pytest.mark.parametrize("batched", [False, True])
def test_tf_data(trained, batched):
    def elements():
        for (prompt, choices), label in TRAIN:
            yield (prompt, choices), label if isinstance(label, int) else choices.index(label)

    spec = (tf.TensorSpec((), tf.string), tf.TensorSpec((None,), tf.string))
    dataset = tf.data.Dataset.from_generator(
        elements, output_signature=(spec, tf.TensorSpec((), tf.int32))
    )
    dataset = dataset.ragged_batch(4) if batched else dataset
    found = trained.evaluate(dataset, batch_size=4, verbose=0)
    expected = trained.evaluate(TRAIN, batch_size=6, verbose=0)
    assert found["accuracy"] == 1 and found["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    with pytest.raises(ValueError, match="received elements"):
        trained.evaluate(tf.data.Dataset.from_tensors(("a", "b")), verbose=0)


def test_batches_and_order_do_not_matter(trained):
    together = trained.predict(EXAMPLES)
    for one, other in zip(together, trained.predict(EXAMPLES, batch_size=2), strict=True):
        assert one["index"] == other["index"]
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-5)


def test_odd_texts(trained):
    examples = [
        ("", ["", ""]),
        ("\x00", ["a"]),
        (b"the day", [b"good", "😀 日本語"]),
        ("a " * 300, ["good " * 300, "bad"]),
    ]
    with pytest.warns(TruncationWarning, match="1 of 4 texts are longer than seq_length=64"):
        answers = trained.predict(examples)
    assert [len(a["probabilities"]) for a in answers] == [2, 1, 2, 2]
    assert answers[1]["probability"] == 1 and answers[2]["choice"] in examples[2][1]
    assert all(np.isfinite(a["probabilities"]).all() for a in answers)


def test_bad_input(trained):
    with pytest.raises(ValueError, match="Example 1 has the label 'ugly'"):
        trained.fit([TRAIN[0], (("the day", ["good", "bad"]), "ugly")], verbose=0)
    with pytest.raises(ValueError, match="Item 1 has no choices"):
        trained.predict([EXAMPLES[0], ("the day", [])])
    with pytest.raises(TypeError, match="Item 0 is 'a text'"):
        trained.predict(["a text"])
    with pytest.raises(ValueError, match=r"\(batch, choices, seq\)"):
        trained({"input_word_ids": np.ones((1, 3), np.int32)})
