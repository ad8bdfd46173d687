"""Pieces to words and windows to pieces, against transformers and by brute force."""

import gzip
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.packed_rows import PackedRows
from keras_bert.data.tagged import word_bytes
from keras_bert.models import tagging
from keras_bert.models.tag_labels import TagLabels
from keras_bert.text.words import join_words
from tests.text.conftest import read_tokens

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


@pytest.fixture(scope="module")
def tagger(fixtures):
    return kb.BertTokenClassifier.from_pretrained(str(fixtures / "ner" / "tagger"))


@pytest.fixture(scope="module")
def uncased():
    return kb.WordPieceTokenizer(read_tokens("uncased"), lower_case=True)


def test_entities_as_transformers_pipeline_has_them(tagger, fixtures):
    golden = json.loads((fixtures / "ner" / "tagger" / "pipeline.json").read_text("utf-8"))
    texts = golden["texts"]
    answers = tagger.predict(texts, batch_size=len(texts))
    for text, answer, expected in zip(texts, answers, golden["answers"], strict=True):
        names = ("label", "start", "end")
        found = [[entity[name] for name in names] for entity in answer["entities"]]
        assert found == [[entity[name] for name in names] for entity in expected], text
        scores = [entity["score"] for entity in answer["entities"]]
        assert scores == pytest.approx([entity["score"] for entity in expected], abs=1e-5)
        for entity in answer["entities"]:
            assert entity["text"] == text[entity["start"] : entity["end"]]


def test_labels_of_pieces_as_transformers_lays_them(uncased, fixtures):
    with gzip.open(fixtures / "ner" / "alignment.json.gz") as file:
        golden = json.load(file)
    joined = [join_words(words, " ") for words in golden["texts"]]
    spans = [word_bytes(places, text) for text, places in joined]
    rows_seen = 0
    for case in golden["cases"]:
        preprocessor = kb.Preprocessor(uncased, case["seq_length"], case["stride"])
        rows = PackedRows(preprocessor, [[text for text, _ in joined]])
        assert rows.source.tolist() == [row["source"] for row in case["rows"]]
        for name in ("first", "all"):
            found = tagging.piece_targets(
                rows, spans, golden["labels"], TagLabels(LABELS), name == "all"
            )
            ids = rows.batch(np.arange(len(rows)))["input_word_ids"].numpy().tolist()
            for number, row in enumerate(case["rows"]):
                assert ids[number][: rows.lengths[number]] == row["ids"]
                assert found[number].numpy().tolist() == row[name], (case["stride"], number)
        rows_seen += len(rows)
    assert rows_seen == 308


def brute_force(preprocessor, text, model):
    """The logits of each piece, from the window where its poorer side is longest."""
    packed = preprocessor([text], return_offsets=True)
    logits = model({name: packed[name] for name in packed if name.startswith("input_")}).numpy()
    best = {}
    for row, segments in enumerate(packed["input_segments"].numpy()):
        places = np.flatnonzero(segments >= 0)
        for number, place in enumerate(places):
            piece = number + int(packed["window_start"][row])
            context = min(number, len(places) - 1 - number)
            if piece not in best or context > best[piece][0]:
                best[piece] = context, logits[row, place]
    return np.array([best[piece][1] for piece in sorted(best)])


@pytest.mark.parametrize(("seq_length", "stride"), [(12, 0), (12, 3), (16, 11)])
def test_windows_are_merged_by_context(tagger, seq_length, stride):
    preprocessor = kb.Preprocessor(tagger.preprocessor.tokenizer, seq_length, stride)
    texts = ["hello the best bank of the new city " * 4, "", "yes", "a zq zürich 中 " * 9]
    model = lambda ids: tagger({n: ids[n] for n in ids if n != "input_segments"})  # noqa: E731
    pieces = tagging.pieces_of(preprocessor, model, tf.constant(texts), len(LABELS))
    assert pieces.truncated.numpy().tolist() == [0, 0, 0, 0]
    for number, text in enumerate(texts):
        mine = pieces.text.numpy() == number
        _, starts, ends = preprocessor.tokenizer.tokenize_with_offsets([text])
        assert pieces.starts[mine].numpy().tolist() == starts[0].numpy().tolist()
        assert pieces.ends[mine].numpy().tolist() == ends[0].numpy().tolist()
        if mine.any():
            expected = brute_force(preprocessor, text, model)
            np.testing.assert_allclose(pieces.logits[mine], expected, atol=1e-5)


def test_parts_are_as_the_whole(tagger, monkeypatch):
    preprocessor = kb.Preprocessor(tagger.preprocessor.tokenizer, 12, 3)
    texts = tf.constant(["hello the best bank " * 20, "no"])
    model = lambda ids: tagger(ids, training=False)  # noqa: E731
    whole = tagging.pieces_of(preprocessor, model, texts, len(LABELS))
    for tokens in (12, 100):
        monkeypatch.setattr(tagging, "TOKENS_AT_ONCE", tokens)
        parts = tagging.pieces_of(preprocessor, model, texts, len(LABELS))
        np.testing.assert_allclose(parts.logits, whole.logits, atol=1e-5)
    nothing = tagging.pieces_of(preprocessor, model, texts[:0], len(LABELS))
    assert nothing.logits.shape == (0, len(LABELS)) and nothing.truncated.shape == (0,)


# Decoding by hand: one piece per word, its logits as told.


def said(words, names, labels, pieces=None):
    """Tags and entities of a text whose pieces are judged as ``names`` says."""
    text, places = join_words(words, " ")
    spans = word_bytes(places, text)
    chosen = spans if pieces is None else np.array(pieces).reshape(-1, 2)
    logits = (
        9.0 * np.eye(len(labels.names))[np.array([labels.names.index(name) for name in names], int)]
    )
    count = len(chosen)
    judged = tagging.Pieces(
        tf.constant(chosen[:, 0], tf.int32),
        tf.constant(chosen[:, 1], tf.int32),
        tf.zeros(count, tf.int32),
        tf.constant(logits.reshape(count, len(labels.names)), tf.float32),
        tf.zeros(1, tf.int32),
    )
    starts, ends = (tf.RaggedTensor.from_row_lengths(spans[:, i], [len(words)]) for i in (0, 1))
    strings = tf.constant([text])
    tagged = tagging.tags_of_words(judged, strings, starts, ends, labels)
    found = tagging.entities_of_words(tagged, strings, starts, ends, labels)
    entities = list(zip(found["label"][0].numpy(), found["text"][0].numpy(), strict=True))
    entities = [(label.decode(), part.decode()) for label, part in entities]
    tags = [tag.decode() for tag in tagging.tag_names_of_words(tagged, labels).numpy()]
    return tags, entities


@pytest.mark.parametrize(
    ("names", "entities"),
    [
        ("O O O", []),
        ("B-PER I-PER O", ["PER a b"]),
        ("B-PER B-PER I-PER", ["PER a", "PER b c"]),
        ("O I-LOC I-LOC", ["LOC b c"]),
        ("I-LOC I-PER B-PER", ["LOC a", "PER b", "PER c"]),
        ("I-PER O I-PER", ["PER a", "PER c"]),
    ],
)
def test_labels_that_continue_nothing_begin(names, entities):
    names = names.split()
    tags, found = said(["a", "b", "c"], names, TagLabels(LABELS))
    assert tags == names
    assert [" ".join(entity) for entity in found] == entities


@pytest.mark.parametrize(
    ("names", "entities"),
    [
        ("S-X S-X O", ["X a", "X b"]),
        ("B-X I-X E-X", ["X a b c"]),
        ("B-X E-X I-X", ["X a b", "X c"]),
        ("I-X S-X E-X", ["X a", "X b", "X c"]),
    ],
)
def test_iobes(names, entities):
    labels = TagLabels(["O", *(f"{letter}-X" for letter in "BIES")])
    _, found = said(["a", "b", "c"], names.split(), labels)
    assert [" ".join(entity) for entity in found] == entities


def test_names_of_words_are_one_each():
    labels = TagLabels(["DET", "NOUN", "VERB"])
    _, found = said(["a", "b", "c"], ["NOUN", "NOUN", "VERB"], labels)
    assert found == [("NOUN", "a"), ("NOUN", "b"), ("VERB", "c")]
    labels = TagLabels(["O", "NOUN"])
    _, found = said(["a", "b", "c"], ["NOUN", "O", "NOUN"], labels)
    assert found == [("NOUN", "a"), ("NOUN", "c")]


@pytest.mark.parametrize(
    ("labels", "names", "tags", "entities"),
    [
        (LABELS, "B-PER I-PER", "B-PER I-PER I-PER", [("PER", "a b c")]),
        (LABELS, "B-PER B-PER", "B-PER O B-PER", [("PER", "a"), ("PER", "c")]),
        (LABELS, "O B-PER", "O O B-PER", [("PER", "c")]),
        (["X", "Y"], "X X", "X  X", [("X", "a"), ("X", "c")]),
    ],
)
def test_a_word_without_pieces_moves_nothing(labels, names, tags, entities):
    pieces = [[0, 1], [4, 5]]  # none for the word at 2
    found = said(["a", "b", "c"], names.split(), TagLabels(labels), pieces)
    assert found == (tags.split(" "), entities)


def test_words_that_share_a_piece_share_its_entity():
    found = said(["a", "b"], ["B-PER"], TagLabels(LABELS), [[0, 3]])
    assert found == (["B-PER", "B-PER"], [("PER", "a b")])


def test_no_pieces_at_all():
    assert said(["a"], [], TagLabels(LABELS), np.zeros((0, 2))) == (["O"], [])
    assert said([], [], TagLabels(LABELS)) == ([], [])


def test_a_keras_layer_may_stand_in_for_the_model(uncased):
    """Nothing but a function of ids is asked of the model."""
    embedding = keras.layers.Embedding(uncased.vocabulary_size, 2)
    pieces = tagging.pieces_of(
        kb.Preprocessor(uncased, 8, 2),
        lambda ids: embedding(ids["input_word_ids"]),
        tf.constant(["the card is lost where the card is lost"]),
        2,
    )
    assert pieces.logits.shape == (9, 2)
