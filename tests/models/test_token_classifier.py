"""BertTokenClassifier: from words and texts to entities, and what it does with bad input."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from keras_bert.metrics.entities import entity_scores
from keras_bert.models import UntrainedHeadWarning

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
WORDS = [
    (["bob", "is", "in", "new", "york", "."], ["B-PER", "O", "O", "B-LOC", "I-LOC", "O"]),
    (["ann", "and", "bob", "love", "rome", "!"], ["B-PER", "O", "B-PER", "O", "B-LOC", "O"]),
    (["the", "food", "in", "rome", "is", "good"], ["O", "O", "O", "B-LOC", "O", "O"]),
    (["new", "york", "was", "slow"], ["B-LOC", "I-LOC", "O", "O"]),
    (["ann", "lee", "can", "wait"], ["B-PER", "I-PER", "O", "O"]),
    (["never", "again"], ["O", "O"]),
]


def tiny(tokenizer, labels=LABELS, seq_length=32, stride=6, **kwargs):
    """A new model that learns a few sentences in fifty steps."""
    keras.utils.set_random_seed(1)
    config = kb.EncoderConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=32,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        use_pooler=False,
    )
    preprocessor = kb.Preprocessor(tokenizer, seq_length, stride)
    model = kb.BertTokenClassifier(kb.BertEncoder(config), preprocessor, labels, **kwargs)
    model.compile(learning_rate=1e-2)
    return model


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint):
    return kb.Tokenizer.from_pretrained(str(tiny_checkpoint))


@pytest.fixture
def model(tokenizer):
    return tiny(tokenizer)


@pytest.fixture(scope="module")
def trained(tokenizer):
    model = tiny(tokenizer)
    model.fit(WORDS * 30, epochs=2, batch_size=6, verbose=0)
    return model


@pytest.fixture(scope="module")
def eager_finder(tokenizer):
    """To which every word is a person."""
    model = tiny(tokenizer)
    model.head.logits.kernel.assign(tf.zeros_like(model.head.logits.kernel))
    model.head.logits.bias.assign([0.0, 0.0, 0.0, 5.0, 0.0])
    model.head_is_fresh = False
    return model


def spans(answer):
    return [(e["label"], e["start"], e["end"]) for e in answer["entities"]]


def test_learns_and_answers_words(trained):
    answers = trained.predict([words for words, _ in WORDS])
    assert [answer["tags"] for answer in answers] == [tags for _, tags in WORDS]
    assert answers[0]["text"] == "bob is in new york ."
    assert spans(answers[0]) == [("PER", 0, 3), ("LOC", 10, 18)]
    assert answers[0]["entities"][1]["text"] == "new york"
    assert all(0 < e["score"] <= 1 for a in answers for e in a["entities"])


def test_answers_plain_text_as_words(trained):
    text = "Bob is in New York. Ann & Bob love ROME!"
    (answer,) = trained.predict([text])
    assert set(answer) == {"entities"}
    assert ("PER", 0, 3) in spans(answer) and ("LOC", 10, 18) in spans(answer)
    assert all(entity["text"] == text[slice(*span[1:])] for entity, span in pair(answer))


def pair(answer):
    return zip(answer["entities"], spans(answer), strict=True)


def test_scores_are_those_of_seqeval(trained):
    scores = trained.evaluate(WORDS, verbose=0)
    names = {"loss", "token_accuracy", "precision", "recall", "f1", "accuracy"}
    assert set(scores) == names
    assert scores["f1"] == scores["accuracy"] == scores["token_accuracy"] == 1
    wrong = [(words, ["O"] * len(tags)) for words, tags in WORDS]
    scores = trained.evaluate(wrong, verbose=0)
    assert scores["precision"] == scores["recall"] == 0
    predicted = [answer["tags"] for answer in trained.predict([words for words, _ in WORDS])]
    expected = entity_scores([tags for _, tags in wrong], predicted)
    assert scores["accuracy"] == expected["accuracy"]
    table = trained.scores_by_type(WORDS, scheme="IOB2")
    assert table["types"]["LOC"] == {"precision": 1, "recall": 1, "f1": 1, "support": 4}


def test_saves_and_reloads(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.labels, again.label_pieces, again.joiner) == (LABELS, "all", None)
    assert again.preprocessor.stride == 6
    texts = ["Bob is in New York.", "Ann"]
    assert again.predict(texts) == trained.predict(texts)
    assert again.evaluate(WORDS, verbose=0) == trained.evaluate(WORDS, verbose=0)
    loaded = kb.BertTokenClassifier.from_pretrained(str(tmp_path), label_pieces="first")
    assert loaded.labels == LABELS and loaded.label_pieces == "first"
    assert not loaded.head_is_fresh


def test_order_and_batches_do_not_matter(trained):
    texts = ["bob is in rome " * 12, "", "ann", "x" * 90, "."]
    together = trained.predict(texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = trained.predict([text])
        assert spans(alone) == spans(answer)
    assert [spans(a) for a in trained.predict(texts, batch_size=2)] == [spans(a) for a in together]


# Long, short and odd texts.


def test_windows_answer_what_cutting_loses(trained):
    words, tags = ["the", "food"] * 30 + ["bob"], ["O", "O"] * 30 + ["B-PER"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        (answer,) = trained.predict([words])
    assert len(answer["tags"]) == 61
    cut = kb.BertTokenClassifier(
        trained.encoder, kb.Preprocessor(trained.preprocessor.tokenizer, 32), LABELS
    )
    cut.head_is_fresh = False
    with pytest.warns(TruncationWarning, match="1 of 1 texts are longer than seq_length=32"):
        (short,) = cut.predict([words])
    assert short["tags"][40:] == ["O"] * 21
    with pytest.warns(TruncationWarning):
        rows = cut.labelled_rows(*cut.read_labelled([(words, tags)]))
    assert rows.targets.to_list() == [[-1, *[0] * 30, -1]]


@pytest.mark.slow
def test_a_hundred_thousand_words(eager_finder):
    """As plain text and as words; memory does not grow with the windows (see TOKENS_AT_ONCE)."""
    text = "the foöd in rome " * 25_000
    (answer,) = eager_finder.predict([text])
    assert len(answer["entities"]) == 100_000
    assert all(e["text"] == text[e["start"] : e["end"]] for e in answer["entities"])
    (answer,) = eager_finder.predict([text.split()])
    assert answer["tags"] == ["B-PER"] * 100_000


ODD = [
    "",
    " ",
    "a",
    ".",
    "😀",
    "😀😀👩‍👩‍👧 👍🏽",
    "\x00\x01",
    "\u0301",
    "Zu\u0308rich, ＺÜＲＩＣＨ！ ½ ﬁn",
    "Bob，在北京。😀Ann",
    "\ud800 bob \udfff in rome",
    "bob\u200bann\ufeff rome",
    "ß" * 200,
]


@pytest.mark.parametrize("as_words", [False, True])
def test_places_are_those_of_python(eager_finder, as_words):
    texts = [[*text, "bob ann", ""] for text in ODD] if as_words else ODD
    answers, found = eager_finder.predict(texts), []
    for text, answer in zip(texts, answers, strict=True):
        if as_words:
            assert len(answer["tags"]) == len(text)
            text = answer["text"]
        previous = 0
        for entity in answer["entities"]:
            start, end = entity["start"], entity["end"]
            assert previous <= start < end <= len(text)
            assert entity["text"] == text[start:end].replace("\ud800", "\ufffd")
            found.append(entity["text"])
            previous = end
    if not as_words:
        # The last emoji and the name are one piece of this vocabulary, [UNK].
        expected = (
            "a . 😀 😀😀👩‍👩‍👧 👍🏽 Zu\u0308rich , ＺÜＲＩＣＨ ！ ½ ﬁn Bob ， 在 北 京 。 😀Ann"
        )
        expected += " bob in rome bob ann\ufeff rome " + "ß" * 200
        expected = expected.split(" ")
        assert found == expected


def test_bytes_are_texts(trained):
    text, other = "bob is in köln", b"bob is in k\xc3\xb6ln\xff"
    assert trained.predict([text]) == trained.predict([other])
    assert trained.predict([text.split()]) == trained.predict([[w.encode() for w in text.split()]])


def test_blank_words_move_nothing(trained):
    words = ["", "bob", "\u200d", "is", "in", " ", "new", "\x01", "york", ""]
    (answer,) = trained.predict([words])
    expected = ["O", "B-PER", "O", "O", "O", "O", "B-LOC", "I-LOC", "I-LOC", "O"]
    assert answer["tags"] == expected
    example = (["bob", "is", "in", "new", "york"], ["B-PER", "O", "O", "B-LOC", "I-LOC"])
    assert targets(trained, (words, expected)) == targets(trained, example)


def test_no_words(trained):
    (answer,) = trained.predict([[]])
    assert answer == {"entities": [], "tags": [], "text": ""}
    trained.evaluate([([], []), (["", "\x01"], ["O", "O"])], verbose=0)


# What is trained.


def targets(model, example):
    rows = model.labelled_rows(*model.read_labelled([example]))
    return [[LABELS[n] if n >= 0 else "-" for n in row] for row in rows.targets.to_list()]


@pytest.mark.parametrize(
    ("label_pieces", "row"),
    [
        ("all", "- B-PER I-PER I-PER O I-LOC I-LOC -"),
        ("first", "- B-PER - - O B-LOC - -"),
    ],
)
def test_later_pieces(model, label_pieces, row):
    model = kb.BertTokenClassifier(
        model.encoder, model.preprocessor, LABELS, label_pieces=label_pieces
    )
    example = (["xyz", "the", "qa"], ["B-PER", "O", "B-LOC"])
    expected = row.split()
    expected[5] = "B-LOC"  # a word's first piece, whatever its later ones
    assert targets(model, example) == [expected]


def test_entities_of_texts_are_labels_of_words(model):
    text = "Bob saw the newyork bank, Zü😀 ok"
    entities = [
        {"label": "PER", "start": 0, "end": 3},
        {"label": "LOC", "start": 12, "end": 15, "text": "new"},
        {"label": "LOC", "start": 26, "end": 30},
    ]
    ((*row,),) = targets(model, (text, entities))
    pieces = model.preprocessor.tokenizer.tokenize_with_offsets([text], unit="characters")
    places = zip(pieces[1][0].numpy(), pieces[2][0].numpy(), strict=True)
    for (start, end), label in zip(places, row[1:-1], strict=True):
        inside = [e for e in entities if e["start"] < end and start < e["end"]]
        expected = "O"
        if inside:
            expected = ("B-" if start == inside[0]["start"] else "I-") + inside[0]["label"]
        assert label == expected, text[start:end]


def test_texts_with_entities_are_trained_and_scored(trained):
    data = []
    for words, tags in WORDS:
        text, places = " ".join(words), np.cumsum([0] + [len(w) + 1 for w in words])
        spans = kb.data.tags.spans_of_tags(tags)
        data.append(
            (
                text,
                [
                    {"label": kind, "start": int(places[a]), "end": int(places[b]) - 1}
                    for kind, a, b in spans
                ],
            )
        )
    assert kb.BertTokenClassifier.labels_of(data) == LABELS
    words, texts = (trained.labelled_rows(*trained.read_labelled(x)) for x in (WORDS, data))
    assert texts.targets.to_list() == words.targets.to_list()
    texts, entities = map(list, zip(*data, strict=True))
    scores = trained.evaluate(texts, entities, verbose=0)
    assert scores["f1"] == 1 and "accuracy" not in scores


@pytest.mark.parametrize(
    "tags",
    ["I-PER O I-LOC I-LOC", "S-PER O B-LOC E-LOC", "U-PER O B-LOC L-LOC", "B-PER O I-LOC I-LOC"],
)
def test_tags_of_every_scheme_are_those_of_the_labels(model, tags):
    words = ["bob", "saw", "new", "york"]
    _, labels = model.read_labelled([(words, tags.split())])
    assert labels == [["B-PER", "O", "B-LOC", "I-LOC"]]


def test_tags_are_written_in_the_scheme_of_the_labels(model):
    labels = ["O", "S-PER", "B-PER", "I-PER", "E-PER"]
    other = kb.BertTokenClassifier(model.encoder, model.preprocessor, labels)
    example = (["bob", "saw", "ann", "lee"], ["B-PER", "O", "B-PER", "I-PER"])
    assert other.read_labelled([example])[1] == [["S-PER", "O", "B-PER", "E-PER"]]
    numbers = (["bob", "saw"], [3, 0])
    assert model.read_labelled([numbers])[1] == [["B-PER", "O"]]


@pytest.mark.slow
def test_parts_of_speech(tokenizer):
    data = [
        (["the", "food", "is", "good"], ["DET", "NOUN", "VERB", "ADJ"]),
        (["bank", "works"], ["NOUN", "VERB"]),
    ]
    labels = kb.BertTokenClassifier.labels_of(data)
    assert labels == ["ADJ", "DET", "NOUN", "VERB"]
    model = tiny(tokenizer, labels)
    model.fit(data * 60, epochs=1, batch_size=2, verbose=0)
    scores = model.evaluate(data, verbose=0)
    assert scores["accuracy"] == 1 and "f1" not in scores
    assert model.scores_by_type(data)["types"]["NOUN"]["support"] == 2
    (answer,) = model.predict(["The food"])
    assert spans(answer) == [("DET", 0, 3), ("NOUN", 4, 8)]
    (answer,) = model.predict([["the", "", "food"]])
    assert answer["tags"] == ["DET", None, "NOUN"]


def test_chinese_words_and_their_text():
    """What is learnt of words is said of plain text, where there are none."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"人文大楼在北京的我看"]
    data = [
        (["我", "在", "人文", "大楼"], ["O", "O", "B-LOC", "I-LOC"]),
        (["北京", "的", "人文"], ["B-LOC", "O", "O"]),
        (["我", "看", "北京"], ["O", "O", "B-LOC"]),
    ]
    model = tiny(kb.WordPieceTokenizer(tokens), LABELS[:3])
    model.fit(data * 60, epochs=1, batch_size=2, verbose=0)
    assert model.evaluate(data, verbose=0)["f1"] == 1
    assert spans(model.predict(["我在人文大楼"])[0]) == [("LOC", 2, 6)]
    assert model.predict([["我", "在", "人文", "大楼"]])[0]["text"] == "我在人文大楼"


@pytest.mark.slow
def test_tf_data(model):
    def elements():
        yield from WORDS

    spec = tf.TensorSpec([None], tf.string)
    dataset = tf.data.Dataset.from_generator(elements, output_signature=(spec, spec))
    history = model.fit(dataset, validation_data=dataset, batch_size=3, verbose=0).history
    assert {"val_f1", "val_precision", "val_recall", "val_accuracy", "val_loss"} <= set(history)
    assert int(model.optimizer.iterations) == 2
    assert model.evaluate(dataset, verbose=0) == model.evaluate(WORDS, verbose=0)
    with pytest.raises(ValueError, match="never ends"):
        model.fit(tf.data.Dataset.from_tensors((["a"], ["O"])).repeat(), verbose=0)


def test_conll_files(trained, tmp_path):
    path = tmp_path / "train.conll"
    rows = ("".join(f"{w} {t}\n" for w, t in zip(*example, strict=True)) for example in WORDS)
    path.write_text("\n".join(rows))
    train = kb.data.read_conll(path)
    assert train.label_names == LABELS == kb.BertTokenClassifier.labels_of(train)
    assert trained.evaluate(train, verbose=0) == trained.evaluate(WORDS, verbose=0)
    assert len(trained.predict(train)) == len(WORDS)


def test_ids_go_to_keras(trained):
    ids = trained.preprocessor(["bob is in rome", "ann"])
    ids = {name: np.asarray(ids[name]) for name in ids if name.startswith("input")}
    labels = np.where(ids["input_mask"] > 0, 0, -1)
    assert trained.evaluate(ids, labels, verbose=0)["token_accuracy"] > 0
    assert trained.predict(ids, verbose=0).shape == (*labels.shape, len(LABELS))


def test_loss_counts_labelled_tokens_alone(model):
    logits = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    labels = np.array([[-1, 2, 0], [-1, -1, 4]])
    chances = tf.nn.log_softmax(logits).numpy()
    expected = -np.mean([chances[0, 1, 2], chances[0, 2, 0], chances[1, 2, 4]])
    loss = model.default_loss()
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-5)
    assert float(loss(np.full((2, 3), -1), logits)) == 0


# Bad input.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([(["a", "b"], ["O"])], "Example 0 has 2 words and 1 tags"),
        ([(["a"], ["O"]), (["b"], ["B-ORG"])], r"Example 1, word 0 \('b'\) has the unknown tag"),
        ([(["a"], ["X"])], "unknown tag 'X'; the model knows 'O', 'B-LOC'"),
        ([(["a"], [9])], "unknown tag 9"),
        ([(["a"], "O")], "Item 0 is"),
        ([("a b", [{"label": "PER", "start": 0, "end": 9}])], "from 0 to 9, where its text of 3"),
        ([("a b", [{"label": "PER", "start": 1, "end": 2}])], "has no word"),
        ([("a b", [{"label": "PER", "start": 0, "end": 1, "text": "b"}])], "the text 'b' from 0"),
        (
            [("a b", [{"label": "ORG", "start": 0, "end": 1}])],
            "Example 0 has the unknown tag 'ORG'",
        ),
        ([("a b", [{"start": 0, "end": 1}])], "expected a dict of label, start and end"),
        (
            [("a b", [{"label": "PER", "start": s, "end": 3} for s in (0, 2)])],
            "Example 0 has entities that overlap",
        ),
        ([("a", []), (["a"], ["O"])], r"texts\[1\] is a list of words, while texts\[0\] is a text"),
        ([], "Received no texts"),
    ],
)
def test_bad_examples_are_named(model, data, message):
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(data, verbose=0)


@pytest.mark.parametrize("texts", [[None], [5], ["a", None], [["a", 3]], "a", [{"a": 1}]])
def test_no_text(trained, texts):
    with pytest.raises(TypeError, match="text"):
        trained.predict(texts)


def test_options_that_are_none(model):
    with pytest.raises(ValueError, match="label_pieces='last'"):
        kb.BertTokenClassifier(model.encoder, None, LABELS, label_pieces="last")
    with pytest.raises(ValueError, match="two labels at least"):
        kb.BertTokenClassifier(model.encoder, None, ["O"])
    assert model.head_is_fresh
    with pytest.warns(UntrainedHeadWarning):
        model._warn_of_fresh_head("predict")
