"""BertPretrainer: the objectives that encoders are pretrained with."""

from __future__ import annotations

import keras

from keras_bert.models.head_model import HeadModel
from keras_bert.models.heads import token_logits

__all__ = ["BertPretrainer"]

#: Objectives that can be had together, in the order of the outputs.
OBJECTIVES = ("masked_lm", "next_sentence", "replaced_tokens")


@keras.saving.register_keras_serializable("keras_bert")
class BertPretrainer(HeadModel):
    """An encoder with the heads of its pretraining.

    Args:
        encoder: A ``BertEncoder``; with a pooler if ``next_sentence`` is an objective.
        preprocessor: A ``Preprocessor``, or None.
        objectives: Some of ``masked_lm``, ``next_sentence`` (ALBERT: the order of two sentences)
            and ``replaced_tokens`` (ELECTRA's discriminator). Default: the first, and the second
            where there is a pooler.
        **kwargs: See ``HeadModel``.

    Call: a dict of ids as ``BertEncoder`` takes, ``masked_lm_positions`` (batch, predictions)
    possibly among them → a dict with one entry per objective, float32:

    - ``masked_lm`` (batch, predictions or seq, vocab): logits.
    - ``next_sentence`` (batch, 2): logits of "the second follows the first" and "it does not".
    - ``replaced_tokens`` (batch, seq): logit of "this token was replaced".

    Raises:
        ValueError: On an unknown objective, none, or ``next_sentence`` without a pooler.

    Source: section 3.1 of Devlin et al. 2018; Lan et al. 2020 (arXiv:1909.11942), section 3.1;
    Clark et al. 2020 (arXiv:2003.10555), section 2.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder(kb.EncoderConfig(vocab_size=9, hidden_size=8, num_layers=1,
        ...                                           num_attention_heads=2, intermediate_size=8))
        >>> ids = keras.ops.convert_to_tensor([[2, 7, 3]])
        >>> outputs = kb.BertPretrainer(encoder)({"input_word_ids": ids})
        >>> outputs["masked_lm"].shape, outputs["next_sentence"].shape
        (TensorShape([1, 3, 9]), TensorShape([1, 2]))
    """

    def __init__(self, encoder, preprocessor=None, objectives=None, **kwargs):
        super().__init__(encoder, preprocessor, **kwargs)
        has_pooler = encoder.config.use_pooler
        if objectives is None:
            objectives = ("masked_lm", "next_sentence") if has_pooler else ("masked_lm",)
        self.objectives = _check_objectives(objectives, has_pooler)
        self.heads = {kind: self.add_head(kind, name=kind) for kind in self.objectives}
        self.built = True

    @classmethod
    def from_pretrained(
        cls, folder: str, objectives=None, seq_length: int | None = None, **kwargs
    ) -> BertPretrainer:
        """Loads a pretrained encoder, and the heads that the checkpoint has.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it.
            objectives: See the class. Default: those that the checkpoint has heads for; if it has
                none, those that its kind is pretrained with.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            **kwargs: ``verify`` as ``HeadModel.from_pretrained`` takes it; the rest is passed to
                the encoder, such as ``dtype="mixed_bfloat16"``.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            CheckpointError: If weights are missing, unknown, damaged or of the wrong shape.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import open_checkpoint

        checkpoint = open_checkpoint(folder)
        if objectives is None:
            objectives = tuple(kind for kind in OBJECTIVES if kind in checkpoint.heads) or None
        has_pooler = checkpoint.config.use_pooler or "next_sentence" in (objectives or ())
        options = {"objectives": objectives}
        return cls.load(checkpoint, options, checkpoint.heads, seq_length, has_pooler, **kwargs)

    def head_layers(self):
        """One head for each objective."""
        return dict(self.heads)

    def call(self, inputs, training=None):
        """Ids → one output per objective; see the class."""
        inputs = dict(inputs) if isinstance(inputs, dict) else {"input_word_ids": inputs}
        positions = inputs.pop("masked_lm_positions", None)
        encoded = self.encoder(inputs, training=training)
        sequence, outputs = encoded["sequence_output"], {}
        for kind, head in self.heads.items():
            if kind == "masked_lm":
                outputs[kind] = token_logits(
                    head, self.encoder, sequence, positions, training=training
                )
            elif kind == "next_sentence":
                outputs[kind] = head(encoded["pooled_output"], training=training)
            else:
                outputs[kind] = head(sequence, training=training)[..., 0]
        return outputs

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "objectives": list(self.objectives)}


def _check_objectives(objectives, has_pooler):
    unknown = [name for name in objectives if name not in OBJECTIVES]
    if unknown or not objectives:
        raise ValueError(
            f"objectives are some of {', '.join(OBJECTIVES)}; received {list(objectives)}."
        )
    if "next_sentence" in objectives and not has_pooler:
        raise ValueError(
            "The objective next_sentence reads the encoder's pooled_output, and this encoder has "
            "no pooler. Build it with use_pooler=True."
        )
    return tuple(kind for kind in OBJECTIVES if kind in objectives)
