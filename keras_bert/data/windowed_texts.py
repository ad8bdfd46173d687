"""Long texts, each with all of its windows in one batch: what a score of whole texts needs."""

from __future__ import annotations

import dataclasses

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

    def dataset(self, batches, shapes=None) -> tf.data.Dataset:
        """A dataset of batches with the targets of their texts.

        Args:
            batches: A function that returns arrays of numbers of texts. An array is taken apart
                where its texts have more windows together than it has texts.
            shapes: ``FixedShapes`` that all batches are to have: as many windows as the text with
                most, or as there are texts in a batch. Windows that fill a batch up are of no text,
                their ``window_source`` is -1.

        Returns:
            Elements ``(ids, targets)``; the cardinality is known.
        """
        parts = [part for batch in batches() for part in self._parts(batch, shapes is not None)]
        targets_of, longest = rows_of(self.targets), self._rows.lengths
        return dataset_of_batches(
            lambda: parts, self.batch, targets_of, shapes, longest, self._fixed
        )

    def _fixed(self, shapes, ids, targets):
        """A batch as one of fixed shape."""
        source, texts = ids.pop("window_source"), tf.shape(targets)[0]
        windows = dataclasses.replace(
            shapes, batch_size=self._windows_at_most(shapes.batch_size), drop_remainder=True
        )
        count = tf.shape(source)[0]
        ids, source = windows.filled(shapes.ids(ids), source)
        ids["window_source"] = windows.without_absent(source, count, -1)
        marked, targets = shapes.filled({"text": tf.range(texts)}, targets)
        del marked["text"]
        return {**marked, **ids}, targets

    def _windows_at_most(self, texts):
        return max(int(self.lengths.max()), texts)

    def _parts(self, batch, strictly):
        """Of a batch of texts parts of about as many windows; at least one text each.

        Strictly: none has more than the batch has texts, but for a text that has more by itself.
        """
        if strictly:
            return self._strict_parts(batch)
        windows = np.cumsum(self.lengths[batch])
        # A part ends with the text that fills it.
        part = (windows - self.lengths[batch]) // len(batch)
        return np.split(batch, np.flatnonzero(np.diff(part)) + 1)

    def _strict_parts(self, batch):
        starts, windows = [], 0
        for place, count in enumerate(self.lengths[batch]):
            windows += count
            if place and windows > self._windows_at_most(len(batch)):
                starts.append(place)
                windows = count
        return np.split(batch, starts)
