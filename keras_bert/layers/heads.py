"""Layers on top of the encoder: the pooler and the classification head."""

import keras

from keras_bert.layers.dropout import Dropout
from keras_bert.layers.linear import Linear

__all__ = ["ClassificationHead", "Pooler"]


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

    Shapes: (..., hidden) → (..., num_classes) float32, so that softmax and loss never run in
    half precision.

    Source: ``create_model`` in google-research/bert ``run_classifier.py``; with a dense layer:
    ``RobertaClassificationHead`` in fairseq's ``models/roberta/model.py``.

    Example:
        >>> ClassificationHead(3)(keras.ops.ones((2, 8))).shape
        (2, 3)
    """

    def __init__(
        self, num_classes, dropout_rate=0.1, initializer_range=0.02, activation=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dropout_rate = dropout_rate
        self.initializer_range = initializer_range
        self.activation = activation
        self.dropout = Dropout(dropout_rate, dtype=self.dtype_policy)
        self.dense = None
        self.logits = Linear(
            num_classes, initializer_range=initializer_range, name="logits", dtype="float32"
        )

    def build(self, input_shape):
        """Creates kernel (hidden, num_classes) and bias (num_classes,), and the dense layer's."""
        if self.activation is not None:
            self.dense = Linear(
                input_shape[-1],
                self.activation,
                self.initializer_range,
                name="dense",
                dtype=self.dtype_policy,
            )
            self.dense.build(input_shape)
        self.logits.build(input_shape)

    def call(self, features, training=None):
        """Returns the logits."""
        if self.dense is not None:
            features = self.dense(self.dropout(features, training=training), training=training)
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
        }
