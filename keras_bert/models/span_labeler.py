"""BertSpanLabeler: where in a text the answer to a question begins and ends."""

from __future__ import annotations

import keras

from keras_bert.models.head_model import HeadModel

__all__ = ["BertSpanLabeler"]


@keras.saving.register_keras_serializable("keras_bert")
class BertSpanLabeler(HeadModel):
    """Extractive question answering: a start and an end score for every token.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``, or None.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes → ``{"start_logits", "end_logits"}``, each
    (batch, seq) float32.

    Source: section 4.2 of Devlin et al. 2018; google-research/bert ``run_squad.py``.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> kb.BertSpanLabeler(encoder)({"input_word_ids": ids})["end_logits"].shape
        TensorShape([1, 3])
    """

    def __init__(self, encoder, preprocessor=None, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.head = self.add_head("span_labeler")
        self.built = True

    def head_layers(self):
        """One head: ``span_labeler``."""
        return {"span_labeler": self.head}

    def call(self, inputs, training=None):
        """Ids → start and end logits, each (batch, seq) float32."""
        outputs = self.encoder(inputs, training=training)
        logits = self.head(outputs["sequence_output"], training=training)
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
