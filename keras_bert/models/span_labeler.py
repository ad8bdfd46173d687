"""BertSpanLabeler: where in a text the answer to a question begins and ends."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_bert.data.answers import first_answer_bytes, read_answers
from keras_bert.data.batching import TruncationWarning
from keras_bert.data.examples import listed, shown
from keras_bert.data.inputs import labelled_texts, read_texts_argument
from keras_bert.data.objects import is_table, read_records
from keras_bert.data.packed_rows import PackedRows
from keras_bert.data.squad import question_examples
from keras_bert.metrics.report import question_sections
from keras_bert.models.span_decoding import best_answers, outputs_in_chunks
from keras_bert.models.span_scores import METRICS, answer_scores, span_scores
from keras_bert.models.span_targets import SpanCrossentropy, span_targets
from keras_bert.models.task import TaskModel
from keras_bert.text.question_windows import QuestionWindows, default_stride

__all__ = ["BertSpanLabeler", "UnplacedAnswerWarning"]

#: Halves of surrogate pairs, which are no characters.
_HALVES = re.compile("[\ud800-\udfff]")

#: What an answer is made of.
ANSWER = ("text", "start", "end", "score", "probability")


class UnplacedAnswerWarning(UserWarning):
    """Answers are not in the texts that they should be in."""


@keras.saving.register_keras_serializable("keras_bert")
class BertSpanLabeler(TaskModel):
    """Answers questions about a text of any length with a piece of that text.

    A start and an end score for every token. A long text is read in windows that overlap, and their
    answers are put together. Training examples are ((question, context), answers), with answers in
    any form that ``keras_bert.data.answers.read_answers`` knows; or what
    ``keras_bert.data.squad.read_squad`` read. The first answer that is in the context is learned.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor``, or None; without a ``stride`` long contexts are cut.
        max_query_length: Most pieces of a question; longer ones are cut.
        max_answer_length: Most tokens of an answer.
        n_best: How many answers of a question are told.
        allow_no_answer: Whether a question may have no answer, as in SQuAD 2.0. None: not, until
            there are such questions in labelled data.
        null_threshold: How much the score for no answer must be above that of the best answer for
            the answer to be "". ``evaluate`` says which threshold would have been best.
        metric: What ``evaluate`` scores by: "squad", or "cmrc" for Chinese.
        **kwargs: See ``TaskModel``.

    Call: a dict of ids as ``BertEncoder`` takes → ``{"start_logits", "end_logits"}``, each
    (batch, seq) float32.

    Answers: ``text``, ``start`` and ``end`` in characters of the context, where
    ``context[start:end] == text``; ``score``, the sum of both logits; ``probability``, its share
    among the n best; ``no_answer_score``; and ``n_best``, the best first, a list of dicts with the
    first five. Unless ``allow_no_answer``, "" is only the answer where the context has no token.

    Scores: exact match and F1 as the official scripts have them, 0 to 100. Where questions have no
    answer, SQuAD 2.0's, and the best thresholds.

    Raises:
        ValueError: If an option is out of range.

    Source: sections 4.2 and 4.3 of Devlin et al. 2018; google-research/bert ``run_squad.py``.

    Example:
        >>> import keras_bert as kb
        >>> model = kb.BertSpanLabeler.from_pretrained("bert-base-uncased")   # doctest: +SKIP
        >>> model.fit(kb.data.read_squad("train-v1.1.json"), epochs=2)        # doctest: +SKIP
        >>> model.predict([("Where?", "It was in Paris.")])[0]["text"]        # doctest: +SKIP
        'Paris'
    """

    takes_windows = True
    main_metric = "f1"
    #: Name of the head, as ``keras_bert.models.heads`` has it.
    head_kind = "span_labeler"
    #: What of a pair is cut into windows: the context, which comes last.
    truncation = "only_last"
    #: Share of each output's loss in the loss.
    loss_shares: Mapping[str, float] = {"start_logits": 0.5, "end_logits": 0.5}

    def __init__(
        self,
        encoder,
        preprocessor=None,
        max_query_length=64,
        max_answer_length=30,
        n_best=20,
        allow_no_answer=None,
        null_threshold=0.0,
        metric="squad",
        takes_pairs=True,
        **kwargs,
    ):
        super().__init__(encoder, preprocessor, takes_pairs=takes_pairs, **kwargs)
        if metric not in METRICS:
            raise ValueError(f"metric={metric!r}. Expected one of {listed(METRICS)}.")
        counts = {
            "max_query_length": max_query_length,
            "max_answer_length": max_answer_length,
            "n_best": n_best,
        }
        for name, value in counts.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name}={value!r}. Expected an int of 1 or more.")
            setattr(self, name, int(value))
        self.metric = metric
        self._allow_no_answer, self._null_threshold = allow_no_answer, float(null_threshold)
        self.head = self.add_head(self.head_kind)
        self.built = True

    @classmethod
    def from_pretrained(
        cls,
        folder: str,
        seq_length: int | None = None,
        stride: int | str | None = "auto",
        max_query_length: int = 64,
        max_answer_length: int = 30,
        n_best: int = 20,
        allow_no_answer: bool | None = None,
        null_threshold: float = 0.0,
        metric: str = "squad",
        **kwargs,
    ) -> BertSpanLabeler:
        """Loads a pretrained encoder, and the head where the checkpoint has one.

        Of a checkpoint with XLNet's head over beams it makes a ``BeamSpanLabeler``.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it, with a vocabulary.
            seq_length: Longest window in tokens; default: 384, or what the checkpoint allows.
            stride: Tokens of a long context that two windows share; google-research/bert's
                ``doc_stride`` counts the step instead. "auto": windows move on by about a third.
                None: contexts are cut.
            max_query_length: As the class takes it, like all up to ``metric``.
            max_answer_length: See there.
            n_best: See there.
            allow_no_answer: See there.
            null_threshold: See there.
            metric: See there.
            **kwargs: ``verify`` as ``HeadModel.from_pretrained`` takes it; the rest is passed to
                the encoder, such as ``dtype="mixed_bfloat16"``.

        Returns:
            A compiled model. ``model.load_report`` says what became of every tensor.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            CheckpointError: If weights are missing, unknown, damaged or of the wrong shape.
            ValueError: If an option is out of range, or the vocabulary does not fit the weights.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import open_checkpoint

        checkpoint = open_checkpoint(folder)
        if seq_length is None:
            try:
                seq_length = min(384, checkpoint.seq_length)
            except FileNotFoundError:  # without a vocabulary, which `load` warns of
                seq_length = 384
        if stride == "auto":
            stride = default_stride(seq_length, max_query_length)
        options = {
            "max_query_length": max_query_length,
            "max_answer_length": max_answer_length,
            "n_best": n_best,
            "allow_no_answer": allow_no_answer,
            "null_threshold": null_threshold,
            "metric": metric,
        }
        kind = cls._class_for(checkpoint.heads)
        windows = {"stride": stride, "truncation": kind.truncation}
        model = kind.load(checkpoint, options, checkpoint.heads, seq_length, **windows, **kwargs)
        model.compile()
        return model

    @classmethod
    def _class_for(cls, heads):
        """The class of the model that has a checkpoint's head."""
        if cls is not BertSpanLabeler or "span_labeler" in heads:
            return cls
        # Sideways on purpose: this class is the other one's base.
        from keras_bert.models.beam_spans import BeamSpanLabeler

        return BeamSpanLabeler if BeamSpanLabeler.head_kind in heads else cls

    def head_layers(self):
        """One head: ``span_labeler``."""
        return {self.head_kind: self.head}

    def call(self, inputs, training=None):
        """Ids → start and end logits, each (batch, seq) float32."""
        outputs = self.encoder(inputs, training=training)
        logits = self.head(outputs["sequence_output"], training=training)
        return {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}

    # What is set between trainings; graphs that were traced have it in them.

    @property
    def allow_no_answer(self) -> bool | None:
        """Whether a question may have no answer; None: not yet known, and so not."""
        return self._allow_no_answer

    @allow_no_answer.setter
    def allow_no_answer(self, value):
        self._allow_no_answer = value
        self._text_answer_functions = {}

    @property
    def null_threshold(self) -> float:
        """How much the score for no answer must be above the best answer's."""
        return self._null_threshold

    @null_threshold.setter
    def null_threshold(self, value):
        self._null_threshold = float(value)
        self._text_answer_functions = {}

    # Data.

    @property
    def one_row_per_text(self):
        """No: a text is as many rows as it has windows."""
        return False

    def read_labelled(self, x, y=None):
        """Checks examples; returns (question, context) pairs, and per pair a list of answers.

        Raises:
            TypeError: If something is no question, context or answer; the message names its place.
            ValueError: If there is nothing, or not one list of answers per question.
        """
        if y is None and is_table(x):
            x = list(read_records(x))
        if y is None and _are_records(x):
            x = question_examples(x)
        texts, labels = labelled_texts(x, y)
        answers = []
        for i, label in enumerate(labels):
            try:
                answers.append(read_answers(label))
            except TypeError as error:
                raise TypeError(f"labels[{i}]: {error}") from None
        return self.read_texts(texts), answers

    def read_texts(self, x):
        """Checks (question, context) pairs, or dicts with both; returns a list of pairs."""
        if is_table(x):
            x = list(read_records(x))
        if _are_records(x):
            x = [(record.get("question"), record.get("context")) for record in x]
        texts = read_texts_argument(x)
        if isinstance(texts[0], str | bytes):
            raise TypeError(
                f"texts[0] is {shown(texts[0])}, a single text. Expected (question, context)."
            )
        return [(_as_str(question), _as_str(context)) for question, context in texts]

    def labelled_rows(self, texts, labels):
        """Windows with the first and last token of their answers.

        Questions none of whose answers is in the context are left out, with a warning that lists
        them.
        """
        spans, kept, lost = [], [], []
        for i, ((_, context), answers) in enumerate(zip(texts, labels, strict=True)):
            span = first_answer_bytes(_replaced(context), answers)
            if span is None and answers:
                lost.append(i)
                continue
            kept.append(i)
            spans.append(span)
        if lost:
            _warn_of_lost(lost, labels)
        if not kept:
            raise ValueError("No question has an answer that is in its context.")
        if self.allow_no_answer is None and None in spans:
            self.allow_no_answer = True
        rows = PackedRows(self._windows(), self.strings([texts[i] for i in kept]))
        rows.examples = np.array(kept)[rows.source]
        self._warn_of_cuts(rows.truncated[np.unique(rows.source, return_index=True)[1]])
        class_last = self.text_preprocessor().tokenizer.class_last
        rows.targets = span_targets(rows, spans, class_last)
        return rows

    def strings(self, texts):
        """Questions and contexts, halves of surrogate pairs replaced so that places stay."""
        return [[_replaced(text) for text in side] for side in zip(*texts, strict=True)]

    def graph_targets(self, labels):
        """Not to be had.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "BertSpanLabeler takes no tf.data.Dataset of text: where answers are is found before "
            "there are batches. Pass a list of ((question, context), answers), or read_squad(path)."
        )

    # Answers.

    @property
    def text_inputs(self):
        """A question and the text that is to answer it."""
        return "question", "context"

    def text_answers(self, questions, contexts):
        """Answers questions, in the graph.

        Args:
            questions: (batch,) string.
            contexts: (batch,) string.

        Returns:
            As ``keras_bert.models.span_decoding.best_answers``, and ``truncated`` int32 (batch,).
        """
        packed = self._windows()((questions, contexts), return_truncated=True)
        ids = {name: packed[name] for name in ("input_word_ids", "input_mask", "input_type_ids")}
        start_logits, end_logits = outputs_in_chunks(self, ids)
        answers = best_answers(
            start_logits,
            end_logits,
            packed,
            contexts,
            class_last=self.text_preprocessor().tokenizer.class_last,
            n_best=self.n_best,
            max_answer_length=self.max_answer_length,
            allow_no_answer=bool(self.allow_no_answer),
            null_threshold=self.null_threshold,
        )
        return {**answers, "truncated": self._truncated(packed, contexts)}

    @staticmethod
    def _truncated(packed, contexts):
        """Pieces that were cut from each question and its context: int32 (batch,)."""
        batch = tf.shape(contexts)[0]
        return tf.math.unsorted_segment_max(packed["truncated"], packed["window_source"], batch)

    def read_answer(self, answer):
        """Python values: texts as str, numbers as int and float, ``n_best`` as a list of dicts."""
        columns = {name: [_python(value) for value in answer[f"n_best_{name}"]] for name in ANSWER}
        rows = zip(*columns.values(), strict=True)
        return {
            **{name: _python(answer[name]) for name in (*ANSWER, "no_answer_score")},
            "n_best": [dict(zip(columns, row, strict=True)) for row in rows],
        }

    def scores(self, texts, labels, answers):
        """Official exact match and F1, 0 to 100; with the best thresholds where some have none."""
        gold = [[answer["text"] for answer in label] for label in labels]
        return span_scores(gold, answers, self.metric)

    def report_sections(self, texts, labels, answers):
        """Scores, kinds of outcome, worst errors in their contexts, calibration, lengths."""
        gold = [[answer["text"] for answer in label] for label in labels]
        exact, f1 = answer_scores(gold, answers, self.metric)
        scores = self.scores(texts, labels, answers)
        return question_sections(*zip(*texts, strict=True), labels, answers, exact, f1, scores)

    def default_loss(self):
        """Cross entropy of the first and of the last token."""
        return {"start_logits": SpanCrossentropy(), "end_logits": SpanCrossentropy()}

    def default_metrics(self):
        """None beside the loss: ``scores`` has the field's."""
        return []

    def compile(self, optimizer=None, loss=None, metrics=None, loss_weights=None, **kwargs):
        """As ``TaskModel.compile``; the default loss is one of ``loss_shares``."""
        if loss is None and loss_weights is None:
            loss_weights = dict(self.loss_shares)
        super().compile(optimizer, loss, metrics, loss_weights=loss_weights, **kwargs)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "max_query_length": self.max_query_length,
            "max_answer_length": self.max_answer_length,
            "n_best": self.n_best,
            "allow_no_answer": self.allow_no_answer,
            "null_threshold": self.null_threshold,
            "metric": self.metric,
        }

    def _windows(self):
        return QuestionWindows(self.text_preprocessor(), self.max_query_length)

    def _warn_of_cuts(self, cut):
        count = int((cut > 0).sum())
        if count:
            windows = self._windows()
            length = f"seq_length={self.preprocessor.seq_length}"
            too_long = f"are longer than {length} tokens"
            if self.preprocessor.stride is not None:
                too_long = f"have more than {windows.max_query_length} pieces in the question"
            warnings.warn(
                f"{count} of {len(cut)} pairs {too_long} and were cut, by {int(cut.max())} pieces "
                "at most.",
                TruncationWarning,
                stacklevel=5,
            )


def _are_records(x):
    """Whether it is a list of dicts, such as ``datasets`` has."""
    return isinstance(x, list | tuple) and bool(x) and isinstance(x[0], Mapping)


def _as_str(text):
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _replaced(text):
    """A text that UTF-8 has bytes for, of as many characters."""
    return _HALVES.sub("\ufffd", text)


def _warn_of_lost(lost, labels):
    few = ", ".join(f"{i} ({shown(labels[i][0]['text'])})" for i in lost[:5])
    warnings.warn(
        f"{len(lost)} of {len(labels)} questions have answers that are not in their context, and "
        f"are left out of training and of the loss: {few}{', ...' if len(lost) > 5 else ''}.",
        UnplacedAnswerWarning,
        stacklevel=4,
    )


def _python(value):
    """A NumPy value as str, int or float."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "ignore")
    return value.item() if hasattr(value, "item") else value
