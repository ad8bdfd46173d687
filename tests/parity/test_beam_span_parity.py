"""XLNet's head over beams against Hugging Face PyTorch; see fixtures/make/xlnet.py."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.checkpoints.huggingface.xlnet import XLNET
from keras_bert.checkpoints.loading import find
from keras_bert.checkpoints.safetensors import TensorFiles
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "xlnet" / "beam_span_labeler"
BEAMS = ("start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index")
LOGITS = ("start_logits", "end_logits", "cls_logits")

pytestmark = pytest.mark.filterwarnings("ignore:The model takes ids only")


@pytest.fixture(scope="module")
def expected():
    return dict(np.load(FOLDER / "expected.npz"))


@pytest.fixture(scope="module")
def ids(expected):
    return {name: expected[name] for name in INPUTS}


@pytest.fixture(scope="module")
def model():
    return kb.BertSpanLabeler.from_pretrained(str(FOLDER))


def check(model, ids, expected):
    found = model(ids)
    for name in (*BEAMS, "cls_logits"):
        assert off(found[name], expected[name]) <= TOLERANCE, name
    assert off(found["start_logits"], expected["given_start_logits"]) <= TOLERANCE
    assert off(found["sequence_output"], expected["sequence_output"]) <= TOLERANCE


def test_what_is_loaded(model):
    assert type(model) is kb.BeamSpanLabeler and not model.head_is_fresh
    assert not model.load_report.fresh and not model.load_report.ignored
    config = model.encoder.config
    assert (config.start_n_top, config.end_n_top) == (3, 4)
    assert model.head.end_norm.epsilon == config.layer_norm_epsilon == 1e-3


def test_outputs(model, ids, expected):
    check(model, ids, expected)


def test_outputs_behind_a_mask(model, ids, expected):
    found = model({**ids, "answer_mask": expected["answer_mask"]})
    # Which of the places that have no share come last is anybody's.
    starts = expected["masked_start_top_log_probs"] > 0
    given = np.tile(starts, 4) & (expected["masked_end_top_log_probs"] > 0)
    assert starts.sum() > 8 and given.sum() > 30
    for name, real in zip(BEAMS, (starts, starts, given, given), strict=True):
        ours = np.asarray(found[name])
        assert off(ours[real], expected[f"masked_{name}"][real]) <= TOLERANCE, name
    assert off(found["start_top_log_probs"], expected["masked_start_top_log_probs"]) <= TOLERANCE
    assert off(found["cls_logits"], expected["masked_cls_logits"]) <= TOLERANCE


def test_logits_given_the_starts(model, ids, expected):
    hidden = model(ids)["sequence_output"]
    found = model.head(hidden, start_positions=expected["answers"][:, 0])
    for name in LOGITS:
        assert off(found[name], expected[f"given_{name}"]) <= TOLERANCE, name


def targets_of(expected, learn_no_answer):
    rows = np.arange(len(expected["answers"]))
    targets = {}
    for name, places in zip(LOGITS, expected["answers"].T, strict=False):
        targets[name] = np.where(expected["answer_mask"] > 0, 0, -1)
        targets[name][rows, places] = 1
    none = expected["no_answer"].astype(np.int32)
    return {**targets, "cls_logits": none if learn_no_answer else np.full_like(none, -1)}


@pytest.mark.parametrize("learn_no_answer", [True, False])
def test_loss(model, ids, expected, learn_no_answer):
    targets = targets_of(expected, learn_no_answer)
    name = "loss_with_no_answer" if learn_no_answer else "loss"
    assert abs(model.compute_loss(ids, targets, model(ids)) - expected[name]) <= 1e-5
    # A mask beside the ids says the same as targets of -1.
    masked = {**ids, "answer_mask": expected["answer_mask"]}
    unmasked = {name: np.maximum(value, 0) for name, value in targets.items()}
    if learn_no_answer:
        loss = model.compute_loss(masked, unmasked, model(masked))
        assert abs(loss - expected[name]) <= 1e-5


def test_gradients(model, ids, expected):
    """Of a training step, in which dropout is off: theirs flow through the starts' vectors too."""
    config = dataclasses.replace(model.encoder.config, dropout_rate=0.0, attention_dropout_rate=0.0)
    learner = kb.BeamSpanLabeler(kb.XLNetEncoder(config))
    learner.set_weights(model.get_weights())
    learner.compile()
    targets = targets_of(expected, True)
    with tf.GradientTape() as tape:
        loss = learner.compute_loss(ids, targets, learner(ids, training=True), training=True)
    head = XLNET.heads["beam_span_labeler"]
    variables = {theirs: find(learner.head, ours) for ours, theirs in head.items()}
    variables["transformer.word_embedding.weight"] = learner.encoder.embeddings.word_embeddings
    variables = {name: variables[name] for name in variables if f"slope_{name}" in expected}
    slopes = tape.gradient(loss, [variable.value for variable in variables.values()])
    assert len(slopes) == 11
    for (name, variable), slope in zip(variables.items(), slopes, strict=True):
        ours, theirs = tf.convert_to_tensor(slope).numpy(), expected[f"slope_{name}"]
        ours = ours.T if variable.name == "kernel" else ours
        assert off(ours, theirs) <= 1e-4 * max(np.abs(theirs).max(), 0.1), name


def test_saved_and_read_again(model, ids, expected, tmp_path):
    model.save(tmp_path / "model.keras")
    check(keras.saving.load_model(tmp_path / "model.keras"), ids, expected)
    again = kb.BertSpanLabeler.from_pretrained(str(tmp_path))
    assert type(again) is kb.BeamSpanLabeler and not again.load_report.fresh
    check(again, ids, expected)


def test_written_for_transformers(model, tmp_path):
    """The fixture's own bytes, of which transformers' answers are known."""
    model.save_pretrained(str(tmp_path / "out"), format="huggingface")
    again = kb.BertSpanLabeler.from_pretrained(str(tmp_path / "out"), verify=True)
    assert set(again.load_report.parity) == {"sequence_output", "beam_span_labeler"}
    assert max(again.load_report.parity.values()) == 0
    found, wanted = (
        TensorFiles([str(folder / "model.safetensors")]) for folder in (tmp_path / "out", FOLDER)
    )
    assert set(found) == set(wanted)
    for name in wanted:
        np.testing.assert_array_equal(found.read(name), wanted.read(name), err_msg=name)
