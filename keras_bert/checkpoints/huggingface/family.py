"""What one family of ``transformers`` is described by; the descriptions are in families.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from keras_bert.checkpoints.loading import SHAPES, Table
from keras_bert.config import EncoderConfig

__all__ = ["Family"]


@dataclasses.dataclass(frozen=True)
class Family:
    """One family's names.

    Attributes:
        prefix: What models with a head put before the names of the encoder's tensors.
        fields: Config field ← theirs.
        defaults: What ``transformers`` takes where ``config.json`` says nothing; EncoderConfig's
            own default where it is not in here.
        always: Config field → what the family computes whatever its config says.
        refused: Their fields that ask for another network, and the only value that is computed.
        shapes: Path → config fields that its tensor's shape shows; see ``check_sizes``.
        config_class: Class of the encoder's config.
        from_theirs: What no table can say: their fields → some of ours.
        to_theirs: And back: our config → some of their fields.
        idle: Tensors that a model of an encoder and these kinds of heads has and makes no use of,
            each with its shape.
        class_endings: Kind of a model's only head → how its class ends, where that is not as for
            other families.
        projects: Whether a linear layer follows the embeddings also where it need not.
        embeddings: Path in a ``BertEncoder`` ← theirs.
        block: Path in ``blocks[i]`` ← theirs, behind ``block_prefix``; with the number
            ``{network}`` of a feed-forward network but the last.
        block_prefix: Of the tensors of a block, with its number ``{block}`` or the numbers of its
            ``{group}`` and ``{place}`` there.
        pooler: Path in a ``BertEncoder`` ← theirs.
        heads: Kind of head → path in its layer ← theirs.
        head_options: Path in a head's layer → config field that says whether it is there; for
            those that are not always.
        heads_refused: Kind of head → their fields that ask for another one, and the only value that
            is computed.
    """

    prefix: str
    fields: Mapping[str, str]
    embeddings: Table
    block: Table
    block_prefix: str
    pooler: Table
    heads: Mapping[str, Table]
    head_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    heads_refused: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    always: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    refused: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    shapes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: SHAPES)
    config_class: type = EncoderConfig
    from_theirs: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda fields: {}
    to_theirs: Callable[[Any], dict[str, Any]] = lambda config: {}
    idle: Callable[[Any, Collection[str]], dict[str, tuple]] = lambda config, heads: {}
    class_endings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    projects: bool = False
