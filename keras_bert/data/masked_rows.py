"""Texts whose tokens are hidden batch by batch, anew in each pass or always alike."""

from __future__ import annotations

import tensorflow as tf

from keras_bert.data.batching import TokenizedTexts, without_autotuning
from keras_bert.data.packed_rows import PackedRows
from keras_bert.text.masking import TokenMasking

__all__ = ["MaskedRows", "masked_batch"]


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

    def __len__(self):
        return len(self.lengths)

    def dataset(self, batches) -> tf.data.Dataset:
        """A dataset of masked batches, one per array of row numbers.

        Args:
            batches: A function that returns the arrays of one pass; called anew for each pass.

        Returns:
            Elements as ``masked_batch`` gives them; the cardinality is known.
        """
        count = len(batches())

        def elements():
            first = 0 if self._position is None else self._position.epoch * len(self)
            for rows in batches():
                yield rows, rows + first

        spec = tf.TensorSpec((None,), tf.int64)
        dataset = tf.data.Dataset.from_generator(elements, output_signature=(spec, spec))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
        dataset = dataset.map(
            lambda rows, keys: masked_batch(self._masking, self._rows.batch(rows), keys)
        )
        return without_autotuning(dataset.prefetch(2))


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
