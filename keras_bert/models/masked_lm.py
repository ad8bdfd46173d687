"""BertMaskedLM: which token stands in each place."""

from __future__ import annotations

import keras

from keras_bert.models.head_model import HeadModel
from keras_bert.models.heads import token_logits

__all__ = ["BertMaskedLM"]


@keras.saving.register_keras_serializable("keras_bert")
class BertMaskedLM(HeadModel):
    """Scores every token of the vocabulary for every place of a text.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``, or None.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes → logits (batch, seq, vocab) float32. With
    ``masked_lm_positions`` (batch, predictions) int32 among them only these places are scored:
    (batch, predictions, vocab). With the ``target_mapping`` that ``XLNetEncoder`` takes, its
    predictions are scored.

    Source: section 3.1 of Devlin et al. 2018.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> kb.BertMaskedLM(encoder)({"input_word_ids": ids}).shape
        TensorShape([1, 3, 9])
    """

    def __init__(self, encoder, preprocessor=None, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.head = self.add_head("masked_lm")
        self.built = True

    def head_layers(self):
        """One head: ``masked_lm``."""
        return {"masked_lm": self.head}

    def call(self, inputs, training=None):
        """Ids → logits (batch, seq or predictions, vocab) float32."""
        inputs = dict(inputs) if isinstance(inputs, dict) else {"input_word_ids": inputs}
        positions = inputs.pop("masked_lm_positions", None)
        outputs = self.encoder(inputs, training=training)
        # XLNet answers for what it cannot see in a stream of its own.
        sequence = outputs.get("query_output", outputs["sequence_output"])
        return token_logits(self.head, self.encoder, sequence, positions, training=training)
