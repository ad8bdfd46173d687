"""Self-attention with rotary positions, to all tokens or to those nearby."""

import keras
from keras import ops

from keras_bert.layers.attention import MASKED, SelfAttention
from keras_bert.layers.rotary import rotated, rotation

__all__ = ["RotaryAttention"]


@keras.saving.register_keras_serializable("keras_bert")
class RotaryAttention(SelfAttention):
    """``SelfAttention`` whose queries and keys are turned by their places.

    Args:
        hidden_size: Width of input and output.
        num_heads: Number of heads, of an even size.
        theta: Base of the rotary frequencies.
        reach: How many places away a token may be and still be attended to; None: any number.
        **kwargs: See ``SelfAttention``.

    Shapes: as ``SelfAttention``.

    Source: Su et al. 2021 (arXiv:2104.09864); attention to tokens nearby: section 3.1 of Beltagy
    et al. 2020 (arXiv:2004.05150).

    Example:
        >>> layer = RotaryAttention(hidden_size=8, num_heads=2, theta=10_000.0, reach=2)
        >>> layer(keras.ops.ones((1, 5, 8)), keras.ops.ones((1, 5), "int32")).shape
        (1, 5, 8)
    """

    def __init__(self, hidden_size, num_heads, theta, reach=None, **kwargs):
        super().__init__(hidden_size, num_heads, **kwargs)
        self.theta = theta
        self.reach = reach

    def _project(self, hidden, first_token_only):
        query, key, value = super()._project(hidden, first_token_only)
        angles = rotation(ops.shape(key)[2], self.hidden_size // self.num_heads, self.theta)
        queries = ops.shape(query)[2]
        query = rotated(query, *(part[:queries] for part in angles))
        return query, rotated(key, *angles), value

    def _bias(self, mask, queries, keys):
        if self.reach is None:
            return super()._bias(mask, queries, keys)
        visible = self._near(ops.arange(queries), ops.arange(keys))
        if mask is not None:
            mask = ops.expand_dims(ops.expand_dims(mask, 1), 1)
            visible = ops.logical_and(visible, ops.cast(mask, "bool"))
        # One choice instead of a sum for padding and a sum for distance: a query that sees nothing
        # is to see all alike.
        return ops.where(visible, 0.0, MASKED)

    def _near(self, queries, keys):
        """Places (..., queries) and (..., keys) → which are in reach (..., queries, keys)."""
        distance = ops.expand_dims(queries, -1) - ops.expand_dims(keys, -2)
        return ops.abs(distance) <= self.reach

    @property
    def block_size(self):
        """Queries that share their keys, where a long sequence is cut into blocks."""
        return max(2 * (self.reach or 0), 32)

    def _attend_fast(self, query, key, value, mask, training, return_scores=False):
        length = ops.shape(key)[2]
        if self.reach is None or (isinstance(length, int) and length <= self._most_at_once):
            return self._attend(query, key, value, mask, training)
        return self._attend_in_blocks(query, key, value, mask, training), None

    @property
    def _most_at_once(self):
        """Length up to which blocks would save less than half of the products, and cost copies."""
        return 2 * (self.block_size + 2 * self.reach)

    def _attend_in_blocks(self, query, key, value, mask, training):
        """The same context; time and memory grow with the length, not with its square."""
        length, size, reach = ops.shape(key)[2], self.block_size, self.reach
        if not isinstance(length, int):
            # One block of all where that is shorter. Not a condition with two ways to compute: XLA
            # has no gradient of those that depend on a shape.
            at_once = length <= self._most_at_once
            size, reach = ops.where(at_once, length, size), ops.where(at_once, 0, reach)
        starts = ops.expand_dims(ops.arange(0, length, size), 1)
        queries = starts + ops.arange(size)
        keys = starts - reach + ops.arange(size + 2 * reach)
        visible = ops.logical_and(keys >= 0, keys < length)
        if mask is not None:
            mask = ops.take(ops.cast(mask, "bool"), ops.clip(keys, 0, length - 1), axis=1)
            # (batch, heads, blocks, queries, keys), as the scores.
            visible = ops.logical_and(visible, mask)[:, None]
        visible = ops.logical_and(ops.expand_dims(visible, -2), self._near(queries, keys))
        query, key, value_blocks = (_blocks(x, size) for x in (query, key, value))
        parts = (query, _with_neighbours(key, reach), _with_neighbours(value_blocks, reach))
        context, _ = self._weigh(*parts, ops.where(visible, 0.0, MASKED), training)
        # A query that sees nothing sees all alike, of the whole sequence.
        mean = ops.expand_dims(ops.mean(value, axis=2, keepdims=True), 2)
        context = ops.where(ops.any(visible, -1, keepdims=True), context, mean)
        shape = ops.shape(context)
        return ops.reshape(context, (*shape[:2], -1, shape[-1]))[:, :, :length]

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "theta": self.theta, "reach": self.reach}


def _blocks(x, size):
    """(batch, heads, length, width) → (batch, heads, blocks, size, width), filled up with 0."""
    batch, heads, length, width = ops.shape(x)
    rest = ops.zeros((batch, heads, -length % size, width), x.dtype)
    return ops.reshape(ops.concatenate([x, rest], 2), (batch, heads, -1, size, width))


def _with_neighbours(x, reach):
    """Puts the last rows of the block before, and the first of the next one, around each block."""
    batch, heads, _, size, width = ops.shape(x)
    nothing = ops.zeros((batch, heads, 1, reach, width), x.dtype)
    before = ops.concatenate([nothing, x[:, :, :-1, size - reach :]], 2)
    behind = ops.concatenate([x[:, :, 1:, :reach], nothing], 2)
    return ops.concatenate([before, x, behind], 3)
