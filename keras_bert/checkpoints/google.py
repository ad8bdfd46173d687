"""Checkpoints of Google's TensorFlow 1 code: ``bert_config.json``, ``bert_model.ckpt.*``.

BERT, ALBERT and ELECTRA as google-research/bert, google-research/albert and google-research/electra
write them, MobileBERT as google-research/google-research does, and Chinese ALBERT as
brightmart/albert_zh does. On the left of each table stands an attribute path of our models, on the
right the variable's name. Matrices are held as they are here, but for the heads'.

Source: ``modeling.py`` of these repositories.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_bert.checkpoints import mobile_bert
from keras_bert.checkpoints.folder import CONFIG_FIELDS, FolderCheckpoint, read_json
from keras_bert.checkpoints.loading import SHAPES, Table, check_sizes, part_tables
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.checkpoints.tf_variables import Variables, find_prefix, is_object_based, prefixes
from keras_bert.checkpoints.writing import Parts, check_heads, different_fields, entries
from keras_bert.config import ACTIVATIONS, EncoderConfig

__all__ = ["GoogleCheckpoint", "Variables", "find_prefix", "write_google"]

#: ``get_activation`` of their modeling.py. "gelu" is the tanh form in BERT's and ALBERT's, the erf
#: form in ELECTRA's.
THEIR_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu", "tanh": "tanh", "linear": "linear"}
#: Without these there is no model; the others have BERT's own defaults.
REQUIRED = ("hidden_size", "num_layers", "num_attention_heads", "intermediate_size")
#: Files that may hold the config.
CONFIG_FILES = (
    "bert_config.json",
    "albert_config.json",
    "electra_config.json",
    "mobilebert_config.json",
)
#: Width of a head in every published ELECTRA, where no config tells their number.
ELECTRA_HEAD_SIZE = 64
#: What the shapes do not tell, in every published MobileBERT and in its teacher.
MOBILE_BERT_GUESSES = {
    "no_norm": {
        "normalization": "no_norm",
        "num_attention_heads": 4,
        "hidden_activation": "relu",
        "dropout_rate": 0.0,
    },
    "layer_norm": {"num_attention_heads": 4},
}
#: Families whose releases come without a config.
WITHOUT_CONFIG = ("electra", "mobilebert")

IGNORED = {
    r".*/(adam|lamb)_[mv](_\d+)?": "state of the optimiser",
    r"global_step|beta[12]_power|(current_)?loss_scale|good_steps": "state of the optimiser",
    r"cls/predictions/.*": "masked-language-model head",
    r"cls/seq_relationship/.*": "next-sentence head",
    r"output_(weights|bias)": "head of another task or with other labels",
    r"(discriminator|generator)_predictions/.*": "pretraining head",
    r"generator/.*": "ELECTRA's generator",
    r"generator_lm_head/.*": "pretraining head",
    r"task_specific/.*": "head of another task",
    r"cls/squad/.*": "question-answering head",
    r"(start_logits|end_logits|answer_class)/.*": "question-answering head",
    r"bert/embeddings/word_embeddings_2": "multiplied into the word embeddings",
    r"bert/pooler/.*": "pooler, which this model has no use for",
}
#: In albert_zh the word table times this one is a BERT's word table.
WORD_FACTOR = "bert/embeddings/word_embeddings_2"


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
ELECTRA = Family(
    name="electra",
    embeddings=_embeddings("electra", "embeddings_project"),
    block=_BERT_BLOCK,
    block_prefix="electra/encoder/layer_{block}/",
    heads={
        "replaced_tokens": {
            "dense.kernel": "discriminator_predictions/dense/kernel",
            "dense.bias": "discriminator_predictions/dense/bias",
            "logits.kernel": "discriminator_predictions/dense_1/kernel",
            "logits.bias": "discriminator_predictions/dense_1/bias",
        },
    },
    always={"classifier_activation": "gelu", "masked_lm_activation": "gelu"},
    activations={**THEIR_ACTIVATIONS, "gelu": "gelu"},
)

#: What their ``BertConfig`` takes where the config says nothing.
_MOBILE_BERT_DEFAULTS = {
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
#: Where one of these is there, BERT's own code did not write the checkpoint.
MOBILE_BERT_SIGNS = (
    "bert/embeddings/FakeLayerNorm/gamma",
    "bert/embeddings/embedding_transformation/kernel",
    "bert/encoder/layer_0/bottleneck/input/dense/kernel",
    "bert/encoder/layer_0/ffn_layer_0/intermediate/dense/kernel",
)


class GoogleCheckpoint(FolderCheckpoint):
    """A folder with one TensorFlow 1 checkpoint.

    Args:
        folder: The folder: ``*.ckpt.index`` and ``*.ckpt.data-...``, a config and a vocabulary.

    Raises:
        CheckpointError: If a file is missing or damaged.
    """

    format = "Google TensorFlow 1"
    ignored = IGNORED

    def __init__(self, folder: str):
        super().__init__(folder)
        self._tensors = _Variables(find_prefix(folder), WORD_FACTOR)

    @staticmethod
    def is_there(folder: str) -> bool:
        """Whether a folder holds a TensorFlow checkpoint that is not TensorFlow 2's."""
        return bool(prefixes(folder)) and not is_object_based(folder)

    @functools.cached_property
    def _family(self) -> Family:
        is_named = os.path.isfile(os.path.join(self.folder, "mobilebert_config.json"))
        if is_named or any(name in self._tensors for name in MOBILE_BERT_SIGNS):
            return MOBILE_BERT if MOBILE_BERT_SIGNS[0] in self._tensors else MOBILE_BERT_LAYER_NORM
        for family in (ELECTRA, ALBERT, ALBERT_ZH, BERT):
            first = family.block_prefix.format(block=0, group=0, place=0)
            if first + family.block["intermediate.kernel"] in self._tensors:
                return family
        names = ", ".join(sorted(self._tensors)[:4])
        raise CheckpointError(
            f"{self._tensors.prefix} is no checkpoint of Google's BERT, ALBERT, ELECTRA or "
            f"MobileBERT: it holds {names}, ..."
        )

    @property
    def family(self) -> str:
        """Whose code wrote the checkpoint."""
        return self._family.name

    @functools.cached_property
    def config(self) -> EncoderConfig:
        """The encoder's config: what the config file says, and what the variables' shapes tell."""
        family, path = self._family, self._config_path
        said = self._said() if path else self._sizes()
        activation = said.get("hidden_activation", "gelu") or "linear"
        if not isinstance(activation, str) or activation.lower() not in family.activations:
            raise CheckpointError(
                f"{path} says hidden_act={activation!r}; known are {', '.join(THEIR_ACTIVATIONS)}."
            )
        said["hidden_activation"] = family.activations[activation.lower()]
        projection = family.embeddings["embeddings.projection.kernel"]
        if family.name == "mobilebert":
            said |= self._check_mobile_bert(said)
        elif projection in self._tensors:
            said["embedding_size"] = self._tensors.shape(projection)[0]
        if family is ALBERT:
            said |= self._groups()
        has_pooler = not said.get("pooler_dense", True)
        has_pooler |= family.pooler.get("pooler.kernel") in self._tensors
        try:
            config = EncoderConfig(**{**said, **family.always}, use_pooler=has_pooler)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path or self.folder}: {error}") from None
        tables = {**family.embeddings, **family.block}
        check_sizes(self.folder, config, self._tensors, tables, family.block_prefix, family.shapes)
        return config

    @functools.cached_property
    def _config_path(self) -> str | None:
        for name in CONFIG_FILES:
            if os.path.isfile(os.path.join(self.folder, name)):
                return os.path.join(self.folder, name)
        if self._family.name not in WITHOUT_CONFIG:
            raise CheckpointError(
                f"{self.folder} holds a TensorFlow checkpoint, but no "
                f"{' or '.join(CONFIG_FILES[:2])}."
            )
        return None

    def _said(self) -> dict[str, Any]:
        fields = read_json(self._config_path)
        found = {ours: fields[name] for ours, name in CONFIG_FIELDS.items() if name in fields}
        if fields.get("ln_type", "postln") != "postln":
            raise CheckpointError(
                f"{self._config_path} says ln_type={fields['ln_type']!r}; only 'postln' can be "
                "loaded."
            )
        missing = [CONFIG_FIELDS[name] for name in REQUIRED if name not in found]
        if missing:
            raise CheckpointError(f"{self._config_path} does not say {', '.join(missing)}.")
        if self._family.name == "mobilebert":
            found |= {o: fields[name] for o, name in mobile_bert.FIELDS.items() if name in fields}
            found |= mobile_bert.structure(fields, _MOBILE_BERT_DEFAULTS)
        # Not in all files: the table tells.
        return {"vocab_size": self._rows("word_embeddings")} | found

    def _sizes(self) -> dict[str, Any]:
        if self._family.name == "mobilebert":
            tables = self._family.embeddings, self._family.block
            shapes = mobile_bert.sizes(self._tensors, self._tensors.prefix, *tables)
            return {**shapes, **MOBILE_BERT_GUESSES[self._family.always["normalization"]]}
        family, count = self._family, 0
        first = family.block["intermediate.kernel"]
        while family.block_prefix.format(block=count) + first in self._tensors:
            count += 1
        shape = self._tensors.shape(family.block_prefix.format(block=0) + first)
        if len(shape) != 2:
            raise CheckpointError(f"{self._tensors.prefix}: {first} has shape {list(shape)}.")
        hidden, intermediate = shape
        return {
            "vocab_size": self._rows("word_embeddings"),
            "hidden_size": hidden,
            "num_layers": count,
            "num_attention_heads": max(1, hidden // ELECTRA_HEAD_SIZE),
            "intermediate_size": intermediate,
            "max_position_embeddings": self._rows("position_embeddings"),
            "type_vocab_size": self._rows("type_embeddings"),
        }

    def _check_mobile_bert(self, said: dict[str, Any]) -> dict[str, Any]:
        """The width of the words, if another than the encoder's; an error on another norm."""
        normalization = said.get("normalization", "layer_norm")
        if normalization != self._family.always["normalization"]:
            raise CheckpointError(
                f"{self._config_path} says normalization_type={normalization!r}; the variables of "
                f"{self._tensors.prefix} are for {self._family.always['normalization']!r}."
            )
        shape = self._tensors.shape(self._family.embeddings["embeddings.word_embeddings"])
        return {"embedding_size": None if shape[-1] == said["hidden_size"] else shape[-1]}

    def _rows(self, table: str) -> int:
        name = self._family.embeddings[f"embeddings.{table}"]
        if name not in self._tensors:
            raise CheckpointError(f"{self._tensors.prefix} lacks {name}.")
        return self._tensors.shape(name)[0]

    def _groups(self) -> dict[str, int]:
        numbers = [re.search(r"/group_(\d+)/inner_group_(\d+)/", name) for name in self._tensors]
        found = {tuple(map(int, match.groups())) for match in numbers if match}
        groups, places = (max(numbers) + 1 for numbers in zip(*found, strict=True))
        if len(found) != groups * places:
            raise CheckpointError(
                f"{self._tensors.prefix} lacks some of {groups} groups of {places} layers."
            )
        return {"num_layer_groups": groups, "group_size": places}

    def _head_names(self, kind: str) -> Table:
        """Without MobileBERT's columns where its head has none."""
        extra = self.config.masked_lm_extra_size
        table = super()._head_names(kind)
        return {ours: name for ours, name in table.items() if extra or ours != "extra"}

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of its variable."""
        return _is_transposed(variable, name)


def _is_transposed(_, name):
    """Heads' matrices are, but for ELECTRA's."""
    return name.endswith("output_weights")


class _Variables(Variables):
    """The variables, with the word table of albert_zh put together.

    Where there is one called `factor`, the one called so without its last two characters is handed
    out multiplied by it.
    """

    def __init__(self, prefix, factor):
        super().__init__(prefix)
        self._factors = {}
        product = factor.removesuffix("_2")
        if factor in self and product in self:
            rows, width = self.shape(product)[:1], self.shape(factor)[1:]
            self._factors[product] = factor
            self._shapes = {**self._shapes, product: [*rows, *width]}

    def read(self, name):
        value = super().read(name)
        return value @ super().read(self._factors[name]) if name in self._factors else value


def write_google(parts: Parts, folder: str) -> EncoderConfig | None:
    """Writes ``bert_model.ckpt.*``, a config and a vocabulary, as Google's repositories do.

    Google's BERT and ALBERT compute the tanh form of GELU only. A model with the erf form is
    written all the same, for its weights are wanted, with a warning.

    Args:
        parts: What to write.
        folder: An empty folder.

    Returns:
        The config with the tanh form, if that is another than the encoder's.

    Raises:
        CheckpointError: If Google's code does not compute what the encoder or a head does.
    """
    if not isinstance(parts.encoder.config, EncoderConfig):
        raise CheckpointError(
            f"Google's code computes no {type(parts.encoder).__name__}. Write it in the format "
            "'huggingface'."
        )
    family, fields = _family_of(parts.encoder.config)
    check_heads(f"Google's {family.name}", parts.heads, family.heads)
    if parts.encoder.config.type_vocab_size == 0:
        raise CheckpointError("Google's code always has segment types; type_vocab_size is 0.")
    with open(os.path.join(folder, f"{family.name}_config.json"), "w", encoding="utf-8") as file:
        json.dump(fields, file, indent=2)
        file.write("\n")
    written = entries(part_tables(parts.encoder, parts.heads, family), _is_transposed)
    tf.raw_ops.SaveV2(
        prefix=os.path.join(folder, "bert_model.ckpt"),
        tensor_names=[entry.name for entry in written],
        shape_and_slices=[""] * len(written),
        tensors=[entry.read() for entry in written],
    )
    if parts.tokenizer is not None:
        parts.tokenizer.save_pretrained(folder, model_max_length=parts.seq_length)
    computed = family.activations[fields["hidden_act"]]
    if computed == ACTIVATIONS[parts.encoder.config.hidden_activation]:
        return None
    return dataclasses.replace(parts.encoder.config, hidden_activation=computed)


def _family_of(config: EncoderConfig) -> tuple[Family, dict[str, Any]]:
    """The code base that computes what a config asks for, and what it has in its config file."""
    differences = {}
    for family in (BERT, ALBERT, ELECTRA, MOBILE_BERT, MOBILE_BERT_LAYER_NORM):
        names = {meaning: name for name, meaning in family.activations.items()}
        activation = ACTIVATIONS[config.hidden_activation]
        said = {ours: getattr(config, ours) for ours in CONFIG_FIELDS}
        said["hidden_activation"] = activation
        if config.embedding_size is not None:
            said["embedding_size"] = config.embedding_size
        if family is ALBERT:
            said |= {"num_layer_groups": config.num_layer_groups, "group_size": config.group_size}
        if family.name == "mobilebert":
            said |= {ours: getattr(config, ours) for ours in mobile_bert.FIELDS}
            said |= mobile_bert.structure(mobile_bert.structure_fields(config), {})
        again = EncoderConfig(**said | dict(family.always), use_pooler=config.use_pooler)
        different = different_fields(config, again)
        if activation not in names and activation != "gelu":
            different.append(f"hidden_activation={config.hidden_activation!r}")
        differences[family.name] = different
        if not different:
            return family, _fields(config, family, names)
    nearest = min(differences, key=lambda name: len(differences[name]))
    raise CheckpointError(
        f"None of Google's codes computes what this config asks for. The nearest is {nearest}'s, "
        f"which has no words for {', '.join(differences[nearest])}."
    )


def _fields(config, family, names):
    activation = ACTIVATIONS[config.hidden_activation]
    if activation not in names:
        warnings.warn(
            "Google's code computes another form of GELU (tanh) than this model (erf): the weights "
            "are written as they are, but outputs will differ by about 1e-3.",
            stacklevel=7,
        )
    fields = {theirs: getattr(config, ours) for ours, theirs in CONFIG_FIELDS.items()}
    fields["hidden_act"] = names.get(activation, "gelu")
    if config.embedding_size is not None:
        fields["embedding_size"] = config.embedding_size
    if family is ALBERT:
        fields["num_hidden_groups"] = config.num_layer_groups
        fields["inner_group_num"] = config.group_size
    if family.name == "mobilebert":
        own = {theirs: getattr(config, ours) for ours, theirs in mobile_bert.FIELDS.items()}
        own |= mobile_bert.structure_fields(config)
        fields |= {name: value for name, value in own.items() if value is not None}
    return fields
