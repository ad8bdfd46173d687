"""Examples of several texts, each in a row of ids of its own: texts to compare, or choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert.data.batching import (
    dataset_of_batches,
    fixed_batch,
    rows_of,
    tokenized,
    warn_of_cuts,
)
from keras_bert.text.packing import PADDING_LEFT_TYPE

__all__ = ["TextGroups", "groups_of_rows"]

#: Padding the columns to one length costs this much at least where they are packed apart.
APART_FROM = 1.25


class TextGroups:
    """Texts that are tokenized once, and packed and padded batch by batch, several per example.

    Args:
        preprocessor: The ``Preprocessor`` of the model.
        groups: One list of texts per example, one text or more: each becomes a row.
        prompts: One text per example that opens each of its rows; None: nothing does.
        targets: (examples, ...) array: what a model is to say of each; None: nothing is known.
        columns: Whether the texts may be packed column by column, all first texts, all second ones
            and so on. All examples then have as many. It is done where the columns' lengths differ
            so much that padding them to one length would cost a quarter more.

    Attributes:
        lengths: (examples,) int32: ids of the longest row of each.
        text_lengths: (examples, most texts) int32: ids of every row, 0 where there is none.
        apart: Whether the texts are packed column by column.

    Example:
        >>> groups = TextGroups(preprocessor, [["How?", "So."], ["Why?", "Who knows."]])
        >>> groups.batch([0, 1])["input_word_ids"].shape                       # doctest: +SKIP
        TensorShape([2, 2, 5])
    """

    #: The target of examples that fill a batch up to a fixed shape; None: that of a real one.
    ignored: int | None = None

    def __init__(self, preprocessor, groups, prompts=None, targets: Any = None, columns=False):
        self.targets = targets
        self._preprocessor = preprocessor
        tokenizer = preprocessor.tokenizer
        counts = np.array([len(group) for group in groups])
        if not counts.all():
            raise ValueError(f"Example {int(np.argmin(counts))} has no texts.")
        self._pieces = tokenized(tokenizer, [text for group in groups for text in group])
        self._prompts = None if prompts is None else tokenized(tokenizer, list(prompts))
        ends = np.cumsum(counts)
        self._starts, self._ends = tf.constant(ends - counts), tf.constant(ends)
        self._examples = np.repeat(np.arange(len(groups)), counts)
        pieces = self._pieces.row_lengths().numpy()
        if self._prompts is not None:
            pieces = pieces + self._prompts.row_lengths().numpy()[self._examples]
        whole = pieces + preprocessor.special_token_count(1 if prompts is None else 2)
        warn_of_cuts(np.maximum(whole - preprocessor.seq_length, 0), preprocessor.seq_length)
        rows = np.minimum(whole, preprocessor.seq_length).astype(np.int32)
        self.lengths = np.maximum.reduceat(rows, ends - counts)
        each = rows.sum() * APART_FROM < self.lengths.sum() * counts[0]
        self._columns = int(counts[0]) if columns and each else 0
        self.apart = bool(self._columns)
        self.text_lengths = np.zeros((len(groups), counts.max()), np.int32)
        self.text_lengths[np.arange(counts.max()) < counts[:, None]] = rows
        self._count = int(counts[0]) if (counts == counts[0]).all() else None
        self._most = int(counts.max())

    def __len__(self):
        return len(self.lengths)

    def batch(self, rows):
        """Packs some of the examples, padded to the longest of their rows.

        Args:
            rows: (batch,) int, numbers of examples.

        Returns:
            ``input_word_ids``, ``input_mask``, ``input_type_ids``, each (batch, texts, seq) int32;
            where an example has fewer texts than another, rows of padding alone. Or, column by
            column, a tuple of such dicts of (batch, seq), each of a length of its own.
        """
        if self._columns:
            first = tf.gather(self._starts, rows)
            return tuple(self._pack(first + column) for column in range(self._columns))
        return self._together(rows)

    def _together(self, rows):
        """The rows of each example beside each other, all padded to one length."""
        first = tf.gather(self._starts, rows)
        texts = tf.ragged.range(first, tf.gather(self._ends, rows))
        packed = self._pack(texts.values)
        ids = groups_of_rows(packed, texts.row_splits, self._preprocessor.tokenizer)
        # Known before a batch is there, for a loss that depends on it.
        return {name: tf.ensure_shape(x, (None, self._count, None)) for name, x in ids.items()}

    def dataset(self, batches, shapes=None) -> tf.data.Dataset:
        """A dataset of packed batches with their targets, one per array of row numbers.

        Args:
            batches: A function that returns the arrays of one pass; called anew for each pass.
            shapes: ``FixedShapes`` that all batches are to have; columns are then not packed apart,
                and every example has as many rows as the one with most.

        Returns:
            Elements ``(ids, targets)``, or ``ids`` without targets; the cardinality is known.
        """
        batch = self.batch if shapes is None else self._together
        targets_of = rows_of(self.targets)
        return dataset_of_batches(batches, batch, targets_of, shapes, self.lengths, self._fixed)

    def _fixed(self, shapes, ids, targets=None):
        """A batch as one of fixed shape."""
        nothing = groups_padding(self._preprocessor.tokenizer)

        def whole(name, x):
            missing = [[0, 0], [0, self._most - tf.shape(x)[1]], [0, 0]]
            x = tf.pad(x, missing, constant_values=nothing[name])
            return tf.ensure_shape(x, (None, self._most, None))

        ids = {name: whole(name, x) for name, x in ids.items()}
        if self.ignored is None or targets is None:
            return fixed_batch(shapes, ids, targets)
        rows = tf.shape(targets)[0]
        ids, targets = fixed_batch(shapes, ids, targets)
        return ids, shapes.without_absent(targets, rows, self.ignored)

    def _pack(self, texts):
        segments = [tf.gather(self._pieces, texts)]
        if self._prompts is not None:
            examples = tf.gather(tf.constant(self._examples), texts)
            segments.insert(0, tf.gather(self._prompts, examples))
        return self._preprocessor.pack(*segments)


def groups_of_rows(packed: dict, row_splits, tokenizer) -> dict[str, tf.Tensor]:
    """Puts packed rows together that belong to one example; rows of padding fill examples up.

    Args:
        packed: What a ``Preprocessor`` returns, (rows, seq).
        row_splits: (examples + 1,): where each example's rows begin and end.
        tokenizer: Whose padding it is.

    Returns:
        The same, (examples, most rows, seq).
    """
    padding = groups_padding(tokenizer)
    return {
        name: tf.RaggedTensor.from_row_splits(rows, row_splits, validate=False).to_tensor(
            padding[name]
        )
        for name, rows in packed.items()
    }


def groups_padding(tokenizer) -> dict[str, int]:
    """What rows consist of that are not there, by the name of the ids."""
    return {
        "input_word_ids": tokenizer.pad_id,
        "input_mask": 0,
        "input_type_ids": PADDING_LEFT_TYPE if tokenizer.class_last else 0,
    }
