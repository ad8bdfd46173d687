"""BeamSpanLabeler: answers whose ends are looked for behind each of their best starts."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops

from keras_bert.config import XLNetConfig
from keras_bert.models.beam_decoding import Beams, answer_mask, beam_answers, beams_of
from keras_bert.models.span_decoding import own_tokens
from keras_bert.models.span_labeler import BertSpanLabeler
from keras_bert.models.span_targets import NoAnswerCrossentropy, beam_targets
from keras_bert.models.windows import in_chunks

__all__ = ["BeamSpanLabeler"]

#: The input that says which tokens may be in an answer.
MASK = "answer_mask"


@keras.saving.register_keras_serializable("keras_bert")
class BeamSpanLabeler(BertSpanLabeler):
    """A ``BertSpanLabeler`` with the head that XLNet's authors answer questions with.

    Starts have scores as there; ends have them given a start, for each of the best starts; and
    whether there is no answer has a score of its own. ``BertSpanLabeler.from_pretrained`` makes
    such a model of a checkpoint with that head (``XLNetForQuestionAnswering``), this class'
    ``from_pretrained`` of any checkpoint of XLNet. Training teaches ends given the true start.

    Rows are ``context <sep> question <sep> <cls>``, as that head is trained on: the preprocessor
    has ``truncation="only_first"``.

    Args:
        encoder: An ``XLNetEncoder``, whose config has ``start_n_top`` and ``end_n_top``, the number
            of starts that ends are looked for and of ends of each.
        preprocessor: A ``Preprocessor`` whose tokenizer puts the class token last, or None.
        *args: As ``BertSpanLabeler`` takes them. ``n_best`` is no number of starts or ends here.
        **kwargs: See there.

    Call: a dict of ids as ``XLNetEncoder`` takes, and, if wanted, ``answer_mask`` (batch, seq), 1
    for a token that may be in an answer and 0 for others (default: all may be, padding too, as in
    transformers) → what ``BeamSpanHead`` gives, such as ``start_top_log_probs``, and
    ``sequence_output`` (batch, seq, hidden) float32, which the loss is computed from.

    Answers: as ``BertSpanLabeler``, but ``score`` is the log-probability of the start and that of
    the end given the start, together, and ``no_answer_score`` is the logit of no answer, the least
    of all windows.

    Targets of ids: ``start_logits`` and ``end_logits`` (batch, seq), 1 at one token of each row, 0
    at the others and -1 at those that cannot be in an answer; ``cls_logits`` (batch,), 1 where
    there is no answer, 0 where there is one, -1 where that is not learned. Of text, no answer is
    learned where ``allow_no_answer``. The loss is half the cross entropy of each.

    Raises:
        TypeError: If the encoder is not XLNet's.
        ValueError: If an option is out of range, or the class token comes first.

    Source: Yang et al. 2019 (arXiv:1906.08237); zihangdai/xlnet ``run_squad.py`` and
    ``function_builder.py``.

    Example:
        >>> import keras_bert as kb
        >>> model = kb.BeamSpanLabeler.from_pretrained("xlnet-base-cased")    # doctest: +SKIP
        >>> model.fit(kb.data.read_squad("train-v2.0.json"), epochs=2)        # doctest: +SKIP
        >>> model.predict([("Where?", "It was in Paris.")])[0]["text"]        # doctest: +SKIP
        'Paris'
    """

    head_kind = "beam_span_labeler"
    truncation = "only_first"
    loss_shares: Mapping[str, float] = {
        **BertSpanLabeler.loss_shares,
        "cls_logits": 0.5,
    }

    def __init__(self, encoder, preprocessor=None, *args, **kwargs):
        if not isinstance(encoder.config, XLNetConfig):
            raise TypeError(
                f"BeamSpanLabeler takes an XLNetEncoder; received a {type(encoder).__name__}. "
                "Other encoders answer questions in a BertSpanLabeler."
            )
        if preprocessor is not None and not preprocessor.tokenizer.class_last:
            raise ValueError(
                "BeamSpanLabeler reads the class token at the end of each row; this preprocessor's "
                f"{type(preprocessor.tokenizer).__name__} puts it first (class_last=False). Take "
                "XLNet's tokenizer, or class_last=True."
            )
        super().__init__(encoder, preprocessor, *args, **kwargs)

    def call(self, inputs, training=None):
        """Ids → the likeliest starts and ends, whether there is no answer, and the vectors."""
        ids, mask = _without_mask(inputs)
        hidden = self.encoder(ids, training=training)["sequence_output"]
        outputs = self.head(hidden, mask, training=training)
        return {**outputs, "sequence_output": ops.cast(hidden, "float32")}

    # Training: ends given the true start.

    def default_loss(self):
        """Cross entropy of the first and of the last token, and of whether there is no answer."""
        return {**super().default_loss(), "cls_logits": NoAnswerCrossentropy()}

    def mean_loss(self, x, y, y_pred, sample_weight, training):
        """The compiled loss of the logits given the true starts."""
        y_pred = self._given_starts(x, y, y_pred, training)
        return super().mean_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of the logits given the true starts."""
        y_pred = self._given_starts(x, y, y_pred, False)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _given_starts(self, x, y, y_pred, training):
        starts = ops.cast(ops.argmax(y["start_logits"], axis=-1), "int32")
        _, mask = _without_mask(x)
        return self.head(y_pred["sequence_output"], mask, starts, training=training)

    def labelled_rows(self, texts, labels):
        """As ``BertSpanLabeler.labelled_rows``, with targets of no answer."""
        rows = super().labelled_rows(texts, labels)
        rows.targets = beam_targets(rows, rows.targets, bool(self.allow_no_answer))
        return rows

    # Answers.

    def text_answers(self, questions, contexts):
        """As ``BertSpanLabeler.text_answers``."""
        packed = self._windows()((questions, contexts), return_truncated=True)
        ids = {name: packed[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}
        in_text, own = own_tokens(packed, tf.shape(contexts)[0])
        masks = {MASK: answer_mask(packed), "in_text": in_text, "own": own}

        def some(part):
            outputs = self.encoder({name: part[name] for name in ids}, training=False)
            masks_of = {name: part[name] for name in masks}
            hidden = outputs["sequence_output"]
            return beams_of(self.head, hidden, masks_of, self.max_answer_length)

        answers = beam_answers(
            in_chunks(some, {**ids, **masks}, 32, Beams.specs()),
            packed,
            contexts,
            self.max_answer_length,
            n_best=self.n_best,
            allow_no_answer=bool(self.allow_no_answer),
            null_threshold=self.null_threshold,
        )
        return {**answers, "truncated": self._truncated(packed, contexts)}


def _without_mask(inputs):
    """Inputs for the encoder, and the mask that the head takes; None without one."""
    if not isinstance(inputs, dict) or MASK not in inputs:
        return inputs, None
    return {name: value for name, value in inputs.items() if name != MASK}, inputs[MASK]
