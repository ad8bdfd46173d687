"""The masked-language-model head: which token stands in each place."""

import keras
from keras import ops

from keras_bert.layers.initializers import normal
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import LayerNorm

__all__ = ["MaskedLMHead"]


@keras.saving.register_keras_serializable("keras_bert")
class MaskedLMHead(keras.layers.Layer):
    """``LayerNorm(activation(W h + b)) Eᵀ + c``: a logit for every token of the vocabulary.

    ``E`` is the encoder's table of word embeddings, or a matrix of the head's own.

    Args:
        vocab_size: Number of logits.
        embedding_size: Width of the word embeddings.
        activation: Of the dense layer.
        layer_norm_epsilon: Added to the variance in LayerNorm.
        initializer_range: Standard deviation of new kernels.
        tied: Whether ``E`` is the encoder's; ``call`` then needs it.
        dense_bias: Whether there is a ``b``.
        norm_bias: Whether LayerNorm has a bias.
        use_bias: Whether there is a ``c``.

    Shapes: features (..., hidden), word embeddings (vocab_size, embedding_size) → (..., vocab_size)
    float32.

    Source: ``get_masked_lm_output`` in google-research/bert ``run_pretraining.py``.

    Example:
        >>> head = MaskedLMHead(vocab_size=10, embedding_size=8)
        >>> head(keras.ops.ones((2, 5, 8)), keras.ops.ones((10, 8))).shape
        (2, 5, 10)
    """

    def __init__(
        self,
        vocab_size,
        embedding_size,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        tied=True,
        dense_bias=True,
        norm_bias=True,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.tied = tied
        self.dense_bias = dense_bias
        self.norm_bias = norm_bias
        self.use_bias = use_bias
        self.bias = None
        policy = {"dtype": self.dtype_policy}
        self.dense = Linear(
            embedding_size, activation, initializer_range, dense_bias, name="dense", **policy
        )
        self.layer_norm = LayerNorm(
            epsilon=layer_norm_epsilon, center=norm_bias, name="layer_norm", **policy
        )

    def build(self, features_shape, *_):
        """Creates the weights of the dense layer and LayerNorm, the bias, and an own matrix."""
        self.dense.build(features_shape)
        self.layer_norm.build((*features_shape[:-1], self.embedding_size))
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.vocab_size,), initializer="zeros")
        if not self.tied:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(self.embedding_size, self.vocab_size),
                initializer=normal(self.initializer_range),
            )

    def call(self, features, word_embeddings=None, training=None):
        """Returns the logits."""
        hidden = self.layer_norm(self.dense(features, training=training), training=training)
        flat = ops.reshape(hidden, (-1, self.embedding_size))
        if self.tied:
            table = ops.transpose(ops.cast(word_embeddings, flat.dtype))
        else:
            table = self.kernel
        # In float32 from here on, as all logits: see ClassificationHead.
        flat = ops.cast(ops.matmul(flat, table), "float32")
        if self.bias is not None:
            flat = ops.add(flat, ops.cast(self.bias, "float32"))
        return ops.reshape(flat, (*ops.shape(features)[:-1], self.vocab_size))

    def compute_output_shape(self, features_shape, *_):
        """(..., hidden) → (..., vocab_size)."""
        return (*features_shape[:-1], self.vocab_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "embedding_size": self.embedding_size,
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "tied": self.tied,
            "dense_bias": self.dense_bias,
            "norm_bias": self.norm_bias,
            "use_bias": self.use_bias,
        }
