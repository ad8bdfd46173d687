"""Reading ModernBERT's config.json, of today and of older days."""

import json
import shutil
from pathlib import Path

import pytest

import keras_bert as kb

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "modernbert"


def config_of(tmp_path, name="model", **changes):
    """The config of a fixture after some changes to its file; ``...`` takes a field away."""
    folder = tmp_path / "changed"
    shutil.copytree(FOLDER / name, folder)
    fields = {**json.loads((folder / "config.json").read_text()), **changes}
    fields = {key: value for key, value in fields.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(fields))
    return kb.ModernBertConfig.from_pretrained(str(folder))


def test_all_that_differs_from_layer_to_layer(tmp_path):
    config = config_of(tmp_path)
    assert config.global_layers == (1,) and config.local_attention_window == 1
    assert (config.global_rope_theta, config.local_rope_theta) == (90.0, 7000.0)
    assert config.layer_norm_epsilon == 1e-4 and config.pad_token_id == 3


def test_older_names():
    config = kb.ModernBertConfig.from_pretrained(str(FOLDER / "older_config"))
    assert [config.is_global(i) for i in range(2)] == [True, False]
    assert (config.global_rope_theta, config.local_rope_theta) == (800.0, 30.0)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"layer_types": ...}, {"global_layers": None}),
        ({"layer_types": None, "global_attn_every_n_layers": 2}, {"global_layers": (0, 2)}),
        ({"rope_parameters": ...}, {"global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0}),
        (
            {"rope_parameters": None, "global_rope_theta": 7, "local_rope_theta": None},
            {"global_rope_theta": 7, "local_rope_theta": 7},
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 5.0}, "sliding_attention": None}},
            {"global_rope_theta": 5.0, "local_rope_theta": 10_000.0},
        ),
        ({"local_attention": ...}, {"local_attention_window": 128}),
        ({"norm_bias": ..., "norm_eps": ...}, {"norm_bias": False, "layer_norm_epsilon": 1e-5}),
    ],
)
def test_what_is_left_out(tmp_path, changes, fields):
    config = config_of(tmp_path, **changes)
    assert {name: getattr(config, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_types": ["full_attention"]}, "layer_types=.* each of the 3 layers"),
        ({"layer_types": ["full_attention", "causal", "causal"]}, "layer_types="),
        ({"layer_types": 3}, "layer_types=3"),
        ({"layer_types": None, "global_attn_every_n_layers": 0}, "every_n_layers=0 is no pos"),
        ({"rope_parameters": "yarn"}, "rope_parameters='yarn'"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "only rope_type 'def"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling asks for"),
        ({"rope_parameters": {"full_attention": {"rope_theta": "a"}}}, "global_rope_theta must"),
        ({"num_hidden_layers": "3"}, "expected a whole number|num_layers must|layer_types"),
        ({"classifier_pooling": "max"}, "'cls' or 'mean'; received 'max'"),
        ({"attention_bias": "yes"}, "attention_bias='yes'; expected true or false"),
        ({"hidden_activation": ["gelu"]}, "config.json"),
        ({"pad_token_id": 61}, "pad_token_id=61 lies outside"),
        ({"pad_token_id": "a"}, "pad_token_id='a'; expected a whole number"),
        ({"hidden_size": 22, "num_attention_heads": 2}, "is odd"),
    ],
)
def test_other_networks_and_nonsense(tmp_path, changes, message):
    with pytest.raises(kb.CheckpointError, match=message):
        config_of(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_bias": True}, "missing tensor .*norm.bias"),
        ({"num_hidden_layers": 2, "layer_types": ...}, "unknown tensor layers.2"),
        ({"intermediate_size": 21}, "the config says intermediate_size=21"),
    ],
)
def test_weights_that_contradict_the_config(tmp_path, changes, message):
    config_of(tmp_path, **changes)
    with pytest.raises(kb.CheckpointError, match=message):
        kb.BertEncoder.from_pretrained(str(tmp_path / "changed"))


def test_google_has_no_words_for_it(tmp_path):
    with pytest.raises(kb.CheckpointError, match="no ModernBertEncoder"):
        kb.checkpoints.convert(str(FOLDER / "model"), str(tmp_path / "tf1"), format="google")
