"""Input embeddings: word + position + segment type."""

import keras
from keras import ops

from keras_bert.config import EncoderConfig
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.normalization import LayerNorm

__all__ = ["BertEmbeddings"]


@keras.saving.register_keras_serializable("keras_bert")
class BertEmbeddings(keras.layers.Layer):
    """``dropout(LayerNorm(word[id] + position[i] + type[t]))``.

    Args:
        config: An ``EncoderConfig`` or its dict.

    Shapes: ids (batch, seq) int32, types (batch, seq) int32 → (batch, seq, hidden).

    Raises:
        ValueError: If the sequence is known to be longer than ``max_position_embeddings``.

    Source: section 3 and figure 2 of Devlin et al. 2018; ``embedding_postprocessor`` in
    google-research/bert ``modeling.py``.

    Example:
        >>> layer = BertEmbeddings(EncoderConfig(vocab_size=10, hidden_size=8,
        ...                                      num_attention_heads=2))
        >>> layer(keras.ops.ones((1, 4), "int32"), keras.ops.zeros((1, 4), "int32")).shape
        (1, 4, 8)
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = EncoderConfig.of(config)
        self.layer_norm = LayerNorm(
            epsilon=self.config.layer_norm_epsilon, name="layer_norm", dtype=self.dtype_policy
        )
        self.dropout = Dropout(self.config.dropout_rate, dtype=self.dtype_policy)

    def build(self, *_):
        """Creates the three tables and the LayerNorm weights."""
        config = self.config
        normal = keras.initializers.TruncatedNormal(stddev=config.initializer_range)
        for name, rows in (
            ("word_embeddings", config.vocab_size),
            ("position_embeddings", config.max_position_embeddings),
            ("type_embeddings", config.type_vocab_size),
        ):
            table = self.add_weight(
                name=name, shape=(rows, config.hidden_size), initializer=normal.clone()
            )
            setattr(self, name, table)
        self.layer_norm.build((None, None, config.hidden_size))

    def call(self, input_word_ids, input_type_ids, training=None):
        """Looks up and normalises: (batch, seq) int32, twice → (batch, seq, hidden)."""
        length = ops.shape(input_word_ids)[1]
        if isinstance(length, int) and length > self.config.max_position_embeddings:
            raise ValueError(
                f"The sequence has {length} tokens, but this encoder has positions for "
                f"max_position_embeddings={self.config.max_position_embeddings}. Give the "
                "Preprocessor a smaller seq_length."
            )
        words = ops.take(self.word_embeddings, input_word_ids, axis=0)
        positions = ops.expand_dims(self.position_embeddings[:length], 0)
        # A product with one-hot rows: a lookup's gradient would be a scatter of all tokens of
        # the batch into two or three rows.
        one_hot = ops.one_hot(input_type_ids, self.config.type_vocab_size, dtype=words.dtype)
        types = ops.matmul(
            ops.reshape(one_hot, (-1, self.config.type_vocab_size)), self.type_embeddings
        )
        total = words + positions + ops.reshape(types, ops.shape(words))
        return self.dropout(self.layer_norm(total, training=training), training=training)

    def compute_output_shape(self, input_word_ids_shape, input_type_ids_shape=None):
        """(batch, seq) → (batch, seq, hidden)."""
        return (*input_word_ids_shape, self.config.hidden_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict()}
