"""From the vectors of tokens to one vector for the text: sentence embeddings."""

import keras
from keras import ops

from keras_bert.layers.linear import Linear

__all__ = ["POOLING_MODES", "EmbeddingHead", "Pooling"]

#: Least length that a vector is divided by, as in ``torch.nn.functional.normalize``.
LEAST_NORM = 1e-12


def _first(values, mask):
    return _at(values, mask, ops.argmax(ops.cast(mask, "int32"), axis=1))


def _last(values, mask):
    from_behind = ops.argmax(ops.cast(ops.flip(mask, axis=1), "int32"), axis=1)
    return _at(values, mask, ops.shape(mask)[1] - 1 - ops.cast(from_behind, "int32"))


def _at(values, mask, places):
    """The values at one place of each row; zeros where there is no token."""
    here = _positions(mask) == ops.expand_dims(ops.cast(places, "int32"), 1)
    return _sum(values, ops.logical_and(here, mask))


def _positions(mask):
    return ops.expand_dims(ops.arange(ops.shape(mask)[1], dtype="int32"), 0)


def _sum(values, mask):
    # No product with the mask: what stands at padding may be anything, infinity too.
    return ops.sum(ops.where(ops.expand_dims(mask, -1), values, 0.0), axis=1)


def _count(mask):
    """(batch, 1): tokens of each row, but 1 where there are none."""
    return ops.maximum(ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True), 1.0)


def _largest(values, mask):
    largest = ops.max(ops.where(ops.expand_dims(mask, -1), values, -float("inf")), axis=1)
    return ops.where(ops.any(mask, axis=1, keepdims=True), largest, 0.0)


def _mean(values, mask):
    return _sum(values, mask) / _count(mask)


def _mean_by_root(values, mask):
    return _sum(values, mask) / ops.sqrt(_count(mask))


def _weighted_mean(values, mask):
    """Each token weighs as much as its number, from 1 at the row's first token."""
    first = ops.cast(ops.argmax(ops.cast(mask, "int32"), axis=1), "int32")
    numbers = ops.cast(_positions(mask) + 1 - ops.expand_dims(first, 1), "float32")
    weights = ops.where(mask, numbers, 0.0)
    total = ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
    return _sum(values * ops.expand_dims(weights, -1), mask) / total


#: Name in sentence-transformers → what it computes of values (batch, seq, hidden) and a mask
#: (batch, seq) of booleans. In the order in which several are joined where none is said.
POOLING_MODES = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}


@keras.saving.register_keras_serializable("keras_bert")
class Pooling(keras.layers.Layer):
    """Makes one vector of a row's tokens; without weights, in float32.

    Args:
        modes: A name in ``POOLING_MODES`` or several, whose vectors are joined in the order given:
            ``cls`` (the first token), ``max``, ``mean``, ``mean_sqrt_len_tokens`` (the sum over the
            root of the number of tokens), ``weightedmean`` (later tokens weigh more),
            ``lasttoken``.

    Call: values (batch, seq, hidden), and a mask (batch, seq) that is 0 at padding, wherever that
    is; None: all are tokens. → (batch, modes · hidden) float32. A row without tokens gives zeros.

    Raises:
        ValueError: If a mode is unknown, or there is none.

    Source: ``Pooling`` in sentence-transformers; weighted mean: Muennighoff 2022
    (arXiv:2202.08904), section 3.1.

    Example:
        >>> values = keras.ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
        >>> print(keras.ops.convert_to_numpy(Pooling(["max", "mean"])(values, [[1, 1, 0]])))
        [[3. 2.]]
    """

    def __init__(self, modes="mean", **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.modes = (modes,) if isinstance(modes, str) else tuple(modes)
        unknown = [mode for mode in self.modes if mode not in POOLING_MODES]
        if unknown or not self.modes:
            raise ValueError(
                f"pooling={modes!r}; expected one or several of {', '.join(POOLING_MODES)}."
            )
        self.built = True

    def call(self, values, input_mask=None):
        """(batch, seq, hidden) and (batch, seq) → (batch, modes · hidden)."""
        values = ops.cast(values, "float32")
        # Not called `mask`, which Keras would fill in by itself.
        if input_mask is None:
            input_mask = ops.ones(ops.shape(values)[:2], "int32")
        mask = ops.not_equal(ops.cast(input_mask, "int32"), 0)
        pooled = [POOLING_MODES[mode](values, mask) for mode in self.modes]
        return pooled[0] if len(pooled) == 1 else ops.concatenate(pooled, axis=-1)

    def compute_output_shape(self, values_shape, input_mask_shape=None):
        """(batch, seq, hidden) → (batch, modes · hidden)."""
        return (values_shape[0], len(self.modes) * values_shape[-1])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "modes": list(self.modes)}


@keras.saving.register_keras_serializable("keras_bert")
class EmbeddingHead(keras.layers.Layer):
    """Pooling, dense layers and normalisation: one embedding for each row, in float32.

    Args:
        pooling: As ``Pooling`` takes it.
        dense: Arguments of each dense layer: ``units``, and where wanted ``activation`` (a name
            that ``get_activation`` knows) and ``use_bias``.
        normalize: Whether embeddings are divided by their lengths.

    Call: as ``Pooling`` → (batch, dim) float32.

    Example:
        >>> head = EmbeddingHead("mean", dense=[{"units": 3, "activation": "tanh"}])
        >>> head(keras.ops.ones((2, 5, 4))).shape
        TensorShape([2, 3])
    """

    def __init__(self, pooling="mean", dense=(), normalize=False, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.pooling = Pooling(pooling, name="pooling")
        self.dense = [Linear(**d, name=f"dense_{i}", dtype="float32") for i, d in enumerate(dense)]
        self.normalize = bool(normalize)

    def build(self, values_shape, input_mask_shape=None):
        """Creates the weights of the dense layers."""
        width = self.pooling.compute_output_shape(values_shape)[-1]
        for layer in self.dense:
            layer.build((None, width))
            width = layer.units

    def call(self, values, input_mask=None, training=None):
        """(batch, seq, hidden) and (batch, seq) → (batch, dim)."""
        embeddings = self.pooling(values, input_mask)
        for layer in self.dense:
            embeddings = layer(embeddings, training=training)
        if not self.normalize:
            return embeddings
        square = ops.sum(ops.square(embeddings), axis=-1, keepdims=True)
        # The bound before the root, whose gradient at 0 is infinite.
        return embeddings / ops.sqrt(ops.maximum(square, LEAST_NORM**2))

    def compute_output_shape(self, values_shape, input_mask_shape=None):
        """(batch, seq, hidden) → (batch, dim)."""
        width = self.pooling.compute_output_shape(values_shape)[-1]
        return (values_shape[0], self.dense[-1].units if self.dense else width)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "pooling": list(self.pooling.modes),
            "dense": [
                {"units": d.units, "activation": d.activation, "use_bias": d.use_bias}
                for d in self.dense
            ],
            "normalize": self.normalize,
        }
