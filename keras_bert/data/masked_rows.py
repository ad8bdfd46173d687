"""Texts whose tokens are hidden batch by batch, anew in each pass or always alike."""

from __future__ import annotations

import functools

import tensorflow as tf

from keras_bert.data.batching import TokenizedTexts, dataset_of_batches
from keras_bert.data.packed_rows import PackedRows
from keras_bert.text.masking import TokenMasking

__all__ = ["MaskedRows", "fixed_masked_batch", "masked_batch"]


class MaskedRows:
    """Texts that are tokenized once, and packed, padded and masked batch by batch.

    Args:
        preprocessor: The ``Preprocessor`` of the model; with a ``stride`` long texts become several
            rows.
        texts: A list of strings, or of (text, text) pairs.
        masking: A ``TokenMasking``.
        position: Says which pass it is, in each of which other tokens are hidden; None: the same
            ones always.

    Attributes:
        lengths: (rows,) int32: ids of each row.
        source: (rows,) int32: the number of the text that each row is of; None: its own.

    Example:
        >>> rows = MaskedRows(model.preprocessor, texts, TokenMasking(tokenizer))  # doctest: +SKIP
    """

    def __init__(self, preprocessor, texts, masking: TokenMasking, position=None):
        if preprocessor.stride is None:
            self._rows = TokenizedTexts(preprocessor, texts)
        else:
            pairs = isinstance(texts[0], tuple | list)
            self._rows = PackedRows(
                preprocessor, list(zip(*texts, strict=True)) if pairs else [texts]
            )
        self._masking, self._position = masking, position
        self.lengths = self._rows.lengths
        self.source = getattr(self._rows, "source", None)

    def __len__(self):
        return len(self.lengths)

    def dataset(self, batches, shapes=None) -> tf.data.Dataset:
        """A dataset of masked batches, one per array of row numbers.

        Args:
            batches: A function that returns the arrays of one pass; called anew for each pass.
            shapes: ``FixedShapes`` that all batches are to have, with as many predictions as the
                longest rows have. Of rows that fill a batch up nothing is asked.

        Returns:
            Elements as ``masked_batch`` gives them; the cardinality is known.
        """

        def keys_of_batches():
            first = 0 if self._position is None else self._position.epoch * len(self)
            return [rows + first for rows in batches()]

        def masked(keys):
            return masked_batch(self._masking, self._rows.batch(keys % len(self)), keys)

        fix = functools.partial(fixed_masked_batch, self._masking)
        return dataset_of_batches(keys_of_batches, masked, None, shapes, self.lengths, fix)


def masked_batch(masking: TokenMasking, ids: dict, keys) -> tuple[dict, tf.Tensor]:
    """A batch as a masked language model is trained on it.

    Args:
        masking: A ``TokenMasking``.
        ids: What a ``Preprocessor`` returns.
        keys: See ``TokenMasking``.

    Returns:
        The ids with ``masked_lm_positions`` among them; and what was hidden there,
        (batch, predictions) int32, -1 where nothing was.
    """
    masked = masking(ids, keys)
    weights = masked.pop("masked_lm_weights") > 0
    return masked, tf.where(weights, masked.pop("masked_lm_ids"), -1)


def fixed_masked_batch(masking, shapes, masked: dict, hidden) -> tuple[dict, tf.Tensor]:
    """What ``masked_batch`` made, as one of fixed shape."""
    predictions, rows = shapes.most(masking.most_predictions), tf.shape(hidden)[0]

    def long(x, padding):
        x = tf.pad(x, [[0, 0], [0, predictions - tf.shape(x)[1]]], constant_values=padding)
        return tf.ensure_shape(x, (None, predictions))

    masked, hidden = dict(masked), long(hidden, -1)
    # Before its row is padded: of XLNet's, on the left, places move.
    positions = masked.pop("masked_lm_positions")
    before = tf.shape(masked["input_word_ids"])[1]
    ids = shapes.ids(masked)
    if shapes.tokenizer.class_last:
        positions += tf.shape(ids["input_word_ids"])[1] - before
    ids["masked_lm_positions"] = long(positions, 0)
    ids, hidden = shapes.filled(ids, hidden)
    return ids, shapes.without_absent(hidden, rows, -1)
