"""The bytes and characters of texts inside a LiteRT graph.

LiteRT has no lengths of strings, no code points and no regular expressions; tf.text's byte splitter
is the one kernel that looks into a string, and the rest is arithmetic on its bytes.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_bert.text.words import character_kinds, words_of_kinds

__all__ = ["TextBytes"]

#: Characters per row of the table of their kinds.
_ROW = 128


class TextBytes(NamedTuple):
    """The bytes of a batch of texts, laid end to end.

    Attributes:
        texts: string (batch,).
        values: int32 (bytes,).
        first: int32 (batch,): where each text begins among them.
        lengths: int32 (batch,): bytes of each text.
        text: int32 (bytes,): the number of the text that each byte is of.
        codes: int32 (bytes,): the code point of the character that begins there; -1 inside of one
            and where no character is.
        inside: bool (bytes,): whether it is the second, third or fourth byte of a character.
    """

    texts: tf.Tensor
    values: tf.Tensor
    first: tf.Tensor
    lengths: tf.Tensor
    text: tf.Tensor
    codes: tf.Tensor
    inside: tf.Tensor

    @classmethod
    def of(cls, texts: tf.Tensor) -> TextBytes:
        """The bytes of texts, string (batch,)."""
        import tensorflow_text as tf_text

        ragged = tf_text.ByteSplitter().split(texts)
        splits = tf.cast(ragged.row_splits, tf.int32)
        values = tf.cast(ragged.values, tf.int32)
        first, lengths = splits[:-1], splits[1:] - splits[:-1]
        # Several texts begin at one place where texts are empty; that counts as often.
        begun = tf.scatter_nd(first[:, tf.newaxis], tf.ones_like(first), [tf.size(values) + 1])
        text = tf.cumsum(begun)[:-1] - 1
        codes, inside = _characters(values, tf.gather(first + lengths, text))
        return cls(texts, values, first, lengths, text, codes, inside)

    def words(self) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """As ``keras_bert.text.words.split_words``."""
        places = tf.cast(tf.where(self.codes >= 0)[:, 0], tf.int32)
        rows, kinds = (tf.constant(table) for table in _kind_table())
        codes = tf.gather(self.codes, places)
        kind = tf.gather(kinds, tf.gather(rows, codes // _ROW) * _ROW + codes % _ROW)
        text = tf.gather(self.text, places)
        return words_of_kinds(kind, text, places - tf.gather(self.first, text), self.lengths)

    def in_characters(
        self, starts: tf.RaggedTensor, ends: tf.RaggedTensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """As ``keras_bert.text.offsets.in_characters``."""
        begun = tf.cumsum(tf.cast(self.codes >= 0, tf.int32))
        begun = tf.concat([[0], begun], 0)
        inside = tf.concat([tf.cast(self.inside, tf.int32), [0]], 0)
        base = tf.gather(self.first, starts.value_rowids())
        before = tf.gather(begun, base)
        place = base + starts.values
        characters = tf.gather(begun, place) - tf.gather(inside, place) - before
        behind = tf.gather(begun, base + ends.values) - before
        return starts.with_values(characters), ends.with_values(behind)

    def cut(self, starts: tf.RaggedTensor, ends: tf.RaggedTensor) -> tf.RaggedTensor:
        """What stands between bytes of the texts: strings, ragged as the places."""
        from tensorflow_text.python.ops.byte_splitter import gen_byte_splitter

        parts, _ = gen_byte_splitter.tf_text_byte_split_by_offsets(
            self.texts, starts.values, ends.values, tf.cast(starts.row_splits, tf.int64)
        )
        return starts.with_values(parts)


def _characters(values: tf.Tensor, ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Code points of the characters that begin at bytes, and which bytes stand inside of one.

    Args:
        values: int32 (bytes,).
        ends: int32 (bytes,): where the text of each ends.
    """
    size = tf.size(values)
    padded = tf.concat([values, tf.zeros([3], tf.int32)], 0)
    # In words and not in slices of a stride, which LiteRT's converter does not take.
    byte = [padded[ahead : ahead + size] for ahead in range(4)]
    follows = [
        (byte[ahead] >= 0x80) & (byte[ahead] < 0xC0) & (tf.range(size) + ahead < ends)
        for ahead in (1, 2, 3)
    ]
    lead, one, two, three = byte[0], *(part % 64 for part in byte[1:])
    codes = {
        1: lead,
        2: (lead % 32) * 64 + one,
        3: ((lead % 16) * 64 + one) * 64 + two,
        4: (((lead % 8) * 64 + one) * 64 + two) * 64 + three,
    }
    # Shortest form only, no halves of surrogate pairs, nothing beyond the last code point.
    is_half = (codes[3] >= 0xD800) & (codes[3] < 0xE000)
    fits = {
        1: lead < 0x80,
        2: (lead >= 0xC2) & (lead < 0xE0) & follows[0],
        3: (lead >= 0xE0)
        & (lead < 0xF0)
        & follows[0]
        & follows[1]
        & (codes[3] >= 0x800)
        & ~is_half,
        4: (lead >= 0xF0)
        & (lead < 0xF5)
        & follows[0]
        & follows[1]
        & follows[2]
        & (codes[4] >= 0x10000)
        & (codes[4] < 0x110000),
    }
    code, length = tf.fill(tf.shape(values), -1), tf.ones_like(values)
    for count, fit in fits.items():
        code = tf.where(fit, codes[count], code)
        length = tf.where(fit, count, length)
    # Bytes inside begin nothing: they are no leading ones.
    before = tf.concat([tf.ones([3], tf.int32), length], 0)
    inside = tf.zeros_like(fits[1])
    for back in (1, 2, 3):
        inside |= before[3 - back : 3 - back + size] > back
    return code, inside


@functools.cache
def _kind_table() -> tuple[np.ndarray, np.ndarray]:
    """For every row of characters its number, and the kinds of the characters of each row."""
    firsts, kinds = character_kinds()
    every = np.repeat(kinds, np.diff(firsts, append=0x110000)).reshape(-1, _ROW)
    rows, numbers = np.unique(every, axis=0, return_inverse=True)
    return numbers.astype(np.int32).ravel(), rows.astype(np.int32).ravel()
