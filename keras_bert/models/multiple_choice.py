"""BertMultipleChoice: which of several texts goes with a first one."""

from __future__ import annotations

import keras
from keras import ops

from keras_bert.models.head_model import HeadModel

__all__ = ["BertMultipleChoice"]


@keras.saving.register_keras_serializable("keras_bert")
class BertMultipleChoice(HeadModel):
    """Scores each of several choices; a choice is a pair of the common text and its own.

    The head gives one score over ``[CLS]``, as a classifier's head gives several.

    Args:
        encoder: A ``BertEncoder`` with a pooler or a ``classifier_activation``.
        preprocessor: A ``Preprocessor``, or None.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes, but of shape (batch, choices, seq) → logits
    (batch, choices) float32.

    Source: section 4.4 of Devlin et al. 2018.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[[2, 7, 3], [2, 8, 3]]])
        >>> kb.BertMultipleChoice(encoder)({"input_word_ids": ids}).shape
        TensorShape([1, 2])
    """

    def __init__(self, encoder, preprocessor=None, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.head = self.add_head("multiple_choice")
        self.built = True

    @classmethod
    def needs_pooler(cls, config):
        """The head reads it, unless it has a dense layer of its own."""
        return config.classifier_activation is None

    def head_layers(self):
        """One head: ``multiple_choice``."""
        return {"multiple_choice": self.head}

    def call(self, inputs, training=None):
        """Ids (batch, choices, seq) → logits (batch, choices) float32."""
        inputs = {name: ops.convert_to_tensor(ids) for name, ids in inputs.items()}
        shape = ops.shape(inputs["input_word_ids"])
        if len(shape) != 3:
            raise ValueError(
                f"input_word_ids must have the shape (batch, choices, seq); received {shape}."
            )
        rows = {name: ops.reshape(ids, (-1, shape[-1])) for name, ids in inputs.items()}
        logits = self.head(self.text_features(rows, training=training), training=training)
        return ops.reshape(logits, shape[:2])
