"""BertMaskedLM: gaps in texts are filled as transformers does; trained and scored on texts."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from keras_bert.data.passes import Position

CASES = ("bert", "roberta", "albert", "xlm_roberta")
TEXTS = ["it is a day in paris", "the capital of paris", "you see a capital", "is it you", "a b c"]


@pytest.fixture(scope="module")
def models(fixtures):
    folder = fixtures / "fill_mask"
    return {name: kb.BertMaskedLM.from_pretrained(str(folder / name)) for name in CASES}


@pytest.fixture(scope="module")
def model(fixtures):
    """A model that tests may train: none of them depends on its weights."""
    model = kb.BertMaskedLM.from_pretrained(str(fixtures / "fill_mask" / "bert"))
    model.compile(run_eagerly=True)  # a step or two are quicker than to trace one
    return model


@pytest.mark.parametrize("name", CASES)
def test_gaps_are_filled_as_by_transformers(models, fixtures, name):
    expected = json.loads((fixtures / "fill_mask" / name / "expected.json").read_text())
    answers = models[name].predict([row["text"] for row in expected], top_k=7)
    for found, row in zip(answers, expected, strict=True):
        assert len(found) == len(row["masks"]), row["text"]
        for gap, theirs in zip(found, row["masks"], strict=True):
            assert [a["id"] for a in gap] == [t["id"] for t in theirs], row["text"]
            scores = [t["score"] for t in theirs]
            np.testing.assert_allclose([a["score"] for a in gap], scores, atol=1e-5)
            assert [a["token"] for a in gap] == [t["token"].strip() for t in theirs]


def test_what_is_answered(models):
    none, one, two = models["bert"].predict(["a b", "The [MASK].", "[MASK] in [MASK]"], top_k=2)
    assert none == [] and [len(one), len(two)] == [1, 2]
    for gap in (*one, *two):
        assert [set(answer) for answer in gap] == [{"token", "score", "id", "sequence"}] * 2
        assert 1 > gap[0]["score"] >= gap[1]["score"] > 0
    vocabulary = models["bert"].preprocessor.tokenizer.vocabulary
    answer = one[0][0]
    assert answer["token"] == vocabulary[answer["id"]]
    assert answer["sequence"].startswith("The") and answer["sequence"].endswith(".")
    assert [gap[0]["sequence"].count("[MASK]") for gap in two] == [1, 1]
    assert two[0][0]["sequence"].endswith(" in [MASK]")
    assert two[1][0]["sequence"].startswith("[MASK] in")


def test_all_of_the_vocabulary(models):
    ((gap,),) = models["bert"].predict(["[MASK]"], top_k=1000)
    assert len(gap) == models["bert"].preprocessor.tokenizer.vocabulary_size
    assert sum(answer["score"] for answer in gap) == pytest.approx(1, abs=1e-5)


def test_batches_and_order_do_not_matter(models):
    texts = [f"{word} [MASK] {'you ' * i}" for i, word in enumerate(["a", "it", "the"] * 3)]
    together = models["bert"].predict(texts)
    for one, other in zip(together, models["bert"].predict(texts, batch_size=2), strict=True):
        assert [a["id"] for a in one[0]] == [a["id"] for a in other[0]]
        assert one[0][0]["score"] == pytest.approx(other[0][0]["score"], abs=1e-6)


@pytest.mark.slow
def test_pairs(models):
    pair = ("see [MASK] you", "it [MASK]")
    ((first, second),) = models["bert"].predict([pair])
    assert first[0]["sequence"].endswith("you") and second[0]["sequence"].startswith("it")
    tokenizer = models["bert"].preprocessor.tokenizer
    special = kb.WordPieceTokenizer(tokenizer.vocabulary, special_tokens_in_text="special")
    ids = kb.Preprocessor(special, seq_length=36)(([pair[0]], [pair[1]]))
    logits = np.asarray(models["bert"](ids))[0]
    places = np.flatnonzero(ids["input_word_ids"][0].numpy() == special.mask_id)
    assert [g[0]["id"] for g in (first, second)] == logits[places].argmax(-1).tolist()


def test_long_texts_are_cut_or_put_into_windows(fixtures, models):
    text = "it is a capital of paris and you see it [MASK] " * 6
    with pytest.warns(TruncationWarning, match="1 of 1 texts are longer than seq_length=36"):
        assert len(models["bert"].predict([text])[0]) == 3
    folder = str(fixtures / "fill_mask" / "bert")
    model = kb.BertMaskedLM.from_pretrained(folder, stride=12, seq_length=24)
    short, long, none = model.predict(["a [MASK]", text, "you " * 40])
    assert [len(short), len(long), none] == [1, 6, []]
    assert long[5][0]["sequence"].count("[MASK]") == 5
    # In the middle of the text every gap sees the same, and has the same answer as by itself.
    ids = model._filling.preprocessor(model.preprocessor)([text], return_offsets=True)
    is_gap = (ids["input_word_ids"] == model.preprocessor.tokenizer.mask_id).numpy()
    names = ("input_word_ids", "input_mask", "input_type_ids")
    starts, logits = ids["starts"].numpy(), np.asarray(model({name: ids[name] for name in names}))
    for number, gap in enumerate(long):
        start = (number + 1) * len(text) // 6 - len("[MASK] ")
        seen = np.argwhere(is_gap & (starts == start))
        assert len(seen) >= 1
        length = ids["input_mask"].numpy().sum(1)
        context = [min(column - 1, length[row] - 2 - column) for row, column in seen]
        row, column = seen[int(np.argmax(context))]
        assert gap[0]["id"] == logits[row, column].argmax()


def test_text_that_looks_like_a_mask_is_text_in_training(model):
    rows = model.labelled_rows(["[MASK] [MASK]"], None)
    ((ids, targets),) = rows.dataset(lambda: [np.array([0])])
    places = np.asarray(ids["masked_lm_positions"])[np.asarray(targets) >= 0]
    shown = np.delete(ids["input_word_ids"][0].numpy(), places)
    assert model.preprocessor.tokenizer.mask_id not in shown


@pytest.mark.slow
def test_learns(fixtures):
    keras.utils.set_random_seed(3)
    model = kb.BertMaskedLM.from_pretrained(str(fixtures / "fill_mask" / "bert"))
    model.compile(learning_rate=1e-2)
    before = model.evaluate(TEXTS, verbose=0)
    history = model.fit(TEXTS * 4, epochs=12, batch_size=20, rate=0.3, verbose=0).history
    after = model.evaluate(TEXTS, verbose=0)
    assert set(history) == {"loss", "accuracy", "perplexity"}
    assert set(after) == {"loss", "accuracy", "perplexity"}
    assert after["perplexity"] < before["perplexity"] / 2
    assert after["loss"] == pytest.approx(math.log(after["perplexity"]), abs=1e-6)


def test_evaluation_is_the_same_however_it_is_asked(model):
    expected = model.evaluate(TEXTS, verbose=0)
    assert model.evaluate(TEXTS, verbose=0) == expected
    in_twos = model.evaluate(TEXTS, batch_size=2, verbose=0)
    assert in_twos == pytest.approx(expected, abs=1e-5)
    assert model.evaluate(TEXTS, seed=1, verbose=0) != expected
    assert model.evaluate(TEXTS, return_dict=False, verbose=0) == list(expected.values())


def test_loss_is_that_of_the_hidden_tokens(model):
    rows = model.labelled_rows(TEXTS, None)
    losses, hits = [], []
    for ids, targets in rows.dataset(lambda: [np.arange(2), np.arange(2, 5)]):
        logits = np.asarray(model(ids))
        log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        for row, place in np.argwhere(targets.numpy() >= 0):
            losses.append(-log[row, place, int(targets[row, place])])
            hits.append(logits[row, place].argmax() == int(targets[row, place]))
    scores = model.evaluate(TEXTS, verbose=0)
    assert scores["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert scores["accuracy"] == pytest.approx(np.mean(hits), abs=1e-6)


def test_other_tokens_are_hidden_in_every_epoch(model):
    model._masks_anew, model.data_position = True, Position()
    rows, position = model.labelled_rows(TEXTS, None), model.data_position
    model._masks_anew, model.data_position = False, None
    dataset, passes = rows.dataset(lambda: [np.arange(5)]), []
    for epoch in (0, 1, 2, 3, 0):
        position.epoch = epoch
        passes.append(next(iter(dataset))[0]["masked_lm_positions"].numpy().tobytes())
    assert len(set(passes)) > 1
    # A function of the pass alone, wherever a run begins.
    assert passes[4] == passes[0]


@pytest.mark.slow
def test_tf_data_and_files(model):
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    labelled = tf.data.Dataset.from_tensor_slices((TEXTS, [0] * 5)).batch(2)
    pairs = tf.data.Dataset.from_tensor_slices(((TEXTS, TEXTS),))
    model.compile(run_eagerly=True)
    for dataset in (texts, labelled, pairs):
        model.fit(dataset, batch_size=5, verbose=0)
    assert int(model.optimizer.iterations) == 1 + 3 + 1
    assert model.evaluate(texts, verbose=0) == model.evaluate(texts, verbose=0)


def test_saved_as_keras(model, tmp_path):
    model.fit(TEXTS, whole_word=True, rate=0.5, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.masking == {"whole_word": True, "rate": 0.5}
    assert again.predict(["a [MASK]"]) == model.predict(["a [MASK]"])
    expected = model.evaluate(TEXTS, verbose=0)
    assert again.evaluate(TEXTS, verbose=0) == pytest.approx(expected, abs=1e-5)


def test_in_a_graph(model):
    signature = [tf.TensorSpec((None,), tf.string)]
    function = tf.function(model.text_answers, input_signature=signature, autograph=False)
    found = function(tf.constant(["a [MASK] b [MASK]", "it"]))
    assert found["id"].shape[2] == found["score"].shape[2] == 5
    expected = model.predict(["a [MASK] b [MASK]", "it"])
    assert [[a["id"] for a in gap] for gap in expected[0]] == found["id"][0].numpy().tolist()
    assert found["token"].row_lengths().numpy().tolist() == [2, 0]
    assert function(tf.constant(["it"]))["id"].row_lengths().numpy().tolist() == [0]


def test_bad_input(model):
    with pytest.raises(ValueError, match="top_k=0; expected 1 or more"):
        model.predict(["[MASK]"], top_k=0)
    with pytest.raises(TypeError, match="Write .text."):
        model.predict("[MASK]")
    with pytest.raises(TypeError, match=r"texts\[1\]"):
        model.fit(["a", None], verbose=0)
    with pytest.raises(ValueError, match="no texts"):
        model.fit([], verbose=0)
    vocabulary = [f"w{i}" for i in range(67)] + ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = kb.WordPieceTokenizer(vocabulary)
    other = kb.BertMaskedLM(model.encoder, kb.Preprocessor(tokenizer, seq_length=8))
    for use in (lambda: other.fit(["a"], verbose=0), lambda: other.predict(["a"])):
        with pytest.raises(ValueError, match="lacks the mask token"):
            use()


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "日本語 ½ ß", b"\xff [MASK]"])
def test_odd_texts(model, text):
    assert isinstance(model.predict([text])[0], list)
    assert np.isfinite(model.evaluate([text], verbose=0)["loss"])
