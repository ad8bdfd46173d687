"""MobileBERT's layer: a Transformer block between two linear layers, which narrow and widen."""

import keras

from keras_bert.config import EncoderConfig
from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import make_norm

__all__ = ["Bottleneck", "BottleneckAttention", "BottleneckBlock", "FeedForward"]


@keras.saving.register_keras_serializable("keras_bert")
class Bottleneck(keras.layers.Layer):
    """``norm(W x + b)``: the way into a block.

    Args:
        units: Width of the output.
        normalization: As in ``EncoderConfig``.
        epsilon: Of the normalisation.
        initializer_range: Standard deviation of a new kernel.

    Shapes: (..., features) floating → (..., units).

    Source: figure 1 (c) of Sun et al. 2020 (arXiv:2004.02984).

    Example:
        >>> Bottleneck(3)(keras.ops.ones((2, 5, 4))).shape
        (2, 5, 3)
    """

    def __init__(
        self,
        units,
        normalization="layer_norm",
        epsilon=1e-12,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy = {"dtype": self.dtype_policy}
        self._arguments = {
            "units": units,
            "normalization": normalization,
            "epsilon": epsilon,
            "initializer_range": initializer_range,
        }
        self.linear = Linear(units, initializer_range=initializer_range, name="linear", **policy)
        self.norm = make_norm(normalization, epsilon, name="norm", **policy)

    def build(self, input_shape):
        """Creates the weights of both parts."""
        self.linear.build(input_shape)
        self.norm.build(self.compute_output_shape(input_shape))

    def call(self, inputs, training=None):
        """Applies both."""
        return self.norm(self.linear(inputs), training=training)

    def compute_output_shape(self, input_shape):
        """(..., features) → (..., units)."""
        return (*input_shape[:-1], self.linear.units)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self._arguments}


@keras.saving.register_keras_serializable("keras_bert")
class FeedForward(keras.layers.Layer):
    """``norm(h + dropout(W₂ activation(W₁ h)))``, as wide as a block is inside.

    Args:
        config: An ``EncoderConfig`` or its dict.
        epsilon: Of the normalisation; ``None`` means the config's ``layer_norm_epsilon``.
        dropout_rate: Dropout before the sum.

    Shapes: (..., inner size) floating → the same.

    Source: section 3.2 of Sun et al. 2020 (arXiv:2004.02984).

    Example:
        >>> config = EncoderConfig(hidden_size=8, num_attention_heads=2, intermediate_size=16)
        >>> FeedForward(config)(keras.ops.ones((1, 5, 8))).shape
        (1, 5, 8)
    """

    def __init__(self, config, epsilon=None, dropout_rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.config = config = EncoderConfig.of(config)
        self.epsilon = config.layer_norm_epsilon if epsilon is None else epsilon
        policy = {"dtype": self.dtype_policy}
        linear = {"initializer_range": config.initializer_range, **policy}
        self.intermediate = Linear(
            config.intermediate_size, config.hidden_activation, name="intermediate", **linear
        )
        self.output_linear = Linear(config.inner_size, name="output", **linear)
        self.output_norm = make_norm(
            config.normalization, self.epsilon, name="output_norm", **policy
        )
        self.dropout = Dropout(dropout_rate, **policy)

    def build(self, *_):
        """Creates the weights of all parts."""
        inner = (None, None, self.config.inner_size)
        self.intermediate.build(inner)
        self.output_linear.build((None, None, self.config.intermediate_size))
        self.output_norm.build(inner)

    def call(self, hidden, training=None):
        """Runs the network."""
        widened = self.output_linear(self.intermediate(hidden, training=training))
        hidden = hidden + self.dropout(widened, training=training)
        return self.output_norm(hidden, training=training)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "config": self.config.to_dict(),
            "epsilon": self.epsilon,
            "dropout_rate": self.dropout.rate,
        }


@keras.saving.register_keras_serializable("keras_bert")
class BottleneckAttention(SelfAttention):
    """``SelfAttention`` whose values come from another input than its queries and keys.

    Args: those of ``SelfAttention``.

    Shapes: a pair of what queries and keys, and of what values are made of, (batch, seq, features)
    each; attention mask (batch, seq) int → (batch, queries, hidden). Scores as there.

    Source: section 3.1 of Sun et al. 2020 (arXiv:2004.02984).

    Example:
        >>> layer = BottleneckAttention(hidden_size=8, num_heads=2)
        >>> narrow, wide = keras.ops.ones((1, 5, 8)), keras.ops.ones((1, 5, 32))
        >>> layer((narrow, wide), keras.ops.ones((1, 5), "int32")).shape
        (1, 5, 8)
    """

    def _add_projections(self, linear):
        self.query_key = Linear(2 * self.hidden_size, name="query_key", **linear)
        self.value = Linear(self.hidden_size, name="value", **linear)

    def build(self, input_shape):
        """Creates the weights of the linear layers, for a pair of input shapes."""
        self.query_key.build(input_shape[0])
        self.value.build(input_shape[1])
        self.output_linear.build((None, None, self.hidden_size))

    def _project(self, hidden, first_token_only):
        query_key, value = hidden
        (value,) = self._heads(self.value(value), 1)
        return *self._projected(self.query_key, query_key, 2, first_token_only), value


@keras.saving.register_keras_serializable("keras_bert")
class BottleneckBlock(keras.layers.Layer):
    """Attention and one or more feed-forward networks, in a width of their own.

    ``r = bottleneck(x)``, ``h = norm(r + attention(...))``, ``h = feedforward(h)`` for each of the
    networks, then ``norm(x + dropout(W h + b))``. What attention reads is up to the config's
    ``bottleneck_attention``. Where the config has no ``bottleneck_size``, ``r`` is ``x``, the last
    step is left out, and dropout follows attention and the last network as in a
    ``TransformerBlock``.

    Args:
        config: An ``EncoderConfig`` or its dict.

    Shapes: hidden (batch, seq, hidden), attention mask (batch, seq) int → (batch, queries,
    hidden), with queries = 1 if ``first_token_only`` else seq. With ``return_attention_scores`` a
    pair of that and the probabilities (batch, heads, queries, seq).

    Source: section 3 of Sun et al. 2020 (arXiv:2004.02984); ``transformer_model`` in
    google-research's ``mobilebert/modeling.py``.

    Example:
        >>> config = EncoderConfig(hidden_size=12, bottleneck_size=8, num_attention_heads=2,
        ...                        bottleneck_attention="query_key", intermediate_size=16)
        >>> block = BottleneckBlock(config)
        >>> block(keras.ops.ones((1, 5, 12)), keras.ops.ones((1, 5), "int32")).shape
        (1, 5, 12)
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config = EncoderConfig.of(config)
        policy = {"dtype": self.dtype_policy}
        linear = {"initializer_range": config.initializer_range, **policy}
        norm = {"epsilon": config.layer_norm_epsilon, **policy}
        self._add_bottlenecks(config, linear, norm)
        attention = SelfAttention
        if config.bottleneck_attention == "query_key":
            attention = BottleneckAttention
        self.attention = attention(
            config.inner_size,
            config.num_attention_heads,
            config.attention_dropout_rate,
            name="attention",
            **linear,
        )
        self.attention_norm = make_norm(config.normalization, name="attention_norm", **norm)
        # Inside a bottleneck there is no dropout but on the probabilities.
        inner_rate = config.dropout_rate if config.bottleneck_size is None else 0.0
        self.attention_dropout = Dropout(inner_rate, **policy)
        self.first_feedforward = [
            FeedForward(config, name=f"first_feedforward_{i}", **policy)
            for i in range(config.num_feedforward_networks - 1)
        ]
        self.last_feedforward = FeedForward(
            config, config.last_norm_epsilon, inner_rate, name="last_feedforward", **policy
        )

    def _add_bottlenecks(self, config, linear, norm):
        self.bottleneck = self.query_key_bottleneck = self.output_linear = None
        if config.bottleneck_size is None:
            return
        parts = {**linear, **norm, "normalization": config.normalization}
        self.bottleneck = Bottleneck(config.bottleneck_size, name="bottleneck", **parts)
        if config.bottleneck_attention == "query_key":
            self.query_key_bottleneck = Bottleneck(
                config.bottleneck_size, name="query_key_bottleneck", **parts
            )
        self.output_linear = Linear(config.hidden_size, name="output", **linear)
        self.output_norm = make_norm(config.normalization, name="output_norm", **norm)
        self.dropout = Dropout(config.dropout_rate, dtype=self.dtype_policy)

    def build(self, *_):
        """Creates the weights of all parts."""
        hidden, inner = ((None, None, w) for w in (self.config.hidden_size, self.config.inner_size))
        read = {"none": hidden, "query_key": (inner, hidden), "all": inner}
        self.attention.build(read[self.config.bottleneck_attention])
        for part in (self.attention_norm, *self.first_feedforward, self.last_feedforward):
            part.build(inner)
        for part in (self.bottleneck, self.query_key_bottleneck):
            if part is not None:
                part.build(hidden)
        if self.output_linear is not None:
            self.output_linear.build(inner)
            self.output_norm.build(hidden)

    def call(
        self,
        hidden,
        attention_mask,
        training=None,
        first_token_only=False,
        return_attention_scores=False,
    ):
        """Runs the block for all tokens, or for the first alone (attending to all)."""
        tokens = slice(1) if first_token_only else slice(None)
        inner, read = self._narrow(hidden, tokens, training)
        attended = self.attention(
            read,
            attention_mask,
            training=training,
            first_token_only=first_token_only,
            return_attention_scores=return_attention_scores,
        )
        attended, scores = attended if return_attention_scores else (attended, None)
        inner = inner + self.attention_dropout(attended, training=training)
        inner = self.attention_norm(inner, training=training)
        for network in (*self.first_feedforward, self.last_feedforward):
            inner = network(inner, training=training)
        if self.output_linear is not None:
            widened = self.dropout(self.output_linear(inner), training=training)
            inner = self.output_norm(hidden[:, tokens] + widened, training=training)
        return (inner, scores) if return_attention_scores else inner

    def _narrow(self, hidden, tokens, training):
        """What is summed with attention's output, of these tokens alone; what attention reads."""
        if self.bottleneck is None:
            return hidden[:, tokens], hidden
        if self.config.bottleneck_attention == "all":
            inner = self.bottleneck(hidden, training=training)
            return inner[:, tokens], inner
        inner = self.bottleneck(hidden[:, tokens], training=training)
        if self.config.bottleneck_attention == "none":
            return inner, hidden
        return inner, (self.query_key_bottleneck(hidden, training=training), hidden)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict()}
