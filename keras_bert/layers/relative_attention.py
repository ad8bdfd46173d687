"""Attention that knows how far apart two tokens are, and whether they are of one segment."""

import math
from typing import ClassVar

import keras
import numpy as np
from keras import ops

from keras_bert.layers import gradients
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initializers import normal
from keras_bert.layers.low_rank import LowRank

__all__ = ["RelativeAttention", "distance_waves"]

#: Takes the place of the scores that a mask blocks. A query that all is blocked from attends to
#: everything alike, as in XLNet's own code.
BLOCKED = -1e30


def distance_waves(distances, size):
    """Sines and cosines of distances, at frequencies from 1 to 1/10000.

    Args:
        distances: (..., count) floating: how many tokens a key lies before its query.
        size: Number of waves, even.

    Returns:
        (..., count, size) float32: all sines, then all cosines.

    Source: section 3.3 of Dai et al. 2019 (arXiv:1901.02860); ``positional_embedding`` in
    zihangdai/xlnet ``modeling.py``.

    Example:
        >>> distance_waves(keras.ops.convert_to_tensor([1.0, 0.0, -1.0]), 8).shape
        (3, 8)
    """
    # In float32, as the models were trained: far tokens turn a rounding into a different angle.
    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    frequencies = np.float32(1.0) / np.power(np.float32(10000.0), exponents)
    angles = ops.expand_dims(ops.cast(distances, "float32"), -1) * frequencies
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


@keras.saving.register_keras_serializable("keras_bert")
class RelativeAttention(LowRank, keras.layers.Layer):
    """Attention by content, distance and segment, then a linear layer without bias.

    A query's score of a key is ``(q + w) k + (q + p) r + (q + s) g``, over ``√d``: ``k`` comes from
    the key's vector, ``r`` from its distance, ``g`` is one of two vectors, for tokens of the same
    segment and of another; ``w``, ``p`` and ``s`` are weights.

    ``keys`` makes of the tokens what may be attended to; the layer itself attends to that, for as
    many streams of queries as need it.

    Args:
        hidden_size: Width of input and output.
        num_heads: Number of heads.
        dropout_rate: Dropout on the attention probabilities.
        initializer_range: Standard deviation of new weights.

    Shapes: hidden (batch, queries, hidden) → (batch, queries, hidden). Scores, where asked for, are
    the probabilities (batch, heads, queries, keys) in float32, before dropout.

    With ``enable_lora`` the kernels of queries, keys and values are frozen and get a change of low
    rank; see ``LowRank``.

    Source: section 3.3 of Dai et al. 2019 (arXiv:1901.02860); section 2.5 of Yang et al. 2019
    (arXiv:1906.08237), relative segment encodings; ``rel_attn_core`` in zihangdai/xlnet
    ``modeling.py``.

    Example:
        >>> layer = RelativeAttention(hidden_size=8, num_heads=2)
        >>> layer.build()
        >>> hidden = keras.ops.ones((1, 3, 8))
        >>> waves = distance_waves(keras.ops.arange(3, -3, -1), 8)
        >>> layer(hidden, layer.keys(hidden, waves[None])).shape
        (1, 3, 8)
    """

    lora_targets: ClassVar[dict[str, str]] = {
        name: f"{name}_kernel" for name in ("query", "key", "value")
    }

    def __init__(self, hidden_size, num_heads, dropout_rate=0.0, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.dropout_rate = dropout_rate
        self.initializer_range = initializer_range
        self.dropout = Dropout(dropout_rate, dtype=self.dtype_policy)

    def build(self, *_):
        """Creates five kernels (hidden, heads, head size), three biases and two segment vectors."""
        heads = (self.num_heads, self.hidden_size // self.num_heads)
        kernels = ("query", "key", "value", "position", "output")
        biases = ("content_bias", "position_bias", "segment_bias")
        shapes = {f"{name}_kernel": (self.hidden_size, *heads) for name in kernels}
        shapes |= {name: heads for name in biases} | {"segment_vectors": (2, *heads)}
        for name, shape in shapes.items():
            weight = self.add_weight(
                name=name, shape=shape, initializer=normal(self.initializer_range)
            )
            setattr(self, name, weight)

    def keys(self, context, waves):
        """What may be attended to.

        Args:
            context: (batch, keys, hidden): the tokens.
            waves: (1 or batch, distances, hidden): the waves of the distances that the first query
                has to the first key, one less, and so on, down to that of the last query to the
                last key, and one more in front: keys + queries in all.

        Returns:
            Keys and values of the tokens (batch, heads, keys, head size) and keys of the distances
            (1 or batch, heads, distances, head size).
        """
        tokens = (self._heads(context, name) for name in ("key", "value"))
        return *tokens, self._heads(waves, "position")

    def call(
        self,
        hidden,
        keys,
        blocked=None,
        other_segment=None,
        target_mapping=None,
        training=None,
        return_attention_scores=False,
    ):
        """Attends.

        Args:
            hidden: (batch, queries, hidden).
            keys: What `keys` returned.
            blocked: (1 or batch, queries, keys) bool: what may not be attended to, or None.
            other_segment: (batch, queries, keys) bool: whether a key is of another segment than the
                query; None where segments are not told apart.
            target_mapping: (batch, predictions, queries): where each of the rows of `hidden`, which
                are predictions then, stands among the queries.
            training: Whether dropout is on.
            return_attention_scores: Whether the probabilities are returned too.
        """
        key, value, position_key = keys
        query = self._heads(hidden, "query")
        if target_mapping is not None:
            mapping = ops.expand_dims(ops.cast(target_mapping, self.compute_dtype), 1)
            query = ops.matmul(ops.swapaxes(mapping, -1, -2), query)
        scores = self._scores(query, key, position_key, blocked, other_segment)
        probabilities = None
        if training and not return_attention_scores:
            kept = self.dropout.kept(ops.shape(scores)) if self.dropout.rate else None
            vectors = gradients.attend(scores, value, kept, self.dropout.scale)
        else:
            probabilities = ops.softmax(scores)
            dropped = self.dropout(ops.cast(probabilities, self.compute_dtype), training=training)
            vectors = ops.matmul(dropped, value)
        if target_mapping is not None:
            vectors = ops.matmul(mapping, vectors)
        output = self._joined(vectors)
        return (output, probabilities) if return_attention_scores else output

    def _heads(self, hidden, name):
        """One projection: (batch, tokens, hidden) → (batch, heads, tokens, head size)."""
        kernel = getattr(self, f"{name}_kernel")
        batch, tokens = ops.shape(hidden)[:2]
        flat = ops.reshape(hidden, (-1, self.hidden_size))
        projected = ops.matmul(flat, ops.reshape(kernel, (self.hidden_size, self.hidden_size)))
        change = self.change(flat, name) if name in self.lora_targets else None
        projected = projected if change is None else ops.add(projected, change)
        projected = ops.reshape(projected, (batch, tokens, *kernel.shape[1:]))
        return ops.transpose(projected, (0, 2, 1, 3))

    def _joined(self, vectors):
        """(batch, heads, tokens, head size) → (batch, tokens, hidden)."""
        vectors = ops.transpose(vectors, (0, 2, 1, 3))
        batch, tokens = ops.shape(vectors)[:2]
        kernel = ops.reshape(self.output_kernel, (self.hidden_size, self.hidden_size))
        flat = ops.reshape(vectors, (-1, self.hidden_size))
        flat = ops.matmul(flat, ops.transpose(kernel))
        return ops.reshape(flat, (batch, tokens, self.hidden_size))

    def _scores(self, query, key, position_key, blocked, other_segment):
        """What the softmax is taken of (batch, heads, queries, keys), always in float32."""
        by_content = self._products(query, self.content_bias, key)
        by_distance = self._products(query, self.position_bias, position_key)
        scores = by_content + _shifted(by_distance, ops.shape(key)[2])
        if other_segment is not None:
            by_segment = self._products(query, self.segment_bias, self.segment_vectors)
            same, other = ops.split(by_segment, 2, axis=-1)
            scores = scores + ops.where(ops.expand_dims(other_segment, 1), other, same)
        scores = ops.cast(scores, "float32") * (1.0 / math.sqrt(query.shape[-1]))
        if blocked is None:
            return scores
        return ops.where(ops.expand_dims(blocked, 1), BLOCKED, scores)

    def _products(self, query, bias, key):
        """``(query + bias) keyᵀ``; key (..., heads, keys, size) or (keys, heads, size)."""
        if len(key.shape) == 3:
            key = ops.expand_dims(ops.transpose(key, (1, 0, 2)), 0)
        query, key = query + ops.expand_dims(bias, 1), ops.swapaxes(key, -1, -2)
        if tuple(key.shape[:2]) != (1, 1):
            return ops.matmul(query, key)
        # One matrix for the whole batch is multiplied as one: where oneDNN runs on several threads,
        # TensorFlow 2.20 computes nonsense of (batch, 1, n, m) @ (1, 1, m, k), or crashes.
        size = key.shape[2]
        flat = ops.matmul(ops.reshape(query, (-1, size)), ops.reshape(key, (size, -1)))
        shape = (*ops.shape(query)[:-1], ops.shape(key)[-1])
        return ops.reshape(flat, shape)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "num_heads": self.num_heads,
            "dropout_rate": self.dropout_rate,
            "initializer_range": self.initializer_range,
        }


def _shifted(scores, count):
    """Scores by distance → scores by key.

    Each query begins one distance later than the one after it. Read in rows that are one shorter,
    the scores shift by themselves.

    Args:
        scores: (batch, heads, queries, distances).
        count: Number of keys.

    Source: appendix B of Dai et al. 2019 (arXiv:1901.02860).
    """
    batch, heads, queries, distances = ops.shape(scores)
    scores = ops.reshape(scores, (batch, heads, distances, queries))[:, :, 1:]
    return ops.reshape(scores, (batch, heads, queries, distances - 1))[..., :count]
