"""One layer of the encoder: attention and feed-forward, each with residual and LayerNorm."""

import keras

from keras_bert.config import EncoderConfig
from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import LayerNorm

__all__ = ["TransformerBlock"]


@keras.saving.register_keras_serializable("keras_bert")
class TransformerBlock(keras.layers.Layer):
    """Post-LayerNorm Transformer block.

    ``h = LayerNorm(x + dropout(attention(x)))``, then
    ``LayerNorm(h + dropout(W₂ activation(W₁ h)))``.

    Args:
        config: An ``EncoderConfig`` or its dict.

    Shapes: hidden (batch, seq, hidden), attention mask (batch, seq) int → (batch, queries,
    hidden), with queries = 1 if ``first_token_only`` else seq. With ``return_attention_scores`` a
    pair of that and the probabilities (batch, heads, queries, seq).

    Source: ``transformer_model`` in google-research/bert ``modeling.py``.

    Example:
        >>> config = EncoderConfig(hidden_size=8, num_attention_heads=2, intermediate_size=16)
        >>> block = TransformerBlock(config)
        >>> block(keras.ops.ones((1, 5, 8)), keras.ops.ones((1, 5), "int32")).shape
        (1, 5, 8)
    """

    config_class = EncoderConfig
    attention_class = SelfAttention

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config = self.config_class.of(config)
        policy = {"dtype": self.dtype_policy}
        linear = {"initializer_range": config.initializer_range, **policy}
        norm = {"epsilon": config.layer_norm_epsilon, **policy}
        self.attention = self.attention_class(
            config.hidden_size,
            config.num_attention_heads,
            config.attention_dropout_rate,
            name="attention",
            **linear,
        )
        self.attention_norm = LayerNorm(name="attention_norm", **norm)
        self.intermediate = Linear(
            config.intermediate_size, config.hidden_activation, name="intermediate", **linear
        )
        self.output_linear = Linear(config.hidden_size, name="output", **linear)
        self.output_norm = LayerNorm(name="output_norm", **norm)
        self.dropout = Dropout(config.dropout_rate, **policy)

    def build(self, *_):
        """Creates the weights of all parts."""
        hidden = (None, None, self.config.hidden_size)
        for part in (self.attention, self.attention_norm, self.intermediate, self.output_norm):
            part.build(hidden)
        self.output_linear.build((None, None, self.config.intermediate_size))

    def call(
        self,
        hidden,
        attention_mask,
        training=None,
        first_token_only=False,
        return_attention_scores=False,
    ):
        """Runs the block for all tokens, or for the first alone (attending to all)."""
        attended = self.attention(
            hidden,
            attention_mask,
            training=training,
            first_token_only=first_token_only,
            return_attention_scores=return_attention_scores,
        )
        attended, scores = attended if return_attention_scores else (attended, None)
        if first_token_only:
            hidden = hidden[:, :1]
        hidden = hidden + self.dropout(attended, training=training)
        hidden = self.attention_norm(hidden, training=training)
        widened = self.output_linear(self.intermediate(hidden, training=training))
        hidden = hidden + self.dropout(widened, training=training)
        hidden = self.output_norm(hidden, training=training)
        return (hidden, scores) if return_attention_scores else hidden

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict()}
