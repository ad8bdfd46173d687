"""The masked-language-model head: which token stands in each place."""

import keras
from keras import ops

from keras_bert.layers.language_model import LanguageModelHead
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import LayerNorm

__all__ = ["MaskedLMHead"]


@keras.saving.register_keras_serializable("keras_bert")
class MaskedLMHead(LanguageModelHead):
    """``LayerNorm(activation(W h + b)) Eᵀ + c``: a logit for every token of the vocabulary.

    ``E`` is the encoder's table of word embeddings, or a matrix of the head's own. MobileBERT's
    vectors are wider than the table; for the rest of them ``E`` has columns of the head's own.

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
        extra_size: By how much ``h`` is wider than the word embeddings where the dense layer does
            not make it as narrow.

    Shapes: features (..., hidden), word embeddings (vocab_size, embedding_size) → (..., vocab_size)
    float32.

    Raises:
        ValueError: If ``extra_size`` is negative.

    Source: ``get_masked_lm_output`` in google-research/bert ``run_pretraining.py``; with extra
    columns: ``get_logits`` in google-research's ``mobilebert/run_pretraining.py``.

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
        extra_size=0,
        **kwargs,
    ):
        if extra_size < 0:
            raise ValueError(
                f"extra_size must be 0 or more; received {extra_size}. This head cannot be had "
                "where the word embeddings are wider than the encoder."
            )
        super().__init__(vocab_size, initializer_range, tied, **kwargs)
        self.embedding_size = embedding_size
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dense_bias = dense_bias
        self.norm_bias = norm_bias
        self.use_bias = use_bias
        self.extra_size = extra_size
        self.bias = None
        self._width = embedding_size + extra_size
        policy = {"dtype": self.dtype_policy}
        self.dense = Linear(
            self._width, activation, initializer_range, dense_bias, name="dense", **policy
        )
        self.layer_norm = LayerNorm(
            epsilon=layer_norm_epsilon, center=norm_bias, name="layer_norm", **policy
        )

    def build(self, features_shape, *_):
        """Creates the weights of the dense layer and LayerNorm, the bias, and own matrices."""
        self.dense.build(features_shape)
        self.layer_norm.build((*features_shape[:-1], self._width))
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.vocab_size,), initializer="zeros")
        if not self.tied:
            self.kernel = self.add_matrix("kernel", self.embedding_size)
        if self.extra_size:
            self.extra = self.add_matrix("extra", self.extra_size)

    def call(self, features, word_embeddings=None, training=None):
        """Returns the logits."""
        hidden = self.layer_norm(self.dense(features, training=training), training=training)
        return super().call(hidden, word_embeddings, training=training)

    def matrix(self, word_embeddings, dtype):
        """``Eᵀ``, the head's own columns behind the word embeddings': (features, vocab_size)."""
        table = super().matrix(word_embeddings, dtype)
        if not self.extra_size:
            return table
        return ops.concatenate([table, ops.cast(self.extra, table.dtype)], axis=0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "embedding_size": self.embedding_size,
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "dense_bias": self.dense_bias,
            "norm_bias": self.norm_bias,
            "use_bias": self.use_bias,
            "extra_size": self.extra_size,
        }
