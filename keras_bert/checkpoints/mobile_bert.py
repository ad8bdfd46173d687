"""MobileBERT: what the formats share of its config fields and of the names in a block.

Hugging Face's port kept the names of google-research's ``mobilebert``, with dots for slashes.

Source: ``BertConfig`` and ``transformer_model`` in ``mobilebert/modeling.py`` of google-research.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.loading import Table, Tensors
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.config import EncoderConfig

__all__ = ["FIELDS", "SHAPES", "block_table", "sizes", "structure", "structure_fields"]

#: Config field ← theirs, beside ``CONFIG_FIELDS``.
FIELDS = {
    "embedding_size": "embedding_size",
    "num_feedforward_networks": "num_feedforward_networks",
    "normalization": "normalization_type",
    "pooler_dense": "classifier_activation",
}

#: Their fields that say yes or no to a part.
SWITCHES = (
    "trigram_input",
    "use_bottleneck",
    "use_bottleneck_attention",
    "key_query_shared_bottleneck",
)

#: Path → config fields that its shape shows; see ``check_sizes``.
SHAPES = {
    "embeddings.word_embeddings": ("vocab_size", "embedding_width"),
    "embeddings.position_embeddings": ("max_position_embeddings", "hidden_size"),
    "embeddings.type_embeddings": ("type_vocab_size", "hidden_size"),
    "attention.output_linear.kernel": ("inner_size", "inner_size"),
    "last_feedforward.intermediate.kernel": ("inner_size", "intermediate_size"),
}

#: Path in a ``BottleneckBlock`` ← theirs, of the parts with a kernel and a bias.
DENSE = {
    "bottleneck.linear": "bottleneck/input/dense",
    "query_key_bottleneck.linear": "bottleneck/attention/dense",
    "attention.output_linear": "attention/output/dense",
    "first_feedforward.{network}.intermediate": "ffn_layer_{network}/intermediate/dense",
    "first_feedforward.{network}.output_linear": "ffn_layer_{network}/output/dense",
    "last_feedforward.intermediate": "intermediate/dense",
    "last_feedforward.output_linear": "output/dense",
    "output_linear": "output/bottleneck/dense",
}
#: The same of the normalisations.
NORMS = {
    "bottleneck.norm": "bottleneck/input/LayerNorm",
    "query_key_bottleneck.norm": "bottleneck/attention/LayerNorm",
    "attention_norm": "attention/output/LayerNorm",
    "first_feedforward.{network}.output_norm": "ffn_layer_{network}/output/LayerNorm",
    "last_feedforward.output_norm": "output/LayerNorm",
    "output_norm": "output/bottleneck/LayerNorm",
}
#: What reads the same input is one matrix here: of these, a block has the first or the others.
ATTENTION = {
    "attention.query_key_value": ("query", "key", "value"),
    "attention.query_key": ("query", "key"),
    "attention.value": ("value",),
}


def block_table(kernel: str = "kernel", gamma: str = "gamma", beta: str = "beta") -> Table:
    """Path in a ``BottleneckBlock`` ← theirs, behind the block's prefix.

    Args:
        kernel: What they call a matrix; a bias is a bias.
        gamma: What they call a normalisation's factor.
        beta: What they call its summand.
    """
    table = {}
    for ours, theirs in ATTENTION.items():
        for part, name in (("kernel", kernel), ("bias", "bias")):
            table[f"{ours}.{part}"] = tuple(f"attention/self/{t}/{name}" for t in theirs)
    for ours, theirs in DENSE.items():
        table |= {f"{ours}.kernel": f"{theirs}/{kernel}", f"{ours}.bias": f"{theirs}/bias"}
    for ours, theirs in NORMS.items():
        table |= {f"{ours}.gamma": f"{theirs}/{gamma}", f"{ours}.beta": f"{theirs}/{beta}"}
    return table


def structure(said: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The config fields that follow from several of theirs.

    Args:
        said: Their config file.
        defaults: What they take where it says nothing.

    Raises:
        CheckpointError: If it says something else than yes or no where only that is an answer.
    """
    has = {**defaults, **{name: value for name, value in said.items() if value is not None}}
    for name in SWITCHES:
        if not isinstance(has[name], bool):
            raise CheckpointError(f"The config says {name}={has[name]!r}; expected true or false.")
    has.setdefault("intra_bottleneck_size", has.get("hidden_size"))
    fields = {"embedding_projection": "trigrams" if has["trigram_input"] else "words"}
    if not has["use_bottleneck"]:
        return fields
    attention = "query_key" if has["key_query_shared_bottleneck"] else "none"
    return {
        **fields,
        "bottleneck_size": has["intra_bottleneck_size"],
        "bottleneck_attention": "all" if has["use_bottleneck_attention"] else attention,
    }


def structure_fields(config: EncoderConfig) -> dict[str, Any]:
    """``structure`` backwards: their fields for what a config asks for."""
    return {
        "trigram_input": config.embedding_projection == "trigrams",
        "use_bottleneck": config.bottleneck_size is not None,
        "intra_bottleneck_size": config.inner_size,
        "use_bottleneck_attention": config.bottleneck_attention == "all",
        "key_query_shared_bottleneck": config.bottleneck_attention == "query_key",
    }


def sizes(tensors: Tensors, source: str, embeddings: Table, block: Table) -> dict[str, Any]:
    """The config fields that the shapes tell of a checkpoint as google-research writes it.

    Args:
        tensors: Its variables.
        source: Its path, for messages.
        embeddings: Path in a ``BertEncoder`` ← theirs.
        block: Path in a ``BottleneckBlock`` ← theirs.

    Raises:
        CheckpointError: If a matrix is missing or has another number of dimensions than two.
    """

    def sides(name):
        shape = tuple(tensors.shape(name)) if name in tensors else ()
        if len(shape) != 2:
            raise CheckpointError(f"{source}: {name} is not there, or no matrix.")
        return shape

    def count(name):
        number = 0
        while name.format(number, network=number) in tensors:
            number += 1
        return number

    first, value = "bert/encoder/layer_0/", "attention/self/value/kernel"
    words, positions, types, widening = (
        embeddings[f"embeddings.{name}"]
        for name in (
            "word_embeddings",
            "position_embeddings",
            "type_embeddings",
            "projection.kernel",
        )
    )
    vocabulary, width = sides(words)
    hidden = sides(positions)[1]
    inner, intermediate = sides(first + block["last_feedforward.intermediate.kernel"])
    fields = {
        "hidden_size": hidden,
        "trigram_input": widening in tensors and sides(widening)[0] == 3 * width,
        "use_bottleneck": first + block["bottleneck.linear.kernel"] in tensors,
        "intra_bottleneck_size": inner,
        "key_query_shared_bottleneck": first + block["query_key_bottleneck.linear.kernel"]
        in tensors,
        "use_bottleneck_attention": inner != hidden and sides(first + value)[0] == inner,
    }
    networks = first + block["first_feedforward.{network}.intermediate.kernel"]
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_layers": count("bert/encoder/layer_{}/" + value),
        "intermediate_size": intermediate,
        "max_position_embeddings": sides(positions)[0],
        "type_vocab_size": sides(types)[0],
        "num_feedforward_networks": 1 + count(networks),
        "pooler_dense": "bert/pooler/dense/kernel" in tensors,
        **structure(fields, {}),
    }
