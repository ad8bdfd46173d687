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
        distance = ops.expand_dims(ops.arange(queries), 1) - ops.arange(keys)
        visible = ops.abs(distance) <= self.reach
        if mask is not None:
            mask = ops.expand_dims(ops.expand_dims(mask, 1), 1)
            visible = ops.logical_and(visible, ops.cast(mask, "bool"))
        # One choice instead of a sum for padding and a sum for distance: a query that sees nothing
        # is to see all alike.
        return ops.where(visible, 0.0, MASKED)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "theta": self.theta, "reach": self.reach}
