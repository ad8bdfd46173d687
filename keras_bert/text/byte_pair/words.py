"""GPT-2's split of text into words, by whole batches of characters and not a regular expression.

The pattern (openai/gpt-2 `encoder.py`) is

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

so a word begins where the kind of character changes (letter, number, blank, other); a blank that is
a space goes to the word behind it; of several blanks the last one stands apart from the others if
something follows; and a contraction ends where it ends. That takes some 50 ns for each character,
as much as RE2, which has no lookahead and could not be told where else to cut.

Beyond that, words are cut where no merge can join what lies on both sides: between most Chinese
characters, since vocabularies hold few tokens that go on from one character to the next. A word is
then not a sentence without blanks, but a character, and the same ones come again and again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from keras_bert.text.offsets import split_by_offsets
from keras_bert.text.unicode_tables import WHITE_SPACE, read_arrays
from keras_bert.text.utf8 import ANNOUNCED_BYTES, byte_counts

__all__ = ["character_table", "split_words"]

_LETTER, _NUMBER, _BLANK = 1, 2, 3  # 0: any other
# What the table says of a character, in the bits of a uint16: its kind; whether a word may end
# behind it; for six groups of tokens that go on from one character to another, whether it ends as
# the one, and, a shift higher, whether it begins as the other. The bit below those is always set.
_KIND, _CUT, _ENDS, _GROUPS, _SHIFT = 0b11, 0b100, 3, 6, 7

_PAGE_BITS = 8


def character_table(tokens: Iterable[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """What `split_words` has to know of each character.

    Args:
        tokens: the bytes of every token that merging can make.

    Returns:
        (pages, numbers): uint16 (pages, 256) and (4352,). What is said of the code point c stands
        at `pages[numbers[c // 256], c % 256]`.
    """
    table = _kinds().astype(np.uint16) | np.uint16(_CUT << _SHIFT)
    first, last = 0x800, 0xFFFF  # characters of three bytes
    codes = np.arange(first, last + 1)
    three_bytes = table[first : last + 1]
    three_bytes[(codes < 0xD800) | (codes >= 0xE000)] |= _CUT
    encoded = [codes >> 12 | 0xE0, codes >> 6 & 0x3F | 0x80, codes & 0x3F | 0x80]
    crossings = _crossings(tokens)
    # By what they go on with. That two share a group costs cuts that could have been made: few.
    rights = sorted({right for _, right in crossings})
    bits = {right: 1 << place % _GROUPS for place, right in enumerate(rights)}
    lefts: dict[bytes, int] = {}
    for left, right in crossings:
        lefts[left] = lefts.get(left, 0) | bits[right]
    for left, bit in lefts.items():
        # Characters whose last bytes these are.
        pairs = zip(reversed(encoded), reversed(left), strict=False)
        ends_so = np.logical_and.reduce([bytes_ == byte for bytes_, byte in pairs])
        three_bytes[ends_so] |= bit << _ENDS
    for right, bit in bits.items():
        table[_beginning_with(right)] |= bit << _ENDS + _SHIFT
    # Equal pages are kept once.
    distinct: dict[bytes, int] = {}
    rows = table.reshape(-1, 1 << _PAGE_BITS)
    numbers = [distinct.setdefault(row.tobytes(), len(distinct)) for row in rows]
    pages = np.frombuffer(b"".join(distinct), np.uint16).reshape(len(distinct), -1)
    return pages, np.array(numbers, np.uint16)


def _crossings(tokens: Iterable[bytes]) -> set[tuple[bytes, bytes]]:
    """Up to three bytes before and behind each place where a token goes on to a character.

    Only behind trailing bytes: behind an ASCII character no cut is made, whatever goes on there.
    Those that follow from others are left out.
    """
    found = {
        (
            token[max(0, place - 3) : place],
            token[place : place + min(3, ANNOUNCED_BYTES[token[place]])],
        )
        for token in tokens
        for place in range(1, 0 if token.isascii() else len(token))
        if token[place] & 0xC0 != 0x80 and token[place - 1] & 0xC0 == 0x80
    }
    return {
        (left, right)
        for left, right in found
        if not any(
            (left[at:], right[:end]) in found
            for at in range(len(left))
            for end in range(1, len(right) + 1)
            if (at, end) != (0, len(right))
        )
    }


def _beginning_with(head: bytes) -> slice:
    """The code points whose UTF-8 begins with these bytes, or a few more."""
    count = ANNOUNCED_BYTES[head[0]]
    code = head[0] & (0x7F >> count if count > 1 else 0x7F)
    for byte in head[1:]:
        code = code << 6 | byte & 0x3F
    missing = 6 * (count - len(head))
    return slice(code << missing, code + 1 << missing)


@functools.cache
def _kinds() -> np.ndarray:
    table = np.zeros(0x110000, np.uint8)
    letters, numbers = read_arrays("unicode16", "letters", "numbers")
    for kind, ranges in ((_LETTER, letters), (_NUMBER, numbers)):
        for first, last in ranges:
            table[first : last + 1] = kind
    table[list(WHITE_SPACE)] = _BLANK
    return table


def split_words(text: tf.Tensor, pages: tf.Tensor, numbers: tf.Tensor) -> tf.RaggedTensor:
    """Cuts strings into words. Joined, the words of a string are the string.

    Args:
        text: string (batch,), UTF-8.
        pages: as `character_table` gives it.
        numbers: likewise.

    Returns:
        Strings, ragged (batch, words).
    """
    characters, offsets = tf.strings.unicode_decode_with_offsets(text, "UTF-8")
    codes, places = characters.values, offsets.values
    page = tf.cast(tf.gather(numbers, tf.bitwise.right_shift(codes, _PAGE_BITS)), tf.int32)
    in_page = tf.bitwise.bitwise_and(codes, (1 << _PAGE_BITS) - 1)
    place = tf.bitwise.left_shift(page, _PAGE_BITS) + in_page
    known = tf.gather(tf.reshape(pages, [-1]), place)
    begins = _word_begins(codes, places == 0, known)
    # The words' first and last characters, and of each string the number of its first word.
    first = tf.where(begins)[:, 0]
    last = tf.concat([first, tf.size(codes, tf.int64)[tf.newaxis]], 0)[1:] - 1
    before = tf.cumsum(tf.cast(tf.concat([[False], begins], 0), tf.int64))
    splits = tf.gather(before, characters.row_splits)
    starts, last_starts = (tf.cast(tf.gather(places, at), tf.int32) for at in (first, last))
    ends = last_starts + byte_counts(tf.gather(codes, last))
    starts = tf.RaggedTensor.from_row_splits(starts, splits, validate=False)
    return split_by_offsets(text, starts, starts.with_values(ends))


def _word_begins(codes: tf.Tensor, opens: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Whether a word begins at each character (characters,); `opens`: a string does."""
    kind = known & np.uint16(_KIND)
    blank = kind == _BLANK
    previous = tf.concat([kind[:1], kind[:-1]], 0)
    after_blank = previous == _BLANK
    after_space = tf.concat([codes[:1], codes[:-1]], 0) == ord(" ")
    word_follows = tf.concat([~(blank | opens)[1:], tf.zeros_like(opens[:1])], 0)
    begins = opens | ((kind != previous) & ~after_space)
    begins |= blank & after_blank & word_follows
    apostrophes = tf.where(begins & (codes == ord("'")))[:, 0]
    begins = _with_contractions(begins, codes, opens, apostrophes)
    # Where one does not end as the next one goes on, all that they have in common is the cut.
    common = known[:-1] & tf.bitwise.right_shift(known[1:], np.uint16(_SHIFT))
    cuts = common & np.uint16((1 << _SHIFT + 2) - 1 - _KIND) == _CUT
    return begins | tf.concat([tf.zeros_like(opens[:1]), cuts], 0)


def _with_contractions(
    begins: tf.Tensor, codes: tf.Tensor, opens: tf.Tensor, apostrophes: tf.Tensor
) -> tf.Tensor:
    """Ends words behind 's, 't, 'm, 'd, 're, 've and 'll that open one."""
    size = tf.size(begins)
    # Behind the last character there are others, and none that is part of a contraction.
    begins = tf.concat([begins, [False] * 3], 0)
    inside = tf.where(opens, 0, codes)
    inside = tf.concat([inside, [0, 0, 0]], 0)
    second, third = tf.gather(inside, apostrophes + 1), tf.gather(inside, apostrophes + 2)
    short = tf.reduce_any(second[:, tf.newaxis] == list(map(ord, "stmd")), axis=1)
    # Both letters in one number: code points take 21 bits.
    both = tf.bitwise.left_shift(tf.cast(second, tf.int64), 21) + tf.cast(third, tf.int64)
    long = tf.reduce_any(
        both[:, tf.newaxis] == [ord(a) << 21 | ord(b) for a, b in ("re", "ve", "ll")], axis=1
    )
    found = tf.where(short | long)[:, 0]
    letters = tf.gather(apostrophes, found) + 1
    behind = letters + tf.where(tf.gather(short, found), np.int64(1), np.int64(2))
    places = tf.concat([letters, behind], 0)
    values = tf.concat([tf.zeros_like(letters, tf.bool), tf.ones_like(behind, tf.bool)], 0)
    return tf.tensor_scatter_nd_update(begins, places[:, tf.newaxis], values)[:size]
