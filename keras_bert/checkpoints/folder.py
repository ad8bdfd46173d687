"""What all formats have in common that come as a folder of weights, a config and a vocabulary."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.loading import Tensors, encoder_table, fill
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.config import EncoderConfig

__all__ = ["CONFIG_FIELDS", "FolderCheckpoint", "read_json"]

#: Our config field ← google-research/bert's, whose names most others kept.
CONFIG_FIELDS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "hidden_activation": "hidden_act",
    "dropout_rate": "hidden_dropout_prob",
    "attention_dropout_rate": "attention_probs_dropout_prob",
    "max_position_embeddings": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "initializer_range": "initializer_range",
}


class FolderCheckpoint:
    """A folder with the weights of one model.

    A format says what `config`, `_tensors` and `_family` are; a family has the tables that
    `encoder_table` takes and a `classifier`'s.

    Args:
        folder: The folder.

    Attributes:
        ignored: Pattern of tensors' names that may be left over → why they are not needed.
    """

    ignored: Mapping[str, str]
    config: EncoderConfig
    _tensors: Tensors
    _family: Any

    def __init__(self, folder: str):
        self.folder = folder

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of the variable that it belongs to."""
        raise NotImplementedError

    @property
    def seq_length(self) -> int:
        """Longest input in tokens: what both the positions and the tokenizer allow."""
        most = self.config.max_seq_length
        return min(most, self._tokenizer.model_max_length or most)

    def tokenizer(self):
        """The tokenizer of the folder's tokenizer files."""
        return self._tokenizer

    @functools.cached_property
    def _tokenizer(self):
        from keras_bert.text import Tokenizer

        return Tokenizer.from_pretrained(self.folder)

    def load_encoder(self, encoder) -> LoadReport:
        """Fills an encoder of this checkpoint's config."""
        return self.load_classifier(encoder)

    def load_classifier(self, encoder, head=None) -> LoadReport:
        """Fills an encoder and, if given, a classification head."""
        family, has_pooler = self._family, self.config.use_pooler
        pooler = family.pooler if encoder.pooler is not None and has_pooler else {}
        table = encoder_table(encoder, family.embeddings, family.block, family.block_prefix, pooler)
        parts = [(encoder, table)]
        if head is not None:
            parts.append((head, family.classifier))
        report = fill(self.folder, self._tensors, parts, self.ignored, self.transposed)
        if encoder.pooler is not None and not has_pooler:
            report.fresh.append("pooler")
        return report


def read_json(path: str) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Raises:
        FileNotFoundError: If there is none.
        CheckpointError: If it holds anything else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
    except ValueError as error:
        raise CheckpointError(f"{path} is no valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} holds no JSON object.")
    return fields
