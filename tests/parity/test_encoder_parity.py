"""BertEncoder against Hugging Face PyTorch on tiny checkpoints; see fixtures/make/encoder.py.

The fixtures' maker proves that the usual mistakes (another activation, another epsilon, no types,
no mask, any weight forgotten) move the expected outputs by at least 5 times the tolerance here.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.config import ACTIVATIONS
from tests.parity.comparison import INPUTS, TOLERANCE, off

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "encoder"
CASES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/expected*.npz"))
CASES = [case for case in CASES if not case.endswith("expected_activations.npz")]
#: A batch of one token has a softmax over one number, and Keras wonders whether that is meant.
pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax")
WITHOUT_POOLER = {"token_classification", "masked_lm"}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """(folder, encoder, inputs, expected outputs) of one batch."""
    file = FOLDER / request.param
    arrays = dict(np.load(file))
    inputs = {name: arrays.pop(name) for name in INPUTS}
    return file.parent, kb.BertEncoder.from_pretrained(str(file.parent)), inputs, arrays


def check_outputs(outputs, expected):
    assert off(outputs["sequence_output"], expected["sequence_output"]) <= TOLERANCE
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE
    else:
        assert outputs["pooled_output"] is None
    # Theirs begin with the embeddings' output.
    layers = expected["hidden_states"][1:]
    assert len(outputs["encoder_outputs"]) == len(layers)
    for ours, theirs in zip(outputs["encoder_outputs"], layers, strict=True):
        assert off(ours, theirs) <= TOLERANCE


def test_all_cases_are_there():
    names = {case.split("/")[0] for case in CASES}
    assert len(names) == 12 and len(CASES) == 14
    assert WITHOUT_POOLER < names


def test_outputs(case):
    folder, encoder, inputs, expected = case
    assert ("pooled_output" in expected) == (folder.name not in WITHOUT_POOLER)
    outputs = encoder(inputs, return_attention_scores=True)
    # At padding, too: there, as anywhere, a query attends to all tokens that are not padding.
    check_outputs(outputs, expected)
    assert len(outputs["attention_scores"]) == len(expected["attentions"])
    for ours, theirs in zip(outputs["attention_scores"], expected["attentions"], strict=True):
        assert off(ours, theirs) <= TOLERANCE


def test_outputs_in_a_graph(case):
    """TensorFlow's graph optimiser puts other kernels in place of MatMul, BiasAdd and GELU."""
    _, encoder, inputs, expected = case
    signature = {name: tf.TensorSpec((None, None), tf.int32) for name in INPUTS}
    graph = tf.function(encoder, input_signature=[signature], autograph=False)
    check_outputs(graph({name: tf.constant(x) for name, x in inputs.items()}), expected)


def test_first_token_only(case):
    _, encoder, inputs, expected = case
    outputs = encoder(inputs, first_token_only=True)
    assert off(outputs["sequence_output"], expected["sequence_output"][:, :1]) <= TOLERANCE
    if "pooled_output" in expected:
        assert off(outputs["pooled_output"], expected["pooled_output"]) <= TOLERANCE


def test_no_attention_scores_unless_asked_for(case):
    _, encoder, inputs, _ = case
    assert "attention_scores" not in encoder(inputs)


def test_default_inputs(case):
    """Without mask and types: all tokens, type 0; as if both were given so."""
    _, encoder, inputs, _ = case
    ids = inputs["input_word_ids"]
    full = {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": ids * 0}
    short = encoder({"input_word_ids": ids})["sequence_output"]
    assert off(short, np.asarray(encoder(full)["sequence_output"])) <= TOLERANCE


@pytest.mark.parametrize("name", ["gelu", "relu"])
def test_outputs_under_xla(name):
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / name))
    expected = dict(np.load(FOLDER / name / "expected.npz"))
    inputs = {key: tf.constant(expected.pop(key)) for key in INPUTS}
    compiled = tf.function(encoder, jit_compile=True, autograph=False)
    check_outputs(compiled(inputs), expected)


def test_padding_does_not_matter():
    """More padding, and other tokens in it, leave the tokens' outputs alone."""
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / "gelu"))
    expected = dict(np.load(FOLDER / "gelu" / "expected.npz"))
    inputs = {name: np.pad(expected[name], ((0, 0), (0, 5))) for name in INPUTS}
    hidden = inputs["input_mask"] == 0
    inputs["input_word_ids"][hidden] = 9
    outputs = np.asarray(encoder(inputs)["sequence_output"])[:, :-5]
    shown = expected["input_mask"] == 1
    assert off(outputs[shown], expected["sequence_output"][shown]) <= TOLERANCE


def test_a_row_of_nothing_but_padding():
    """It gets numbers, not NaN, and the other rows stay what they are."""
    encoder = kb.BertEncoder.from_pretrained(str(FOLDER / "gelu"))
    expected = dict(np.load(FOLDER / "gelu" / "expected.npz"))
    inputs = {name: expected[name].copy() for name in INPUTS}
    inputs["input_mask"][-1] = 0
    outputs = np.asarray(encoder(inputs)["sequence_output"])
    assert np.isfinite(outputs).all()
    assert off(outputs[:-1], expected["sequence_output"][:-1]) <= TOLERANCE


ACTIVATION_FILE = FOLDER / "activations" / "expected_activations.npz"
ACTIVATION_NAMES = sorted(set(np.load(ACTIVATION_FILE).files) - set(INPUTS))


def test_every_activation_is_compared():
    # Hugging Face calls it gelu_pytorch_tanh.
    assert set(ACTIVATIONS) - set(ACTIVATION_NAMES) == {"gelu_tanh"}


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_activation(name, tmp_path):
    """``hidden_act`` under every name that published checkpoints and this package know."""
    folder = tmp_path / name
    shutil.copytree(ACTIVATION_FILE.parent, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": name}))
    expected = dict(np.load(ACTIVATION_FILE))
    inputs = {key: expected[key] for key in INPUTS}
    encoder = kb.BertEncoder.from_pretrained(str(folder))
    assert encoder.config.hidden_activation == name
    assert off(encoder(inputs)["sequence_output"], expected[name]) <= TOLERANCE


def test_config_is_read_completely():
    config = kb.EncoderConfig.from_pretrained(str(FOLDER / "relu"))
    theirs = json.loads((FOLDER / "relu" / "config.json").read_text())
    assert config.layer_norm_epsilon == theirs["layer_norm_eps"] == 1e-3
    assert config.type_vocab_size == theirs["type_vocab_size"] == 3
    assert config.num_layers == theirs["num_hidden_layers"] == 2
    assert config.num_attention_heads == theirs["num_attention_heads"] == 1
    assert config.max_position_embeddings == theirs["max_position_embeddings"] == 20
    assert config.use_pooler
    assert not kb.EncoderConfig.from_pretrained(str(FOLDER / "masked_lm")).use_pooler
