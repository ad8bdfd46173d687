"""Input embeddings: word + position + segment type."""

import keras
from keras import ops

from keras_bert.config import EncoderConfig
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initializers import normal
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import make_norm

__all__ = ["BertEmbeddings", "check_length"]


@keras.saving.register_keras_serializable("keras_bert")
class BertEmbeddings(keras.layers.Layer):
    """``dropout(LayerNorm(word[id] + position[i] + type[t]))``, and a linear layer if need be.

    The linear layer is there where the tables have another width than the encoder. Positions are
    0, 1, 2, ..., or count what is not padding from ``pad_token_id + 1`` on; padding then has
    the position ``pad_token_id``.

    If the config says so, the linear layer widens the words alone, before the sum. It then may read
    each word's vector between those of its neighbours. Beyond the ends of a row there are zeros;
    padding counts as a neighbour, which is why such an encoder's answer for a text depends on
    whether the text was padded.

    Args:
        config: An ``EncoderConfig`` or its dict.

    Shapes: ids (batch, seq) int32, types (batch, seq) int32 → (batch, seq, hidden).

    Raises:
        ValueError: If the sequence is known to be longer than the config's ``max_seq_length``.

    Source: section 3 and figure 2 of Devlin et al. 2018; ``embedding_postprocessor`` in
    google-research/bert ``modeling.py``. Counted positions: ``make_positions`` in fairseq's
    ``utils.py``. Words widened alone: section 3.1 of Sun et al. 2020 (arXiv:2004.02984).

    Example:
        >>> layer = BertEmbeddings(EncoderConfig(vocab_size=10, hidden_size=8,
        ...                                      num_attention_heads=2))
        >>> layer(keras.ops.ones((1, 4), "int32"), keras.ops.zeros((1, 4), "int32")).shape
        (1, 4, 8)
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config = EncoderConfig.of(config)
        self.layer_norm = make_norm(
            config.normalization,
            config.last_norm_epsilon,
            name="layer_norm",
            dtype=self.dtype_policy,
        )
        self.dropout = Dropout(config.dropout_rate, dtype=self.dtype_policy)
        self.projection = None
        if config.embedding_size is not None or config.embedding_projection == "trigrams":
            self.projection = Linear(
                config.hidden_size,
                initializer_range=config.initializer_range,
                name="projection",
                dtype=self.dtype_policy,
            )

    def build(self, *_):
        """Creates the tables, the LayerNorm weights and those of the linear layer."""
        config, width = self.config, self.config.embedding_width
        total = width if config.embedding_projection == "sum" else config.hidden_size
        for name, *shape in (
            ("word_embeddings", config.vocab_size, width),
            ("position_embeddings", config.max_position_embeddings, total),
            ("type_embeddings", config.type_vocab_size, total),
        ):
            if shape[0]:
                start = normal(config.initializer_range)
                setattr(self, name, self.add_weight(name=name, shape=shape, initializer=start))
        self.layer_norm.build((None, None, total))
        if self.projection is not None:
            words = 3 if config.embedding_projection == "trigrams" else 1
            self.projection.build((None, None, words * width))

    def call(self, input_word_ids, input_type_ids, training=None):
        """Looks up and normalises: (batch, seq) int32, twice → (batch, seq, hidden)."""
        length = ops.shape(input_word_ids)[1]
        check_length(length, self.config)
        words = self._words(input_word_ids)
        total = words + self._positions(input_word_ids, length)
        if self.config.type_vocab_size:
            total = total + self._types(input_type_ids, words)
        hidden = self.layer_norm(total, training=training)
        hidden = self.dropout(hidden, training=training)
        is_wide = self.projection is None or self.config.embedding_projection != "sum"
        return hidden if is_wide else self.projection(hidden)

    def _words(self, word_ids):
        words = ops.take(self.word_embeddings, word_ids, axis=0)
        if self.projection is None or self.config.embedding_projection == "sum":
            return words
        if self.config.embedding_projection == "trigrams":
            following = ops.pad(words[:, 1:], ((0, 0), (0, 1), (0, 0)))
            preceding = ops.pad(words[:, :-1], ((0, 0), (1, 0), (0, 0)))
            words = ops.concatenate([following, words, preceding], axis=-1)
        return self.projection(words)

    def _positions(self, word_ids, length):
        if not self.config.positions_skip_padding:
            return ops.expand_dims(self.position_embeddings[:length], 0)
        padding = self.config.pad_token_id
        is_token = ops.cast(ops.not_equal(word_ids, padding), "int32")
        positions = ops.cumsum(is_token, axis=1) * is_token + padding
        return ops.take(self.position_embeddings, positions, axis=0)

    def _types(self, type_ids, words):
        # A product with one-hot rows: a lookup's gradient would be a scatter of all tokens of
        # the batch into two or three rows.
        count = self.config.type_vocab_size
        one_hot = ops.reshape(ops.one_hot(type_ids, count, dtype=words.dtype), (-1, count))
        return ops.reshape(ops.matmul(one_hot, self.type_embeddings), ops.shape(words))

    def compute_output_shape(self, input_word_ids_shape, input_type_ids_shape=None):
        """(batch, seq) → (batch, seq, hidden)."""
        return (*input_word_ids_shape, self.config.hidden_size)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "config": self.config.to_dict()}


def check_length(length, config):
    """Raises ValueError for a sequence that an encoder has too few positions for.

    Args:
        length: Its length in tokens; not checked where it is a tensor.
        config: The encoder's config.

    Example:
        >>> check_length(512, EncoderConfig())
    """
    if isinstance(length, int) and length > config.max_seq_length:
        raise ValueError(
            f"The sequence has {length} tokens, but this encoder has positions for "
            f"{config.max_seq_length} (max_position_embeddings={config.max_position_embeddings}). "
            "Give the Preprocessor a smaller seq_length."
        )
