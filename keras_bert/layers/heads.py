"""Layers on top of the encoder: the pooler and the classification head."""

import keras
from keras import ops

from keras_bert.layers.dropout import Dropout
from keras_bert.layers.linear import Linear
from keras_bert.layers.normalization import LayerNorm

__all__ = ["ClassificationHead", "Pooler", "mean_of_tokens", "token_vectors"]


@keras.saving.register_keras_serializable("keras_bert")
class Pooler(Linear):
    """``tanh(W h₀ + b)`` over the first token.

    Shapes: (batch, seq, hidden) → (batch, hidden).

    Source: ``BertModel`` in google-research/bert ``modeling.py``, ``pooler`` scope.

    Example:
        >>> Pooler(8)(keras.ops.ones((2, 5, 8))).shape
        (2, 8)
    """

    def __init__(self, units, activation="tanh", **kwargs):
        super().__init__(units, activation, **kwargs)

    def call(self, inputs, training=None):
        """Takes the first token and applies the dense tanh layer."""
        return super().call(inputs[:, 0], training=training)

    def compute_output_shape(self, input_shape):
        """(batch, seq, hidden) → (batch, hidden)."""
        return (input_shape[0], self.units)


@keras.saving.register_keras_serializable("keras_bert")
class ClassificationHead(keras.layers.Layer):
    """``W dropout(features) + b``: one logit per class, in float32.

    Args:
        num_classes: Number of logits.
        dropout_rate: Dropout on the features.
        initializer_range: Standard deviation of a new kernel.
        activation: Of a dense layer that comes first, ``activation(W' dropout(features) + b')``,
            as wide as the features. ``None``: there is none.
        dense_bias: Whether that layer has a bias.
        layer_norm_epsilon: Of a LayerNorm behind the dense layer, which then has no dropout before
            it. ``None``: there is none.
        norm_bias: Whether that LayerNorm has a bias.

    Shapes: (..., hidden) → (..., num_classes) float32, so that softmax and loss never run in
    half precision.

    Source: ``create_model`` in google-research/bert ``run_classifier.py``; with a dense layer:
    ``RobertaClassificationHead`` in fairseq's ``models/roberta/model.py``; with LayerNorm:
    ``ModernBertPredictionHead`` in transformers' ``modeling_modernbert.py``.

    Example:
        >>> ClassificationHead(3)(keras.ops.ones((2, 8))).shape
        (2, 3)
    """

    def __init__(
        self,
        num_classes,
        dropout_rate=0.1,
        initializer_range=0.02,
        activation=None,
        dense_bias=True,
        layer_norm_epsilon=None,
        norm_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dropout_rate = dropout_rate
        self.initializer_range = initializer_range
        self.activation = activation
        self.dense_bias = dense_bias
        self.layer_norm_epsilon = layer_norm_epsilon
        self.norm_bias = norm_bias
        self.dropout = Dropout(dropout_rate, dtype=self.dtype_policy)
        self.dense = self.layer_norm = None
        self.logits = Linear(
            num_classes, initializer_range=initializer_range, name="logits", dtype="float32"
        )

    def build(self, input_shape):
        """Creates kernel (hidden, num_classes), bias (num_classes,), and what comes first."""
        if self.activation is not None:
            self.dense = Linear(
                input_shape[-1],
                self.activation,
                self.initializer_range,
                self.dense_bias,
                name="dense",
                dtype=self.dtype_policy,
            )
            self.dense.build(input_shape)
        if self.layer_norm_epsilon is not None:
            self.layer_norm = LayerNorm(
                epsilon=self.layer_norm_epsilon,
                center=self.norm_bias,
                name="layer_norm",
                dtype=self.dtype_policy,
            )
            self.layer_norm.build(input_shape)
        self.logits.build(input_shape)

    def call(self, features, training=None):
        """Returns the logits."""
        if self.layer_norm is None and self.dense is not None:
            features = self.dropout(features, training=training)
        for layer in (self.dense, self.layer_norm):
            if layer is not None:
                features = layer(features, training=training)
        return self.logits(self.dropout(features, training=training))

    def compute_output_shape(self, input_shape):
        """(..., hidden) → (..., num_classes)."""
        return (*input_shape[:-1], self.num_classes)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dropout_rate": self.dropout_rate,
            "initializer_range": self.initializer_range,
            "activation": self.activation,
            "dense_bias": self.dense_bias,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "norm_bias": self.norm_bias,
        }


def mean_of_tokens(sequence, mask=None):
    """The mean over the tokens of each row.

    Args:
        sequence: (batch, seq, hidden), floating.
        mask: (batch, seq), 1 for a token and 0 for padding; None: all are tokens.

    Returns:
        (batch, hidden) in the dtype of the sequence; summed up in float32.

    Example:
        >>> sequence = keras.ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
        >>> print(keras.ops.convert_to_numpy(mean_of_tokens(sequence, [[1, 1, 0]])))
        [[2.]]
    """
    values = ops.cast(sequence, "float32")
    if mask is None:
        return ops.cast(ops.mean(values, axis=1), sequence.dtype)
    weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
    # A row of padding alone has the mean 0.
    count = ops.maximum(ops.sum(weights, axis=1), 1.0)
    return ops.cast(ops.sum(values * weights, axis=1) / count, sequence.dtype)


def token_vectors(sequence, positions):
    """The vectors of some tokens of each row.

    Args:
        sequence: (batch, seq, hidden).
        positions: (batch, n), integers.

    Returns:
        (batch, n, hidden).

    Example:
        >>> sequence = keras.ops.convert_to_tensor([[[1.0], [3.0], [9.0]]])
        >>> token_vectors(sequence, [[2, 0]]).numpy().tolist()
        [[[9.0], [1.0]]]
    """
    # Not take_along_axis, which broadcasts the places over all units, and fails on no rows.
    batch, length, units = ops.shape(sequence)
    first = ops.expand_dims(ops.arange(batch, dtype="int32") * length, -1)
    places = ops.cast(positions, "int32") + first
    return ops.take(ops.reshape(sequence, (-1, units)), places, axis=0)
