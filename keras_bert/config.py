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
        max_position_embeddings: Longest sequence, in tokens, special tokens included.
        type_vocab_size: Number of segment types.
        initializer_range: Standard deviation of the truncated normal for new weights.
        layer_norm_epsilon: Added to the variance in LayerNorm. BERT's own is 1e-12.
        use_pooler: Whether the encoder has the tanh layer over ``[CLS]``.
        pad_token_id: Id that fills sequences up.
        classifier_dropout: Dropout before a task head; ``None`` means ``dropout_rate``.

    Raises:
        ValueError: If a size is not positive, a rate is outside [0, 1), the hidden size is
            no multiple of the heads, or the activation is unknown.

    Source: section 3 of Devlin et al. 2018 (arXiv:1810.04805); ``BertConfig`` in
    google-research/bert ``modeling.py``.

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

    def __post_init__(self):
        self._check_numbers()
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is no multiple of "
                f"num_attention_heads={self.num_attention_heads}; each head gets an equal share."
            )
        if self.hidden_activation not in ACTIVATIONS:
            raise ValueError(
                f"hidden_activation={self.hidden_activation!r} is unknown. "
                f"Known are {', '.join(ACTIVATIONS)}."
            )
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id={self.pad_token_id} lies outside the vocabulary of "
                f"vocab_size={self.vocab_size} tokens."
            )

    def _check_numbers(self):
        for name in (
            "vocab_size",
            "hidden_size",
            "num_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number; received {value!r}.")
        for name in ("dropout_rate", "attention_dropout_rate", "classifier_dropout"):
            value = getattr(self, name)
            if value is None and name == "classifier_dropout":
                continue
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(f"{name} must be a number in [0, 1); received {value!r}.")
        for name in ("initializer_range", "layer_norm_epsilon"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} must be a positive number; received {value!r}.")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

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
