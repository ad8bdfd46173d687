"""Long texts, each with all of its windows in one batch: what a score of whole texts needs."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_bert.data.batching import dataset_of_batches, rows_of
from keras_bert.data.packed_rows import PackedRows

__all__ = ["WindowedTexts"]


class WindowedTexts:
    """Texts as batches of windows, where no text is in two batches.

    Args:
        preprocessor: A ``Preprocessor`` with a ``stride``.
        segments: One list of texts per segment.
        targets: (texts, ...) array: what a model is to say of each text.

    Attributes:
        lengths: (texts,) int: windows per text.

    Example:
        >>> texts = WindowedTexts(preprocessor, [["a long text", "a"]], [0, 1])  # doctest: +SKIP
        >>> texts.batch([0, 1])["window_source"]                                # doctest: +SKIP
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([0, 0, 1], dtype=int32)>
    """

    def __init__(self, preprocessor, segments, targets):
        self._rows = PackedRows(preprocessor, segments)
        self.targets = tf.constant(targets)
        self.lengths = np.bincount(self._rows.source, minlength=len(segments[0]))
        self._splits = tf.constant(np.concatenate([[0], np.cumsum(self.lengths)]), tf.int64)

    def __len__(self):
        return len(self.lengths)

    def batch(self, texts) -> dict[str, tf.Tensor]:
        """All windows of some of the texts, padded to the longest of them.

        Args:
            texts: (batch,) int64, numbers of texts.

        Returns:
            ``input_word_ids``, ``input_mask``, ``input_type_ids``, each (windows, seq) int32, and
            ``window_source``, int32 (windows,), which of the batch's texts each window is of.
        """
        first, behind = (tf.gather(self._splits, texts + more) for more in (0, 1))
        windows = tf.ragged.range(first, behind)
        ids = self._rows.batch(windows.values)
        return {**ids, "window_source": tf.cast(windows.value_rowids(), tf.int32)}

    def dataset(self, batches) -> tf.data.Dataset:
        """A dataset of batches with the targets of their texts.

        Args:
            batches: A function that returns arrays of numbers of texts. An array is taken apart
                where its texts have more windows together than it has texts.

        Returns:
            Elements ``(ids, targets)``; the cardinality is known.
        """
        parts = [part for batch in batches() for part in self._parts(batch)]
        return dataset_of_batches(lambda: parts, self.batch, rows_of(self.targets))

    def _parts(self, batch):
        """Of a batch of texts parts of about as many windows; at least one text each."""
        windows = np.cumsum(self.lengths[batch])
        # A part ends with the text that fills it.
        part = (windows - self.lengths[batch]) // len(batch)
        return np.split(batch, np.flatnonzero(np.diff(part)) + 1)
