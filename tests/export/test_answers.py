"""Exports of tasks whose answers are not one label per row of ids."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.export import ExportError, ask
from keras_bert.export.answers import dense_answers
from keras_bert.export.requests import make_requests
from keras_bert.models.task import TaskModel

pytestmark = pytest.mark.filterwarnings("ignore::keras_bert.data.batching.TruncationWarning")


IDS = ("input_word_ids", "input_mask", "input_type_ids")


@keras.saving.register_keras_serializable("tests")
class Pieces(TaskModel):
    """Says of each choice of a prompt where its pieces stand, and how many are alike."""

    takes_windows = True
    one_row_per_text = False
    text_inputs = ("prompt", "choices")

    def __init__(self, encoder, preprocessor, **kwargs):
        super().__init__(encoder, preprocessor, head_is_fresh=False, **kwargs)
        self.built = True

    def text_specs(self):
        prompt, choices = super().text_specs()
        return [prompt, tf.TensorSpec((None, None), tf.string, choices.name)]

    def text_answers(self, prompt, choices):
        chosen = tf.ragged.boolean_mask(choices, choices != "")
        prompts = tf.gather(prompt, chosen.value_rowids())
        ids = self.preprocessor((prompts, chosen.values), return_offsets=True)
        encoded = self.encoder({n: ids[n] for n in ids if n in IDS})
        of_text = tf.math.segment_max(encoded["sequence_output"][:, 0, 0], ids["window_source"])
        return {
            "choice": chosen,
            "size": chosen.with_values(tf.strings.length(chosen.values)),
            "score": chosen.with_values(of_text),
            "long": chosen.with_values(tf.strings.length(chosen.values) > 3),
            "count": tf.cast(chosen.row_lengths(), tf.int32),
            "truncated": tf.zeros_like(chosen.row_lengths(), tf.int32),
        }


def export(model, folder, **kwargs):
    return ask.load(kb.export.saved_model(model, folder / "model", **kwargs))


def described(loaded):
    outputs = loaded.signatures["serving_default"].structured_outputs.items()
    return {name: (spec.dtype, tuple(spec.shape)) for name, spec in outputs}


def test_ragged_answers_are_padded():
    answers = {
        "words": tf.ragged.constant([["a"], [], ["b", "c"]]),
        "places": tf.ragged.constant([[1], [], [2, 3]]),
        "scores": tf.ragged.constant([[0.5], [], [2.0, 3.0]]),
        "marks": tf.ragged.constant([[True], [], [True, False]]),
        "nested": tf.ragged.constant([[["a", "b"]], [], [["c"], []]]),
        "dense": tf.constant([1.0, 2.0, 3.0]),
        "truncated": tf.constant([0, 0, 0]),
    }
    found = {name: value.numpy().tolist() for name, value in dense_answers(answers).items()}
    assert found == {
        "words": [[b"a", b""], [b"", b""], [b"b", b"c"]],
        "places": [[1, -1], [-1, -1], [2, 3]],
        "scores": [[0.5, 0.0], [0.0, 0.0], [2.0, 3.0]],
        "marks": [[True, False], [False, False], [True, False]],
        "nested": [[[b"a", b"b"], [b"", b""]], [[b"", b""]] * 2, [[b"c", b""], [b"", b""]]],
        "dense": [1.0, 2.0, 3.0],
    }


@pytest.mark.slow
def test_a_task_of_its_own_with_ragged_answers_and_lists_of_texts(tiny_checkpoint, tmp_path):
    base = kb.BertClassifier.from_pretrained(str(tiny_checkpoint))
    windows = kb.Preprocessor(base.preprocessor.tokenizer, seq_length=16, stride=4)
    model = Pieces(base.encoder, windows)
    loaded = export(model, tmp_path)
    assert loaded.text_inputs == ("prompt", "choices")
    assert set(loaded.signatures) == {"serving_default", "examples"}
    check = loaded.metadata["checks"][0]
    assert check["requests"] == 5 and check["texts"] > 8 and 0 <= check["max_difference"] <= 1e-5
    assert described(loaded) == {
        "choice": (tf.string, (None, None)),
        "size": (tf.int32, (None, None)),
        "score": (tf.float32, (None, None)),
        "long": (tf.bool, (None, None)),
        "count": (tf.int32, (None,)),
    }
    one, other = ask.ask(loaded, [("why", ["good", "bad"]), ("what", ["bad " * 30])])
    assert one["choice"].tolist() == ["good", "bad"] and one["size"].tolist() == [4, 3]
    assert one["long"].tolist() == [True, False] and one["count"] == 2
    assert other["choice"].tolist() == ["bad " * 30, ""] and other["size"].tolist() == [120, -1]
    assert other["score"][1] == 0.0 != other["score"][0]
    with pytest.raises(TypeError, match=r"texts\[0\] must be 2 texts \(prompt, choices\)"):
        ask.ask(loaded, [("why", "good")])
    sample = [("why", ["good", "bad"]), ("what", ["this"])]
    request = make_requests(model, ["serving_default"], sample)[0]
    assert request.inputs["choices"] == [[b"good", b"bad"], [b"this", b""]]
    with pytest.raises(TypeError, match=r"sample\[0\] must be a pair \(prompt, choices\)"):
        make_requests(model, ["serving_default"], [("why", "good")])


@pytest.mark.slow
def test_an_export_of_texts_that_answers_otherwise_is_not_kept(tiny_checkpoint, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), seq_length=16, stride=4)
    answers, drift = model.answers, iter([0.0, 2e-5])

    def drifting(raw):
        return {**answers(raw), "probability": answers(raw)["probability"] + next(drift)}

    model.answers = drifting
    with pytest.raises(ExportError, match=r"'probability' with .*a difference of 2.0e-05"):
        kb.export.saved_model(model, tmp_path / "model")
    assert not list(tmp_path.glob("model/*"))


@pytest.mark.slow
def test_any_number_of_labels(tiny_checkpoint, texts, tmp_path):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), multi_label=True)
    found = np.sort(np.ravel([answer["probabilities"] for answer in model.predict(texts)]))
    model.threshold = float(found[9:11].mean())  # so that some labels are named
    loaded = export(model, tmp_path)
    wanted = {"labels": (tf.string, (None, None)), "probabilities": (tf.float32, (None, 3))}
    assert described(loaded) == wanted
    assert set(loaded.signatures) == {"serving_default", "examples", "tokens", "classify"}
    answers = model.predict(texts)
    assert len({len(answer["labels"]) for answer in answers}) > 1  # else nothing is padded
    for answer, wanted in zip(ask.ask(loaded, texts), answers, strict=True):
        assert [label for label in answer["labels"] if label] == wanted["labels"]
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)


@pytest.mark.slow
def test_a_number(fixtures, texts, tmp_path, capsys):
    folder = fixtures / "problems" / "regression"
    model = kb.BertClassifier.from_pretrained(str(folder))
    loaded = export(model, tmp_path)
    assert described(loaded) == {"value": (tf.float32, (None,))}
    assert loaded.metadata["labels"] == []
    for answer, wanted in zip(ask.ask(loaded, texts), model.predict(texts), strict=True):
        assert answer["value"] == pytest.approx(wanted["value"], abs=1e-5)
    assert ask.main([str(Path(loaded.path)), "--json", "good"]) == 0
    assert '{"value": ' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [False, True])
def test_long_texts_in_windows(tiny_checkpoint, texts, tmp_path, pairs):
    model = kb.BertClassifier.from_pretrained(str(tiny_checkpoint), seq_length=16, stride=4)
    model.takes_pairs = pairs
    asked = list(zip(texts, reversed(texts), strict=True)) if pairs else texts
    loaded = export(model, tmp_path)
    assert set(loaded.signatures) == {"serving_default", "examples", "classify"}
    assert loaded.text_inputs == (("text_a", "text_b") if pairs else ("text",))
    for answer, wanted in zip(ask.ask(loaded, asked), model.predict(asked), strict=True):
        assert answer["label"] == wanted["label"]
        np.testing.assert_allclose(answer["probabilities"], wanted["probabilities"], atol=1e-5)
    # More windows than go through the encoder at once.
    if not pairs:
        long = "why was my card refused? " * 300
        (answer,) = ask.ask(loaded, [long])
        np.testing.assert_allclose(
            answer["probabilities"], model.predict([long])[0]["probabilities"], atol=1e-5
        )
