"""BertTokenClassifier: one label per token."""

from __future__ import annotations

import keras

from keras_bert.models.head_model import HeadModel
from keras_bert.models.labels import checked_labels, choose_labels

__all__ = ["BertTokenClassifier"]


@keras.saving.register_keras_serializable("keras_bert")
class BertTokenClassifier(HeadModel):
    """Assigns one of several labels to each token: names, parts of speech.

    The head is dropout and a linear layer over ``sequence_output``.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``, or None.
        labels: Names of the labels, in the order of the logits; two at least, no name twice.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes → logits (batch, seq, labels) float32.

    Source: section 5.3 of Devlin et al. 2018.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> model = kb.BertTokenClassifier(encoder, labels=["O", "B-PER", "I-PER"])
        >>> model({"input_word_ids": ids}).shape
        TensorShape([1, 3, 3])
    """

    def __init__(self, encoder, preprocessor=None, labels=(), **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        self.labels = checked_labels(labels)
        self.head = self.add_head("token_classifier", len(self.labels))
        self.built = True

    @classmethod
    def from_pretrained(cls, folder: str, labels=None, seq_length: int | None = None, **kwargs):
        """Loads a pretrained encoder, and the head where the checkpoint has one that fits.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it.
            labels: Names of the labels. Default: those of the checkpoint's head. A head is
                loaded if its labels are these, or if it has as many without names.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            **kwargs: ``verify`` as ``HeadModel.from_pretrained`` takes it; the rest is passed to
                the encoder, such as ``dtype="mixed_bfloat16"``.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            CheckpointError: If weights are missing, unknown, damaged or of the wrong shape.
            ValueError: If there are no labels, or the vocabulary does not fit the weights.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import open_checkpoint

        checkpoint = open_checkpoint(folder)
        found = checkpoint.labels("token_classifier")
        labels, fits = choose_labels(folder, found, labels)
        heads = ["token_classifier"] if fits else []
        return cls.load(checkpoint, {"labels": labels}, heads, seq_length, **kwargs)

    def head_layers(self):
        """One head: ``token_classifier``."""
        return {"token_classifier": self.head}

    def call(self, inputs, training=None):
        """Ids → logits (batch, seq, labels) float32."""
        outputs = self.encoder(inputs, training=training)
        return self.head(outputs["sequence_output"], training=training)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "labels": list(self.labels)}
