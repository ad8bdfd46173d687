"""Names of variables in Google's TensorFlow 1 code: one family for each code base.

On the left of each table stands an attribute path of our models, on the right the variable's name.
Matrices are held as they are here, but for the heads'.

Source: ``modeling.py`` of google-research/bert, google-research/albert, google-research/electra,
google-research/google-research (MobileBERT) and brightmart/albert_zh; ELECTRA's generator:
``run_pretraining.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints import mobile_bert
from keras_bert.checkpoints.loading import SHAPES, Table

__all__ = [
    "ALBERT",
    "ALBERT_ZH",
    "BERT",
    "ELECTRA",
    "ELECTRA_DISCRIMINATOR",
    "ELECTRA_GENERATOR",
    "ELECTRA_UNTIED_GENERATOR",
    "IGNORED",
    "IGNORED_BY_GENERATOR",
    "MOBILE_BERT",
    "MOBILE_BERT_DEFAULTS",
    "MOBILE_BERT_LAYER_NORM",
    "THEIR_ACTIVATIONS",
    "Family",
    "is_transposed",
]

#: ``get_activation`` of their modeling.py. "gelu" is the tanh form in BERT's and ALBERT's, the erf
#: form in ELECTRA's.
THEIR_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu", "tanh": "tanh", "linear": "linear"}
IGNORED = {
    r".*/(adam|lamb)_[mv](_\d+)?": "state of the optimiser",
    r"global_step|beta[12]_power|(current_)?loss_scale|good_steps": "state of the optimiser",
    r"cls/predictions/.*": "masked-language-model head",
    r"cls/seq_relationship/.*": "next-sentence head",
    r"output_(weights|bias)": "head of another task or with other labels",
    r"(discriminator|generator)_predictions/.*": "pretraining head",
    r"generator(_ltr|_rtl)?/.*": "ELECTRA's generator, which is FOLDER/generator",
    r"(generator_lm_head|cloze_predictions)/.*": "pretraining head",
    r"task_specific/.*": "head of another task",
    r"cls/squad/.*": "question-answering head",
    r"(start_logits|end_logits|answer_class)/.*": "question-answering head",
    r"bert/embeddings/word_embeddings_2": "multiplied into the word embeddings",
    r"bert/pooler/.*": "pooler, which this model has no use for",
}
#: The same where the generator is loaded.
IGNORED_BY_GENERATOR = {
    **{pattern: reason for pattern, reason in IGNORED.items() if not pattern.startswith("gen")},
    r"electra/.*": "ELECTRA's discriminator",
}


@dataclasses.dataclass(frozen=True)
class Family:
    """One code base's names; see ``part_tables`` for the tables, ``check_sizes`` for the shapes."""

    name: str
    embeddings: Table
    block: Table
    block_prefix: str
    pooler: Table = dataclasses.field(default_factory=dict)
    heads: Mapping[str, Table] = dataclasses.field(default_factory=dict)
    always: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    activations: Mapping[str, str] = dataclasses.field(default_factory=lambda: THEIR_ACTIVATIONS)
    shapes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: SHAPES)


def _embeddings(scope, projection):
    return {
        "embeddings.word_embeddings": f"{scope}/embeddings/word_embeddings",
        "embeddings.position_embeddings": f"{scope}/embeddings/position_embeddings",
        "embeddings.type_embeddings": f"{scope}/embeddings/token_type_embeddings",
        "embeddings.layer_norm.gamma": f"{scope}/embeddings/LayerNorm/gamma",
        "embeddings.layer_norm.beta": f"{scope}/embeddings/LayerNorm/beta",
        "embeddings.projection.kernel": f"{scope}/{projection}/kernel",
        "embeddings.projection.bias": f"{scope}/{projection}/bias",
    }


def _block(attention, attention_norm, intermediate, output, output_norm):
    joined = {
        f"attention.query_key_value.{part}": tuple(
            f"{attention}/self/{name}/{part}" for name in ("query", "key", "value")
        )
        for part in ("kernel", "bias")
    }
    dense = {
        "attention.output_linear": f"{attention}/output/dense",
        "intermediate": f"{intermediate}/dense",
        "output_linear": f"{output}/dense",
    }
    norms = {"attention_norm": attention_norm, "output_norm": output_norm}
    return {
        **joined,
        **{f"{o}.{part}": f"{t}/{part}" for o, t in dense.items() for part in ("kernel", "bias")},
        **{f"{o}.{part}": f"{t}/{part}" for o, t in norms.items() for part in ("gamma", "beta")},
    }


_BERT_BLOCK = _block(
    attention="attention",
    attention_norm="attention/output/LayerNorm",
    intermediate="intermediate",
    output="output",
    output_norm="output/LayerNorm",
)

BERT = Family(
    name="bert",
    embeddings=_embeddings("bert", "embeddings_project"),
    block=_BERT_BLOCK,
    block_prefix="bert/encoder/layer_{block}/",
    pooler={"pooler.kernel": "bert/pooler/dense/kernel", "pooler.bias": "bert/pooler/dense/bias"},
    heads={
        "classifier": {"logits.kernel": "output_weights", "logits.bias": "output_bias"},
        "span_labeler": {
            "logits.kernel": "cls/squad/output_weights",
            "logits.bias": "cls/squad/output_bias",
        },
        "masked_lm": {
            "dense.kernel": "cls/predictions/transform/dense/kernel",
            "dense.bias": "cls/predictions/transform/dense/bias",
            "layer_norm.gamma": "cls/predictions/transform/LayerNorm/gamma",
            "layer_norm.beta": "cls/predictions/transform/LayerNorm/beta",
            "bias": "cls/predictions/output_bias",
        },
        "next_sentence": {
            "logits.kernel": "cls/seq_relationship/output_weights",
            "logits.bias": "cls/seq_relationship/output_bias",
        },
    },
)
ALBERT = dataclasses.replace(
    BERT,
    name="albert",
    embeddings=_embeddings("bert", "encoder/embedding_hidden_mapping_in"),
    block=_block(
        attention="attention_1",
        attention_norm="LayerNorm",
        intermediate="ffn_1/intermediate",
        output="ffn_1/intermediate/output",
        output_norm="LayerNorm_1",
    ),
    block_prefix="bert/encoder/transformer/group_{group}/inner_group_{place}/",
)
ALBERT_ZH = dataclasses.replace(
    BERT,
    name="albert_zh",
    block_prefix="bert/encoder/layer_shared/",
    always={"num_layer_groups": 1},
)
_REPLACED_TOKENS = {
    "dense.kernel": "discriminator_predictions/dense/kernel",
    "dense.bias": "discriminator_predictions/dense/bias",
    "logits.kernel": "discriminator_predictions/dense_1/kernel",
    "logits.bias": "discriminator_predictions/dense_1/bias",
}
_GENERATOR_PREDICTIONS = {
    "dense.kernel": "generator_predictions/dense/kernel",
    "dense.bias": "generator_predictions/dense/bias",
    "layer_norm.gamma": "generator_predictions/LayerNorm/gamma",
    "layer_norm.beta": "generator_predictions/LayerNorm/beta",
    "bias": "generator_predictions/output_bias",
}
#: Trained with the objective of BERT, or with one network for both parts.
ELECTRA = Family(
    name="electra",
    embeddings=_embeddings("electra", "embeddings_project"),
    block=_BERT_BLOCK,
    block_prefix="electra/encoder/layer_{block}/",
    heads={"replaced_tokens": _REPLACED_TOKENS, "masked_lm": _GENERATOR_PREDICTIONS},
    always={"classifier_activation": "gelu"},
    activations={**THEIR_ACTIVATIONS, "gelu": "gelu"},
)
#: Beside a generator, which has the other head.
ELECTRA_DISCRIMINATOR = dataclasses.replace(ELECTRA, heads={"replaced_tokens": _REPLACED_TOKENS})
#: It has the discriminator's embeddings, unless it was trained with its own; see google.py.
ELECTRA_GENERATOR = dataclasses.replace(
    ELECTRA,
    embeddings={
        **ELECTRA.embeddings,
        **{
            f"embeddings.projection.{part}": f"generator/embeddings_project/{part}"
            for part in ("kernel", "bias")
        },
    },
    block_prefix="generator/encoder/layer_{block}/",
    heads={"masked_lm": _GENERATOR_PREDICTIONS},
)
#: The same with embeddings of its own.
ELECTRA_UNTIED_GENERATOR = dataclasses.replace(
    ELECTRA_GENERATOR, embeddings=_embeddings("generator", "embeddings_project")
)

#: What their ``BertConfig`` takes where the config says nothing.
MOBILE_BERT_DEFAULTS = {
    "trigram_input": False,
    "use_bottleneck": False,
    "use_bottleneck_attention": False,
    "key_query_shared_bottleneck": False,
}


def _mobile_bert(norm):
    embeddings = _embeddings("bert", "embeddings/embedding_transformation")
    tables = {"embeddings": embeddings, "block": mobile_bert.block_table()}
    return dataclasses.replace(
        BERT,
        name="mobilebert",
        **{
            table: {ours: _renamed(theirs, norm) for ours, theirs in names.items()}
            for table, names in tables.items()
        },
        heads={
            **BERT.heads,
            "masked_lm": {
                **BERT.heads["masked_lm"],
                "extra": "cls/predictions/extra_output_weights",
            },
        },
        always={"normalization": "no_norm" if norm == "FakeLayerNorm" else "layer_norm"},
        shapes=mobile_bert.SHAPES,
    )


def _renamed(theirs, norm):
    if isinstance(theirs, tuple):
        return theirs
    return theirs.replace("LayerNorm", norm)


MOBILE_BERT = _mobile_bert("FakeLayerNorm")
MOBILE_BERT_LAYER_NORM = _mobile_bert("LayerNorm")


def is_transposed(_, name: str) -> bool:
    """Whether a variable is the transpose of ours: heads' matrices are, but for ELECTRA's."""
    return name.endswith("output_weights")
