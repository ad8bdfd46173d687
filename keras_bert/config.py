"""The sizes and variants of one encoder, in one dataclass per kind of network."""

from __future__ import annotations

import dataclasses
from typing import Self

__all__ = ["EncoderConfig", "ModernBertConfig", "XLNetConfig"]

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

#: What some fields may say, beside which there is nothing.
CHOICES = {
    "embedding_projection": ("sum", "words", "trigrams"),
    "bottleneck_attention": ("none", "query_key", "all"),
    "normalization": ("layer_norm", "no_norm"),
}


class _Config:
    """What all configs have in common: checks of their fields, and ways in and out."""

    def _check_counts(self, *names, least=1):
        kind = "a positive whole number" if least else "a whole number, 0 or more"
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be {kind}; received {value!r}.")

    def _check_rates(self, *names):
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(f"{name} must be a number in [0, 1); received {value!r}.")

    def _check_positive(self, *names):
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} must be a positive number; received {value!r}.")

    def _check_activations(self, *names):
        for name in names:
            value = getattr(self, name)
            if value not in ACTIVATIONS:
                raise ValueError(
                    f"{name}={value!r} is unknown. Known are {', '.join(ACTIVATIONS)}."
                )

    def _check_heads(self):
        if self.inner_size % self.num_attention_heads:
            name = "hidden_size" if self.inner_size == self.hidden_size else "bottleneck_size"
            raise ValueError(
                f"{name}={self.inner_size} is no multiple of "
                f"num_attention_heads={self.num_attention_heads}; each head gets an equal share."
            )

    def _check_flags(self, *names):
        for name in names:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false; received {getattr(self, name)!r}.")

    def _check_choices(self, choices):
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is unknown. Known are {', '.join(known)}."
                )

    def _given(self, *names):
        return [name for name in names if getattr(self, name) is not None]

    def _check_padding(self):
        self._check_counts("pad_token_id", least=0)
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id={self.pad_token_id} lies outside the vocabulary of "
                f"vocab_size={self.vocab_size} tokens."
            )

    @property
    def inner_size(self) -> int:
        """Width inside of the blocks, of which each attention head gets an equal share."""
        return self.hidden_size

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.inner_size // self.num_attention_heads

    @property
    def embedding_width(self) -> int:
        """Width of the word embedding table."""
        return self.hidden_size

    @property
    def max_seq_length(self) -> int:
        """Longest sequence in tokens, special tokens included, that task models make."""
        return self.max_position_embeddings

    @property
    def head_dropout_rate(self) -> float:
        """Dropout before a task head's last layer."""
        return self.classifier_dropout

    def to_dict(self) -> dict:
        """Returns all fields as a plain dict, fit for JSON and for ``from_dict``."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, config: Self | dict) -> Self:
        """Returns a config as it is, and a dict, as saved files hold it, as a config."""
        return cls.from_dict(config) if isinstance(config, dict) else config

    @classmethod
    def from_dict(cls, fields: dict) -> Self:
        """Builds a config from ``to_dict``'s result.

        Raises:
            ValueError: If a field is unknown; the message names it.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - known)
        if unknown:
            raise ValueError(
                f"Unknown field(s) {', '.join(unknown)} for {cls.__name__}; known are "
                f"{', '.join(sorted(known))}."
            )
        return cls(**fields)

    @classmethod
    def from_pretrained(cls, folder: str) -> EncoderConfig | ModernBertConfig | XLNetConfig:
        """Reads the config of a checkpoint folder, ``.keras`` file or ``hf://`` id.

        Returns:
            The config of the kind that the checkpoint's network has, whichever class is asked.

        Raises:
            FileNotFoundError: If there is no checkpoint at ``folder``.
            ValueError: If the config asks for something this encoder does not compute.
        """
        # Upwards on purpose: the name belongs to this class, the foreign formats do not.
        from keras_bert.checkpoints import read_config

        return read_config(folder)


@dataclasses.dataclass(frozen=True)
class EncoderConfig(_Config):
    """Sizes and variants of a BERT encoder.

    Attributes:
        vocab_size: Rows of the word embedding table.
        hidden_size: Width of every layer's output; a multiple of ``num_attention_heads`` unless
            there is a ``bottleneck_size``.
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
        embedding_projection: What that linear layer of ``embedding_size`` reads: ``"sum"``, the
            embeddings as they are otherwise, after their LayerNorm; ``"words"``, the word vectors
            alone, before positions and segment types are added, which are as wide as the encoder;
            ``"trigrams"``, the same with each word's vector between those of its neighbours
            (MobileBERT). With ``"trigrams"`` it is always there.
        normalization: ``"layer_norm"``, or ``"no_norm"`` for a factor and a summand alone
            (MobileBERT).
        output_norm_epsilon: Epsilon of the normalisation after the embeddings and after the last
            feed-forward network of a block; ``None`` means ``layer_norm_epsilon``.
        num_feedforward_networks: Feed-forward networks in each block, one after the other.
        bottleneck_size: Width inside of the blocks, a multiple of ``num_attention_heads``: linear
            layers lead there and back (MobileBERT). ``None``: hidden size, and no such layers.
        bottleneck_attention: Which parts of attention read what such a layer led there:
            ``"none"``, all read the block's input; ``"query_key"``, these two, by a linear layer
            of their own; ``"all"``, by the one that the rest of the block has too.
        pooler_dense: Whether the pooler has its dense layer; if not, it is ``[CLS]`` as it is.

    Raises:
        ValueError: If a size is not positive, a rate is outside [0, 1), the hidden size is
            no multiple of the heads, or an activation is unknown.

    Source: section 3 of Devlin et al. 2018 (arXiv:1810.04805); ``BertConfig`` in
    google-research/bert ``modeling.py``. The variants: Lan et al. 2020 (arXiv:1909.11942), Clark
    et al. 2020 (arXiv:2003.10555), Liu et al. 2019 (arXiv:1907.11692), Sun et al. 2020
    (arXiv:2004.02984).

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
    embedding_projection: str = "sum"
    normalization: str = "layer_norm"
    output_norm_epsilon: float | None = None
    num_feedforward_networks: int = 1
    bottleneck_size: int | None = None
    bottleneck_attention: str = "none"
    pooler_dense: bool = True

    def __post_init__(self):
        self._check_counts(
            "vocab_size",
            "hidden_size",
            "num_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "group_size",
            "num_feedforward_networks",
            *self._given("embedding_size", "num_layer_groups", "bottleneck_size"),
        )
        self._check_counts("type_vocab_size", least=0)
        rates = self._given("classifier_dropout")
        self._check_rates("dropout_rate", "attention_dropout_rate", *rates)
        epsilons = self._given("masked_lm_epsilon", "output_norm_epsilon")
        self._check_positive("initializer_range", "layer_norm_epsilon", *epsilons)
        self._check_heads()
        activations = self._given("classifier_activation", "masked_lm_activation")
        self._check_activations("hidden_activation", *activations)
        self._check_choices(CHOICES)
        if self.bottleneck_size is None and self.bottleneck_attention != "none":
            raise ValueError(
                f"bottleneck_attention={self.bottleneck_attention!r} asks for a bottleneck, but "
                "bottleneck_size is None."
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
        self._check_padding()

    @property
    def inner_size(self) -> int:
        """Width inside of the blocks, of which each attention head gets an equal share."""
        return self.hidden_size if self.bottleneck_size is None else self.bottleneck_size

    @property
    def embedding_width(self) -> int:
        """Width of the word embeddings, and of the other tables if they are added to these."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def masked_lm_extra_size(self) -> int:
        """By how much a masked-language-model head is wider than the word embeddings."""
        # Where the words alone are widened, the head scores a vector that is not narrowed again.
        wide = self.embedding_projection != "sum"
        return self.hidden_size - self.embedding_width if wide else 0

    @property
    def max_seq_length(self) -> int:
        """Longest sequence in tokens, special tokens included."""
        taken = self.pad_token_id + 1 if self.positions_skip_padding else 0
        return self.max_position_embeddings - taken

    @property
    def classifier_pooling(self) -> str:
        """What a classifier reads: the first token, or what the pooler makes of it."""
        return "cls"

    @property
    def block_order(self) -> tuple[int, ...]:
        """Which block, by its number, runs first, second, and so on; several may be the same."""
        groups = self.num_layers if self.num_layer_groups is None else self.num_layer_groups
        # Source: AlbertTransformer in transformers' modeling_albert.py.
        first = (int(i / (self.num_layers / groups)) for i in range(self.num_layers))
        return tuple(self.group_size * group + k for group in first for k in range(self.group_size))

    @property
    def last_norm_epsilon(self) -> float:
        """Epsilon of the normalisation after embeddings and a block's last feed-forward network."""
        own = self.output_norm_epsilon
        return self.layer_norm_epsilon if own is None else own

    @property
    def head_dropout_rate(self) -> float:
        """Dropout before a task head."""
        return self.dropout_rate if self.classifier_dropout is None else self.classifier_dropout


@dataclasses.dataclass(frozen=True)
class ModernBertConfig(_Config):
    """Sizes and variants of a ModernBERT encoder.

    A class of its own: half of ``EncoderConfig``'s fields mean nothing to this network (segment
    types, sharing of layers, counted positions, a pooler), and half of these here mean nothing to
    BERT's. What task models ask of a config has the same name in both.

    Attributes:
        vocab_size: Rows of the word embedding table.
        hidden_size: Width of every layer's output; a multiple of ``num_attention_heads``.
        num_layers: Number of blocks.
        num_attention_heads: Attention heads per block; their size must be even.
        intermediate_size: Width of the feed-forward layer, and of its gate.
        hidden_activation: Activation of the feed-forward layer, as in ``EncoderConfig``.
        global_layers: Numbers of the blocks that attend to all tokens, counted from 0; for example
            ``range(0, 22, 2)``. ``None``: every third, from the first on.
        local_attention_window: Tokens in the window of the other blocks: they attend to tokens at
            most half as many places away.
        global_rope_theta: Base of the rotary frequencies in blocks that attend to all tokens.
        local_rope_theta: The same in the other blocks.
        attention_bias: Whether attention's linear layers have biases.
        mlp_bias: Whether those of the feed-forward part do.
        norm_bias: Whether LayerNorms do.
        embedding_dropout_rate: Dropout after the embeddings.
        attention_dropout_rate: Dropout on the attention probabilities and on attention's output.
        mlp_dropout_rate: Dropout within the feed-forward part.
        max_position_embeddings: Longest sequence in tokens. There is no table of positions.
        initializer_range: Standard deviation of the truncated normal for new weights.
        layer_norm_epsilon: Added to the variance in LayerNorm.
        pad_token_id: Id that fills sequences up.
        classifier_dropout: Dropout before a task head's last layer.
        classifier_pooling: What a classifier reads: ``"cls"``, the first token, or ``"mean"``, the
            mean over the tokens.
        classifier_activation: Activation of the dense layer that every task head begins with.
        classifier_bias: Whether that layer has a bias.
        decoder_bias: Whether the masked-language-model head has a bias per token.
        tie_word_embeddings: Whether that head scores tokens with the word embeddings.
        use_pooler: False: there is none. Here because task models ask for it.

    Raises:
        ValueError: If a field's value is impossible; the message names it.

    Source: Warner et al. 2024 (arXiv:2412.13663), section 2.1 and appendix A;
    ``configuration_modernbert.py`` of transformers 5.23.

    Example:
        >>> config = ModernBertConfig(num_layers=7)
        >>> [config.is_global(layer) for layer in range(7)]
        [True, False, False, True, False, False, True]
    """

    vocab_size: int = 50368
    hidden_size: int = 768
    num_layers: int = 22
    num_attention_heads: int = 12
    intermediate_size: int = 1152
    hidden_activation: str = "gelu"
    global_layers: tuple[int, ...] | None = None
    local_attention_window: int = 128
    global_rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    attention_bias: bool = False
    mlp_bias: bool = False
    norm_bias: bool = False
    embedding_dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0
    mlp_dropout_rate: float = 0.0
    max_position_embeddings: int = 8192
    initializer_range: float = 0.02
    layer_norm_epsilon: float = 1e-5
    pad_token_id: int = 50283
    classifier_dropout: float = 0.0
    classifier_pooling: str = "cls"
    classifier_activation: str = "gelu"
    classifier_bias: bool = False
    decoder_bias: bool = True
    tie_word_embeddings: bool = True
    use_pooler: bool = False

    def __post_init__(self):
        self._check_counts(
            "vocab_size",
            "hidden_size",
            "num_layers",
            "num_attention_heads",
            "intermediate_size",
            "local_attention_window",
            "max_position_embeddings",
        )
        self._check_rates(
            "embedding_dropout_rate",
            "attention_dropout_rate",
            "mlp_dropout_rate",
            "classifier_dropout",
        )
        self._check_positive(
            "initializer_range", "layer_norm_epsilon", "global_rope_theta", "local_rope_theta"
        )
        self._check_heads()
        self._check_activations("hidden_activation", "classifier_activation")
        self._check_padding()
        self._check_flags(
            "attention_bias",
            "mlp_bias",
            "norm_bias",
            "classifier_bias",
            "decoder_bias",
            "tie_word_embeddings",
        )
        if self.head_size % 2:
            raise ValueError(
                f"hidden_size={self.hidden_size} / num_attention_heads={self.num_attention_heads} "
                "is odd; rotary positions turn pairs of numbers, so that a head needs an even size."
            )
        if self.classifier_pooling not in ("cls", "mean"):
            raise ValueError(
                f"classifier_pooling must be 'cls' or 'mean'; received {self.classifier_pooling!r}."
            )
        if self.use_pooler:
            raise ValueError("use_pooler=True: ModernBERT has no pooler; leave it False.")
        if self.global_layers is not None:
            object.__setattr__(self, "global_layers", self._plain_global_layers())

    def _plain_global_layers(self):
        """The numbers as a tuple, for JSON makes a list of it; None where they are the usual."""
        layers, given = range(self.num_layers), tuple(self.global_layers)
        wrong = [i for i in given if isinstance(i, bool) or i not in layers]
        if wrong or len(set(given)) < len(given):
            raise ValueError(
                f"global_layers={given!r} must be different numbers from 0 to {layers[-1]}."
            )
        return None if sorted(given) == [*layers[::3]] else tuple(sorted(given))

    def is_global(self, layer: int) -> bool:
        """Whether a block, by its number, attends to all tokens."""
        return layer % 3 == 0 if self.global_layers is None else layer in self.global_layers

    @property
    def type_vocab_size(self) -> int:
        """Number of segment types: none."""
        return 0


@dataclasses.dataclass(frozen=True)
class XLNetConfig(_Config):
    """Sizes and variants of an XLNet encoder.

    A class of its own, for the reasons that ``ModernBertConfig`` has. Experimental: fields may
    still change.

    Attributes:
        vocab_size: Rows of the word embedding table.
        hidden_size: Width of every layer's output; even, and a multiple of
            ``num_attention_heads``.
        num_layers: Number of blocks.
        num_attention_heads: Attention heads per block.
        intermediate_size: Width of the feed-forward layer.
        hidden_activation: Activation of the feed-forward layer, as in ``EncoderConfig``.
        dropout_rate: Dropout after embeddings, distances, attention, both layers of the
            feed-forward part, and the last block.
        attention_dropout_rate: Dropout on the attention probabilities.
        attention_type: ``"bi"``: tokens attend to all tokens; ``"uni"``: to themselves and those
            before them.
        same_length: With ``"uni"``: whether tokens attend to themselves and as many tokens before
            them as there are in the memory, rather than to all before them.
        max_distance: Distances between tokens beyond it count as it. ``None``: no limit.
        two_directions: Whether the second half of each batch, which must be even, holds texts from
            their end to their beginning, as in pretraining; distances there are negative.
        memory_length: Most tokens that are kept as the memory of the next batch. ``None``: all.
        memory_per_batch: Tokens of each batch, its first, that become memory. ``None``: all.
        max_position_embeddings: Longest input that task models make of texts. The network has no
            limit, as there is no table of positions; published models saw 512 tokens.
        initializer_range: Standard deviation of the truncated normal for new weights.
        layer_norm_epsilon: Added to the variance in LayerNorm.
        pad_token_id: Id that fills sequences up, on the left.
        classifier_dropout: Dropout before a task head's last layer.
        classifier_pooling: What a classifier reads: ``"last"``, the last token, which is `<cls>`
            here, ``"first"`` or ``"mean_with_padding"``, the mean over all places.
        classifier_activation: Activation of a classifier's own dense layer over that.
        tie_word_embeddings: Whether the language-model head scores tokens with the word embeddings.
        start_n_top: Most starts of an answer that ``BeamSpanLabeler`` looks for ends of.
        end_n_top: Most ends of each of these that it looks at.
        use_pooler: False: there is none. Here because task models ask for it.

    Raises:
        ValueError: If a field's value is impossible; the message names it.

    Source: Yang et al. 2019 (arXiv:1906.08237); ``XLNetConfig`` and ``RunConfig`` in
    zihangdai/xlnet ``xlnet.py``.

    Example:
        >>> XLNetConfig(hidden_size=64, num_attention_heads=4).head_size
        16
    """

    vocab_size: int = 32000
    hidden_size: int = 1024
    num_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    hidden_activation: str = "gelu"
    dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.1
    attention_type: str = "bi"
    same_length: bool = False
    max_distance: int | None = None
    two_directions: bool = False
    memory_length: int | None = None
    memory_per_batch: int | None = None
    max_position_embeddings: int = 512
    initializer_range: float = 0.02
    layer_norm_epsilon: float = 1e-12
    pad_token_id: int = 5
    classifier_dropout: float = 0.1
    classifier_pooling: str = "last"
    classifier_activation: str = "tanh"
    tie_word_embeddings: bool = True
    start_n_top: int = 5
    end_n_top: int = 5
    use_pooler: bool = False

    def __post_init__(self):
        self._check_counts(
            "vocab_size",
            "hidden_size",
            "num_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "start_n_top",
            "end_n_top",
            *self._given("max_distance", "memory_length", "memory_per_batch"),
        )
        self._check_rates("dropout_rate", "attention_dropout_rate", "classifier_dropout")
        self._check_positive("initializer_range", "layer_norm_epsilon")
        self._check_heads()
        self._check_activations("hidden_activation", "classifier_activation")
        self._check_padding()
        if self.hidden_size % 2:
            raise ValueError(
                f"hidden_size={self.hidden_size} is odd; a distance is as many sines as cosines, "
                "hidden_size in all."
            )
        for name, known in (
            ("attention_type", ("bi", "uni")),
            ("classifier_pooling", ("last", "first", "mean_with_padding")),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} must be one of {known}; received {value!r}.")
        if self.use_pooler:
            raise ValueError("use_pooler=True: XLNet has no pooler; leave it False.")

    @property
    def type_vocab_size(self) -> int:
        """Segment types that its inputs have: two texts', that of `<cls>`, and padding's.

        There is no table of them: it counts whether two tokens have the same.
        """
        return 4
