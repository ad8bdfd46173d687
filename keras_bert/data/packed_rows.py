"""Long texts as rows that know where in their texts each of their tokens stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert.data.batching import TOKENIZER_CHUNK, dataset_of_batches
from keras_bert.text.packing import PADDING_LEFT_TYPE
from keras_bert.text.preprocessor import string_tensor

__all__ = ["PackedRows"]

#: What pads a row beside its ids; ids are padded as the tokenizer says.
_PADDING = {"input_mask": 0, "input_type_ids": 0}


class PackedRows:
    """Texts that are tokenized and packed, one row each, or one per window of a long text.

    Args:
        preprocessor: The ``Preprocessor`` of the model; with a ``stride`` it makes windows.
        segments: One list of texts per segment: ``[texts]``, or ``[questions, contexts]``.

    Attributes:
        spans: ``starts``, ``ends`` and ``input_segments`` as ``Preprocessor.call`` returns them
            with ``return_offsets=True``, int32 ragged (rows, tokens), without padding.
        source: (rows,) int32: the number of the text that each row is of.
        examples: (rows,) int: the same in the list that ``segments`` were taken from, where not all
            of it was.
        lengths: (rows,) int32: tokens per row.
        truncated: (rows,) int32: pieces of the row's text that stand in none of its rows.
        targets: What a model is to say of each row: a tensor, or a nest of them, of (rows, ...);
            ragged ones, of a number per token, are padded with ``ignored``. None until it is set.

    Example:
        >>> rows = PackedRows(kb.Preprocessor(tokenizer, seq_length=384, stride=128),
        ...                   [questions, contexts])                           # doctest: +SKIP
        >>> rows.source                                                        # doctest: +SKIP
        array([0, 0, 1], dtype=int32)
    """

    #: The number that pads ragged targets: no label.
    ignored = -1

    def __init__(self, preprocessor, segments):
        tokenizer = preprocessor.tokenizer
        self._pads_left = tokenizer.class_last
        self._padding = {"input_word_ids": tokenizer.pad_id, **_PADDING}
        if self._pads_left:
            self._padding["input_type_ids"] = PADDING_LEFT_TYPE
        chunks = []
        for start in range(0, len(segments[0]), TOKENIZER_CHUNK):
            texts = [string_tensor(list(s[start : start + TOKENIZER_CHUNK])) for s in segments]
            chunks.append(_unpadded(preprocessor, texts, start))
        joined = {name: tf.concat([chunk[name] for chunk in chunks], 0) for name in chunks[0]}
        self.spans = {name: joined.pop(name) for name in ("starts", "ends", "input_segments")}
        self.source = self.examples = joined.pop("source").numpy()
        self.truncated = joined.pop("truncated").numpy()
        self._ids = joined
        self.lengths = joined["input_word_ids"].row_lengths().numpy().astype(np.int32)
        self.targets: Any = None

    def __len__(self):
        return len(self.lengths)

    def batch(self, rows) -> dict[str, tf.Tensor]:
        """Some of the rows, padded to the longest of them.

        Args:
            rows: (batch,) int, numbers of rows.

        Returns:
            ``input_word_ids``, ``input_mask``, ``input_type_ids``, each (batch, seq) int32.
        """
        return {name: self._padded(x, rows, self._padding[name]) for name, x in self._ids.items()}

    def targets_of(self, rows):
        """The targets of some of the rows; ragged ones are padded like the ids."""

        def pick(target):
            if isinstance(target, tf.RaggedTensor):
                return self._padded(target, rows, self.ignored)
            return tf.gather(target, rows)

        return tf.nest.map_structure(pick, self.targets)

    def dataset(self, batches, shapes=None) -> tf.data.Dataset:
        """A dataset of batches with their targets, one per array of row numbers.

        Args:
            batches: A function that returns the arrays of one pass; called anew for each pass.
            shapes: ``FixedShapes`` that all batches are to have. Of rows that fill a batch up no
                token has a label.

        Returns:
            Elements ``(ids, targets)``, or ``ids`` without targets; the cardinality is known.
        """
        targets_of = None if self.targets is None else self.targets_of
        return dataset_of_batches(
            batches, self.batch, targets_of, shapes, self.lengths, self._fixed
        )

    def _fixed(self, shapes, ids, targets=None):
        """A batch as one of fixed shape."""
        rows = tf.shape(ids["input_word_ids"])[0]

        def long(target, made):
            ragged = isinstance(target, tf.RaggedTensor)
            return shapes.per_token(made, ids, self.ignored) if ragged else made

        def without_absent(target, made):
            ragged = isinstance(target, tf.RaggedTensor)
            return shapes.without_absent(made, rows, self.ignored) if ragged else made

        if targets is not None:
            targets = tf.nest.map_structure(long, self.targets, targets)
        filled = shapes.filled(shapes.ids(ids), targets)
        if targets is None:
            return filled[0]
        return filled[0], tf.nest.map_structure(without_absent, self.targets, filled[1])

    def _padded(self, ragged, rows, padding):
        ragged = tf.gather(ragged, rows)
        if not self._pads_left:
            return ragged.to_tensor(padding)
        turned = tf.reverse(ragged, axis=[1]).to_tensor(padding)
        return tf.reverse(turned, axis=[1])


def _unpadded(preprocessor, texts, first):
    """A chunk of texts as ragged rows; ``first`` is the number of its first text."""
    packed = preprocessor(
        texts[0] if len(texts) == 1 else tuple(texts), return_truncated=True, return_offsets=True
    )
    real = packed["input_mask"] > 0
    source = packed.pop("window_source", tf.range(tf.shape(real)[0]))
    packed.pop("window_start", None)
    truncated = packed.pop("truncated")
    rows = {name: tf.ragged.boolean_mask(value, real) for name, value in packed.items()}
    return {**rows, "source": source + first, "truncated": truncated}
