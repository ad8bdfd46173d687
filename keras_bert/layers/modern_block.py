"""The two kinds of layers of ModernBERT's encoder: word embeddings, and the block."""

import keras
from keras import ops

from keras_bert.config import ModernBertConfig
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.embeddings import check_length
from keras_bert.layers.gated_feed_forward import GatedFeedForward
from keras_bert.layers.initializers import normal
from keras_bert.layers.normalization import LayerNorm
from keras_bert.layers.rotary_attention import RotaryAttention

__all__ = ["ModernBertBlock", "ModernBertEmbeddings"]


@keras.saving.register_keras_serializable("keras_bert")
class ModernBertEmbeddings(keras.layers.Layer):
    """``dropout(LayerNorm(word[id]))``; places and segments have no table.

    Args:
        config: A ``ModernBertConfig`` or its dict.

    Shapes: ids (batch, seq) int32 → (batch, seq, hidden).

    Raises:
        ValueError: If the sequence is known to be longer than the config's ``max_seq_length``.

    Source: ``ModernBertEmbeddings`` in transformers' ``modeling_modernbert.py``.

    Example:
        >>> config = ModernBertConfig(vocab_size=10, pad_token_id=0, hidden_size=24)
        >>> ModernBertEmbeddings(config)(keras.ops.ones((1, 4), "int32")).shape
        (1, 4, 24)
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config = ModernBertConfig.of(config)
        self.layer_norm = LayerNorm(
            epsilon=config.layer_norm_epsilon,
            center=config.norm_bias,
            name="layer_norm",
            dtype=self.dtype_policy,
        )
        self.dropout = Dropout(config.embedding_dropout_rate, dtype=self.dtype_policy)

    def build(self, *_):
        """Creates the table and the LayerNorm weights."""
        config = self.config
        self.word_embeddings = self.add_weight(
            name="word_embeddings",
            shape=(config.vocab_size, config.hidden_size),
            initializer=normal(config.initializer_range),
        )
        self.layer_norm.build((None, None, config.hidden_size))

    def call(self, input_word_ids, training=None):
        """Looks up and normalises: (batch, seq) int32 → (batch, seq, hidden)."""
        check_length(ops.shape(input_word_ids)[1], self.config)
        words = ops.take(self.word_embeddings, input_word_ids, axis=0)
        return self.dropout(self.layer_norm(words, training=training), training=training)

    def compute_output_shape(self, input_word_ids_shape):
        """(batch, seq) → (batch, seq, hidden)."""
        return (*input_word_ids_shape, self.config.hidden_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict()}


@keras.saving.register_keras_serializable("keras_bert")
class ModernBertBlock(keras.layers.Layer):
    """Pre-LayerNorm block: ``h = x + attention(norm(x))``, then ``h + feed_forward(norm(h))``.

    Block 0 has no LayerNorm before its attention: the embeddings end with one.

    Args:
        config: A ``ModernBertConfig`` or its dict.
        number: Which block it is, from 0; it decides how far attention reaches.

    Shapes: as ``TransformerBlock``.

    Source: section 2.1 of Warner et al. 2024 (arXiv:2412.13663); ``ModernBertEncoderLayer`` in
    transformers' ``modeling_modernbert.py``.

    Example:
        >>> config = ModernBertConfig(hidden_size=8, num_attention_heads=2, intermediate_size=16)
        >>> block = ModernBertBlock(config, number=1)
        >>> block(keras.ops.ones((1, 5, 8)), keras.ops.ones((1, 5), "int32")).shape
        (1, 5, 8)
    """

    def __init__(self, config, number, **kwargs):
        super().__init__(**kwargs)
        self.config = config = ModernBertConfig.of(config)
        self.number = number
        policy = {"dtype": self.dtype_policy}
        linear = {"initializer_range": config.initializer_range, **policy}
        norm = {"epsilon": config.layer_norm_epsilon, "center": config.norm_bias, **policy}
        reaches_all = config.is_global(number)
        self.attention = RotaryAttention(
            config.hidden_size,
            config.num_attention_heads,
            theta=config.global_rope_theta if reaches_all else config.local_rope_theta,
            reach=None if reaches_all else config.local_attention_window // 2,
            dropout_rate=config.attention_dropout_rate,
            use_bias=config.attention_bias,
            name="attention",
            **linear,
        )
        self.feed_forward = GatedFeedForward(
            config.hidden_size,
            config.intermediate_size,
            config.hidden_activation,
            config.mlp_dropout_rate,
            config.mlp_bias,
            name="feed_forward",
            **linear,
        )
        self.attention_norm = LayerNorm(name="attention_norm", **norm) if number else None
        self.feed_forward_norm = LayerNorm(name="feed_forward_norm", **norm)
        self.dropout = Dropout(config.attention_dropout_rate, **policy)

    def build(self, *_):
        """Creates the weights of all parts."""
        hidden = (None, None, self.config.hidden_size)
        parts = (self.attention_norm, self.attention, self.feed_forward_norm, self.feed_forward)
        for part in parts:
            if part is not None:
                part.build(hidden)

    def call(
        self,
        hidden,
        attention_mask,
        training=None,
        first_token_only=False,
        return_attention_scores=False,
    ):
        """Runs the block for all tokens, or for the first alone (attending to all)."""
        normal = hidden
        if self.attention_norm is not None:
            normal = self.attention_norm(hidden, training=training)
        attended = self.attention(
            normal,
            attention_mask,
            training=training,
            first_token_only=first_token_only,
            return_attention_scores=return_attention_scores,
        )
        attended, scores = attended if return_attention_scores else (attended, None)
        if first_token_only:
            hidden = hidden[:, :1]
        hidden = hidden + self.dropout(attended, training=training)
        normal = self.feed_forward_norm(hidden, training=training)
        hidden = hidden + self.feed_forward(normal, training=training)
        return (hidden, scores) if return_attention_scores else hidden

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict(), "number": self.number}
