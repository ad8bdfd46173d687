import dataclasses
import json

import pytest

import keras_bert as kb


def test_round_trip_through_json():
    config = kb.EncoderConfig(hidden_size=64, num_attention_heads=4, classifier_dropout=0.3)
    assert kb.EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        kb.EncoderConfig().hidden_size = 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 10, "num_attention_heads": 3}, "hidden_size=10 is no multiple"),
        ({"vocab_size": 0}, "vocab_size must be a positive whole number; received 0"),
        ({"num_layers": 2.0}, "num_layers must be a positive whole number; received 2.0"),
        ({"num_layers": True}, "num_layers"),
        ({"dropout_rate": 1.0}, r"dropout_rate must be a number in \[0, 1\)"),
        ({"attention_dropout_rate": None}, "attention_dropout_rate"),
        ({"classifier_dropout": -0.1}, "classifier_dropout"),
        ({"layer_norm_epsilon": 0}, "layer_norm_epsilon must be a positive number"),
        ({"hidden_activation": "snake"}, "hidden_activation='snake' is unknown. Known are gelu"),
        ({"pad_token_id": 30522}, "outside the vocabulary"),
        ({"bottleneck_size": 10}, "bottleneck_size=10 is no multiple of num_attention_heads=12"),
        ({"bottleneck_attention": "all"}, "asks for a bottleneck, but bottleneck_size is None"),
        ({"bottleneck_attention": "some"}, "unknown. Known are none, query_key, all"),
        ({"normalization": "rms"}, "normalization='rms' is unknown. Known are layer_norm, no_norm"),
        ({"embedding_projection": None}, "Known are sum, words, trigrams"),
        ({"num_feedforward_networks": 0}, "num_feedforward_networks must be a positive"),
        ({"output_norm_epsilon": 0.0}, "output_norm_epsilon must be a positive number"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        kb.EncoderConfig(**fields)


def test_unknown_field_is_named():
    with pytest.raises(ValueError, match="Unknown field.* hparams for EncoderConfig"):
        kb.EncoderConfig.from_dict({"hparams": 1})


def test_head_dropout_defaults_to_dropout():
    assert kb.EncoderConfig(dropout_rate=0.2).head_dropout_rate == 0.2
    assert kb.EncoderConfig(dropout_rate=0.2, classifier_dropout=0.0).head_dropout_rate == 0.0


def test_modernbert_round_trip_through_json():
    config = kb.ModernBertConfig(global_layers=range(0, 22, 2), norm_bias=True)
    assert config.global_layers == tuple(range(0, 22, 2))
    assert kb.ModernBertConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_modernbert_usual_layers_are_named_once():
    assert kb.ModernBertConfig(global_layers=range(0, 22, 3)) == kb.ModernBertConfig()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"global_layers": [0, 22]}, "different numbers from 0 to 21"),
        ({"global_layers": [3, 3]}, "different numbers"),
        ({"num_attention_heads": 256}, "is odd"),
        ({"local_attention_window": 0}, "local_attention_window must be a positive whole number"),
        ({"local_rope_theta": 0.0}, "local_rope_theta must be a positive number"),
        ({"classifier_pooling": "max"}, "'cls' or 'mean'"),
        ({"norm_bias": 1}, "norm_bias must be true or false; received 1"),
        ({"use_pooler": True}, "ModernBERT has no pooler"),
    ],
)
def test_modernbert_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        kb.ModernBertConfig(**fields)


def test_modernbert_unknown_field_is_named():
    with pytest.raises(ValueError, match="hparams for ModernBertConfig"):
        kb.ModernBertConfig.from_dict({"hparams": 1})


def test_a_bottleneck_is_what_heads_share():
    config = kb.EncoderConfig(hidden_size=10, bottleneck_size=12, num_attention_heads=4)
    assert (config.inner_size, config.head_size) == (12, 3)
    assert kb.EncoderConfig().inner_size == 768


def test_epsilon_of_the_last_norm_is_that_of_all():
    assert kb.EncoderConfig(layer_norm_epsilon=1e-5).last_norm_epsilon == 1e-5
    assert kb.EncoderConfig(output_norm_epsilon=1e-5).last_norm_epsilon == 1e-5
