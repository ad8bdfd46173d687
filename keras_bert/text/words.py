"""Words of a text that nobody has split into words, and texts of words that somebody has.

A word here is what gets one answer: a run of letters and digits, each mark of punctuation, each
character of a script that puts no blanks between words, a run of symbols such as emoji. That is
how BERT's tokenizer sets characters apart before it looks for pieces, except that symbols stand
apart from letters, and that kana, Thai, Lao, Khmer and Burmese are as Chinese is.

Source: google-research/bert ``tokenization.py``, ``BasicTokenizer``; Unicode Standard Annex 29,
section 4.1, for the scripts in which blanks do not tell words apart.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert.text.unicode_tables import WHITE_SPACE

__all__ = ["character_kinds", "join_words", "split_words", "words_of_kinds"]

# What a character is. What joins (accents, joiners, variation selectors, control characters) is
# part of the word before it, whatever that is.
_BLANK, _LETTER, _APART, _SYMBOL, _JOINS = range(5)

_BY_CATEGORY = {"P": _APART, "S": _SYMBOL, "Z": _BLANK, "M": _JOINS, "C": _JOINS}

# Zero-width space and the replacement character, which stands for bytes that are not UTF-8.
_EXCEPTIONS = {0x200B: _BLANK, 0xFFFD: _JOINS, **dict.fromkeys(WHITE_SPACE, _BLANK)}

#: Chinese characters as in BERT's tokenizer, and kana with their marks.
_CHINESE = (
    (0x2E80, 0x2FFF),
    (0x3000, 0x30FF),
    (0x3100, 0x312F),
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x323AF),
)
#: Thai and Lao, Burmese, Khmer: (first, last).
_SOUTH_EAST_ASIAN = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0xA9E0, 0xA9FF),
    (0xAA60, 0xAA7F),
)
#: Full-width punctuation and letters, which come without blanks beside them.
_FULL_WIDTH = ((0xFF00, 0xFFEF),)


def split_words(strings: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Says where words begin and end; in the graph, too.

    Args:
        strings: string (batch,). Bytes that are not UTF-8 are part of the word before them.

    Returns:
        (starts, ends), ragged int32 (batch, words), in bytes, ``ends`` excluded.

    Example:
        >>> starts, ends = split_words(tf.constant(["I saw 中国!"]))
        >>> starts, ends
        (<tf.RaggedTensor [[0, 2, 6, 9, 12]]>, <tf.RaggedTensor [[1, 5, 9, 12, 13]]>)
    """
    codes, starts = tf.strings.unicode_decode_with_offsets(
        strings, "UTF-8", replace_control_characters=False
    )
    firsts, kinds = character_kinds()
    kind = tf.gather(kinds, tf.searchsorted(firsts, codes.values, side="right") - 1)
    start = tf.cast(starts.values, tf.int32)
    return words_of_kinds(kind, codes.value_rowids(), start, tf.strings.length(strings))


def words_of_kinds(
    kind: tf.Tensor, row: tf.Tensor, start: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Says where words begin and end, given of what kinds the characters are.

    Args:
        kind: int32 (characters,): as ``character_kinds`` numbers them; bytes that are no part of a
            character may be left out.
        row: int (characters,): the number of the text that each is of.
        start: int32 (characters,): its first byte in that text.
        lengths: int32 (batch,): bytes of the texts.

    Returns:
        As ``split_words``.
    """
    counts = tf.math.unsorted_segment_sum  # of kept characters per text
    kept = kind != _JOINS
    row, kind, start = (tf.boolean_mask(x, kept) for x in (row, kind, start))
    # A character reaches to the next one that is kept, or to the end of its text.
    same_row = tf.concat([row[1:] == row[:-1], tf.zeros_like(row[:1], tf.bool)], 0)
    following = tf.concat([start[1:], start[:1]], 0)
    end = tf.where(same_row, following, tf.gather(lengths, row))
    goes_on = (kind[1:] == kind[:-1]) & (kind[1:] != _APART) & same_row[:-1]
    border = tf.ones_like(row[:1], tf.bool)
    word = kind != _BLANK
    begins = word & tf.concat([border, ~goes_on], 0)
    stops = word & tf.concat([~goes_on, border], 0)
    rows = tf.boolean_mask(row, begins)
    per_row = counts(tf.ones_like(rows), rows, tf.size(lengths, rows.dtype))
    first, last = tf.boolean_mask(start, begins), tf.boolean_mask(end, stops)
    ragged = tf.RaggedTensor.from_row_lengths(first, per_row, validate=False)
    return ragged, ragged.with_values(last)


def join_words(
    words: Sequence[str], joiner: str | None = None
) -> tuple[str, list[tuple[int, int]]]:
    """Puts words together to a text.

    Args:
        words: the words.
        joiner: what stands between two words. None: a blank, but nothing beside a character of
            Chinese, Japanese, Thai, Lao, Khmer or Burmese and full-width punctuation, where its
            text has no blanks either.

    Returns:
        The text, and (start, end) of each word in its characters.

    Example:
        >>> join_words(["Anna", "lives", "here"])
        ('Anna lives here', [(0, 4), (5, 10), (11, 15)])
        >>> join_words(["2004", "年", "，", "GitHub"])[0]
        '2004年，GitHub'
    """
    parts, spans, place, before = [], [], 0, ""
    for number, word in enumerate(words):
        between = (joiner if joiner is not None else _between(before, word)) if number else ""
        place += len(between)
        spans.append((place, place + len(word)))
        place += len(word)
        parts += (between, word)
        before = word or before
    return "".join(parts), spans


def _between(before, after):
    close = before[-1:] and after[:1] and (_is_close(before[-1]) or _is_close(after[0]))
    return "" if close else " "


def _is_close(character):
    code = ord(character)
    if code < 0x0E00:
        return False
    ranges = (*_CHINESE, *_SOUTH_EAST_ASIAN, *_FULL_WIDTH)
    return any(first <= code <= last for first, last in ranges)


@functools.cache
def character_kinds() -> tuple[np.ndarray, np.ndarray]:
    """First code points of runs of characters of one kind, and the kinds, both int32."""
    categories = [unicodedata.category(chr(code))[0] for code in range(0x110000)]
    kinds = np.array([_BY_CATEGORY.get(category, _LETTER) for category in categories], np.int32)
    kinds[:0x80][kinds[:0x80] == _SYMBOL] = _APART  # as BERT has it
    for first, last in (*_CHINESE, *_SOUTH_EAST_ASIAN):
        part = kinds[first : last + 1]
        part[part == _LETTER] = _APART
    for code, kind in _EXCEPTIONS.items():
        kinds[code] = kind
    firsts = np.flatnonzero(np.diff(kinds, prepend=-1)).astype(np.int32)
    return firsts, kinds[firsts]
