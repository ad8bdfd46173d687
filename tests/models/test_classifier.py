"""BertClassifier: from text to answers, saved and reloaded, and what it does with bad input."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from keras_bert.models import UntrainedHeadWarning

LABELS = ["bad", "good"]
GOOD = ["very good", "a good day", "good and right", "the best of all", "good work", "nice"]
BAD = ["very bad", "a bad day", "bad and wrong", "the worst of all", "bad work", "poor"]
TRAIN = [(text, "good") for text in GOOD] + [(text, "bad") for text in BAD]


@pytest.fixture
def model(tiny_checkpoint):
    return kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)


@pytest.fixture(scope="module")
def trained(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS)
    model.compile(learning_rate=5e-3)
    model.fit(TRAIN, epochs=12, batch_size=4, verbose=0)
    return model


def test_learns_and_answers(trained):
    answers = trained.predict(["very good", "very bad"])
    assert [a["label"] for a in answers] == ["good", "bad"]
    for answer in answers:
        assert answer["probabilities"].shape == (2,)
        assert answer["probability"] == pytest.approx(answer["probabilities"].max())
        assert answer["probabilities"].sum() == pytest.approx(1, abs=1e-5)
    scores = trained.evaluate(TRAIN, verbose=0)
    assert set(scores) == {"loss", "accuracy", "macro_f1", "matthews_correlation"}
    assert scores["accuracy"] > 0.9


def test_order_and_batches_do_not_matter(trained):
    texts = [text for text, _ in TRAIN] + ["", "good " * 30]
    together = trained.predict(texts)
    small = trained.predict(texts, batch_size=1)
    for one, other in zip(together, small, strict=True):
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-5)


def test_answers_equal_raw_outputs(trained):
    logits = trained(trained.preprocessor(["very good", "no"]))
    expected = np.asarray(tf.nn.softmax(logits))
    answers = trained.predict(["very good", "no"])
    np.testing.assert_allclose([a["probabilities"] for a in answers], expected, atol=1e-6)


def test_saves_and_reloads_with_vocabulary_and_labels(trained, tmp_path):
    path = str(tmp_path / "model.keras")
    trained.save(path)
    again = keras.saving.load_model(path)
    assert again.labels == LABELS
    assert again.preprocessor.tokenizer.vocabulary == trained.preprocessor.tokenizer.vocabulary
    texts = ["very good", "poor"]
    for one, other in zip(trained.predict(texts), again.predict(texts), strict=True):
        np.testing.assert_array_equal(one["probabilities"], other["probabilities"])
    assert again.evaluate(TRAIN, verbose=0) == trained.evaluate(TRAIN, verbose=0)
    again.fit(TRAIN, epochs=1, verbose=0)


@pytest.mark.parametrize("as_folder", [False, True])
def test_from_pretrained_of_what_was_saved(trained, tmp_path, as_folder):
    path = tmp_path / "model.keras"
    trained.save(path)
    again = kb.BertClassifier.from_pretrained(str(tmp_path if as_folder else path))
    assert again.labels == LABELS and not again.head_is_fresh
    expected = trained.predict(["nice"])[0]["probabilities"]
    np.testing.assert_array_equal(again.predict(["nice"])[0]["probabilities"], expected)
    encoder = kb.BertEncoder.from_pretrained(str(path))
    for one, other in zip(encoder.weights, trained.encoder.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_saved_length_is_kept(tiny_checkpoint, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), seq_length=20)
    model.save(tmp_path / "model.keras")
    assert kb.BertClassifier.from_pretrained(str(tmp_path)).preprocessor.seq_length == 20


def test_without_a_vocabulary_it_takes_ids_only(model, tmp_path):
    model.encoder.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="takes ids only, no text: .* without a vocabulary"):
        again = kb.BertClassifier.from_pretrained(str(tmp_path), labels=LABELS)
    assert again({"input_word_ids": np.array([[2, 7, 3]])}).shape == (1, len(LABELS))
    for use in (
        lambda: again.fit([("good", LABELS[0])]),
        lambda: again.evaluate([("good", LABELS[0])]),
        lambda: again.predict(["good"]),
        lambda: kb.export.saved_model(again, str(tmp_path / "saved")),
    ):
        with pytest.raises(ValueError, match="takes ids only, no text. Give it a preprocessor"):
            use()
    assert not (tmp_path / "saved").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy", [pytest.param("mixed_float16", marks=pytest.mark.slow), "mixed_bfloat16"]
)
def test_trains_in_mixed_precision_as_in_full(tiny_checkpoint, policy):
    losses = []
    for dtype in ("float32", policy):
        keras.utils.set_random_seed(3)  # the same order and the same dropout
        model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=LABELS, dtype=dtype)
        model.compile(learning_rate=5e-3)
        losses.append(model.fit(TRAIN, epochs=10, batch_size=4, verbose=0).history["loss"])
    assert hasattr(model.optimizer, "inner_optimizer") == (policy == "mixed_float16")
    np.testing.assert_allclose(losses[1], losses[0], atol=0.01)
    assert losses[1][-1] < 0.9 * losses[1][0]
    assert model(model.preprocessor(["good"])).dtype == "float32"


def test_other_labels_keep_the_encoder_alone(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = kb.BertClassifier.from_pretrained(str(tmp_path), labels=["a", "b", "c"])
    assert again.head_is_fresh and again.load_report.fresh == ["classifier"]
    np.testing.assert_array_equal(again.encoder.weights[0], trained.encoder.weights[0])


# Labels and heads.


def test_labels_of_the_checkpoint(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    assert model.labels == ["question", "complaint", "praise"]
    assert not model.head_is_fresh
    with warnings.catch_warnings():
        warnings.simplefilter("error", UntrainedHeadWarning)
        model.predict(["what is this"])


def test_labels_are_needed_where_there_is_no_head(fixtures):
    with pytest.raises(ValueError, match="has no classification head.* labels="):
        kb.BertClassifier.from_pretrained(str(fixtures / "encoder" / "gelu"))


def test_head_for_tokens_is_no_head_for_texts(fixtures):
    folder = str(fixtures / "encoder" / "token_classification")
    with pytest.raises(ValueError, match="has no classification head"):
        kb.BertClassifier.from_pretrained(folder)
    report = kb.BertClassifier.from_pretrained(folder, labels=LABELS).load_report
    assert report.fresh == ["pooler", "classifier"]
    assert "classifier.weight" in report.ignored


def test_untrained_head_warns_until_it_is_trained(model):
    with pytest.warns(UntrainedHeadWarning, match="neither loaded from a checkpoint nor trained"):
        model.predict(["good"])
    with pytest.warns(UntrainedHeadWarning):
        model.evaluate(TRAIN, verbose=0)
    model.fit(TRAIN, epochs=1, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UntrainedHeadWarning)
        model.predict(["good"])


def test_loading_weights_counts_as_loaded(model, trained, tmp_path):
    trained.save_weights(tmp_path / "x.weights.h5")
    model.load_weights(tmp_path / "x.weights.h5")
    assert not model.head_is_fresh


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([], ValueError, "two labels at least"),
        (["only"], ValueError, "two labels at least; received .'only'"),
        (["a", "b", "a"], ValueError, "named twice: a"),
        ("ab", TypeError, "labels is a list of names"),
    ],
)
def test_bad_labels(tiny_checkpoint, labels, error, message):
    with pytest.raises(error, match=message):
        kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=labels)


def test_label_numbers_and_names(model):
    assert model.targets(["good", b"bad", 1, np.int64(0)]).tolist() == [1, 0, 1, 0]
    named = kb.BertClassifier(model.encoder, model.preprocessor, labels=[1, 2, 3])
    assert named.targets([1, "3", 2]).tolist() == [0, 2, 1]


@pytest.mark.parametrize("label", ["ugly", 2, -1, None, 0.5, True])
def test_unknown_label_is_named(model, label):
    with pytest.raises(ValueError, match="Example 1 has the unknown label .*the model knows bad"):
        model.fit([("a", "good"), ("b", label)], verbose=0)


# Forms of data.


@pytest.mark.slow
@pytest.mark.parametrize("batched", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_tf_data(model, batched):
    texts, labels = zip(*TRAIN, strict=True)
    dataset = tf.data.Dataset.from_tensor_slices((list(texts), list(labels)))
    dataset = dataset.batch(4) if batched else dataset
    history = model.fit(dataset, validation_data=dataset, batch_size=4, epochs=2, verbose=0)
    assert len(history.history["val_macro_f1"]) == 2
    assert int(model.optimizer.iterations) == 6
    with_numbers = tf.data.Dataset.from_tensor_slices(
        (list(texts), [LABELS.index(label) for label in labels])
    )
    same = model.evaluate(with_numbers, verbose=0)
    assert same["accuracy"] == model.evaluate(TRAIN, verbose=0)["accuracy"]
    answers = model.predict(dataset.map(lambda text, label: text))
    assert len(answers) == len(TRAIN)


def test_tf_data_with_an_unknown_label(model):
    dataset = tf.data.Dataset.from_tensor_slices((["a", "b"], ["good", "ugly"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="unknown to the model"):
        model.fit(dataset, verbose=0)


def test_dataset_of_unknown_length_takes_no_extra_step(model):
    """Keras takes one more step at the end of a dataset that does not say where it ends."""
    texts, labels = zip(*TRAIN, strict=True)
    dataset = tf.data.Dataset.from_tensor_slices((list(texts), list(labels))).batch(4)
    unknown = dataset.filter(lambda *_: True)
    assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    model.fit(unknown, epochs=3, verbose=0)
    assert int(model.optimizer.iterations) == 9
    assert model.optimizer._learning_rate.total_steps == 9


def test_endless_dataset_needs_steps(model):
    dataset = tf.data.Dataset.from_tensors((["good"], ["good"])).repeat()
    with pytest.raises(ValueError, match="never ends: give steps_per_epoch"):
        model.fit(dataset, verbose=0)
    model.fit(dataset, steps_per_epoch=2, verbose=0)


def test_pairs(tiny_checkpoint):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), labels=["no", "yes"])
    data = [(("is it good", "very good"), "yes"), (("is it good", "bad"), "no")]
    model.fit(data, epochs=1, verbose=0)
    assert model.takes_pairs
    first, swapped = model.predict([("is it good", "bad"), ("bad", "is it good")])
    assert not np.allclose(first["probabilities"], swapped["probabilities"])
    dataset = tf.data.Dataset.from_tensor_slices(((["a", "b"], ["c", "d"]), ["yes", "no"]))
    model.fit(dataset, epochs=1, verbose=0)


def test_texts_and_labels_apart(model):
    texts, labels = zip(*TRAIN, strict=True)
    model.fit(list(texts), list(labels), validation_data=(list(texts), list(labels)), verbose=0)
    assert model.evaluate(np.array(texts), np.array(labels), verbose=0)["loss"] > 0


def test_ids_go_to_keras(model):
    ids = {k: np.asarray(v) for k, v in model.preprocessor(["good", "bad"]).items()}
    model.fit(ids, np.array([1, 0]), epochs=1, verbose=0)
    assert model.predict(ids, verbose=0).shape == (2, 2)
    assert model.evaluate(ids, np.array([1, 0]), verbose=0)["loss"] > 0


# Training.


def train(checkpoint, **kwargs):
    keras.utils.set_random_seed(7)
    model = kb.BertClassifier.from_pretrained(str(checkpoint), labels=LABELS)
    model.fit(TRAIN, batch_size=4, verbose=0, **kwargs)
    return model.get_weights()


def test_same_seed_same_weights(tiny_checkpoint):
    first, second = (train(tiny_checkpoint, epochs=2) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_schedule_spans_every_run(model):
    rates = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            rates.append(float(model.optimizer.learning_rate))

    model.compile(learning_rate=1.0, warmup=0.5)
    for _ in range(2):
        model.fit(TRAIN, epochs=2, batch_size=6, verbose=0, callbacks=[Rates()])
    assert rates == pytest.approx([0, 0.5, 1, 0.5] * 2)


def test_interrupt_keeps_the_best_weights(model):
    seen = []

    class Interrupt(keras.callbacks.Callback):
        """Worsens the model after the second epoch, and stops in the third."""

        def on_epoch_end(self, epoch, logs=None):
            seen.append((logs["val_loss"], self.model.get_weights()))

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.head.logits.bias.assign([50.0, -50.0])

        def on_train_batch_begin(self, batch, logs=None):
            if len(seen) == 2:
                raise KeyboardInterrupt

    good = [pair for pair in TRAIN if pair[1] == "good"]
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN, validation_data=good, epochs=5, verbose=0, callbacks=[Interrupt()])
    (best_loss, best), (worse_loss, _) = seen
    assert best_loss < worse_loss
    for one, other in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_are_decayed_but_for_bias_and_norm(model):
    model.compile(optimizer=kb.AdamW(1e-3))
    model.fit(TRAIN, epochs=1, verbose=0)
    decayed = dict(
        zip([v.path for v in model.trainable_variables], model.optimizer._decayed, strict=True)
    )
    assert sum(not d for d in decayed.values()) == sum(
        path.rsplit("/", 1)[1] in ("bias", "gamma", "beta") for path in decayed
    )
    assert all(decayed[p] for p in decayed if p.endswith(("kernel", "embeddings")))


def test_last_block_reads_the_first_token_alone(model):
    """A classifier's last feed-forward layer runs on (batch, ...), not (batch · seq, ...)."""
    ids = {name: tf.TensorSpec((3, 8), tf.int32) for name in model.preprocessor(["a"])}
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(ids).graph
    rows = [
        op.outputs[0].shape[0]
        for op in graph.get_operations()
        if op.type == "MatMul" and "intermediate" in op.name
    ]
    assert rows == [3 * 8] * (model.encoder.config.num_layers - 1) + [3]


# Bad input.


@pytest.mark.parametrize("text", ["", " ", "\x00", b"\xff\xfe", "\ud800", "a" * 300, "日本語 ½ ß"])
def test_odd_texts_are_answered(trained, text):
    answer = trained.predict([text, "good"])[0]
    assert answer["label"] in LABELS and np.isfinite(answer["probabilities"]).all()


def test_a_megabyte_of_text(trained):
    with pytest.warns(TruncationWarning, match="1 of 1 texts are longer than seq_length=64"):
        assert trained.predict(["good day " * 120_000])[0]["label"] in LABELS


@pytest.mark.parametrize("texts", [[None], [5], ["a", None], [["a"]], "a"])
def test_no_text(trained, texts):
    with pytest.raises(TypeError, match="text"):
        trained.predict(texts)


@pytest.mark.parametrize("x", [[], [("a", "good"), ("b",)]])
def test_nothing_to_train_on(model, x):
    with pytest.raises((ValueError, TypeError)):
        model.fit(x)


def test_vocabulary_of_another_size(model):
    small = kb.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good"])
    with pytest.warns(UserWarning, match="has 5 tokens, the encoder's embedding"):
        kb.BertClassifier(model.encoder, kb.Preprocessor(small, seq_length=8), LABELS)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(1000))]
    with pytest.raises(ValueError, match="has 1004 tokens, but .* do not belong together"):
        large = kb.Preprocessor(kb.WordPieceTokenizer(words), seq_length=8)
        kb.BertClassifier(model.encoder, large, LABELS)


def test_sequences_longer_than_the_encoder(tiny_checkpoint):
    with pytest.raises(ValueError, match="seq_length=65 is more than .*embeddings=64"):
        kb.BertClassifier.from_pretrained(str(tiny_checkpoint), seq_length=65)


def test_encoder_without_pooler(model):
    fields = {**model.encoder.config.to_dict(), "use_pooler": False}
    with pytest.raises(ValueError, match="has no pooler"):
        encoder = kb.BertEncoder(kb.EncoderConfig.from_dict(fields))
        kb.BertClassifier(encoder, model.preprocessor, LABELS)


@pytest.mark.slow
def test_metrics_by_name_under_xla(model):
    model.compile(metrics=["accuracy"], jit_compile=True)
    history = model.fit(TRAIN, epochs=1, batch_size=len(TRAIN), verbose=0)
    assert 0 <= history.history["accuracy"][0] <= 1


def test_composes_with_string_input(trained):
    texts = keras.Input(shape=(), dtype="string")
    model = keras.Model(texts, trained(trained.preprocessor(texts)))
    logits = model.predict(tf.constant(["good", "bad"]), verbose=0)
    np.testing.assert_allclose(logits, trained(trained.preprocessor(["good", "bad"])), atol=1e-5)
