"""What all formats have in common that come as a folder of weights, a config and a vocabulary."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from typing import Any

from keras_bert.checkpoints.buffers import to_be_filled
from keras_bert.checkpoints.loading import Table, Tensors, fill, head_table, part_tables
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.verification import compare, read_numbers
from keras_bert.checkpoints.writing import Parts
from keras_bert.config import EncoderConfig
from keras_bert.models.heads import HEADS

__all__ = ["CONFIG_FIELDS", "FolderCheckpoint", "read_json"]

#: Biases of heads, by whose length their outputs are counted.
_COUNTED = ("logits.bias", "bias", "start_logits.bias")

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
    `part_tables` takes.

    Args:
        folder: The folder.

    Attributes:
        format: Who writes such folders.
        family: The network's family, as the checkpoint calls it.
        config: The encoder's config; ``use_pooler`` says whether the checkpoint has a pooler.
        heads: Kind of head, as ``keras_bert.models.heads`` has it, → its number of outputs, for all
            heads that the checkpoint may have weights for.
        ignored: Pattern of tensors' names that may be left over → why they are not needed.
    """

    format: str
    family: str
    ignored: Mapping[str, str]
    config: EncoderConfig
    _tensors: Tensors
    _family: Any

    def __init__(self, folder: str):
        self.folder = folder

    def transposed(self, variable: Any, name: str) -> bool:
        """Whether a tensor is the transpose of the variable that it belongs to."""
        raise NotImplementedError

    def label_names(self, count: int) -> list[str]:
        """Names of a head's labels."""
        return [f"LABEL_{i}" for i in range(count)]

    @functools.cached_property
    def heads(self) -> dict[str, int]:
        """Kind of head → its number of outputs."""
        return self._heads_with_weights()

    def _heads_with_weights(self) -> dict[str, int]:
        found = {}
        for kind in self._family.heads:
            names = self._head_names(kind)
            if not all(name in self._tensors for name in names.values()):
                continue
            biases = [names[ours] for ours in _COUNTED if ours in names]
            # The masked-language-model head may have no bias; it has as many outputs as tokens.
            shape = self._tensors.shape(biases[0]) if biases else (self.config.vocab_size,)
            always = HEADS[kind][1]
            if len(shape) == 1 and always in (None, shape[0]):
                found[kind] = shape[0]
        return found

    def _head_names(self, kind: str) -> Table:
        """The tensors of a head, as far as this checkpoint's has them."""
        return self._family.heads[kind]

    @property
    def problem_type(self) -> str | None:
        """What a classifier's outputs stand for, in the words of ``transformers``."""
        return None

    @property
    def classifier_settings(self) -> dict[str, Any]:
        """How a classifier reads and answers: these formats do not say."""
        return {}

    @property
    def sure_heads(self) -> list[str]:
        """Kinds of `heads`, of those that would read the same tensors only the first."""
        kinds, read = [], set()
        for kind in self.heads:
            names = set(self._family.heads[kind].values())
            if not names & read:
                kinds.append(kind)
                read |= names
        return kinds

    def labels(self, kind: str) -> list[str] | None:
        """Names of the labels of a head, in the order of its outputs; None without such a head."""
        return self.label_names(self.heads[kind]) if kind in self.heads else None

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

    def make_encoder(self, config: EncoderConfig | None = None, **kwargs) -> Any:
        """Makes an encoder of this checkpoint's config or a changed one, for `load` to fill."""
        from keras_bert.models.encoders import make_encoder

        config = self.config if config is None else config
        # A pooler that the checkpoint lacks keeps what it starts with.
        lacks = config.use_pooler and not self.config.use_pooler
        with contextlib.nullcontext() if lacks else to_be_filled():
            return make_encoder(config, **kwargs)

    def load(self, encoder: Any, heads: Mapping[str, Any], verify: bool = False) -> LoadReport:
        """Fills an encoder and heads.

        Args:
            encoder: An encoder of this checkpoint's config, with the pooler or without.
            heads: Kind → layer, for some of the checkpoint's heads.
            verify: Whether to compare with the numbers beside the checkpoint.

        Raises:
            FileNotFoundError: If there are no such numbers.
            CheckpointError: If something is missing, unknown or of another shape, or if what was
                loaded computes something else than these numbers.
        """
        numbers = read_numbers(self.folder) if verify else None
        family, has_pooler = self._family, self.config.use_pooler
        pooler = self.pooler_table(heads) if encoder.pooler is not None and has_pooler else {}
        parts = part_tables(encoder, heads, family, pooler, self._head_table)
        report = fill(self.folder, self._tensors, parts, self.ignored, self.transposed)
        if encoder.pooler is not None and not has_pooler:
            report.fresh.append("pooler")
        if numbers is not None:
            report.parity = compare(self.folder, numbers, Parts(encoder, heads))
        return report

    def pooler_table(self, heads: Mapping[str, Any]) -> Table:
        """The names of the pooler's tensors, where these heads are loaded with it."""
        return self._family.pooler

    def _head_table(self, kind: str, layer: Any) -> Table:
        return head_table(self._family.heads[kind], layer)


def read_json(path: str) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Raises:
        FileNotFoundError: If there is none.
        CheckpointError: If it holds anything else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
    # Brackets within brackets, by the thousand.
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} holds no JSON object.")
    return fields
