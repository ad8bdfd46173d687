"""BertSpanLabeler: from questions and texts to answers, saved and reloaded, and bad input."""

import json
import lzma
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.batching import TruncationWarning
from keras_bert.data.squad import read_squad
from keras_bert.models.span_labeler import UnplacedAnswerWarning
from keras_bert.models.task import UntrainedHeadWarning
from tests.text.byte_pair.reference import tokens_of

#: Beside the token "is" stands the answer.
THINGS = "card bank money account payment transfer order refund delivery".split()
STATES = "lost late slow good bad great poor nice fast old new".split()
OTHERS = "the and or but of to in on at for with by they you".split()


def example(rng, words=12, answer=True):
    context = [str(w) for w in rng.choice(OTHERS, words)]
    state = str(rng.choice(STATES))
    if answer:
        place = int(rng.integers(words - 1))
        context[place : place + 2] = ["is", state]
    text = " ".join(context)
    start = text.index(f"is {state}") + 3 if answer else -1
    answers = [{"text": state, "answer_start": start}] if answer else []
    return ("what is it", text), answers


def examples(seed, count, **options):
    rng = np.random.default_rng(seed)
    return [example(rng, **options) for _ in range(count)]


def load(tiny_checkpoint, **options):
    return kb.BertSpanLabeler.from_pretrained(str(tiny_checkpoint), **options)


@pytest.fixture
def model(tiny_checkpoint):
    model = load(tiny_checkpoint)
    model.head_is_fresh = False
    return model


@pytest.fixture(scope="module")
def trained(tiny_checkpoint):
    keras.utils.set_random_seed(3)
    model = load(tiny_checkpoint, seq_length=24)
    model.compile(learning_rate=5e-3)
    data = examples(0, 96) + examples(1, 24, answer=False)
    model.history_of_test = model.fit(
        data, epochs=10, batch_size=16, verbose=0, validation_data=examples(2, 8)
    ).history
    return model


def every(answers):
    """Each answer and each of its n best."""
    return [each for answer in answers for each in (answer, *answer["n_best"])]


def test_learns_and_answers(trained):
    assert trained.history_of_test["val_exact_match"][-1] > 70
    held_out = examples(7, 20)
    pairs = [pair for pair, _ in held_out]
    for pair, found in zip(pairs, trained.predict(pairs), strict=True):
        assert set(found) == {
            *("text", "start", "end", "score", "probability", "no_answer_score", "n_best")
        }
        assert isinstance(found["text"], str) and isinstance(found["start"], int)
        assert 1 <= len(found["n_best"]) <= 21 and found["n_best"][0]["score"] >= found["score"]
        assert sum(e["probability"] for e in found["n_best"]) == pytest.approx(1, abs=1e-5)
        for each in every([found]):
            assert pair[1][each["start"] : each["end"]] == each["text"]
    scores = trained.evaluate(held_out, verbose=0)
    assert scores["loss"] == pytest.approx(
        (scores["start_logits_loss"] + scores["end_logits_loss"]) / 2, rel=1e-5
    )
    assert scores["exact_match"] > 70 and scores["f1"] >= scores["exact_match"]


@pytest.mark.slow
def test_questions_without_answer(trained):
    assert trained.allow_no_answer
    held_out = examples(8, 12) + examples(9, 12, answer=False)
    scores = trained.evaluate(held_out, verbose=0)
    assert scores["no_answer_f1"] > 70 and scores["has_answer_f1"] > 70
    assert scores["exact_match"] == pytest.approx(
        (scores["has_answer_exact_match"] + scores["no_answer_exact_match"]) / 2
    )
    assert scores["best_f1"] >= scores["f1"]
    threshold = trained.null_threshold
    try:
        trained.null_threshold = scores["best_f1_threshold"]
        assert trained.evaluate(held_out, verbose=0)["f1"] == pytest.approx(scores["best_f1"])
        trained.null_threshold = -1e9
        assert {a["text"] for a in trained.predict([e[0] for e in held_out])} == {""}
        trained.null_threshold, trained.allow_no_answer = 0.0, False
        assert all(a["text"] for a in trained.predict([e[0] for e in held_out]))
    finally:
        trained.null_threshold, trained.allow_no_answer = threshold, True


def test_an_answer_far_in_a_long_text_is_found(trained):
    pair, _ = example(np.random.default_rng(4), answer=False)
    for before in (0, 55, 230):
        context = "Thé 中文 😀 the and " * before + "is lost " + "the and or but " * 40
        (answer,) = trained.predict([(pair[0], context)])
        assert answer["text"] == "lost"
        assert context[answer["start"] : answer["end"]] == "lost"


@pytest.mark.slow
def test_a_hundred_thousand_words(trained):
    context = "the and " * 30_000 + "is lost " + "of to " * 20_000
    (answer,) = trained.predict([("what is it", context)])
    assert context[answer["start"] : answer["end"]] == answer["text"] == "lost"


ODD = [
    "",
    " \t\n",
    "x",
    "😀",
    "中",
    "Zu\u0308rich, naïve “café”！全角，。",
    "👩‍👩‍👧‍👦 and 🇨🇭 flags",
    "हिन्दी में",
    "a\x00b\ufffdc\u200bd",
    "half \ud83d of a pair",
    "long" * 300,
    "one two " * 300,
]


def test_odd_texts_have_answers_that_are_in_them(model):
    for question in ("why", "", "😀 中 \ud83d"):
        answers = model.predict([(question, context) for context in ODD])
        for context, answer in zip(ODD, answers, strict=True):
            for each in every([answer]):
                there = context[each["start"] : each["end"]]
                assert there.replace("\ud83d", "\ufffd") == each["text"]
                assert each["text"] == each["text"].strip()
            assert bool(answer["text"]) == bool(context.strip())


def test_long_questions_are_cut_with_a_warning(model):
    with pytest.warns(TruncationWarning, match="1 of 2 pairs have more than 30 pieces in the q"):
        answers = model.predict([("why " * 90, "the card is lost " * 30), ("why", "the card")])
    assert all(answer["text"] for answer in answers)


def test_without_windows_long_texts_are_cut_with_a_warning(tiny_checkpoint):
    model = load(tiny_checkpoint, stride=None, seq_length=16)
    model.head_is_fresh = False
    assert model.preprocessor.stride is None
    with pytest.warns(TruncationWarning, match="longer than seq_length=16 tokens"):
        (answer,) = model.predict([("why", "the card is lost " * 30)])
    assert answer["end"] < 60


def test_order_and_batches_do_not_matter(model):
    pairs = [e[0] for seed in (1, 30) for e in examples(seed, 4, words=seed + 5)] + [("a", "")]
    together, alone = model.predict(pairs), model.predict(pairs, batch_size=2)
    for one, other in zip(together, alone, strict=True):
        assert one["text"] == other["text"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.slow
def test_saves_and_reloads(trained, tmp_path):
    path = str(tmp_path / "model.keras")
    trained.save(path)
    again = keras.saving.load_model(path)
    pairs = [e[0] for e in examples(5, 4)]
    assert again.predict(pairs) == trained.predict(pairs)
    held_out = examples(6, 4) + examples(6, 2, answer=False)
    assert again.evaluate(held_out, verbose=0) == trained.evaluate(held_out, verbose=0)
    again.fit(held_out, verbose=0)
    loaded = kb.BertSpanLabeler.from_pretrained(path, allow_no_answer=True)
    assert not loaded.head_is_fresh and loaded.preprocessor.seq_length == 24
    assert loaded.predict(pairs)[0]["text"] == trained.predict(pairs)[0]["text"]


def test_options_are_saved(model):
    options = {
        "max_query_length": 9,
        "max_answer_length": 5,
        "n_best": 3,
        "allow_no_answer": True,
        "null_threshold": 1.5,
        "metric": "cmrc",
    }
    made = kb.BertSpanLabeler(model.encoder, model.preprocessor, head_is_fresh=False, **options)
    config = made.get_config()
    assert {name: config[name] for name in options} == options
    answer = made.predict([("why", "the card is lost and late")])[0]
    assert len(answer["n_best"]) <= 4
    assert all(len(each["text"].split()) <= 5 for each in every([answer]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "rouge"}, "metric='rouge'. Expected one of 'squad', 'cmrc'"),
        ({"n_best": 0}, "n_best=0. Expected an int of 1 or more"),
        ({"max_answer_length": 1.5}, "max_answer_length=1.5"),
    ],
)
def test_options_out_of_range(model, options, message):
    with pytest.raises(ValueError, match=message):
        kb.BertSpanLabeler(model.encoder, **options)


def test_default_windows(tiny_checkpoint):
    model = load(tiny_checkpoint)
    assert (model.preprocessor.seq_length, model.preprocessor.stride) == (64, 10)
    assert model.preprocessor.truncation == "only_last" and model.load_report.fresh
    with pytest.warns(UntrainedHeadWarning):
        model.predict([("why", "the card")])


# Data.


def test_forms_of_examples_are_the_same(model, tmp_path):
    pairs, answers = map(list, zip(*examples(3, 3), strict=True))
    records = [
        {"id": str(i), "question": q, "context": c, "answers": a}
        for i, ((q, c), a) in enumerate(zip(pairs, answers, strict=True))
    ]
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"data": records}))
    lists = [{"text": [a["text"]], "answer_start": [a["answer_start"]]} for (a,) in answers]
    forms = [
        (list(zip(pairs, answers, strict=True)), None),
        (pairs, answers),
        (pairs, lists),
        ([list(pair) for pair in pairs], [a["text"] for (a,) in answers]),
        ([tuple(part.encode() for part in pair) for pair in pairs], answers),
        (records, None),
        (read_squad(path), None),
    ]
    texts, labels = model.read_labelled(*forms[0])
    assert texts == pairs and labels[0][0]["start"] == answers[0][0]["answer_start"]
    for form in forms:
        read = model.read_labelled(*form)
        assert read[0] == texts
        assert [[a["text"] for a in label] for label in read[1]] == [
            [a["text"] for a in label] for label in labels
        ]
        rows = model.labelled_rows(*read).targets["start_logits"]
        expected = model.labelled_rows(texts, labels).targets["start_logits"]
        assert np.array_equal(rows.values, expected.values)
    assert model.read_texts(records) == model.read_texts(read_squad(path)) == pairs


def test_the_first_answer_that_is_there_is_learned(model):
    texts, labels = model.read_labelled([(("why", "the card is lost"), ["gone", "lost", "card"])])
    rows = model.labelled_rows(texts, labels)
    assert rows.targets["start_logits"][0].numpy().tolist() == [0, 0, 0, 0, 0, 0, 1, 0]


def test_answers_that_are_nowhere_are_listed_and_left_out(model):
    data = [
        (("why", "the card is lost"), ["lost"]),
        (("why", "the card"), ["bank"]),
        (("why", "the card"), [{"text": "money", "answer_start": 4}]),
    ]
    match = (
        r"2 of 3 questions have answers that are not in their context, .*: 1 \('bank'\), 2 \('mo"
    )
    with pytest.warns(UnplacedAnswerWarning, match=match):
        rows = model.labelled_rows(*model.read_labelled(data))
    assert len(rows) == 1 and not model.allow_no_answer
    with pytest.warns(UnplacedAnswerWarning):
        scores = model.evaluate(data, verbose=0)
    assert set(scores) == {"loss", "start_logits_loss", "end_logits_loss", "exact_match", "f1"}
    assert scores["exact_match"] <= 100 / 3 + 1e-6  # of all three
    with pytest.warns(UnplacedAnswerWarning), pytest.raises(ValueError, match="No question has an"):
        model.fit(data[1:])


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([(("why", "a card"), 5)], TypeError, r"labels\[0\]: answers are 5"),
        ([(("why", "a card"), [{"txt": "a"}])], TypeError, r"labels\[0\]: an answer is"),
        ([("why", "a")], TypeError, r"texts\[0\] is 'why', a single text. Expected \(question"),
        ([(("why", None), ["a"])], TypeError, r"texts\[0\] is .*None"),
        ([{"question": "why", "answers": []}], ValueError, "question 1: the context is None"),
        ([], ValueError, "no texts"),
    ],
)
def test_bad_examples_are_named(model, data, error, message):
    with pytest.raises(error, match=message):
        model.fit(data)


def test_bad_questions_are_named(model):
    with pytest.raises(TypeError, match=r"texts\[0\] is 'why', a single text"):
        model.predict(["why"])
    with pytest.raises(TypeError, match=r"texts\[1\] is"):
        model.predict([("why", "a"), ("why", 5)])
    dataset = tf.data.Dataset.from_tensors((("why", "a card"), "card"))
    with pytest.raises(TypeError, match="takes no tf.data.Dataset of text"):
        model.fit(dataset)


def test_chinese_is_scored_as_by_cmrc(tiny_checkpoint):
    model = load(tiny_checkpoint, metric="cmrc")
    answers = [{"text": "中"}, {"text": "《中文》"}, {"text": ""}]
    labels = [[{"text": "中文", "start": 0}], [{"text": "中文", "start": 0}], []]
    scores = model.scores(None, labels, answers)
    assert scores == pytest.approx({"exact_match": 200 / 3, "f1": 100 * (2 / 3 + 1 + 1) / 3})


# Other families.


def test_rows_with_the_class_token_at_the_end(model):
    tokenizer = model.preprocessor.tokenizer
    tokenizer.class_last = True
    try:
        data = [*examples(1, 3, words=50), (("why", "the card"), [])]
        texts, labels = model.read_labelled(data)
        rows = model.labelled_rows(texts, labels)
        starts = rows.targets["start_logits"]
        assert starts[len(rows) - 1].numpy().tolist()[-1] == 1
        loss = model.evaluate(data, verbose=0)["loss"]
        assert np.isfinite(loss)
        for ((_, context), _), answer in zip(data, model.predict(texts), strict=True):
            for each in every([answer]):
                assert context[each["start"] : each["end"]] == each["text"]
    finally:
        del tokenizer.class_last


def test_byte_level_pieces_are_whole_characters():
    folder = Path(__file__).resolve().parents[1] / "fixtures" / "byte_pair"
    merges = lzma.open(folder / "merges.txt.xz").read().decode("utf-8").split("\n")[1:300]
    tokenizer = kb.BytePairTokenizer(tokens_of(merges), merges, trim_offsets=False)
    config = kb.EncoderConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=8,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=40,
    )
    preprocessor = kb.Preprocessor(tokenizer, 40, stride=9, truncation="only_last")
    model = kb.BertSpanLabeler(kb.BertEncoder(config), preprocessor, head_is_fresh=False)
    (answer,) = model.predict([("😀?", "Zürich 😀  中文\n and 👩‍👧 " * 3)])
    for each in every([answer]):
        context = "Zürich 😀  中文\n and 👩‍👧 " * 3
        assert context[each["start"] : each["end"]] == each["text"] == each["text"].strip()
    rows = model.labelled_rows(*model.read_labelled([(("why", "a 😀 b"), ["😀"])]))
    # Four bytes, each a token, the first of them with the space.
    start, end = (rows.targets[f"{side}_logits"][0].numpy().argmax() for side in ("start", "end"))
    assert end > start


def test_loss_does_not_see_padding(model):
    data = examples(1, 1, words=4) + examples(2, 1, words=40)
    together = model.evaluate(data, verbose=0)["loss"]
    alone = [model.evaluate([one], verbose=0)["loss"] for one in data]
    assert together == pytest.approx(np.mean(alone), rel=1e-5)


@pytest.mark.slow
def test_trains_in_a_graph_without_warnings(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(examples(1, 4), verbose=0)
