"""How KerasHub names the config fields and tensors of each family, as tables.

On the left of each table stands what is ours: a field of ``EncoderConfig``, or an attribute path of
a model; on the right what is theirs. A tensor's name is its path in the HDF5 file, behind ``task/``
where that is ``task.weights.h5``. Keras names a layer there by its class and counts those of one
class in the order in which they run: ``layers/dense``, ``layers/dense_1``. Of a layer's weights,
``vars/0`` is the matrix, the table or LayerNorm's scale, ``vars/1`` the bias.

Source: ``keras_hub/src/models/*/*_backbone.py``, ``*_text_classifier.py`` and ``*_masked_lm.py`` of
keras-hub 0.32; ``keras/src/saving/saving_lib.py`` of Keras 3.15.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from keras_bert.checkpoints.loading import Table
from keras_bert.checkpoints.writing import HEAD_FIELDS
from keras_bert.config import EncoderConfig

__all__ = ["FAMILIES", "IGNORED", "TASK", "Family", "heads_axis"]

#: Before the names of the tensors in ``task.weights.h5``.
TASK = "task/"

#: Tensors that belong to no part of an encoder or head, and why they are left out.
IGNORED = {
    r"(task/)?optimizer/.*": "state of the optimiser",
    r".*/seed_generator/.*": "state of a dropout layer",
    r"task/layers/.*": "head of the task, which this model has no use for",
    r"layers/dense(_1)?/vars/[01]": "pooler, which this model has no use for",
}


@dataclasses.dataclass(frozen=True)
class Family:
    """One family's names.

    Attributes:
        name: What its classes begin with: ``BertBackbone``, ``BertTextClassifier``.
        module: Its folder in KerasHub.
        fields: Config field ← theirs.
        defaults: What KerasHub takes where ``config.json`` says nothing.
        always: Config field → what the family's backbone computes; it has no option for it.
        heads_always: Config field → what its tasks compute beside that.
        projects: Whether a linear layer follows the embeddings also where it need not.
        embeddings: Path in a ``BertEncoder`` ← theirs.
        block: Path in ``blocks[i]`` ← theirs, behind ``block_prefix``.
        block_prefix: Of the tensors of a block; ``{counted}`` is nothing for the first, then _1.
        pooler: Path in a ``BertEncoder`` ← theirs.
        heads: Kind of head → path in its layer ← theirs.
    """

    name: str
    module: str
    fields: Mapping[str, str]
    defaults: Mapping[str, Any]
    always: Mapping[str, Any]
    heads_always: Mapping[str, Any]
    embeddings: Table
    heads: Mapping[str, Table]
    pooler: Table = dataclasses.field(default_factory=dict)
    block: Table = dataclasses.field(default_factory=lambda: _BLOCK)
    block_prefix: str = "layers/transformer_encoder{counted}/"
    projects: bool = False

    def computes(self, heads: Iterable[str]) -> dict[str, Any]:
        """Config field → what backbone and tasks compute, as far as it concerns these heads."""
        of_heads = {
            name: value
            for name, value in self.heads_always.items()
            if not HEAD_FIELDS[name].isdisjoint(heads)
        }
        return {**self.always, **of_heads}

    def of(self, config: EncoderConfig) -> Family:
        """The family as a config has it: behind a projection the pooler is the second `dense`."""
        if not self.pooler or config.embedding_size is None:
            return self
        return dataclasses.replace(self, pooler=_dense("pooler", "layers/dense_1"))


def heads_axis(name: str) -> int | None:
    """Which axis of a tensor is there split into (heads, head size); None for most tensors.

    Query, key and value have (hidden, heads, head size) and (heads, head size); the matrix behind
    them has (heads, head size, hidden). Nothing moves in memory when the two axes become one.
    """
    found = re.search(r"_self_attention_layer/(query|key|value|output)_dense/vars/([01])$", name)
    return found and _HEADS_AXES[found[1] == "output", found[2]]


#: Whether it is the matrix or bias behind attention, and the number of the weight → the axis.
_HEADS_AXES = {(False, "0"): 1, (False, "1"): 0, (True, "0"): 0, (True, "1"): None}


def _dense(ours: str, theirs: str) -> Table:
    return {f"{ours}.kernel": f"{theirs}/vars/0", f"{ours}.bias": f"{theirs}/vars/1"}


def _norm(ours: str, theirs: str) -> Table:
    return {f"{ours}.gamma": f"{theirs}/vars/0", f"{ours}.beta": f"{theirs}/vars/1"}


_ATTENTION = "_self_attention_layer"
_BLOCK = {
    **{
        f"attention.query_key_value.{part}": tuple(
            f"{_ATTENTION}/{name}_dense/vars/{i}" for name in ("query", "key", "value")
        )
        for i, part in enumerate(("kernel", "bias"))
    },
    **_dense("attention.output_linear", f"{_ATTENTION}/output_dense"),
    **_norm("attention_norm", "_self_attention_layer_norm"),
    **_dense("intermediate", "_feedforward_intermediate_dense"),
    **_dense("output_linear", "_feedforward_output_dense"),
    **_norm("output_norm", "_feedforward_layer_norm"),
}

_FIELDS = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "hidden_dim",
    "num_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_dim",
    "dropout_rate": "dropout",
    "attention_dropout_rate": "dropout",
    "max_position_embeddings": "max_sequence_length",
}
_TYPED_FIELDS = {**_FIELDS, "type_vocab_size": "num_segments"}
_DEFAULTS = {"dropout": 0.1, "max_sequence_length": 512}
_TYPED_DEFAULTS = {**_DEFAULTS, "num_segments": 2}

#: Three tables, each a layer, and LayerNorm.
_EMBEDDINGS = {
    "embeddings.word_embeddings": "layers/reversible_embedding/vars/0",
    "embeddings.position_embeddings": "layers/position_embedding/vars/0",
    "embeddings.type_embeddings": "layers/embedding/vars/0",
    **_norm("embeddings.layer_norm", "layers/layer_normalization"),
}
#: Two tables in one layer, and LayerNorm.
_JOINT = "layers/token_and_position_embedding"
_JOINT_EMBEDDINGS = {
    "embeddings.word_embeddings": f"{_JOINT}/token_embedding/vars/0",
    "embeddings.position_embeddings": f"{_JOINT}/position_embedding/vars/0",
    **_norm("embeddings.layer_norm", "layers/layer_normalization"),
}
_PROJECTION = _dense("embeddings.projection", "layers/dense")

_MASKED_LM = {
    **_dense("dense", "task/layers/masked_lm_head/_intermediate_dense"),
    **_norm("layer_norm", "task/layers/masked_lm_head/_intermediate_layer_norm"),
    "bias": "task/layers/masked_lm_head/vars/0",
}
_ONE_LAYER = {"classifier": _dense("logits", "task/layers/dense"), "masked_lm": _MASKED_LM}
_TWO_LAYERS = {
    "classifier": {
        **_dense("dense", "task/layers/dense"),
        **_dense("logits", "task/layers/dense_1"),
    },
    "masked_lm": _MASKED_LM,
}

BERT = Family(
    name="Bert",
    module="bert",
    fields=_TYPED_FIELDS,
    defaults=_TYPED_DEFAULTS,
    always={"hidden_activation": "gelu_new", "layer_norm_epsilon": 1e-12},
    heads_always={"masked_lm_activation": "gelu", "masked_lm_epsilon": 1e-5},
    embeddings=_EMBEDDINGS,
    pooler=_dense("pooler", "layers/dense"),
    heads=_ONE_LAYER,
)

ALBERT = dataclasses.replace(
    BERT,
    name="Albert",
    module="albert",
    fields={
        **_TYPED_FIELDS,
        "embedding_size": "embedding_dim",
        "num_layer_groups": "num_groups",
        "group_size": "num_inner_repetitions",
    },
    defaults={**_TYPED_DEFAULTS, "dropout": 0.0, "num_groups": 1, "num_inner_repetitions": 1},
    heads_always={"masked_lm_activation": "gelu_new", "masked_lm_epsilon": 1e-5},
    embeddings={**_EMBEDDINGS, **_PROJECTION},
    projects=True,
)

ELECTRA = dataclasses.replace(
    BERT,
    name="Electra",
    module="electra",
    fields={**_TYPED_FIELDS, "vocab_size": "vocab_size", "embedding_size": "embedding_dim"},
    # It has no tasks; this is what the family's own classifier computes.
    heads_always={"classifier_activation": "gelu"},
    embeddings={**_EMBEDDINGS, **_PROJECTION},
    heads={},
)

ROBERTA = Family(
    name="Roberta",
    module="roberta",
    fields=_FIELDS,
    defaults=_DEFAULTS,
    # Positions are 0, 1, 2, ... here, of padding too: the two rows that fairseq's table has before
    # those are not in theirs.
    always={
        "hidden_activation": "gelu",
        "layer_norm_epsilon": 1e-5,
        "type_vocab_size": 0,
        "pad_token_id": 1,
    },
    heads_always={"classifier_activation": "tanh"},
    embeddings=_JOINT_EMBEDDINGS,
    heads=_TWO_LAYERS,
)

XLM_ROBERTA = dataclasses.replace(ROBERTA, name="XLMRoberta", module="xlm_roberta")

DISTIL_BERT = dataclasses.replace(
    ROBERTA,
    name="DistilBert",
    module="distil_bert",
    always={"hidden_activation": "gelu", "layer_norm_epsilon": 1e-12, "type_vocab_size": 0},
    heads_always={"classifier_activation": "relu", "masked_lm_epsilon": 1e-5},
)

#: Class of ``config.json`` → its family.
FAMILIES = {
    f"{family.name}Backbone": family
    for family in (BERT, ROBERTA, XLM_ROBERTA, DISTIL_BERT, ALBERT, ELECTRA)
}
