"""How ``transformers`` names the config fields and tensors of each family, as tables.

On the left of each table stands what is ours: a field of ``EncoderConfig``, or an attribute path of
a model; on the right what is theirs. Three tensors on the right are joined along the last axis:
query, key and value are one matrix here.

Source: ``configuration_*.py`` and ``modeling_*.py`` of transformers 5.23.
"""

from __future__ import annotations

import dataclasses

from keras_bert.checkpoints import mobile_bert
from keras_bert.checkpoints.folder import CONFIG_FIELDS
from keras_bert.checkpoints.huggingface.family import Family
from keras_bert.checkpoints.huggingface.modernbert import MODERNBERT
from keras_bert.checkpoints.huggingface.xlnet import XLNET

__all__ = ["ARCHITECTURES", "CLASSES", "FAMILIES", "IGNORED", "REQUIRED"]

#: Without these there is no model.
REQUIRED = ("vocab_size", "hidden_size", "num_layers", "num_attention_heads", "intermediate_size")

#: Tensors that belong to no part of an encoder or classifier, and why they are left out.
IGNORED = {
    r"embeddings\.position_ids": "the numbers 0, 1, 2, ..., not a weight",
    r"embeddings\.embedding_transformation\..*": "widens words that are wide enough",
    r"encoder\.layer\.\d+\.bottleneck\.attention\..*": "a bottleneck that this config goes round",
    r"embeddings\.token_type_embeddings\.weight": "segment types, which this family does not use",
    r"head\..*": "prediction head of another task",
    r"decoder\..*": "masked-language-model head",
    r"(pre_)?classifier\..*": "head of another task or with other labels",
    r"qa_outputs\..*": "question-answering head",
    r"(cls\.predictions|predictions|lm_head)\.decoder\..*": "tied to the word embeddings and bias",
    r"vocab_projector\.weight|generator_lm_head\.weight": "tied to the word embeddings",
    r"(cls\.)?predictions\..*": "masked-language-model head",
    r"lm_head\..*": "masked-language-model head",
    r"vocab_(transform|layer_norm|projector)\..*": "masked-language-model head",
    r"generator_(predictions|lm_head)\..*": "masked-language-model head",
    r"discriminator_predictions\..*": "replaced-token head",
    r"cls\.seq_relationship\..*": "next-sentence head",
    r"sop_classifier\..*": "sentence-order head",
    r"lm_loss\..*": "language-model head",
    r"logits_proj\..*": "head of another task",
    r"(start_logits|end_logits|answer_class)\..*": "question-answering head",
    r"sequence_summary\..*": "head of another task",
    r"pooler\..*": "pooler, which this model has no use for",
}

_FIELDS = {
    **CONFIG_FIELDS,
    "layer_norm_epsilon": "layer_norm_eps",
    "pad_token_id": "pad_token_id",
    "classifier_dropout": "classifier_dropout",
    "tie_word_embeddings": "tie_word_embeddings",
}
_REFUSED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}
_EMBEDDINGS = {
    "embeddings.word_embeddings": "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings": "embeddings.position_embeddings.weight",
    "embeddings.type_embeddings": "embeddings.token_type_embeddings.weight",
    "embeddings.layer_norm.gamma": "embeddings.LayerNorm.weight",
    "embeddings.layer_norm.beta": "embeddings.LayerNorm.bias",
}
_BLOCK = {
    "attention.query_key_value.kernel": (
        "attention.self.query.weight",
        "attention.self.key.weight",
        "attention.self.value.weight",
    ),
    "attention.query_key_value.bias": (
        "attention.self.query.bias",
        "attention.self.key.bias",
        "attention.self.value.bias",
    ),
    "attention.output_linear.kernel": "attention.output.dense.weight",
    "attention.output_linear.bias": "attention.output.dense.bias",
    "attention_norm.gamma": "attention.output.LayerNorm.weight",
    "attention_norm.beta": "attention.output.LayerNorm.bias",
    "intermediate.kernel": "intermediate.dense.weight",
    "intermediate.bias": "intermediate.dense.bias",
    "output_linear.kernel": "output.dense.weight",
    "output_linear.bias": "output.dense.bias",
    "output_norm.gamma": "output.LayerNorm.weight",
    "output_norm.beta": "output.LayerNorm.bias",
}
_POOLER = {"pooler.kernel": "pooler.dense.weight", "pooler.bias": "pooler.dense.bias"}


def _linear(name):
    return {"logits.kernel": f"{name}.weight", "logits.bias": f"{name}.bias"}


def _two_layers(dense, logits):
    return {"dense.kernel": f"{dense}.weight", "dense.bias": f"{dense}.bias", **_linear(logits)}


def _masked_lm(dense, layer_norm, kernel, bias):
    return {
        "dense.kernel": f"{dense}.weight",
        "dense.bias": f"{dense}.bias",
        "layer_norm.gamma": f"{layer_norm}.weight",
        "layer_norm.beta": f"{layer_norm}.bias",
        "bias": bias,
        "kernel": kernel,
    }


_OVER_TOKENS = {
    "token_classifier": _linear("classifier"),
    "span_labeler": _linear("qa_outputs"),
}

BERT = Family(
    prefix="bert.",
    fields=_FIELDS,
    refused=_REFUSED,
    embeddings=_EMBEDDINGS,
    block=_BLOCK,
    block_prefix="encoder.layer.{block}.",
    pooler=_POOLER,
    heads={
        "classifier": _linear("classifier"),
        **_OVER_TOKENS,
        "multiple_choice": _linear("classifier"),
        "masked_lm": _masked_lm(
            dense="cls.predictions.transform.dense",
            layer_norm="cls.predictions.transform.LayerNorm",
            kernel="cls.predictions.decoder.weight",
            bias="cls.predictions.bias",
        ),
        "next_sentence": _linear("cls.seq_relationship"),
    },
)

ROBERTA = dataclasses.replace(
    BERT,
    prefix="roberta.",
    defaults={"pad_token_id": 1},
    always={
        "positions_skip_padding": True,
        "classifier_activation": "tanh",
        "masked_lm_activation": "gelu",
    },
    heads={
        "classifier": _two_layers("classifier.dense", "classifier.out_proj"),
        **_OVER_TOKENS,
        "multiple_choice": _two_layers("pooler.dense", "classifier"),
        "masked_lm": _masked_lm(
            dense="lm_head.dense",
            layer_norm="lm_head.layer_norm",
            kernel="lm_head.decoder.weight",
            bias="lm_head.bias",
        ),
    },
)

_PROJECTION = {
    "embeddings.projection.kernel": "embeddings_project.weight",
    "embeddings.projection.bias": "embeddings_project.bias",
}

ELECTRA = dataclasses.replace(
    BERT,
    prefix="electra.",
    fields={**_FIELDS, "embedding_size": "embedding_size"},
    defaults={"embedding_size": 128},
    always={"classifier_activation": "gelu", "masked_lm_activation": "gelu"},
    embeddings={**_EMBEDDINGS, **_PROJECTION},
    pooler={},
    heads={
        "classifier": _two_layers("classifier.dense", "classifier.out_proj"),
        **_OVER_TOKENS,
        "multiple_choice": _two_layers("sequence_summary.summary", "classifier"),
        "masked_lm": _masked_lm(
            dense="generator_predictions.dense",
            layer_norm="generator_predictions.LayerNorm",
            kernel="generator_lm_head.weight",
            bias="generator_lm_head.bias",
        ),
        "replaced_tokens": _two_layers(
            "discriminator_predictions.dense", "discriminator_predictions.dense_prediction"
        ),
    },
    heads_refused={
        "multiple_choice": {
            "summary_type": "first",
            "summary_use_proj": True,
            "summary_activation": "gelu",
        }
    },
)

ALBERT = Family(
    prefix="albert.",
    fields={
        **_FIELDS,
        "classifier_dropout": "classifier_dropout_prob",
        "embedding_size": "embedding_size",
        "num_layer_groups": "num_hidden_groups",
        "group_size": "inner_group_num",
    },
    defaults={
        "hidden_activation": "gelu_new",
        "dropout_rate": 0.0,
        "attention_dropout_rate": 0.0,
        "classifier_dropout": 0.1,
        "embedding_size": 128,
        "num_layer_groups": 1,
    },
    refused={"position_embedding_type": "absolute"},
    projects=True,
    embeddings={
        **_EMBEDDINGS,
        "embeddings.projection.kernel": "encoder.embedding_hidden_mapping_in.weight",
        "embeddings.projection.bias": "encoder.embedding_hidden_mapping_in.bias",
    },
    block={
        "attention.query_key_value.kernel": (
            "attention.query.weight",
            "attention.key.weight",
            "attention.value.weight",
        ),
        "attention.query_key_value.bias": (
            "attention.query.bias",
            "attention.key.bias",
            "attention.value.bias",
        ),
        "attention.output_linear.kernel": "attention.dense.weight",
        "attention.output_linear.bias": "attention.dense.bias",
        "attention_norm.gamma": "attention.LayerNorm.weight",
        "attention_norm.beta": "attention.LayerNorm.bias",
        "intermediate.kernel": "ffn.weight",
        "intermediate.bias": "ffn.bias",
        "output_linear.kernel": "ffn_output.weight",
        "output_linear.bias": "ffn_output.bias",
        "output_norm.gamma": "full_layer_layer_norm.weight",
        "output_norm.beta": "full_layer_layer_norm.bias",
    },
    block_prefix="encoder.albert_layer_groups.{group}.albert_layers.{place}.",
    pooler={"pooler.kernel": "pooler.weight", "pooler.bias": "pooler.bias"},
    heads={
        "classifier": _linear("classifier"),
        **_OVER_TOKENS,
        "multiple_choice": _linear("classifier"),
        "masked_lm": _masked_lm(
            dense="predictions.dense",
            layer_norm="predictions.LayerNorm",
            kernel="predictions.decoder.weight",
            bias="predictions.bias",
        ),
        "next_sentence": _linear("sop_classifier.classifier"),
    },
)

DISTILBERT = Family(
    prefix="distilbert.",
    fields={
        "vocab_size": "vocab_size",
        "hidden_size": "dim",
        "num_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_activation": "activation",
        "dropout_rate": "dropout",
        "attention_dropout_rate": "attention_dropout",
        "max_position_embeddings": "max_position_embeddings",
        "initializer_range": "initializer_range",
        "pad_token_id": "pad_token_id",
        "classifier_dropout": "seq_classif_dropout",
        "tie_word_embeddings": "tie_word_embeddings",
    },
    defaults={"classifier_dropout": 0.2},
    always={
        "type_vocab_size": 0,
        "layer_norm_epsilon": 1e-12,
        "classifier_activation": "relu",
    },
    embeddings={
        ours: theirs for ours, theirs in _EMBEDDINGS.items() if "type_embeddings" not in ours
    },
    block={
        "attention.query_key_value.kernel": (
            "attention.q_lin.weight",
            "attention.k_lin.weight",
            "attention.v_lin.weight",
        ),
        "attention.query_key_value.bias": (
            "attention.q_lin.bias",
            "attention.k_lin.bias",
            "attention.v_lin.bias",
        ),
        "attention.output_linear.kernel": "attention.out_lin.weight",
        "attention.output_linear.bias": "attention.out_lin.bias",
        "attention_norm.gamma": "sa_layer_norm.weight",
        "attention_norm.beta": "sa_layer_norm.bias",
        "intermediate.kernel": "ffn.lin1.weight",
        "intermediate.bias": "ffn.lin1.bias",
        "output_linear.kernel": "ffn.lin2.weight",
        "output_linear.bias": "ffn.lin2.bias",
        "output_norm.gamma": "output_layer_norm.weight",
        "output_norm.beta": "output_layer_norm.bias",
    },
    block_prefix="transformer.layer.{block}.",
    pooler={},
    heads={
        "classifier": _two_layers("pre_classifier", "classifier"),
        **_OVER_TOKENS,
        "multiple_choice": _two_layers("pre_classifier", "classifier"),
        "masked_lm": _masked_lm(
            dense="vocab_transform",
            layer_norm="vocab_layer_norm",
            kernel="vocab_projector.weight",
            bias="vocab_projector.bias",
        ),
    },
)


def _mobile_bert(said):
    defaults = {
        "hidden_size": 512,
        "trigram_input": True,
        "use_bottleneck": True,
        "intra_bottleneck_size": 128,
        "use_bottleneck_attention": False,
        "key_query_shared_bottleneck": True,
    }
    # Two kinds of LayerNorm are made without an epsilon there, and have PyTorch's.
    fixed = said.get("normalization_type") == "layer_norm"
    return {
        **mobile_bert.structure(said, defaults),
        "output_norm_epsilon": 1e-5 if fixed else None,
    }


def _mobile_bert_idle(config, heads):
    tensors, width = {}, config.embedding_width
    if config.embedding_size is None and config.embedding_projection == "words":
        name = "embeddings.embedding_transformation"
        tensors = {f"{name}.weight": (width, width), f"{name}.bias": (width,)}
    if "masked_lm" in heads and not config.masked_lm_extra_size:
        tensors["cls.predictions.dense.weight"] = (0, config.vocab_size)
    return tensors


def _dotted(name):
    return name.replace("/", ".").replace("ffn_layer_", "ffn.")


MOBILE_BERT = dataclasses.replace(
    BERT,
    prefix="mobilebert.",
    fields={
        **_FIELDS,
        **mobile_bert.FIELDS,
    },
    defaults={
        "vocab_size": 30522,
        "hidden_size": 512,
        "num_layers": 24,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "hidden_activation": "relu",
        "dropout_rate": 0.0,
        "embedding_size": 128,
        "num_feedforward_networks": 4,
        "normalization": "no_norm",
    },
    from_theirs=_mobile_bert,
    to_theirs=mobile_bert.structure_fields,
    shapes=mobile_bert.SHAPES,
    idle=_mobile_bert_idle,
    refused={},
    embeddings={
        **_EMBEDDINGS,
        "embeddings.projection.kernel": "embeddings.embedding_transformation.weight",
        "embeddings.projection.bias": "embeddings.embedding_transformation.bias",
    },
    block={
        ours: tuple(map(_dotted, theirs)) if isinstance(theirs, tuple) else _dotted(theirs)
        for ours, theirs in mobile_bert.block_table("weight", "weight", "bias").items()
    },
    heads={
        **BERT.heads,
        "masked_lm": {**BERT.heads["masked_lm"], "extra": "cls.predictions.dense.weight"},
    },
    head_options={"extra": "masked_lm_extra_size"},
)

#: ``model_type`` of ``config.json`` → its family.
FAMILIES = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "electra": ELECTRA,
    "albert": ALBERT,
    "distilbert": DISTILBERT,
    "modernbert": MODERNBERT,
    "mobilebert": MOBILE_BERT,
    "xlnet": XLNET,
}

#: ``model_type`` → how its classes' names begin.
CLASSES = {
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "electra": "Electra",
    "albert": "Albert",
    "distilbert": "DistilBert",
    "modernbert": "ModernBert",
    "mobilebert": "MobileBert",
    "xlnet": "XLNet",
}

#: How a class of ``transformers`` ends, in ``architectures`` of ``config.json`` → its heads.
ARCHITECTURES = {
    "ForSequenceClassification": ("classifier",),
    "ForTokenClassification": ("token_classifier",),
    "ForQuestionAnswering": ("span_labeler", "beam_span_labeler"),
    "ForQuestionAnsweringSimple": ("span_labeler",),
    "ForMultipleChoice": ("multiple_choice",),
    "ForMaskedLM": ("masked_lm",),
    "LMHeadModel": ("masked_lm",),
    "ForNextSentencePrediction": ("next_sentence",),
    "ForPreTraining": ("masked_lm", "next_sentence", "replaced_tokens"),
}
