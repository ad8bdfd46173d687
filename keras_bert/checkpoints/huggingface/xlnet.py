"""How ``transformers`` names XLNet's config fields and tensors; see families.py.

Source: ``configuration_xlnet.py`` and ``modeling_xlnet.py`` of transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.huggingface.family import Family
from keras_bert.config import XLNetConfig

__all__ = ["SHAPES", "XLNET"]

#: See ``check_sizes``.
SHAPES = {
    "embeddings.word_embeddings": ("vocab_size", "hidden_size"),
    "attention.query_kernel": ("hidden_size", "num_attention_heads", "head_size"),
    "intermediate.kernel": ("hidden_size", "intermediate_size"),
}

#: ``summary_type`` → our ``classifier_pooling``. No model gives the index of the class token, which
#: is then taken for the last one.
POOLINGS = {"last": "last", "cls_index": "last", "first": "first", "mean": "mean_with_padding"}
#: Our field ← theirs, where 0 and less, and null, mean that there is no limit.
LIMITS = {
    "max_distance": ("clamp_len", -1),
    "memory_length": ("mem_len", 512),
    "memory_per_batch": ("reuse_len", None),
}


def _from_theirs(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says and no table can."""
    found = {ours: _limit(fields, *theirs) for ours, theirs in LIMITS.items()}
    summary = fields.get("summary_type", "last")
    if not isinstance(summary, str) or summary not in POOLINGS:
        raise ValueError(f"summary_type={summary!r} is unknown; known are {', '.join(POOLINGS)}.")
    found["classifier_pooling"] = POOLINGS[summary]
    if not fields.get("summary_activation", "tanh"):
        found["classifier_activation"] = "linear"
    width, heads, size = (fields.get(name) for name in ("d_model", "n_head", "d_head"))
    if size is not None and size * heads != width:
        raise ValueError(
            f"d_head={size!r} is not d_model={width!r} / n_head={heads!r}; only heads that share "
            "the width are computed."
        )
    return found


def _to_theirs(config: XLNetConfig) -> dict[str, Any]:
    """The same in their names."""
    limits = {theirs: getattr(config, ours) for ours, (theirs, _) in LIMITS.items()}
    summaries = {ours: theirs for theirs, ours in POOLINGS.items() if theirs != "cls_index"}
    return {
        **limits,
        # Theirs compares it with 0.
        "clamp_len": config.max_distance or -1,
        "d_head": config.head_size,
        "summary_type": summaries[config.classifier_pooling],
        "summary_use_proj": True,
    }


def _limit(fields, name, default):
    value = fields.get(name, default)
    number = isinstance(value, int) and not isinstance(value, bool)
    return None if value is None or (number and value <= 0) else value


def _linear(name):
    return {"logits.kernel": f"{name}.weight", "logits.bias": f"{name}.bias"}


_SUMMARY = {
    "dense.kernel": "sequence_summary.summary.weight",
    "dense.bias": "sequence_summary.summary.bias",
    **_linear("logits_proj"),
}

#: ``XLNetPoolerStartLogits``, ``XLNetPoolerEndLogits`` and ``XLNetPoolerAnswerClass``.
_BEAM_SPANS = {
    "start_logits.kernel": "start_logits.dense.weight",
    "start_logits.bias": "start_logits.dense.bias",
    "end_dense.kernel": "end_logits.dense_0.weight",
    "end_dense.bias": "end_logits.dense_0.bias",
    "end_norm.gamma": "end_logits.LayerNorm.weight",
    "end_norm.beta": "end_logits.LayerNorm.bias",
    "end_logits.kernel": "end_logits.dense_1.weight",
    "end_logits.bias": "end_logits.dense_1.bias",
    "answer_dense.kernel": "answer_class.dense_0.weight",
    "answer_dense.bias": "answer_class.dense_0.bias",
    "answer_logits.kernel": "answer_class.dense_1.weight",
}

XLNET = Family(
    config_class=XLNetConfig,
    prefix="transformer.",
    fields={
        "vocab_size": "vocab_size",
        "hidden_size": "d_model",
        "num_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "d_inner",
        "hidden_activation": "ff_activation",
        "dropout_rate": "dropout",
        "attention_dropout_rate": "dropout",
        "attention_type": "attn_type",
        "same_length": "same_length",
        "two_directions": "bi_data",
        "initializer_range": "initializer_range",
        "layer_norm_epsilon": "layer_norm_eps",
        "pad_token_id": "pad_token_id",
        "classifier_dropout": "summary_last_dropout",
        "classifier_activation": "summary_activation",
        "tie_word_embeddings": "tie_word_embeddings",
        "start_n_top": "start_n_top",
        "end_n_top": "end_n_top",
    },
    from_theirs=_from_theirs,
    to_theirs=_to_theirs,
    shapes=SHAPES,
    class_endings={
        "span_labeler": "ForQuestionAnsweringSimple",
        "masked_lm": "LMHeadModel",
    },
    embeddings={
        "embeddings.word_embeddings": "word_embedding.weight",
        "embeddings.query_embedding": "mask_emb",
    },
    block={
        "attention.query_kernel": "rel_attn.q",
        "attention.key_kernel": "rel_attn.k",
        "attention.value_kernel": "rel_attn.v",
        "attention.position_kernel": "rel_attn.r",
        "attention.output_kernel": "rel_attn.o",
        "attention.content_bias": "rel_attn.r_w_bias",
        "attention.position_bias": "rel_attn.r_r_bias",
        "attention.segment_bias": "rel_attn.r_s_bias",
        "attention.segment_vectors": "rel_attn.seg_embed",
        "attention_norm.gamma": "rel_attn.layer_norm.weight",
        "attention_norm.beta": "rel_attn.layer_norm.bias",
        "intermediate.kernel": "ff.layer_1.weight",
        "intermediate.bias": "ff.layer_1.bias",
        "output_linear.kernel": "ff.layer_2.weight",
        "output_linear.bias": "ff.layer_2.bias",
        "output_norm.gamma": "ff.layer_norm.weight",
        "output_norm.beta": "ff.layer_norm.bias",
    },
    block_prefix="layer.{block}.",
    pooler={},
    heads={
        "classifier": _SUMMARY,
        "token_classifier": _linear("classifier"),
        "span_labeler": _linear("qa_outputs"),
        "beam_span_labeler": _BEAM_SPANS,
        "multiple_choice": _SUMMARY,
        "masked_lm": {"kernel": "lm_loss.weight", "bias": "lm_loss.bias"},
    },
    heads_refused={
        "classifier": {"summary_use_proj": True},
        "multiple_choice": {"summary_use_proj": True},
    },
)
