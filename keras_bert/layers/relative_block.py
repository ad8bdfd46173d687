"""XLNet's embeddings and block: relative attention and feed-forward, for one stream or two."""

import keras
from keras import ops

from keras_bert.config import XLNetConfig
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initializers import normal
from keras_bert.layers.relative_attention import RelativeAttention
from keras_bert.layers.transformer_block import TransformerBlock

__all__ = ["RelativeBlock", "WordEmbeddings"]


@keras.saving.register_keras_serializable("keras_bert")
class WordEmbeddings(keras.layers.Layer):
    """``dropout(word[id])``, and the vector from which XLNet's query stream begins.

    Args:
        config: An ``XLNetConfig`` or its dict.

    Shapes: ids (batch, seq) int32 → (batch, seq, hidden).

    Source: section 2.3 of Yang et al. 2019 (arXiv:1906.08237), ``w``; ``mask_emb`` in
    zihangdai/xlnet ``modeling.py``.

    Example:
        >>> layer = WordEmbeddings(XLNetConfig(vocab_size=10, hidden_size=8, num_attention_heads=2))
        >>> layer(keras.ops.ones((1, 4), "int32")).shape
        (1, 4, 8)
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = XLNetConfig.of(config)
        self.dropout = Dropout(self.config.dropout_rate, dtype=self.dtype_policy)

    def build(self, *_):
        """Creates the table (vocab_size, hidden) and the query stream's vector (1, 1, hidden)."""
        config = self.config
        for name, shape in (
            ("word_embeddings", (config.vocab_size, config.hidden_size)),
            ("query_embedding", (1, 1, config.hidden_size)),
        ):
            weight = self.add_weight(
                name=name, shape=shape, initializer=normal(config.initializer_range)
            )
            setattr(self, name, weight)

    def call(self, input_word_ids, training=None):
        """Looks up: (batch, seq) int32 → (batch, seq, hidden)."""
        words = ops.take(self.word_embeddings, input_word_ids, axis=0)
        return self.dropout(words, training=training)

    def queries(self, batch, predictions, training=None):
        """Where the query stream begins: (batch, predictions, hidden)."""
        queries = ops.tile(self.query_embedding, (batch, predictions, 1))
        return self.dropout(queries, training=training)

    def compute_output_shape(self, input_word_ids_shape):
        """(batch, seq) → (batch, seq, hidden)."""
        return (*input_word_ids_shape, self.config.hidden_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict()}


@keras.saving.register_keras_serializable("keras_bert")
class RelativeBlock(TransformerBlock):
    """Post-LayerNorm Transformer block over relative attention.

    ``h = LayerNorm(x + dropout(attention(x)))``, then
    ``LayerNorm(h + dropout(W₂ dropout(activation(W₁ h))))``.

    With a query stream it does the same for that: vectors that know where they stand but not what
    is there, and attend to the content as it was before this block.

    Args:
        config: An ``XLNetConfig`` or its dict.

    Shapes: see `call`.

    Source: section 2.3 of Yang et al. 2019 (arXiv:1906.08237); ``two_stream_rel_attn`` and
    ``positionwise_ffn`` in zihangdai/xlnet ``modeling.py``.

    Example:
        >>> block = RelativeBlock(XLNetConfig(hidden_size=8, num_attention_heads=2,
        ...                                   intermediate_size=16))
        >>> hidden, waves = keras.ops.ones((1, 5, 8)), keras.ops.ones((1, 10, 8))
        >>> block(hidden, hidden, waves)["content"].shape
        (1, 5, 8)
    """

    config_class = XLNetConfig
    attention_class = RelativeAttention

    def call(
        self,
        hidden,
        context,
        waves,
        blocked=None,
        other_segment=None,
        query=None,
        query_blocked=None,
        target_mapping=None,
        training=None,
        return_attention_scores=False,
    ):
        """Runs the block.

        Args:
            hidden: (batch, tokens, hidden): the tokens that are computed.
            context: (batch, keys, hidden): all that they may attend to.
            waves: As ``RelativeAttention.keys`` takes them.
            blocked: (1 or batch, tokens, keys) bool: what the tokens may not attend to, or None.
            other_segment: (batch, tokens, keys) bool, or None.
            query: (batch, predictions, hidden): the query stream, or None.
            query_blocked: Like `blocked`, for the query stream.
            target_mapping: (batch, predictions, tokens): where the predictions stand.
            training: Whether dropout is on.
            return_attention_scores: Whether the probabilities are returned too.

        Returns:
            A dict: ``content`` (batch, tokens, hidden) and, with a query stream, ``query`` (batch,
            predictions, hidden). With ``return_attention_scores`` also ``content_scores`` and
            ``query_scores``, each (batch, heads, tokens, keys).
        """
        keys = self.attention.keys(context, waves)
        common = (other_segment, training, return_attention_scores)
        outputs = self._stream("content", hidden, keys, blocked, None, *common)
        if query is not None:
            outputs |= self._stream("query", query, keys, query_blocked, target_mapping, *common)
        return outputs

    def _stream(self, name, hidden, keys, blocked, mapping, other_segment, training, with_scores):
        attended = self.attention(
            hidden,
            keys,
            blocked,
            other_segment,
            mapping,
            training=training,
            return_attention_scores=with_scores,
        )
        attended, scores = attended if with_scores else (attended, None)
        hidden = hidden + self.dropout(attended, training=training)
        hidden = self.attention_norm(hidden, training=training)
        widened = self.dropout(self.intermediate(hidden, training=training), training=training)
        hidden = hidden + self.dropout(self.output_linear(widened), training=training)
        hidden = self.output_norm(hidden, training=training)
        return {name: hidden, f"{name}_scores": scores} if with_scores else {name: hidden}
