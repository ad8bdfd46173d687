"""DualEncoder: what it is trained on, how it is scored, and what it finds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.comparisons import read_comparisons
from keras_bert.training.embedding_losses import MultipleNegatives

WORDS = ["good", "bad", "day", "work", "bank", "card", "money", "movie", "food", "book"]
#: A word and a sentence about it.
PAIRS = [(word, f"all the {word}") for word in WORDS]
TRIPLETS = [(*pair, PAIRS[i - 1][1]) for i, pair in enumerate(PAIRS)]
SCORED = [(pair, 1.0) for pair in PAIRS]
SCORED += [((a, PAIRS[i - 3][1]), 0.0) for i, (a, _) in enumerate(PAIRS)]


@pytest.fixture
def model(tiny_checkpoint):
    model = kb.DualEncoder.from_pretrained(str(tiny_checkpoint), normalize=True)
    model.compile(run_eagerly=True)  # a step or two are quicker than to trace one
    return model


@pytest.fixture(scope="module")
def trained(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = kb.DualEncoder.from_pretrained(str(tiny_checkpoint), normalize=True)
    model.compile(learning_rate=5e-3)
    model.fit(PAIRS, epochs=25, batch_size=10, verbose=0)
    return model


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))


def test_learns_what_belongs_together(trained, model):
    before, after = (m.evaluate(PAIRS, verbose=0) for m in (model, trained))
    assert set(after) == {"loss", "recall@1", "recall@5", "recall@10", "mrr"}
    assert after["recall@1"] > 0.75 > before["recall@1"] and after["loss"] < before["loss"]


@pytest.mark.parametrize(
    "loss, examples",
    [
        ("multiple_negatives", TRIPLETS),
        ("additive_margin", PAIRS),
        ("triplet", TRIPLETS),
        ("cosine", SCORED),
        ("contrastive", SCORED),
        (MultipleNegatives(scale=5.0, symmetric=True), PAIRS),
    ],
)
def test_every_loss_is_trained(model, loss, examples):
    model.compile(kb.AdamW(1e-3), loss, run_eagerly=True)
    rows = model.labelled_rows(*model.read_labelled(examples))
    ids, targets = rows.batch(np.arange(len(rows))), rows.targets
    before = model.test_on_batch(ids, targets)
    for _ in range(4):
        model.train_on_batch(ids, targets)
    assert model.test_on_batch(ids, targets) < before
    assert model.loss.name == (loss if isinstance(loss, str) else loss.name)


def test_the_loss_is_that_of_the_embeddings(model):
    """Dropout off: the loss that fit reports is computed by hand from encode."""
    for examples, by_hand in ((PAIRS, MultipleNegatives()), (SCORED, None)):
        found = model.evaluate(examples, verbose=0)["loss"]
        texts, scores = read_comparisons(examples)
        embeddings = np.stack([model.encode(list(side)) for side in zip(*texts, strict=True)], 1)
        if by_hand:
            expected = by_hand(np.zeros(len(texts)), embeddings)
        else:
            expected = np.mean((np.sum(embeddings[:, 0] * embeddings[:, 1], -1) - scores) ** 2)
        assert found == pytest.approx(float(expected), abs=1e-5)


def test_sides_of_other_lengths_are_encoded_apart(model):
    """Short texts are not padded to long ones, and what comes out is the same."""
    examples = [(word, f"{word} " * 20) for word in WORDS]
    rows = model.labelled_rows(examples, None)
    ids = rows.batch([0, 1])
    assert [side["input_mask"].shape[1] for side in ids] == [3, 22]
    alike = model.labelled_rows([("a good day", "a bad day")] * 2, None).batch([0, 1])
    assert alike["input_word_ids"].shape[:2] == (2, 2)
    apart = np.asarray(model(ids))
    for side in (0, 1):
        expected = model.encode([example[side] for example in examples[:2]])
        np.testing.assert_allclose(apart[:, side], expected, atol=1e-5)
    model.fit(examples, epochs=1, batch_size=4, verbose=0)


def test_scored_pairs(trained):
    scores = trained.evaluate(SCORED, verbose=0)
    assert set(scores) == {"loss", "pearson", "spearman"}
    assert scores["spearman"] > 0.5
    cosines = [float(trained.similarity([a], [b])[0, 0]) for (a, b), _ in SCORED]
    expected = np.corrcoef(cosines, [score for _, score in SCORED])[0, 1]
    assert scores["pearson"] == pytest.approx(expected, abs=1e-5)
    # Correlations do not care how scores are counted.
    larger = trained.evaluate([(pair, 5 * score) for pair, score in SCORED], verbose=0)
    assert larger["spearman"] == pytest.approx(scores["spearman"], abs=1e-9)


def test_trained_on_triplets_validated_on_scores(model):
    """The classical recipe: trained on NLI, watched on STS."""
    model.compile(loss="multiple_negatives", run_eagerly=True)
    history = model.fit(TRIPLETS, validation_data=SCORED, epochs=2, batch_size=5, verbose=0).history
    assert {"loss", "val_loss", "val_pearson", "val_spearman"} <= set(history)
    assert history["val_loss"][-1] == pytest.approx(
        model.evaluate(SCORED, verbose=0)["loss"], abs=1e-4
    )


def test_forms_of_data(model):
    as_columns = model.evaluate([p for p, _ in SCORED], [s for _, s in SCORED], verbose=0)
    flat = model.evaluate([(*pair, score) for pair, score in SCORED], verbose=0)
    assert as_columns == flat == model.evaluate(SCORED, verbose=0)


@pytest.mark.parametrize("batched", [False, True])
def test_tf_data(model, batched):
    texts = [list(side) for side in zip(*PAIRS, strict=True)]
    pairs = tf.data.Dataset.from_tensor_slices(tuple(texts))
    scored = tf.data.Dataset.from_tensor_slices((tuple(texts), [1] * len(PAIRS)))
    for dataset in (pairs, scored):
        dataset = dataset.batch(5) if batched else dataset
        model.fit(dataset, validation_data=dataset, batch_size=5, epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 4
    numbers = tf.data.Dataset.from_tensor_slices((texts[0], [1] * len(PAIRS)))
    with pytest.raises(ValueError, match="Expected texts that belong together"):
        model.fit(numbers, verbose=0)


def test_saved_as_keras(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert same_weights(trained, again) and again.embedding.normalize
    np.testing.assert_array_equal(again.encode(WORDS), trained.encode(WORDS))
    assert again.evaluate(PAIRS, verbose=0) == trained.evaluate(PAIRS, verbose=0)
    again.fit(SCORED, epochs=1, verbose=0)
    again.compile(loss=MultipleNegatives(scale=7.0))
    again.save(tmp_path / "again.keras")
    assert keras.saving.load_model(tmp_path / "again.keras").loss.scale == 7.0


def test_a_model_built_fresh_gives_unit_vectors(model):
    fresh = kb.DualEncoder(model.encoder, model.preprocessor)
    lengths = np.linalg.norm(fresh.encode(WORDS), axis=-1)
    np.testing.assert_allclose(lengths, np.ones(len(WORDS)), atol=1e-6)


def test_predict_is_encode(trained):
    expected = trained.encode(WORDS)
    np.testing.assert_array_equal(trained.predict(WORDS), expected)
    dataset = tf.data.Dataset.from_tensor_slices(WORDS).batch(3)
    np.testing.assert_array_equal(trained.predict(dataset), expected)
    ids = {k: np.asarray(v) for k, v in trained.preprocessor(WORDS).items()}
    np.testing.assert_allclose(trained.predict(ids, verbose=0), expected, atol=1e-5)
    graph = trained.text_answers(tf.constant(WORDS))
    np.testing.assert_allclose(graph["embedding"], expected, atol=1e-5)


# What belongs to what.


def test_similarity_of_texts(trained):
    first, second = trained.encode(WORDS), trained.encode(["good day"])
    expected = trained.similarity(first, second)
    assert expected.shape == (10, 1)
    np.testing.assert_array_equal(trained.similarity(WORDS, ["good day"]), expected)
    np.testing.assert_array_equal(trained.similarity(np.array(WORDS), second), expected)
    np.testing.assert_array_equal(kb.DualEncoder.similarity(first, second), expected)
    with pytest.raises(TypeError, match="model.similarity texts too"):
        kb.DualEncoder.similarity(WORDS, WORDS)
    with pytest.raises(TypeError, match="Write .text."):
        trained.similarity("good", WORDS)


def test_search(trained):
    corpus = [text for _, text in PAIRS]
    found = trained.search(["money", "good"], corpus, top_k=3)
    for row in found:
        assert all(corpus[hit["index"]] == hit["text"] for hit in row)
    assert [len(row) for row in found] == [3, 3]
    cosines = trained.similarity(["money"], corpus)[0]
    order = np.argsort(-cosines)[:3]
    assert [hit["index"] for hit in found[0]] == order.tolist()
    scores = [hit["score"] for hit in found[0]]
    np.testing.assert_allclose(scores, cosines[order], atol=1e-6)
    assert scores == sorted(scores, reverse=True)


def test_search_again_in_the_same_embeddings(trained):
    corpus = [text for _, text in PAIRS]
    embeddings = trained.encode(corpus)
    expected = trained.search(["money"], corpus)
    assert len(expected[0]) == len(corpus)
    assert trained.search(["money"], corpus, corpus_embeddings=embeddings) == expected
    without_texts = trained.search(trained.encode(["money"]), corpus_embeddings=embeddings)
    assert without_texts == [[{k: hit[k] for k in ("index", "score")} for hit in expected[0]]]


def test_search_in_nothing(trained):
    with pytest.raises(ValueError, match="nothing to search"):
        trained.search(["a"])
    with pytest.raises(ValueError, match="no texts"):
        trained.search(["a"], [])
    with pytest.raises(ValueError, match="2 texts and 1 embeddings"):
        trained.search(["a"], ["b", "c"], corpus_embeddings=np.ones((1, 32)))
    with pytest.raises(TypeError, match="Write .text."):
        trained.search("a", ["b"])


# Bad input.


@pytest.mark.parametrize(
    "examples, error, message",
    [
        ([], ValueError, "Received no texts"),
        (["one", "two"], TypeError, "Item 0 is 'one'"),
        ([("a", "b"), ("a",)], TypeError, "Item 1 is .'a',.*Expected texts that belong together"),
        ([("a", "b"), ("a", "b", "c")], ValueError, "Item 1 has 3 texts, while item 0 has 2"),
        ([("a", "b"), (("a", "b"), 1.0)], ValueError, "Item 1 has a score, while item 0 has none"),
        ([("a", "b", 1.0), ("a", "b")], ValueError, "Item 1 has none, while item 0 has a score"),
        ([("a", 3)], TypeError, "Item 0"),
        ([("a", None)], TypeError, "Item 0"),
        ([(("a", "b"), "much")], ValueError, "The score of item 0 is 'much'; expected a number"),
        ([(("a", "b"), float("nan"))], ValueError, "score of item 0 is nan"),
        ([("a", "b", 4.2)], ValueError, "score of example 0 is 4.2; loss='cosine' takes .* by 5"),
    ],
)
def test_bad_examples(model, examples, error, message):
    with pytest.raises(error, match=message):
        model.fit(examples, verbose=0)


def test_a_loss_that_takes_other_examples(model):
    with pytest.raises(ValueError, match="loss='triplet' takes examples of 3 texts"):
        model.fit(PAIRS, loss="triplet", verbose=0)
    with pytest.raises(ValueError, match="expected one of multiple_negatives"):
        model.compile(loss="mnr")
    with pytest.raises(ValueError, match="10 groups of texts and 1 scores"):
        model.fit(PAIRS, [1.0], verbose=0)
    with pytest.raises(ValueError, match="beside the texts and in y"):
        model.fit(SCORED, [1.0] * 20, verbose=0)


def test_odd_texts(trained):
    examples = [("", "a"), ("\x00", "日本語"), (b"good", "😀 " * 9), ("a" * 300, " ")]
    assert np.isfinite(list(trained.evaluate(examples, verbose=0).values())).all()
    assert np.isfinite(trained.fit(examples, epochs=1, verbose=0).history["loss"]).all()
