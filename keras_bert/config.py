"""EncoderConfig: the sizes and variants of one encoder, in one dataclass."""

from __future__ import annotations

import dataclasses

__all__ = ["EncoderConfig"]

#: Names that users may give for ``hidden_activation``, and what is computed. The names are the
#: ones found in published ``config.json`` files; "gelu" is the exact (erf) form there, while the
#: original TensorFlow release computed the tanh form under the same name.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "linear": "linear",
}


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Sizes and variants of a BERT encoder.

    Attributes:
        vocab_size: Rows of the word embedding table.
        hidden_size: Width of every layer's output; a multiple of ``num_attention_heads``.
        num_layers: Number of Transformer blocks.
        num_attention_heads: Attention heads per block.
        intermediate_size: Width of the feed-forward layer.
        hidden_activation: Activation of the feed-forward layer: ``"gelu"`` (erf),
            ``"gelu_new"`` (tanh approximation), ``"relu"``, ``"silu"``, ...
        dropout_rate: Dropout after embeddings, attention output and feed-forward output.
        attention_dropout_rate: Dropout on the attention probabilities.
        max_position_embeddings: Rows of the position table; ``max_seq_length`` says how many tokens
            a sequence may have.
        type_vocab_size: Number of segment types; 0 where the encoder knows none.
        initializer_range: Standard deviation of the truncated normal for new weights.
        layer_norm_epsilon: Added to the variance in LayerNorm. BERT's own is 1e-12.
        use_pooler: Whether the encoder has the tanh layer over ``[CLS]``.
        pad_token_id: Id that fills sequences up.
        classifier_dropout: Dropout before a task head; ``None`` means ``dropout_rate``.
        embedding_size: Width of the embedding tables where it is not the hidden size: a linear
            layer follows them (ALBERT, ELECTRA). ``None``: hidden size, and no such layer.
        num_layer_groups: Number of sets of weights that the layers share among themselves, one
            after the other (ALBERT). ``None``: each layer has its own.
        group_size: Blocks in each such set; each layer runs all of them.
        positions_skip_padding: Whether positions count the tokens that are not padding, and start
            behind ``pad_token_id`` (RoBERTa).
        classifier_activation: Activation of a classifier's own dense layer over ``[CLS]``, which it
            has in place of the pooler (RoBERTa ``"tanh"``, ELECTRA ``"gelu"``, DistilBERT
            ``"relu"``). ``None``: it reads the pooler.
        masked_lm_activation: Activation of the masked-language-model head's dense layer; ``None``
            means ``hidden_activation``.
        masked_lm_epsilon: Added to the variance in that head's LayerNorm; ``None`` means
            ``layer_norm_epsilon``.
        tie_word_embeddings: Whether that head scores tokens by the table of word embeddings; it has
            a matrix of its own otherwise.

    Raises:
        ValueError: If a size is not positive, a rate is outside [0, 1), the hidden size is
            no multiple of the heads, or an activation is unknown.

    Source: section 3 of Devlin et al. 2018 (arXiv:1810.04805); ``BertConfig`` in
    google-research/bert ``modeling.py``. The variants: Lan et al. 2020 (arXiv:1909.11942), Clark
    et al. 2020 (arXiv:2003.10555), Liu et al. 2019 (arXiv:1907.11692).

    Example:
        >>> config = EncoderConfig(vocab_size=100, hidden_size=16, num_layers=2,
        ...                        num_attention_heads=2, intermediate_size=32)
        >>> config.head_size
        8
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_activation: str = "gelu"
    dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_epsilon: float = 1e-12
    use_pooler: bool = True
    pad_token_id: int = 0
    classifier_dropout: float | None = None
    embedding_size: int | None = None
    num_layer_groups: int | None = None
    group_size: int = 1
    positions_skip_padding: bool = False
    classifier_activation: str | None = None
    masked_lm_activation: str | None = None
    masked_lm_epsilon: float | None = None
    tie_word_embeddings: bool = True

    def __post_init__(self):
        self._check_numbers()
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is no multiple of "
                f"num_attention_heads={self.num_attention_heads}; each head gets an equal share."
            )
        for name in ("hidden_activation", "classifier_activation", "masked_lm_activation"):
            value = getattr(self, name)
            if value not in ACTIVATIONS and (value is not None or name == "hidden_activation"):
                raise ValueError(
                    f"{name}={value!r} is unknown. Known are {', '.join(ACTIVATIONS)}."
                )
        if self.num_layer_groups is not None and self.num_layer_groups > self.num_layers:
            raise ValueError(
                f"num_layer_groups={self.num_layer_groups} is more than num_layers="
                f"{self.num_layers}; a group of weights needs a layer that uses it."
            )
        if self.max_seq_length < 1:
            raise ValueError(
                f"max_position_embeddings={self.max_position_embeddings} leaves no position "
                f"behind pad_token_id={self.pad_token_id}, where positions start."
            )
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id={self.pad_token_id} lies outside the vocabulary of "
                f"vocab_size={self.vocab_size} tokens."
            )

    def _check_numbers(self):
        optional = ("embedding_size", "num_layer_groups")
        for name in (
            "vocab_size",
            "hidden_size",
            "num_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "group_size",
            *(name for name in optional if getattr(self, name) is not None),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number; received {value!r}.")
        types = self.type_vocab_size
        if isinstance(types, bool) or not isinstance(types, int) or types < 0:
            raise ValueError(
                f"type_vocab_size must be a whole number, 0 or more; received {types!r}."
            )
        for name in ("dropout_rate", "attention_dropout_rate", "classifier_dropout"):
            value = getattr(self, name)
            if value is None and name == "classifier_dropout":
                continue
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(f"{name} must be a number in [0, 1); received {value!r}.")
        for name in ("initializer_range", "layer_norm_epsilon", "masked_lm_epsilon"):
            value = getattr(self, name)
            if value is None and name == "masked_lm_epsilon":
                continue
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} must be a positive number; received {value!r}.")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def embedding_width(self) -> int:
        """Width of the embedding tables."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def max_seq_length(self) -> int:
        """Longest sequence in tokens, special tokens included."""
        taken = self.pad_token_id + 1 if self.positions_skip_padding else 0
        return self.max_position_embeddings - taken

    @property
    def block_order(self) -> tuple[int, ...]:
        """Which block, by its number, runs first, second, and so on; several may be the same."""
        groups = self.num_layers if self.num_layer_groups is None else self.num_layer_groups
        # Source: AlbertTransformer in transformers' modeling_albert.py.
        first = (int(i / (self.num_layers / groups)) for i in range(self.num_layers))
        return tuple(self.group_size * group + k for group in first for k in range(self.group_size))

    @property
    def head_dropout_rate(self) -> float:
        """Dropout before a task head."""
        return self.dropout_rate if self.classifier_dropout is None else self.classifier_dropout

    def to_dict(self) -> dict:
        """Returns all fields as a plain dict, fit for JSON and for ``from_dict``."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, config: EncoderConfig | dict) -> EncoderConfig:
        """Returns a config as it is, and a dict, as saved files hold it, as a config."""
        return cls.from_dict(config) if isinstance(config, dict) else config

    @classmethod
    def from_dict(cls, fields: dict) -> EncoderConfig:
        """Builds a config from ``to_dict``'s result.

        Raises:
            ValueError: If a field is unknown; the message names it.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise ValueError(
                f"Unknown field(s) {', '.join(unknown)} for EncoderConfig; known are "
                f"{', '.join(sorted(known))}."
            )
        return cls(**fields)

    @classmethod
    def from_pretrained(cls, folder: str) -> EncoderConfig:
        """Reads the config of a checkpoint folder, ``.keras`` file or ``hf://`` id.

        Raises:
            FileNotFoundError: If there is no checkpoint at ``folder``.
            ValueError: If the config asks for something this encoder does not compute.
        """
        # Upwards on purpose: the name belongs to this class, the foreign formats do not.
        from keras_bert.checkpoints import read_config

        return read_config(folder)
