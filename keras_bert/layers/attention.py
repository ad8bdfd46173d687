"""Multi-head self-attention with one product for query, key and value."""

import math

import keras
from keras import ops

from keras_bert.layers import gradients
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.linear import Linear

__all__ = ["SelfAttention"]

#: Added to the scores of padding. Large enough that a padded key gets probability 0 in float32,
#: the dtype in which the softmax runs whatever the compute dtype is; and that scores are lost in
#: it, so that a query that may see no key at all sees all alike.
MASKED = -1e30


@keras.saving.register_keras_serializable("keras_bert")
class SelfAttention(keras.layers.Layer):
    """``softmax(q kᵀ / √d + mask) v`` for every head, then a linear layer.

    Args:
        hidden_size: Width of the output, and of the heads together.
        num_heads: Number of heads.
        dropout_rate: Dropout on the attention probabilities.
        initializer_range: Standard deviation of new kernels.
        use_bias: Whether the linear layers have biases.

    Shapes: hidden (batch, seq, hidden), attention mask (batch, seq) int → (batch, queries,
    hidden), with queries = 1 where only the first token is asked for, else seq. Scores, where
    asked for, are the probabilities (batch, heads, queries, seq) in float32, before dropout.

    Source: section 3.2 of Vaswani et al. 2017 (arXiv:1706.03762); ``attention_layer`` in
    google-research/bert ``modeling.py``.

    Example:
        >>> layer = SelfAttention(hidden_size=8, num_heads=2)
        >>> layer(keras.ops.ones((1, 5, 8)), keras.ops.ones((1, 5), "int32")).shape
        (1, 5, 8)
    """

    def __init__(
        self,
        hidden_size,
        num_heads,
        dropout_rate=0.0,
        initializer_range=0.02,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.dropout_rate = dropout_rate
        self.initializer_range = initializer_range
        self.use_bias = use_bias
        linear = {
            "initializer_range": initializer_range,
            "use_bias": use_bias,
            "dtype": self.dtype_policy,
        }
        self._add_projections(linear)
        self.output_linear = Linear(hidden_size, name="output", **linear)
        self.dropout = Dropout(dropout_rate, dtype=self.dtype_policy)

    def _add_projections(self, linear):
        self.query_key_value = Linear(3 * self.hidden_size, name="query_key_value", **linear)

    def build(self, input_shape=None):
        """Creates the weights of both linear layers."""
        self.query_key_value.build(input_shape or (None, None, self.hidden_size))
        self.output_linear.build((None, None, self.hidden_size))

    def call(
        self,
        hidden,
        attention_mask,
        training=None,
        first_token_only=False,
        return_attention_scores=False,
    ):
        """Attends from all tokens, or from the first alone, to all tokens."""
        parts = self._project(hidden, first_token_only)
        attend = self._attend if return_attention_scores or first_token_only else self._attend_fast
        context, probabilities = attend(*parts, attention_mask, training, return_attention_scores)
        context = ops.transpose(context, (0, 2, 1, 3))
        shape = ops.shape(context)
        output = self.output_linear(ops.reshape(context, (*shape[:2], self.hidden_size)))
        return (output, probabilities) if return_attention_scores else output

    def _project(self, hidden, first_token_only):
        """(batch, seq, hidden) → query, key, value, each (batch, heads, tokens, head size)."""
        return self._projected(self.query_key_value, hidden, 3, first_token_only)

    def _projected(self, linear, hidden, parts, first_token_only):
        """What one linear layer makes of its input: the query, and so many parts less one."""
        if not first_token_only:
            return self._heads(linear(hidden), parts)
        width = self.hidden_size
        kernels = ops.split(linear.merged(), [width], axis=1)
        biases = ops.split(linear.bias, [width], axis=0) if self.use_bias else (None, None)
        (query,) = self._heads(linear.product(hidden[:, :1], kernels[0], biases[0]), 1)
        return query, *self._heads(linear.product(hidden, kernels[1], biases[1]), parts - 1)

    def _heads(self, projected, parts):
        """(batch, tokens, parts·hidden) → parts × (batch, heads, tokens, head size)."""
        batch, tokens = ops.shape(projected)[:2]
        size = self.hidden_size // self.num_heads
        split = ops.reshape(projected, (batch, tokens, parts, self.num_heads, size))
        # One transpose and an unstack. Slicing instead would make the gradient write a whole
        # tensor of zeros per part: 15 % of a training step on CPU when it was measured.
        return ops.unstack(ops.transpose(split, (2, 0, 3, 1, 4)), num=parts, axis=0)

    def _attend(self, query, key, value, mask, training, return_scores=False):
        """Context (batch, heads, queries, head size) and, where asked for, the probabilities."""
        bias = self._bias(mask, ops.shape(query)[2], ops.shape(key)[2])
        return self._weigh(query, key, value, bias, training, return_scores)

    #: The same where no more than the context of all tokens is asked for.
    _attend_fast = _attend

    def _weigh(self, query, key, value, bias, training, return_scores=False):
        """``softmax(q kᵀ / √d + bias) v``, of (..., queries or keys, head size)."""
        scores = self._scores(query, key)
        scores = scores if bias is None else scores + bias
        if training and not return_scores:
            kept = self.dropout.kept(ops.shape(scores)) if self.dropout.rate else None
            return gradients.attend(scores, value, kept, self.dropout.scale), None
        probabilities = ops.softmax(scores)
        dropped = self.dropout(ops.cast(probabilities, self.compute_dtype), training=training)
        return ops.matmul(dropped, value), probabilities

    def _scores(self, query, key):
        """What the softmax is taken of (..., queries, keys), always in float32."""
        query = query * (1.0 / math.sqrt(self.hidden_size // self.num_heads))
        return ops.cast(ops.matmul(query, ops.swapaxes(key, -1, -2)), "float32")

    def _bias(self, mask, queries, keys):
        """What hides keys from queries, to be added to scores of that size; None: nothing does."""
        if mask is None:
            return None
        bias = (1.0 - ops.cast(mask, "float32")) * MASKED
        return ops.expand_dims(ops.expand_dims(bias, 1), 1)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "num_heads": self.num_heads,
            "dropout_rate": self.dropout_rate,
            "initializer_range": self.initializer_range,
            "use_bias": self.use_bias,
        }
