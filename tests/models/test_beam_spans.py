"""BeamSpanLabeler: rows, targets, training, answers, saving, errors. Its oracle: tests/parity."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from tests.models.test_span_labeler import examples
from tests.models.xlnet_texts import beam_span_labeler

PAIRS = [("who was it", "the moon rose over the quiet street " * 4), ("why", "no"), ("", "")]


@pytest.fixture(scope="module")
def model():
    model = beam_span_labeler()
    model.head_is_fresh = False
    return model


def ids_of(ids, mask=True):
    ids = np.array(ids, np.int32)
    inputs = {"input_word_ids": ids, "input_mask": np.ones_like(ids)}
    return inputs if mask else ids


def test_the_context_comes_first(model):
    tokenizer = model.preprocessor.tokenizer
    rows = model.labelled_rows([("who", "the moon")], [[{"text": "moon", "start": 4}]])
    batch = {name: ids.numpy().tolist() for name, ids in rows.batch([0]).items()}
    context, question = (tokenizer.tokenize([t])[0].numpy().tolist() for t in ("the moon", "who"))
    special = [tokenizer.sep_id], [tokenizer.sep_id, tokenizer.cls_id]
    assert batch["input_word_ids"] == [context + special[0] + question + special[1]]
    types = [0] * (len(context) + 1) + [1] * (len(question) + 1) + [2]
    assert batch["input_type_ids"] == [types]


def test_targets(model):
    long = " ".join(["so"] * 40) + " the moon"
    data = [
        (("who", "the moon"), [{"text": "moon", "start": 4}]),
        (("who", "the moon"), []),
        (("who", long), [{"text": "moon", "start": long.index("moon")}]),
    ]
    model.allow_no_answer = None
    texts, labels = model.read_labelled(data)
    rows = model.labelled_rows(texts, labels)
    assert model.allow_no_answer
    source = rows.source.tolist()
    assert source.count(2) > 1 and sorted(source) == source
    # Windows without the answer of their question are without answer.
    none = [0, 1, *[1] * (source.count(2) - 1), 0]
    assert rows.targets["cls_logits"].numpy().tolist() == none
    for name in ("start_logits", "end_logits"):
        for row, target in enumerate(rows.targets[name]):
            segments = rows.spans["input_segments"][row].numpy()
            target, last = target.numpy(), len(segments) - 1
            assert target[last] == none[row] and (target == 1).sum() == 1
            np.testing.assert_array_equal(target[:last] == -1, segments[:last] != 1)
    model.allow_no_answer = False
    assert (model.labelled_rows(texts, labels).targets["cls_logits"].numpy() == -1).all()


@pytest.mark.slow
def test_predict(model):
    model.allow_no_answer = False
    answers = model.predict(PAIRS)
    for (_, context), answer in zip(PAIRS, answers, strict=True):
        for each in (answer, *answer["n_best"]):
            assert context[each["start"] : each["end"]] == each["text"]
        assert bool(answer["text"]) == bool(context)
        assert answer["score"] <= 0 or not context
        assert sum(e["probability"] for e in answer["n_best"]) == pytest.approx(1, abs=1e-5)
    alone = model.predict(PAIRS[1:2])[0]
    assert alone["text"] == answers[1]["text"]
    assert alone["score"] == pytest.approx(answers[1]["score"], abs=1e-5)


def test_answers_are_what_the_outputs_say(model):
    """A row that is a window of its own: its beams are the model's outputs behind the mask."""
    pair = ("who was it", "the moon rose over the street")
    rows = model.labelled_rows([pair], [[{"text": "moon", "start": 4}]])
    ids = rows.batch([0])
    segments = rows.spans["input_segments"][0].numpy()
    mask = np.append(segments[:-1] == 1, True)[None]
    found = {k: np.asarray(v)[0] for k, v in model({**ids, "answer_mask": mask}).items()}
    model.allow_no_answer = False
    answer = model.predict([pair])[0]
    assert answer["no_answer_score"] == pytest.approx(float(found["cls_logits"]), abs=1e-5)
    spans = []
    count = len(found["start_top_index"])
    for number, end in enumerate(found["end_top_index"]):
        start = found["start_top_index"][number % count]
        if segments[start] == segments[end] == 1 and start <= end:
            shares = found["start_top_log_probs"][number % count]
            spans.append(np.log(shares * found["end_top_log_probs"][number]))
    scores = [each["score"] for each in answer["n_best"]]
    np.testing.assert_allclose(scores, sorted(spans, reverse=True)[: len(scores)], atol=1e-4)


@pytest.mark.slow
def test_learns_answers_and_comes_back(tmp_path):
    model = beam_span_labeler(
        hidden_size=32, num_layers=2, initializer_range=0.1, num_attention_heads=4
    )
    model.compile(learning_rate=5e-3)
    data = examples(0, 96) + examples(1, 24, answer=False)
    history = model.fit(
        data, epochs=5, batch_size=16, verbose=0,
        validation_data=examples(2, 8) + examples(3, 4, answer=False),
    ).history  # fmt: skip
    assert model.allow_no_answer and history["val_f1"][-1] > 90
    held_out = examples(7, 12) + examples(9, 6, answer=False)
    scores = model.evaluate(held_out, verbose=0)
    parts = [scores[f"{name}_loss"] for name in ("start_logits", "end_logits", "cls_logits")]
    assert scores["loss"] == pytest.approx(sum(parts) / 2, rel=1e-5)
    assert scores["has_answer_f1"] > 90 and scores["no_answer_f1"] > 90
    pairs = [pair for pair, _ in held_out] + PAIRS
    wanted = model.predict(pairs)
    model.save(tmp_path / "model.keras")
    model.save_pretrained(str(tmp_path / "folder"))
    for again in (
        keras.saving.load_model(tmp_path / "model.keras"),
        kb.BertSpanLabeler.from_pretrained(
            str(tmp_path / "folder"), seq_length=28, stride=6, allow_no_answer=True, verify=True
        ),
    ):
        assert type(again) is kb.BeamSpanLabeler
        for one, other in zip(again.predict(pairs), wanted, strict=True):
            assert one["text"] == other["text"]
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pad_to", [None, "max"])
def test_a_batch_of_fixed_shape_has_the_same_loss(pad_to):
    model = beam_span_labeler()
    model.compile(keras.optimizers.SGD(0.0))
    data = examples(0, 5) + examples(1, 2, answer=False)
    kwargs = {"batch_size": 4, "epochs": 1, "verbose": 0, "pad_to": pad_to}
    found = model.fit(data, **kwargs).history
    plain = model.evaluate(data, verbose=0)
    assert found["loss"][0] == pytest.approx(plain["loss"], rel=1e-4)


@pytest.mark.slow
def test_a_step_compiled_by_xla_does_the_same():
    losses = []
    for jit_compile in (True, False):
        model = beam_span_labeler()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
        data = examples(0, 3) + examples(1, 1, answer=False)
        history = model.fit(data, batch_size=4, epochs=3, verbose=0, pad_to="max").history
        losses.append(history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.slow
def test_metrics_see_ends_given_the_true_start(model):
    model.compile(
        keras.optimizers.SGD(0.0), metrics={"end_logits": [keras.metrics.CategoricalAccuracy()]}
    )
    targets = np.eye(4, dtype=np.int32)[[[0, 1], [1, 3]]]
    targets = {"start_logits": targets[0], "end_logits": targets[1], "cls_logits": np.zeros(2)}
    ids = ids_of([[7, 8, 9, 4], [9, 8, 7, 4]])
    found = model.evaluate(ids, targets, verbose=0)
    hidden = model(ids)["sequence_output"]
    given = model.head(hidden, start_positions=np.array([0, 1]))["end_logits"]
    right = np.argmax(given, axis=1) == [1, 3]
    assert found["end_logits_categorical_accuracy"] == pytest.approx(right.mean())
    model.compile()


def test_ids_alone(model):
    ids = ids_of([[7, 8, 9, 4]], mask=False)
    found = model(ids)
    assert found["start_top_index"].shape == (1, 4)  # no more than there are tokens
    assert found["cls_logits"].shape == (1,)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(model, policy):
    half = kb.BeamSpanLabeler(kb.XLNetEncoder(model.encoder.config, dtype=policy))
    half.set_weights(model.get_weights())
    ids = ids_of([[7, 8, 9, 4], [9, 8, 7, 4]])
    found, wanted = half(ids), model(ids)
    for name in ("start_logits", "start_top_log_probs", "cls_logits", "sequence_output"):
        assert found[name].dtype == "float32"
        np.testing.assert_allclose(found[name], wanted[name], atol=0.05)
    targets = {"start_logits": [[0, 1, 0, 0]] * 2, "end_logits": [[0, 0, 1, 0]] * 2}
    targets = {name: np.array(rows) for name, rows in targets.items()} | {"cls_logits": np.zeros(2)}
    losses = []
    for one in (half, model):
        one.compile()
        losses.append(float(one.compute_loss(ids, targets, one(ids))))
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_what_is_refused(tiny_checkpoint):
    tokenizer = kb.Tokenizer.from_pretrained(str(tiny_checkpoint))
    encoder = kb.BertEncoder.from_pretrained(str(tiny_checkpoint))
    with pytest.raises(TypeError, match="takes an XLNetEncoder; received a BertEncoder"):
        kb.BeamSpanLabeler(encoder)
    config = kb.XLNetConfig(
        vocab_size=tokenizer.vocabulary_size, hidden_size=8, num_layers=1,
        num_attention_heads=2, intermediate_size=8, pad_token_id=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"WordPieceTokenizer puts it first \(class_last=False\)"):
        kb.BeamSpanLabeler(kb.XLNetEncoder(config), kb.Preprocessor(tokenizer, seq_length=16))


def test_no_litert(model, tmp_path):
    with pytest.raises(kb.export.ExportError, match="BeamSpanLabeler is not written as a LiteRT"):
        kb.export.litert(model, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_exported_model_answers_alike(model, tmp_path):
    model.allow_no_answer = True
    path = kb.export.saved_model(model, str(tmp_path / "exported"))
    function = tf.saved_model.load(path).signatures["serving_default"]
    questions, contexts = (tf.constant(side) for side in zip(*PAIRS, strict=True))
    found = function(question=questions, context=contexts)
    for number, wanted in enumerate(model.predict(PAIRS)):
        assert found["text"][number].numpy().decode() == wanted["text"]
        for name in ("score", "no_answer_score"):
            assert float(found[name][number]) == pytest.approx(wanted[name], abs=1e-4)
