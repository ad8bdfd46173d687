"""What TF Model Garden calls the parts of a BERT, as tables.

On the left of each table stands an attribute path of our models, on the right the path of an
object of theirs: ``encoder/...`` is found wherever the encoder is in a checkpoint, and so is a
head. Matrices are held as they are here, but for those of attention, which have an axis more:
(hidden, heads, head size) for query, key and value, (heads, head size, hidden) behind them.

Source: tensorflow/models ``official/nlp/modeling/networks/bert_encoder.py``,
``layers/transformer_encoder_block.py``, ``layers/masked_lm.py``, ``layers/cls_head.py``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

from keras_bert.checkpoints.loading import Table

__all__ = [
    "ACTIVATIONS",
    "BERT",
    "FORMER",
    "HEAD_PLACES",
    "IGNORED",
    "UNNAMED",
    "Family",
    "folded",
    "unfolded",
]

#: Their activations' names → ours, as their ``tf_utils.get_activation`` reads them. Their gelu is
#: the tanh form.
ACTIVATIONS = {
    "gelu": "gelu_tanh",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "swish": "silu",
    "simple_swish": "silu",
    "silu": "silu",
    "mish": "mish",
    "linear": "linear",
    "identity": "linear",
}

#: Part of an encoder → its name where a checkpoint tells only the order of the layers, as those of
#: 2020 do. Blocks follow, with the projection before and the pooler behind them.
UNNAMED = {
    "_embedding_layer": "layer_with_weights-0",
    "_position_embedding_layer": "layer_with_weights-1",
    "_type_embedding_layer": "layer_with_weights-2",
    "_embedding_norm_layer": "layer_with_weights-3",
}
#: Part of a block → where it was in 2020.
FORMER = {"_attention_layer/_output_dense": "_attention_output_dense"}

#: Variable of a head → where it is in the model around the encoder. Where there are two places, the
#: second is that of ``BertPretrainer`` and of 2020.
HEAD_PLACES = {
    "masked_lm/dense/kernel": ("masked_lm/dense/kernel",),
    "masked_lm/dense/bias": ("masked_lm/dense/bias",),
    "masked_lm/layer_norm/gamma": ("masked_lm/layer_norm/gamma",),
    "masked_lm/layer_norm/beta": ("masked_lm/layer_norm/beta",),
    "masked_lm/bias": ("masked_lm/bias",),
    **{
        f"{head}/{layer}/{part}": tuple(f"{place}/{part}" for place in places)
        for head, layer, places in (
            (
                "next_sentence",
                "dense",
                ("classification_heads/0/dense", "next_sentence.pooler_dense"),
            ),
            (
                "next_sentence",
                "out_proj",
                ("classification_heads/0/out_proj", "classification/layer_with_weights-0"),
            ),
            ("classifier", "dense", ("classifier/dense",)),
            ("classifier", "out_proj", ("classifier/out_proj", "classifier/layer_with_weights-0")),
            ("token_classifier", "logits", ("classifier",)),
            ("span_labeling", "logits", ("span_labeling/layer_with_weights-0",)),
        )
        for part in ("kernel", "bias")
    },
}

#: Variables that belong to no part of an encoder or its heads, and why they are left out.
IGNORED = {
    r".*/\.OPTIMIZER_SLOT/.*|optimizer/.*": "state of the optimiser",
    r"save_counter|(.*/)?global_step": "a counter, not a weight",
    r"do_lower_case": "how to split text, not a weight",
    r"encoder/_pooler_layer/.*": "pooler, which this model has no use for",
    r"(.*/)?masked_lm/.*": "masked-language-model head",
    r"next_sentence/.*": "next-sentence head",
    r"span_labeling/.*": "question-answering head",
    r"(?!encoder/).*": "head of another task or with other labels",
}


@dataclasses.dataclass(frozen=True)
class Family:
    """Names of an encoder's parts and its heads'; see ``encoder_table`` for the tables.

    Attributes:
        head_poolers: Kind of head → table of a pooler that the head has of its own. It reads the
            first token as the encoder's does, which is then left out.
    """

    embeddings: Table
    block: Table
    block_prefix: str
    pooler: Table
    heads: Mapping[str, Table]
    head_poolers: Mapping[str, Table]


def _dense(table: Mapping[str, str]) -> dict[str, str]:
    return {f"{o}.{part}": f"{t}/{part}" for o, t in table.items() for part in ("kernel", "bias")}


def _norm(table: Mapping[str, str]) -> dict[str, str]:
    return {f"{o}.{part}": f"{t}/{part}" for o, t in table.items() for part in ("gamma", "beta")}


BERT = Family(
    embeddings={
        "embeddings.word_embeddings": "encoder/_embedding_layer/embeddings",
        "embeddings.position_embeddings": "encoder/_position_embedding_layer/embeddings",
        "embeddings.type_embeddings": "encoder/_type_embedding_layer/embeddings",
        **_norm({"embeddings.layer_norm": "encoder/_embedding_norm_layer"}),
        **_dense({"embeddings.projection": "encoder/_embedding_projection"}),
    },
    block={
        **{
            f"attention.query_key_value.{part}": tuple(
                f"_attention_layer/{name}/{part}"
                for name in ("_query_dense", "_key_dense", "_value_dense")
            )
            for part in ("kernel", "bias")
        },
        **_dense(
            {
                "attention.output_linear": "_attention_layer/_output_dense",
                "intermediate": "_intermediate_dense",
                "output_linear": "_output_dense",
            }
        ),
        **_norm({"attention_norm": "_attention_layer_norm", "output_norm": "_output_layer_norm"}),
    },
    block_prefix="encoder/_transformer_layers/{block}/",
    pooler=_dense({"pooler": "encoder/_pooler_layer"}),
    heads={
        "masked_lm": {
            **_dense({"dense": "masked_lm/dense"}),
            **_norm({"layer_norm": "masked_lm/layer_norm"}),
            "bias": "masked_lm/bias",
        },
        "next_sentence": _dense({"logits": "next_sentence/out_proj"}),
        "classifier": _dense({"logits": "classifier/out_proj"}),
        "token_classifier": _dense({"logits": "token_classifier/logits"}),
        "span_labeler": _dense({"logits": "span_labeling/logits"}),
    },
    head_poolers={
        "next_sentence": _dense({"pooler": "next_sentence/dense"}),
        "classifier": _dense({"pooler": "classifier/dense"}),
    },
)

#: Variables with axes (heads, head size) that are one axis here: behind others, and before one.
_LAST = re.compile(r"_attention_layer/_(query|key|value)_dense/(kernel|bias)")
_FIRST = re.compile(r"_attention_layer/_output_dense/kernel")


def folded(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a variable of theirs has here.

    Example:
        >>> folded("_transformer_layers/0/_attention_layer/_query_dense/kernel", (8, 2, 4))
        (8, 8)
    """
    if len(shape) > 1 and _LAST.search(name):
        kept = 1 if name.endswith("kernel") else 0
        return (*shape[:kept], math.prod(shape[kept:]))
    if len(shape) > 1 and _FIRST.search(name):
        return (math.prod(shape[:-1]), shape[-1])
    return shape


def unfolded(name: str, shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """The shape that a variable of ours has there: ``folded`` backwards.

    Example:
        >>> unfolded("_transformer_layers/0/_attention_layer/_query_dense/kernel", (8, 8), 2)
        (8, 2, 4)
    """
    if _LAST.search(name):
        return (*shape[:-1], heads, shape[-1] // heads)
    if _FIRST.search(name):
        return (heads, shape[0] // heads, *shape[1:])
    return shape
