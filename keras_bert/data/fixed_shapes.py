"""Batches of one shape, or of a few: what XLA compiles once, and what TPUs take at all.

Rows are padded to a length that does not depend on the batch. The last batch of an epoch is filled
up with copies of one of its rows, and a mark among the inputs says which rows are there: losses and
scores leave the copies out, see ``keras_bert.models.absent_rows``. Copies, since attention over
rows of padding alone is not defined everywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert.text.packing import PADDING_LEFT_TYPE, bucket_length

__all__ = ["PRESENT", "FixedShapes", "default_pad_to", "fixed_shapes", "rows_in"]

#: Input beside the ids, (batch,) bool: which rows are examples and not copies that fill a batch.
PRESENT = "example_present"


def default_pad_to(strategy: tf.distribute.Strategy) -> str | None:
    """What ``pad_to`` is where nothing is said: "max" on TPUs, which compile for one shape."""
    on_tpu = (tf.distribute.TPUStrategy, tf.distribute.experimental.TPUStrategy)
    return "max" if isinstance(strategy, on_tpu) else None


def fixed_shapes(preprocessor, batch_size: int, pad_to, drop_remainder: bool = False):
    """What ``fit`` and ``evaluate`` take as ``pad_to`` and ``drop_remainder``, as ``FixedShapes``.

    Args:
        preprocessor: The ``Preprocessor`` of the model.
        batch_size: Rows of every batch.
        pad_to: "max": the preprocessor's ``seq_length``; a length; or a list of them that rises.
        drop_remainder: See ``FixedShapes``.

    Raises:
        ValueError: If a length is none, or lengths do not rise.

    Example:
        >>> fixed_shapes(preprocessor, 32, "max").lengths                      # doctest: +SKIP
        (512,)
    """
    most = preprocessor.seq_length
    lengths = [most] if isinstance(pad_to, str) and pad_to == "max" else pad_to
    lengths = list(lengths) if isinstance(lengths, list | tuple) else [lengths]
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in lengths)
    if not lengths or not whole or lengths[0] < 2 or sorted(set(lengths)) != lengths:
        raise ValueError(
            f'pad_to={pad_to!r}. Expected "max", a length of 2 or more, or a list of lengths that '
            "rises."
        )
    # Positions beyond seq_length would never be used.
    lengths = sorted({min(int(length), most) for length in lengths})
    return FixedShapes(int(batch_size), tuple(lengths), preprocessor.tokenizer, drop_remainder)


@dataclasses.dataclass(frozen=True)
class FixedShapes:
    """The shapes of all batches of an epoch.

    Attributes:
        batch_size: Rows of every batch.
        lengths: Lengths of rows, rising; a batch has the first that holds its longest row. With one
            alone shapes are known before there is a batch.
        tokenizer: Whose padding it is.
        drop_remainder: Whether a batch that is not full is left out; if not, it is filled up.
    """

    batch_size: int
    lengths: tuple[int, ...]
    tokenizer: object
    drop_remainder: bool = False

    # What there is to batch.

    def check(self, longest: int):
        """Raises where rows are too long.

        Raises:
            ValueError: If ``longest`` is more than the greatest length.
        """
        if longest > self.lengths[-1]:
            raise ValueError(
                f"A row has {longest} tokens, and rows are to be padded to {self.lengths[-1]}. "
                "Give pad_to a length that holds it, or the model a preprocessor that cuts texts: "
                f"from_pretrained(..., seq_length={self.lengths[-1]})."
            )

    def batches(self, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Those of a pass's arrays of row numbers that make batches.

        Raises:
            ValueError: If none does.
        """
        if not self.drop_remainder:
            return batches
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        if not whole:
            raise ValueError(
                f"{sum(map(len, batches))} examples make no batch of {self.batch_size}, and with "
                "drop_remainder=True that is nothing. Give a smaller batch_size."
            )
        return whole

    def most(self, count) -> int:
        """The largest of some numbers that have a value for each length, such as predictions."""
        return max(count(length) for length in self.lengths)

    # Batches.

    def ids(self, ids: dict) -> dict[str, tf.Tensor]:
        """Ids (..., seq), padded: a batch's rows are as many as they were."""
        padding = {
            "input_word_ids": self.tokenizer.pad_id,
            "input_type_ids": PADDING_LEFT_TYPE if self.tokenizer.class_last else 0,
        }
        length = self._length_for(ids)
        return {name: self._long(x, length, padding.get(name, 0)) for name, x in ids.items()}

    def per_token(self, values: tf.Tensor, ids: dict, padding: int) -> tf.Tensor:
        """Numbers of tokens (rows, seq), padded as their ids are."""
        return self._long(values, self._length_for(ids), padding)

    def filled(self, ids: dict, *parts) -> tuple:
        """A batch, filled up with copies of its first row, and the mark among its ids.

        Args:
            ids: Tensors (rows, ...).
            *parts: Targets and weights of the rows: nests of tensors (rows, ...), or None.

        Returns:
            The same, (batch_size, ...), as many as are not None.
        """
        filled = tf.nest.map_structure(self._full, (ids, *(p for p in parts if p is not None)))
        if not self.drop_remainder:
            filled[0][PRESENT] = self.present(rows_in(ids))
        return filled

    def without_absent(self, targets: tf.Tensor, rows, ignored: int) -> tf.Tensor:
        """Filled-up targets, those of copies replaced by a number that stands for none."""
        present = tf.reshape(self.present(rows), (-1, *(1,) * (targets.shape.rank - 1)))
        return tf.where(present, targets, tf.cast(ignored, targets.dtype))

    def present(self, rows) -> tf.Tensor:
        """Which of a batch's rows are there, where the first so many are: (batch_size,) bool."""
        return tf.range(self.batch_size) < tf.cast(rows, tf.int32)

    def _full(self, x):
        rows = tf.shape(x)[0]
        message = f"A batch has more rows than batch_size={self.batch_size}: give as many."
        with tf.control_dependencies(
            [tf.debugging.assert_less_equal(rows, self.batch_size, message)]
        ):
            numbers = tf.range(self.batch_size)
        x = tf.gather(x, tf.where(numbers < rows, numbers, 0))
        return tf.ensure_shape(x, (self.batch_size, *x.shape[1:]))

    def _length_for(self, ids):
        if len(self.lengths) == 1:
            return self.lengths[0]
        return bucket_length(tf.shape(ids["input_word_ids"])[-1], self.lengths)

    def _long(self, x, length, padding):
        more = length - tf.shape(x)[-1]
        message = f"A row is longer than pad_to={self.lengths[-1]}."
        with tf.control_dependencies([tf.debugging.assert_non_negative(more, message)]):
            more = tf.identity(more)
        sides = [[more, 0] if self.tokenizer.class_last else [0, more]]
        x = tf.pad(x, [[0, 0]] * (x.shape.rank - 1) + sides, constant_values=padding)
        known = length if isinstance(length, int) else None
        return tf.ensure_shape(x, (*x.shape[:-1], known))


def rows_in(ids) -> tf.Tensor:
    """How many rows a batch has, int32."""
    return tf.shape(tf.nest.flatten(ids)[0])[0]
