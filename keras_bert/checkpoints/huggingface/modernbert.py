"""How ``transformers`` names ModernBERT's config fields and tensors; see families.py.

Source: ``configuration_modernbert.py`` and ``modeling_modernbert.py`` of transformers 5.23, and of
4.48, whose names for what differs from layer to layer are still in published folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.huggingface.family import Family
from keras_bert.config import ModernBertConfig

__all__ = ["MODERNBERT"]

FULL, SLIDING = "full_attention", "sliding_attention"
#: Our field ← the kind of layers that have this rotary base, and its name in older configs.
THETAS = {
    "global_rope_theta": (FULL, "global_rope_theta"),
    "local_rope_theta": (SLIDING, "local_rope_theta"),
}


def _of_layers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says of its layers and no table can: which reach how far, and their thetas."""
    found = {"global_layers": _global_layers(fields)}
    for ours, (kind, older) in THETAS.items():
        theta = _rope(fields, kind).get("rope_theta", fields.get(older))
        # Older code took the other layers' theta where this one was null.
        if theta is None and older in fields and ours == "local_rope_theta":
            theta = found.get("global_rope_theta")
        if theta is not None:
            found[ours] = theta
    return found


def _written(config: ModernBertConfig) -> dict[str, Any]:
    """The same in the names of today."""
    layers = range(config.num_layers)
    return {
        "layer_types": [FULL if config.is_global(layer) else SLIDING for layer in layers],
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": getattr(config, ours)}
            for ours, (kind, _) in THETAS.items()
        },
    }


def _global_layers(fields):
    types, count = fields.get("layer_types"), fields.get("num_hidden_layers")
    if types is None:
        every = fields.get("global_attn_every_n_layers", 3)
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"global_attn_every_n_layers={every!r} is no positive whole number.")
        return range(0, count, every) if isinstance(count, int) else None
    wrong = not isinstance(types, list) or any(kind not in (FULL, SLIDING) for kind in types)
    if wrong or len(types) != count:
        raise ValueError(
            f"layer_types={types!r} must name {FULL!r} or {SLIDING!r} for each of the {count!r} "
            "layers of num_hidden_layers."
        )
    return [number for number, kind in enumerate(types) if kind == FULL]


def _rope(fields, kind):
    """Rotary parameters of a kind of layers; refuses those that are stretched in some way."""
    nested = fields.get("rope_parameters")
    rope = nested.get(kind) if isinstance(nested, dict) else nested
    for name, given in (("rope_parameters", rope), ("rope_scaling", fields.get("rope_scaling"))):
        if given is not None and not isinstance(given, dict):
            raise ValueError(f"{name}={given!r} is no object of rotary parameters.")
        asked = given or {}
        if asked.get("rope_type", asked.get("type", "default")) != "default":
            raise ValueError(f"{name} asks for {asked!r}; only rope_type 'default' can be loaded.")
    return {name: value for name, value in (rope or {}).items() if value is not None}


#: What every head begins with.
_PREDICTION = {
    "dense.kernel": "head.dense.weight",
    "dense.bias": "head.dense.bias",
    "layer_norm.gamma": "head.norm.weight",
    "layer_norm.beta": "head.norm.bias",
}
_CLASSIFIER = {
    **_PREDICTION,
    "logits.kernel": "classifier.weight",
    "logits.bias": "classifier.bias",
}

MODERNBERT = Family(
    config_class=ModernBertConfig,
    prefix="model.",
    fields={
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "num_layers": "num_hidden_layers",
        "num_attention_heads": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "hidden_activation": "hidden_activation",
        "local_attention_window": "local_attention",
        "attention_bias": "attention_bias",
        "mlp_bias": "mlp_bias",
        "norm_bias": "norm_bias",
        "embedding_dropout_rate": "embedding_dropout",
        "attention_dropout_rate": "attention_dropout",
        "mlp_dropout_rate": "mlp_dropout",
        "max_position_embeddings": "max_position_embeddings",
        "initializer_range": "initializer_range",
        "layer_norm_epsilon": "norm_eps",
        "pad_token_id": "pad_token_id",
        "classifier_dropout": "classifier_dropout",
        "classifier_pooling": "classifier_pooling",
        "classifier_activation": "classifier_activation",
        "classifier_bias": "classifier_bias",
        "decoder_bias": "decoder_bias",
        "tie_word_embeddings": "tie_word_embeddings",
    },
    from_theirs=_of_layers,
    to_theirs=_written,
    shapes={
        "embeddings.word_embeddings": ("vocab_size", "hidden_size"),
        "attention.output_linear.kernel": ("hidden_size", "hidden_size"),
        "feed_forward.output_linear.kernel": ("intermediate_size", "hidden_size"),
    },
    embeddings={
        "embeddings.word_embeddings": "embeddings.tok_embeddings.weight",
        "embeddings.layer_norm.gamma": "embeddings.norm.weight",
        "embeddings.layer_norm.beta": "embeddings.norm.bias",
        "final_norm.gamma": "final_norm.weight",
        "final_norm.beta": "final_norm.bias",
    },
    block={
        "attention_norm.gamma": "attn_norm.weight",
        "attention_norm.beta": "attn_norm.bias",
        "attention.query_key_value.kernel": "attn.Wqkv.weight",
        "attention.query_key_value.bias": "attn.Wqkv.bias",
        "attention.output_linear.kernel": "attn.Wo.weight",
        "attention.output_linear.bias": "attn.Wo.bias",
        "feed_forward_norm.gamma": "mlp_norm.weight",
        "feed_forward_norm.beta": "mlp_norm.bias",
        "feed_forward.input_and_gate.kernel": "mlp.Wi.weight",
        "feed_forward.input_and_gate.bias": "mlp.Wi.bias",
        "feed_forward.output_linear.kernel": "mlp.Wo.weight",
        "feed_forward.output_linear.bias": "mlp.Wo.bias",
    },
    block_prefix="layers.{block}.",
    pooler={},
    heads={
        "classifier": _CLASSIFIER,
        "token_classifier": _CLASSIFIER,
        "span_labeler": _CLASSIFIER,
        "multiple_choice": _CLASSIFIER,
        "masked_lm": {**_PREDICTION, "bias": "decoder.bias", "kernel": "decoder.weight"},
    },
    head_options={
        "dense.bias": "classifier_bias",
        "layer_norm.beta": "norm_bias",
        "bias": "decoder_bias",
    },
)
