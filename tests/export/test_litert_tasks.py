"""Every task as a LiteRT file, verified by a process of its own when it is written."""

import lzma

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.export import ExportError, ask_litert

pytest.importorskip("ai_edge_litert", reason="LiteRT's interpreter")
pytestmark = pytest.mark.filterwarnings("ignore")

TEXT = "where is the card? naïve café 🙂 我的卡"
LONG = "the food is great and the service is bad " * 6
ILL_FORMED = b"ill \xff\xc3 formed \xed\xa0\x80 caf\xc3\xa9 \xf0\x9f"
LABELS = ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]

#: How far numbers may be from the model's: the cosine, and the largest difference of
#: probabilities. Random heads over a tiny encoder are as bad as it gets.
BOUNDS = {None: (1 - 1e-9, 1e-5), "float16": (0.999, 5e-3), "dynamic_int8": (0.97, 0.15)}

TASKS = {
    "class": ("BertClassifier", {}),
    "pair": ("BertClassifier", {}),
    "labels": ("BertClassifier", {"multi_label": True}),
    "value": ("BertClassifier", {"num_labels": 1}),
    "windows": ("BertClassifier", {"seq_length": 16, "stride": 4}),
    "tags": ("BertTokenClassifier", {"labels": LABELS, "seq_length": 32}),
    "long tags": ("BertTokenClassifier", {"labels": LABELS, "seq_length": 32, "stride": 8}),
    "spans": ("BertSpanLabeler", {"seq_length": 32, "stride": 8, "max_query_length": 8}),
    "choices": ("BertMultipleChoice", {}),
    "words": ("BertMaskedLM", {}),
    "embeddings": ("DualEncoder", {"pooling": "mean"}),
}
PAIRS = [("where?", TEXT), ("what is bad?", LONG), ("", "")]
CHOICES = [("the food", ["is great", "is my card"]), ("my card", ["a", "b", "is late"])]


def make(tiny_checkpoint, name):
    """A task's model, with weights that decide something."""
    kind, options = TASKS[name]
    model = getattr(kb, kind).from_pretrained(str(tiny_checkpoint), **options)
    random = np.random.default_rng(1)
    for layer in model.head_layers().values():
        weights = [random.normal(size=w.shape) * (w.ndim > 1) for w in layer.get_weights()]
        layer.set_weights(weights)
    if name == "pair":
        model.takes_pairs = True
    return model


@pytest.fixture
def exported(tiny_checkpoint, tmp_path):
    """Makes a task's model and its file."""

    def export(name, quantize=None, **options):
        model = make(tiny_checkpoint, name)
        options = {"max_drop": 1 - BOUNDS[quantize][0], **options}
        path = kb.export.litert(model, tmp_path / f"{name}.tflite", quantize, **options)
        return model, ask_litert.load(path)

    return export


def same_entities(answer, ours, text):
    found = [i for i, label in enumerate(answer["label"]) if label]
    assert len(found) == len(ours["entities"])
    text = text if isinstance(text, str) else text.decode("utf-8", "ignore")
    for i, entity in zip(found, ours["entities"], strict=True):
        assert answer["label"][i] == entity["label"]
        place = int(answer["start"][i]), int(answer["end"][i])
        assert place == (entity["start"], entity["end"])
        assert abs(answer["score"][i] - entity["score"]) < 1e-5


@pytest.mark.slow
def test_entities(exported):
    texts = [TEXT, "", LONG, "Anna\u0301 \u200b lives in 中国!?"]
    model, loaded = exported("long tags")
    answers = ask_litert.ask(loaded, texts)
    assert any(len(answer["label"]) for answer in answers)
    for text, answer, ours in zip(texts, answers, model.predict(texts), strict=True):
        same_entities(answer, ours, text)
        for start, end, cut in zip(answer["start"], answer["end"], answer["text"], strict=True):
            assert text[start:end] == cut
    # A batch is padded.
    found = ask_litert.call(loaded, {"text": texts})
    assert found["label"][1].tolist() == [b""] * found["label"].shape[1]
    assert set(found["start"][1]) == {-1}


@pytest.mark.slow
@pytest.mark.parametrize("refuses", [False, True])
def test_answers_in_contexts(exported, tiny_checkpoint, tmp_path, refuses):
    model = make(tiny_checkpoint, "spans")
    if refuses:
        model.allow_no_answer, model.null_threshold = True, -1.0
    loaded = ask_litert.load(kb.export.litert(model, tmp_path / "x.tflite"))
    assert loaded.text_inputs == ("question", "context")
    answers = ask_litert.ask(loaded, PAIRS)
    for pair, answer, ours in zip(PAIRS, answers, model.predict(PAIRS), strict=True):
        assert answer["text"] == ours["text"] == pair[1][answer["start"] : answer["end"]]
        assert abs(answer["score"] - ours["score"]) < 1e-4
        assert abs(answer["no_answer_score"] - ours["no_answer_score"]) < 1e-4
    assert refuses == any(not a["text"] for a in answers[:2])


@pytest.mark.slow
def test_choices(exported):
    model, loaded = exported("choices")
    answers = ask_litert.ask(loaded, CHOICES)
    for answer, ours in zip(answers, model.predict(CHOICES), strict=True):
        assert answer["choice"] == ours["choice"] and answer["index"] == ours["index"]
        np.testing.assert_allclose(answer["probabilities"], ours["probabilities"], atol=1e-5)
    padded = {"prompt": ["the food"], "choices": [["is great", "is my card", ""]]}
    assert ask_litert.call(loaded, padded)["probabilities"][0, 2] == 0


@pytest.mark.slow
def test_masked_words(exported):
    model, loaded = exported("words")
    assert "predictions" in loaded.runners and "serving_default" not in loaded.runners
    assert "regular expressions" in loaded.metadata["no_strings"]
    ids = {name: x.numpy() for name, x in model.preprocessor(["the card is late"]).items()}
    positions = np.array([[2, 4]], np.int32)
    found = ask_litert.call(loaded, {**ids, "masked_lm_positions": positions}, "predictions")
    wanted = ask_litert.call(loaded, ids, "tokens")["logits"][:, [2, 4]]
    np.testing.assert_allclose(found["logits"], wanted, atol=1e-5)
    with pytest.raises(ValueError, match="takes ids only: gaps are found"):
        ask_litert.ask(loaded, ["a"])
    with pytest.raises(ExportError, match="cannot take strings: gaps"):
        exported("words", strings=True)


@pytest.mark.slow
@pytest.mark.parametrize("quantize", BOUNDS)
@pytest.mark.parametrize("name", TASKS)
def test_every_task(exported, name, quantize):
    model, loaded = exported(name, quantize)
    record = loaded.metadata
    assert len(record["checks"]) >= 1
    cosine, difference = BOUNDS[quantize]
    if quantize is not None:
        assert record["quantization"]["sample"]["mean_cosine"] >= cosine
    if name in ("class", "labels", "windows", "pair"):
        texts = PAIRS if name == "pair" else [TEXT, "", LONG, ILL_FORMED]
        answers = ask_litert.ask(loaded, texts)
        for answer, ours in zip(answers, model.predict(texts), strict=True):
            gap = np.abs(answer["probabilities"] - ours["probabilities"]).max()
            assert gap <= difference
            if name == "labels" and quantize is None:
                assert [label for label in answer["labels"] if label] == ours["labels"]
    if name in ("tags", "long tags") and quantize is None:
        for text in (TEXT, ILL_FORMED):
            (answer,) = ask_litert.ask(loaded, [text])
            same_entities(answer, model.predict([text])[0], text)
    if name == "value" and quantize is None:
        (answer,) = ask_litert.ask(loaded, [TEXT])
        assert answer["value"] == pytest.approx(model.predict([TEXT])[0]["value"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"dtype": "mixed_bfloat16"}, {"dtype": "float16"}, {}])
def test_half_precision_and_lora(tiny_checkpoint, tmp_path, options):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), **options)
    model.enable_lora(rank=2)
    for weight in model.encoder.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))
    for quantize in (None, "dynamic_int8"):
        path = kb.export.litert(model, tmp_path / "x.tflite", quantize, max_drop=0.05)
        (answer,) = ask_litert.ask(ask_litert.load(path), [TEXT])
        ours = model.predict([TEXT])[0]["probabilities"]
        assert np.abs(answer["probabilities"] - np.float32(ours)).max() < 0.1


@pytest.mark.slow
def test_sentencepiece(fixtures, tmp_path):
    content = lzma.open(fixtures / "text" / "sentencepiece" / "xlmr.model.xz").read()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(content)
    tokenizer = kb.Tokenizer.from_pretrained(str(tmp_path))
    config = kb.EncoderConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=32,
        num_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    preprocessor = kb.Preprocessor(tokenizer, seq_length=32)
    model = kb.BertClassifier(kb.BertEncoder(config), preprocessor, labels=["a", "b"])
    loaded = ask_litert.load(kb.export.litert(model, tmp_path / "x.tflite"))
    assert "not UTF-8" in loaded.metadata["texts_with_other_ids"][0]
    (answer,) = ask_litert.ask(loaded, [TEXT])
    assert answer["label"] == model.predict([TEXT])[0]["label"]
    # Where its pieces stand it cannot say.
    tagger = kb.BertTokenClassifier(model.encoder, preprocessor, labels=LABELS)
    loaded = ask_litert.load(kb.export.litert(tagger, tmp_path / "x.tflite"))
    assert set(loaded.runners) == {"tokens"} and loaded.metadata["checks"]
    assert "to say where pieces stand" in loaded.metadata["no_strings"]


@pytest.mark.slow
def test_texts_with_other_ids_are_not_held_against_a_file(tiny_checkpoint, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    path = tmp_path / "x.tflite"
    kb.export.litert(model, path, sample=["ΟΔΟΣ", "good"])
    assert ask_litert.read_metadata(str(path))["checks"][0]["texts"] == 1
    with pytest.raises(ValueError, match="No text of the sample can be verified"):
        kb.export.litert(model, path, sample=["ΟΔΟΣ"])


FAMILIES = ["families/albert", "families/roberta", "families/distilbert", "mobile_bert/classifier"]
FAMILIES += ["modernbert/classifier", "modernbert/classifier_mean", "xlnet/classifier"]
FAMILIES += ["families/xlm_roberta", "families/electra", "encoder/bfloat16"]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_without_a_vocabulary(fixtures, tmp_path, family):
    folder = str(fixtures / family)
    model = kb.BertClassifier.from_pretrained(folder, labels=["a", "b"])
    model.preprocessor = None
    for quantize in (None, "dynamic_int8"):
        path = kb.export.litert(model, tmp_path / "x.tflite", quantize, max_drop=0.05)
    loaded = ask_litert.load(path)
    assert set(loaded.runners) == {"tokens"} and loaded.metadata["checks"]
    assert loaded.metadata["custom_ops"] == [] and loaded.metadata["tokenizer"] is None
    assert "without a vocabulary" in loaded.metadata["no_strings"]
