"""What stands on top of an encoder for each task: a head's name → its layer."""

from __future__ import annotations

import keras

from keras_bert.config import ModernBertConfig, XLNetConfig
from keras_bert.layers.beam_spans import BeamSpanHead
from keras_bert.layers.heads import ClassificationHead, token_vectors
from keras_bert.layers.language_model import LanguageModelHead
from keras_bert.layers.masked_lm import MaskedLMHead

__all__ = ["HEADS", "make_head", "token_logits"]


def _classifier(config, outputs, **kwargs):
    """Over ``pooled_output``, or over ``[CLS]`` with a dense layer of its own."""
    return ClassificationHead(
        outputs,
        config.head_dropout_rate,
        config.initializer_range,
        config.classifier_activation,
        **kwargs,
    )


def _token_classifier(config, outputs, **kwargs):
    return ClassificationHead(outputs, config.head_dropout_rate, config.initializer_range, **kwargs)


def _without_dropout(config, outputs, **kwargs):
    return ClassificationHead(outputs, 0.0, config.initializer_range, **kwargs)


def _replaced_tokens(config, outputs, **kwargs):
    return ClassificationHead(
        outputs, 0.0, config.initializer_range, config.hidden_activation, **kwargs
    )


def _beam_spans(config, outputs, **kwargs):
    if not isinstance(config, XLNetConfig):
        raise TypeError(
            "The head 'beam_span_labeler' is XLNet's and takes an XLNetConfig; received a "
            f"{type(config).__name__}. Take the head 'span_labeler'."
        )
    return BeamSpanHead(
        config.start_n_top,
        config.end_n_top,
        config.layer_norm_epsilon,
        config.initializer_range,
        **kwargs,
    )


def _masked_lm(config, outputs, **kwargs):
    return MaskedLMHead(
        config.vocab_size,
        config.embedding_width,
        config.masked_lm_activation or config.hidden_activation,
        config.masked_lm_epsilon or config.layer_norm_epsilon,
        config.initializer_range,
        config.tie_word_embeddings,
        extra_size=config.masked_lm_extra_size,
        **kwargs,
    )


def _with_prediction_head(config, outputs, **kwargs):
    """Over whatever it is, behind a dense layer, its activation and a LayerNorm."""
    return ClassificationHead(
        outputs,
        config.head_dropout_rate,
        config.initializer_range,
        config.classifier_activation,
        config.classifier_bias,
        config.layer_norm_epsilon,
        config.norm_bias,
        **kwargs,
    )


def _masked_lm_with_prediction_head(config, outputs, **kwargs):
    return MaskedLMHead(
        config.vocab_size,
        config.hidden_size,
        config.classifier_activation,
        config.layer_norm_epsilon,
        config.initializer_range,
        config.tie_word_embeddings,
        config.classifier_bias,
        config.norm_bias,
        config.decoder_bias,
        **kwargs,
    )


def _language_model(config, outputs, **kwargs):
    tied = config.tie_word_embeddings
    return LanguageModelHead(config.vocab_size, config.initializer_range, tied, **kwargs)


#: Head → what makes it, and its number of outputs where that is always the same. Source: Devlin et
#: al. 2018, sections 3.1 and 4; replaced tokens: Clark et al. 2020 (arXiv:2003.10555), section 2;
#: beams of spans: zihangdai/xlnet ``function_builder.py``, ``get_qa_outputs``.
HEADS = {
    "classifier": (_classifier, None),
    "token_classifier": (_token_classifier, None),
    "span_labeler": (_without_dropout, 2),
    "beam_span_labeler": (_beam_spans, 1),
    "multiple_choice": (_classifier, 1),
    "masked_lm": (_masked_lm, None),
    "next_sentence": (_without_dropout, 2),
    "replaced_tokens": (_replaced_tokens, 1),
}

#: Class of a config → what makes its heads where that is not as in ``HEADS``. Source:
#: ``ModernBertPredictionHead`` in transformers' ``modeling_modernbert.py``; ``lm_loss`` in
#: zihangdai/xlnet ``modeling.py``.
OTHER_HEADS = {
    ModernBertConfig: {
        "classifier": _with_prediction_head,
        "token_classifier": _with_prediction_head,
        "span_labeler": _with_prediction_head,
        "multiple_choice": _with_prediction_head,
        "masked_lm": _masked_lm_with_prediction_head,
    },
    XLNetConfig: {"masked_lm": _language_model},
}


def make_head(kind: str, config, outputs: int | None = None, **kwargs) -> keras.layers.Layer:
    """Makes a head with its weights, newly initialised.

    Args:
        kind: A name in ``HEADS``.
        config: The encoder's config.
        outputs: Number of classes, where the head does not have the same one always.
        **kwargs: ``name`` and ``dtype`` of the layer.

    Example:
        >>> import keras_bert as kb
        >>> make_head("token_classifier", kb.EncoderConfig(), 9).num_classes
        9
    """
    make, always = HEADS[kind]
    make = OTHER_HEADS.get(type(config), {}).get(kind, make)
    head = make(config, always or outputs, **kwargs)
    head.build((None, config.hidden_size))
    return head


def token_logits(head, encoder, sequence, positions=None, training=None):
    """Applies a ``MaskedLMHead``, to some places of a sequence or to all.

    Args:
        head: The head.
        encoder: Its encoder, whose word embeddings a tied head uses.
        sequence: (batch, seq, hidden).
        positions: (batch, predictions) int32; None: all.
        training: Whether to keep what gradients need.

    Returns:
        (batch, predictions or seq, vocab) float32.
    """
    if positions is not None:
        sequence = token_vectors(sequence, positions)
    table = encoder.embeddings.word_embeddings if head.tied else None
    return head(sequence, table, training=training)
