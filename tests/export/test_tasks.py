"""The export of every task, verified by a process of its own when it is written."""

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.export import ask

pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = "where is the card? naïve café 🙂 我的卡"
LONG = "the food is great and the service is bad " * 6


@pytest.fixture
def exported(tiny_checkpoint, tmp_path):
    """Makes a task's model, with weights that decide something, and its export."""

    def make(kind, **options):
        model = getattr(kb, kind).from_pretrained(str(tiny_checkpoint), **options)
        random = np.random.default_rng(1)
        for layer in model.head_layers().values():
            weights = [random.normal(size=w.shape) * (w.ndim > 1) for w in layer.get_weights()]
            layer.set_weights(weights)
        return model, ask.load(kb.export.saved_model(model, tmp_path / kind))

    return make


def test_entities(exported):
    labels = ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]
    model, loaded = exported("BertTokenClassifier", labels=labels, seq_length=32, stride=8)
    answers = ask.ask(loaded, [TEXT, "", LONG])
    assert any(len(answer["label"]) for answer in answers)
    for text, answer, ours in zip(
        [TEXT, "", LONG], answers, model.predict([TEXT, "", LONG]), strict=True
    ):
        found = [i for i, label in enumerate(answer["label"]) if label]
        assert len(found) == len(ours["entities"])
        for i, entity in zip(found, ours["entities"], strict=True):
            assert text[answer["start"][i] : answer["end"][i]] == answer["text"][i]
            assert answer["label"][i] == entity["label"]
            assert abs(answer["score"][i] - entity["score"]) < 1e-5


@pytest.mark.slow
def test_answers_in_contexts(exported):
    model, loaded = exported("BertSpanLabeler", seq_length=32, stride=8, max_query_length=8)
    assert loaded.text_inputs == ("question", "context")
    pairs = [("where?", TEXT), ("what is bad?", LONG), ("", "")]
    for pair, answer, ours in zip(pairs, ask.ask(loaded, pairs), model.predict(pairs), strict=True):
        assert answer["text"] == ours["text"] == pair[1][answer["start"] : answer["end"]]
        assert abs(answer["score"] - ours["score"]) < 1e-4
        assert abs(answer["no_answer_score"] - ours["no_answer_score"]) < 1e-4


@pytest.mark.slow
def test_choices(exported):
    model, loaded = exported("BertMultipleChoice")
    examples = [("the food", ["is great", "is my card"]), ("my card", ["a", "b", "is late"])]
    answers = ask.ask(loaded, examples)
    ours = model.predict(examples)
    assert [a["choice"] for a in answers] == [a["choice"] for a in ours]
    assert answers[0]["probabilities"][2] == 0


@pytest.mark.slow
def test_masked_words(exported):
    model, loaded = exported("BertMaskedLM")
    mask = model.preprocessor.tokenizer.mask_token
    text = f"the {mask} is {mask}"
    answer, ours = ask.ask(loaded, [text])[0], model.predict([text])[0]
    assert answer["token"].shape == (2, 5)
    assert answer["token"].tolist() == [[word["token"] for word in gap] for gap in ours]


@pytest.mark.slow
def test_embeddings(exported):
    model, loaded = exported("DualEncoder", pooling="mean")
    found = np.stack([a["embedding"] for a in ask.ask(loaded, ["my card", TEXT])])
    assert np.abs(found - model.encode(["my card", TEXT])).max() < 1e-5
