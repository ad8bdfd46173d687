"""Checkpoints of XLNet's own TensorFlow 1 code: ``xlnet_config.json``, ``xlnet_model.ckpt.*``.

On the left of each table stands an attribute path of our models, on the right the variable's name.
What the code keeps for all layers in one variable, biases and segment vectors, is cut into layers
here: ``r_w_bias`` gives ``layer_0/r_w_bias``, ``layer_1/r_w_bias`` and so on. With ``untie_r`` off
the layers share one value of a bias, and each gets it.

Source: ``modeling.py`` and ``xlnet.py`` of zihangdai/xlnet.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.folder import FolderCheckpoint, read_json
from keras_bert.checkpoints.huggingface.xlnet import SHAPES
from keras_bert.checkpoints.loading import Table, Tensors, check_sizes
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.tf_variables import Variables, find_prefix
from keras_bert.config import XLNetConfig
from keras_bert.layers.initializers import normal

__all__ = [
    "ACTIVATIONS",
    "CONFIG_FILE",
    "FIELDS",
    "STACKED",
    "TRANSFORMER",
    "XLNetCheckpoint",
    "family",
    "is_transposed",
]

CONFIG_FILE = "xlnet_config.json"
#: Our config field ← theirs; all of them must be there.
FIELDS = {
    "vocab_size": "n_token",
    "hidden_size": "d_model",
    "num_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "d_inner",
    "hidden_activation": "ff_activation",
}
#: Their "gelu" is the tanh form.
ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu"}

IGNORED = {
    r".*/(adam_[mv]|Adam(_1)?)": "state of the optimiser",
    r"global_step|beta[12]_power": "state of the optimiser",
    r"model/lm_loss/.*": "language-model head",
    r"model/sequnece_summary/.*": "head of another task",
    r"model/(classification|regression)_[^/]+/.*": "head of another task or with other labels",
    r"model/transformer/mask_emb/mask_emb": "query stream, which this model has no use for",
    r"(model/)?(start_logits|end_logits|answer_class)/.*": "question-answering head",
    r"(model/)?logits/.*": "head of another task",
}

TRANSFORMER = "model/transformer/"
#: Variables with a value for each layer → axes of one layer's.
STACKED = {"r_w_bias": 2, "r_r_bias": 2, "r_s_bias": 2, "seg_embed": 3}
_WORDS = {"embeddings.word_embeddings": f"{TRANSFORMER}word_embedding/lookup_table"}
_QUERIES = {"embeddings.query_embedding": f"{TRANSFORMER}mask_emb/mask_emb"}


@dataclasses.dataclass(frozen=True)
class Family:
    """The code's names; see ``part_tables`` for the tables."""

    embeddings: Table
    block: Table
    heads: Mapping[str, Table]
    block_prefix: str = f"{TRANSFORMER}layer_{{block}}/"
    pooler: Table = dataclasses.field(default_factory=dict)


_BLOCK = {
    "attention.query_kernel": "rel_attn/q/kernel",
    "attention.key_kernel": "rel_attn/k/kernel",
    "attention.value_kernel": "rel_attn/v/kernel",
    "attention.position_kernel": "rel_attn/r/kernel",
    "attention.output_kernel": "rel_attn/o/kernel",
    "attention.content_bias": "r_w_bias",
    "attention.position_bias": "r_r_bias",
    "attention.segment_bias": "r_s_bias",
    "attention.segment_vectors": "seg_embed",
    "attention_norm.gamma": "rel_attn/LayerNorm/gamma",
    "attention_norm.beta": "rel_attn/LayerNorm/beta",
    "intermediate.kernel": "ff/layer_1/kernel",
    "intermediate.bias": "ff/layer_1/bias",
    "output_linear.kernel": "ff/layer_2/kernel",
    "output_linear.bias": "ff/layer_2/bias",
    "output_norm.gamma": "ff/LayerNorm/gamma",
    "output_norm.beta": "ff/LayerNorm/beta",
}


def family(classifier: str, has_queries: bool = True) -> Family:
    """The code's names.

    Args:
        classifier: Scope of the classification head.
        has_queries: Whether there is the vector that the query stream begins with.
    """
    return Family(
        embeddings={**_WORDS, **(_QUERIES if has_queries else {})},
        block=_BLOCK,
        heads={
            "masked_lm": {"kernel": "model/lm_loss/weight", "bias": "model/lm_loss/bias"},
            "classifier": {
                "dense.kernel": "model/sequnece_summary/summary/kernel",
                "dense.bias": "model/sequnece_summary/summary/bias",
                "logits.kernel": f"{classifier}/logit/kernel",
                "logits.bias": f"{classifier}/logit/bias",
            },
        },
    )


def is_transposed(_, name: str) -> bool:
    """Whether a variable is the transpose of ours: the language model's matrix is."""
    return name == "model/lm_loss/weight"


class XLNetCheckpoint(FolderCheckpoint):
    """A folder with one checkpoint of XLNet's own code.

    Args:
        folder: The folder: ``*.ckpt.index`` and ``*.ckpt.data-...``, ``xlnet_config.json`` and
            ``spiece.model``.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """

    format = "Google TensorFlow 1"
    family = "xlnet"
    ignored = IGNORED

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a folder holds XLNet's config."""
        return os.path.isfile(os.path.join(folder, CONFIG_FILE))

    @functools.cached_property
    def _variables(self):
        return Variables(find_prefix(self.folder))

    @functools.cached_property
    def _tensors(self):
        return _Layers(self._variables, self.config.num_layers)

    @functools.cached_property
    def _family(self) -> Family:
        return family(self._classifier, self._has_queries)

    @property
    def _has_queries(self) -> bool:
        """Whether the vector that the query stream begins with is there: not after fine-tuning."""
        return all(name in self._variables for name in _QUERIES.values())

    @property
    def _classifier(self) -> str:
        """Scope of the classification head, which has the task's name."""
        scopes = (re.fullmatch(r"(model/classification_[^/]+)/.*", n) for n in self._variables)
        return min((match[1] for match in scopes if match), default="model/classification")

    @functools.cached_property
    def config(self) -> XLNetConfig:
        """The encoder's config."""
        path = os.path.join(self.folder, CONFIG_FILE)
        said = read_json(path)
        missing = [name for name in FIELDS.values() if name not in said]
        if missing:
            raise CheckpointError(f"{path} does not say {', '.join(missing)}.")
        fields = {ours: said[theirs] for ours, theirs in FIELDS.items()}
        activation = fields["hidden_activation"]
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise CheckpointError(
                f"{path} says ff_activation={activation!r}; known are {', '.join(ACTIVATIONS)}."
            )
        fields["hidden_activation"] = ACTIVATIONS[activation]
        tied = "model/lm_loss/weight" not in self._variables
        try:
            config = XLNetConfig(**fields, pad_token_id=0, tie_word_embeddings=tied)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None
        if said.get("d_head", config.head_size) != config.head_size:
            raise CheckpointError(
                f"{path} says d_head={said['d_head']!r}; only d_model / n_head = "
                f"{config.head_size} can be loaded."
            )
        # By the file's own names: none of these tensors is cut into layers.
        tables, prefix = {**_WORDS, **_BLOCK}, Family.block_prefix
        check_sizes(self.folder, config, self._variables, tables, prefix, SHAPES)
        return config

    def _head_names(self, kind: str) -> Table:
        """Without the language model's matrix where it is tied."""
        table, tied = super()._head_names(kind), "model/lm_loss/weight" not in self._tensors
        return {o: n for o, n in table.items() if not tied or n != "model/lm_loss/weight"}

    def make_encoder(self, config: XLNetConfig | None = None, **kwargs) -> Any:
        """Makes an encoder; what the checkpoint has no weights for keeps a random start."""
        encoder = super().make_encoder(config, **kwargs)
        if not self._has_queries:
            queries = encoder.embeddings.query_embedding
            queries.assign(normal(encoder.config.initializer_range)(queries.shape))
        return encoder

    def load(self, encoder: Any, heads: Mapping[str, Any], **options) -> LoadReport:
        """Fills an encoder and heads; see ``FolderCheckpoint.load``."""
        report = super().load(encoder, heads, **options)
        if not self._has_queries:
            report.fresh.append("embeddings.query_embedding")
        return report

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of its variable."""
        return is_transposed(variable, name)


class _Layers(Tensors):
    """Variables, those for all layers cut into one for each."""

    def __init__(self, variables, num_layers):
        self._variables = variables
        self._parts = {}
        for name, axes in STACKED.items():
            whole = TRANSFORMER + name
            if whole not in variables:
                continue
            shape = variables.shape(whole)
            stacked = len(shape) == axes + 1
            if stacked and shape[0] != num_layers:
                raise CheckpointError(
                    f"{variables.prefix}: {whole} has shape {list(shape)}, the config asks for "
                    f"{num_layers} layers."
                )
            for layer in range(num_layers):
                part = f"{TRANSFORMER}layer_{layer}/{name}"
                self._parts[part] = (whole, layer if stacked else slice(None))

    def __iter__(self):
        wholes = {whole for whole, _ in self._parts.values()}
        return iter([*(name for name in self._variables if name not in wholes), *self._parts])

    def __contains__(self, name):
        return name in self._parts or name in self._variables

    def shape(self, name):
        if name not in self._parts:
            return self._variables.shape(name)
        whole, place = self._parts[name]
        shape = self._variables.shape(whole)
        return shape if isinstance(place, slice) else shape[1:]

    def is_floating(self, name):
        return self._variables.is_floating(self._parts.get(name, (name,))[0])

    def read(self, name):
        whole, place = self._parts.get(name, (name, None))
        value = self._variables.read(whole)
        return value if place is None else value[place]
