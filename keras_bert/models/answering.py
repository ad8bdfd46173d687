"""Answering: how task models are asked, in the graph, from strings to Python values."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import tensorflow as tf

from keras_bert.data.batching import TokenizedTexts, sorted_batches, text_batches, warn_of_cuts
from keras_bert.data.inputs import is_texts
from keras_bert.data.tf_elements import text_elements
from keras_bert.text.preprocessor import string_tensor

__all__ = ["INPUT_SIGNATURE", "Answering", "UntrainedHeadWarning", "strings_of"]

INPUT_SIGNATURE = {
    name: tf.TensorSpec((None, None), tf.int32, name=name)
    for name in ("input_word_ids", "input_mask", "input_type_ids")
}


class UntrainedHeadWarning(UserWarning):
    """A task head answers that was neither loaded nor trained: its answers are random."""


class Answering:
    """``predict`` of text, for a ``TaskModel``, which see."""

    def predict(self, x, batch_size=None, **kwargs):
        """Answers texts.

        Args:
            x: A list of texts or (text, text) pairs, or a ``tf.data.Dataset`` of strings.
                Anything else goes to ``keras.Model.predict`` and gives raw outputs.
            batch_size: Texts per step; default 32.
            **kwargs: Passed to ``keras.Model.predict`` for inputs other than text.

        Returns:
            One dict per text, in the order given. Its entries are the task's.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: If there is no text.
        """
        self._warn_of_fresh_head("predict")
        if not is_texts(x):
            return super().predict(x, batch_size=batch_size, **kwargs)
        if isinstance(x, tf.data.Dataset):
            x = strings_of(x)
        return self._answer_all(self.read_texts(x), batch_size or 32)

    def _answer_all(self, texts, batch_size):
        """Answers of any number of texts, in batches of similar length."""
        if len(texts) <= batch_size:
            return self._read_answers(self._answer_texts(texts))
        if self.one_row_per_text:
            tokens = TokenizedTexts(self.text_preprocessor(), texts)
            batches = sorted_batches(tokens.lengths, batch_size)
        else:
            batches = text_batches(texts, batch_size)
        results = [None] * len(texts)
        for rows in batches:
            if self.one_row_per_text:
                answers = self._graph_answers()(tokens.batch(rows))
            else:
                answers = self._answer_texts([texts[row] for row in rows])
            for row, answer in zip(rows, self._read_answers(answers), strict=True):
                results[row] = answer
        return results

    def _answer_texts(self, texts):
        """Answers of one batch of texts, from strings to answers in one call of one graph."""
        sides = [
            side if isinstance(side, tf.RaggedTensor) else string_tensor(side)
            for side in self.strings(texts)
        ]
        answers = self._graph_text_answers(len(sides))(*sides)
        self._warn_of_cuts(answers.pop("truncated").numpy())
        return answers

    def _warn_of_cuts(self, cut):
        """Warns where pieces were cut from texts; ``cut`` int (texts,)."""
        warn_of_cuts(cut, self.text_preprocessor().seq_length)

    def _read_answers(self, answers):
        """Named tensors of a batch → one dict of Python values per text."""
        columns = {name: _rows_of(tensor) for name, tensor in answers.items()}
        rows = zip(*columns.values(), strict=True)
        return [self.read_answer(dict(zip(columns, row, strict=True))) for row in rows]

    def _graph_answers(self):
        """The function ids → answers, traced once for all shapes."""
        if self._answer_function is None:
            self._answer_function = tf.function(
                lambda ids: self.answers(self(ids, training=False)),
                input_signature=[INPUT_SIGNATURE],
                autograph=False,
            )
        return self._answer_function

    def _graph_text_answers(self, sides):
        """The function strings → answers, and ``truncated``, of so many strings per example."""
        # One each: a tf.function that takes any number of them fails on the second number.
        if sides not in self._text_answer_functions:
            self._text_answer_functions[sides] = tf.function(
                lambda *texts: self.text_answers(*texts),
                input_signature=self._string_specs(sides),
                autograph=False,
            )
        return self._text_answer_functions[sides]

    def _string_specs(self, sides):
        """Of what kinds the tensors are that ``strings`` makes."""
        return [tf.TensorSpec((None,), tf.string)] * sides

    def _forget_graphs(self):
        super()._forget_graphs()
        self._answer_function, self._text_answer_functions = None, {}

    def _warn_of_fresh_head(self, verb):
        if self.head_is_fresh:
            warnings.warn(
                f"{type(self).__name__}.{verb}: the head was neither loaded from a checkpoint nor "
                "trained, so that its answers are random. Call fit first.",
                UntrainedHeadWarning,
                stacklevel=3,
            )


def _rows_of(tensor):
    """A tensor's rows as NumPy values; those of a ragged one are of any length."""
    if not isinstance(tensor, tf.RaggedTensor):
        return tensor.numpy()
    values, splits = _rows_of(tensor.values), tensor.row_splits.numpy()
    return [values[start:end] for start, end in itertools.pairwise(splits)]


def strings_of(dataset):
    """All texts of a dataset of strings or pairs, batched or not; labels are dropped."""
    texts = []
    for element in text_elements(dataset, with_labels=False).as_numpy_iterator():
        parts = element if isinstance(element, tuple) else (element,)
        parts = [p for p in parts if np.asarray(p).dtype.kind in "OSU"]
        columns = [np.atleast_1d(p).tolist() for p in parts]
        texts += columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    return texts
