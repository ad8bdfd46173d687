"""A language-model head: which token stands in each place, by the embeddings alone."""

import keras
from keras import ops

from keras_bert.layers.initializers import normal

__all__ = ["LanguageModelHead"]


@keras.saving.register_keras_serializable("keras_bert")
class LanguageModelHead(keras.layers.Layer):
    """``h Eᵀ + c``: a logit for every token of the vocabulary.

    ``E`` is the encoder's table of word embeddings, or a matrix of the head's own.

    Args:
        vocab_size: Number of logits.
        initializer_range: Standard deviation of a new kernel.
        tied: Whether ``E`` is the encoder's; ``call`` then needs it.

    Shapes: features (..., hidden), word embeddings (vocab_size, hidden) → (..., vocab_size)
    float32.

    Source: ``lm_loss`` in zihangdai/xlnet ``modeling.py``.

    Example:
        >>> head = LanguageModelHead(vocab_size=10)
        >>> head(keras.ops.ones((2, 5, 8)), keras.ops.ones((10, 8))).shape
        (2, 5, 10)
    """

    def __init__(self, vocab_size, initializer_range=0.02, tied=True, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.initializer_range = initializer_range
        self.tied = tied

    def build(self, features_shape, *_):
        """Creates the bias (vocab_size,), and an own matrix (hidden, vocab_size)."""
        self.bias = self.add_weight(name="bias", shape=(self.vocab_size,), initializer="zeros")
        if not self.tied:
            self.kernel = self.add_matrix("kernel", features_shape[-1])

    def add_matrix(self, name, rows):
        """Creates a weight (rows, vocab_size)."""
        start, shape = normal(self.initializer_range), (rows, self.vocab_size)
        return self.add_weight(name=name, shape=shape, initializer=start)

    def call(self, features, word_embeddings=None, training=None):
        """Returns the logits."""
        flat = ops.reshape(features, (-1, features.shape[-1]))
        # In float32 from here on, as all logits: see ClassificationHead.
        flat = ops.cast(ops.matmul(flat, self.matrix(word_embeddings, flat.dtype)), "float32")
        if self.bias is not None:
            flat = ops.add(flat, ops.cast(self.bias, "float32"))
        return ops.reshape(flat, (*ops.shape(features)[:-1], self.vocab_size))

    def matrix(self, word_embeddings, dtype):
        """``Eᵀ``: (features, vocab_size)."""
        return ops.transpose(ops.cast(word_embeddings, dtype)) if self.tied else self.kernel

    def compute_output_shape(self, features_shape, *_):
        """(..., hidden) → (..., vocab_size)."""
        return (*features_shape[:-1], self.vocab_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "initializer_range": self.initializer_range,
            "tied": self.tied,
        }
