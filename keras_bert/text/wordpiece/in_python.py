"""WordPiece in plain Python: the same tables and the same ids as the graph in `tokenizer.py`.

For machines that tensorflow-text has no wheels for, and for jobs that want words rather than ids
(vocabulary learning). It asks nothing of Python's own `unicodedata`, so ids do not depend on the
Python version. Text is cut at ASCII blanks first: what lies between two of them is normalised and
split independently of all around it, and its result is remembered if it is short, since most of any
text consists of few words. The memory of that is bounded.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from keras_bert.text.wordpiece import normalizer

__all__ = ["MAX_WORD_BYTES", "MAX_WORD_CHARACTERS", "PythonWordPiece", "WordSplitter"]

# Longer words are unknown (google-research/bert `WordpieceTokenizer`, max_input_chars_per_word).
MAX_WORD_CHARACTERS = 200
MAX_WORD_BYTES = 4 * MAX_WORD_CHARACTERS

_CHUNK = re.compile(rb"[^ \t\n\r]+")
# What decoding with "surrogateescape" makes of bytes that are not UTF-8.
_ILL_FORMED = (0xDC80, 0xDCFF)

_LONGEST_REMEMBERED = 40
_MOST_REMEMBERED = 1 << 15


class Word(NamedTuple):
    """A normalised word, and for each of its characters which one of the chunk it comes from."""

    letters: str
    origins: Sequence[int]


class WordSplitter:
    """The reference's normalisation and split into words, without a vocabulary.

    Args:
        lower_case: lower-case the text.
        strip_accents: decompose characters and drop accents.
        tokenize_chinese_chars: make each Chinese character a word.
        final_sigma: lower-case a capital sigma at a word's end to `ς`, as `str.lower` does.

    Example:
        >>> splitter = WordSplitter(True, True, True)
        >>> [word for chunk in splitter.chunks("Où est-il?") for word in splitter.words(chunk)]
        ['ou', 'est', '-', 'il', '?']
    """

    def __init__(
        self,
        lower_case: bool,
        strip_accents: bool,
        tokenize_chinese_chars: bool,
        final_sigma: bool = True,
    ):
        self._table = _table(bool(lower_case), bool(strip_accents))
        self._word = _word_pattern(bool(tokenize_chinese_chars))
        self._sigma = _final_sigma() if lower_case and final_sigma else None

    @staticmethod
    def chunks(text: str | bytes) -> Iterator[bytes]:
        """Cuts a text at blanks into parts that can be split one by one."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return (match.group() for match in _CHUNK.finditer(data))

    def words(self, chunk: bytes) -> list[str]:
        """The normalised words of a chunk."""
        return self._word.findall("".join(self.normalized(_decoded(chunk))))

    def words_and_origins(self, text: str) -> tuple[Iterator[Word], Sequence[int]]:
        """The words of a chunk that is decoded, and where the characters it keeps stand.

        Returns:
            (words, kept): `kept` are the places of the characters, in order, of which
            normalisation leaves something; one may stand several times.
        """
        parts = self.normalized(text)
        letters = "".join(parts)
        if set(map(len, parts)) <= {1}:
            origins = range(len(letters))
        else:
            origins = array("q", (i for i, part in enumerate(parts) for _ in part))
        matches = self._word.finditer(letters)
        return (Word(m.group(), origins[m.start() : m.end()]) for m in matches), origins

    def normalized(self, text: str) -> list[str]:
        """What becomes of each character of a chunk."""
        if self._sigma and normalizer.SIGMA in text:
            text = self._sigma.sub(r"\1ς", text)
        table = self._table
        return [table.get(character, character) for character in text]


class _Pieces(NamedTuple):
    """Ids of a chunk, and their spans in bytes of it; all three of one length."""

    ids: Sequence[int]
    starts: Sequence[int]
    tight: Sequence[int]
    loose: Sequence[int]


class PythonWordPiece:
    """Ids and spans of strings, as the graph gives them.

    Args:
        vocabulary: the tokens in the order of their ids; the last of equal ones counts.
        unk_id: the id of a word that the pieces cannot spell.
        splitter: what makes words of text.
        unmatchable: characters whose tokens no text gives.
        guards: whether words of more than 200 characters are unknown, or of 800 bytes, as in a
            graph without guards.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        unk_id: int,
        splitter: WordSplitter,
        unmatchable: Iterable[str] = normalizer.UNMATCHABLE,
        guards: bool = True,
    ):
        never = set(unmatchable)
        self._opening, self._continuing = {}, {}
        for index, token in enumerate(vocabulary):
            if token and never.isdisjoint(token):
                self._opening[token] = index
                if token.startswith("##"):
                    self._continuing[token[2:]] = index
        self._longest = max(map(len, self._opening), default=0)
        self._unk_id = unk_id
        self._splitter = splitter
        self._guards = guards
        self._remembered: dict[bytes, _Pieces] = {}

    def ids(self, strings: Iterable[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all strings, int32 (pieces,), and the splits of their rows, int64 (batch + 1,)."""
        values, splits = array("i"), array("q", [0])
        for string in strings:
            for match in _CHUNK.finditer(string):
                values.extend(self._pieces(match.group()).ids)
            splits.append(len(values))
        return np.array(values, np.int32), np.array(splits, np.int64)

    def ids_and_spans(
        self, strings: Iterable[bytes], loose: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(ids, starts, ends, splits); spans in bytes, int32 (pieces,)."""
        values, starts, ends, splits = array("i"), array("i"), array("i"), array("q", [0])
        for string in strings:
            for match in _CHUNK.finditer(string):
                pieces, place = self._pieces(match.group()), match.start()
                values.extend(pieces.ids)
                starts.extend([place + start for start in pieces.starts])
                chosen = pieces.loose if loose else pieces.tight
                ends.extend([place + end for end in chosen])
            splits.append(len(values))
        spans = (np.array(x, np.int32) for x in (values, starts, ends))
        return *spans, np.array(splits, np.int64)

    def normalize(self, strings: Iterable[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normalised strings, and where each of their bytes comes from.

        Returns:
            (texts, origins, splits): bytes (batch,); of each text's bytes, and behind its last
            one, the first byte of the character it comes from, int64; rows of these, int64.
        """
        texts, origins, splits = [], array("q"), array("q", [0])
        for string in strings:
            parts, end = [], 0
            for match in _CHUNK.finditer(string):
                parts.append(b" " * (match.start() - end))
                origins.extend(range(end, match.start()))
                text = _decoded(match.group())
                places = _byte_places(text)
                for place, part in zip(places, self._splitter.normalized(text), strict=False):
                    parts.append(part.encode("utf-8"))
                    origins.extend([match.start() + place] * len(parts[-1]))
                end = match.end()
            parts.append(b" " * (len(string) - end))
            origins.extend(range(end, len(string) + 1))
            texts.append(b"".join(parts))
            splits.append(len(origins))
        return np.array(texts, object), np.array(origins, np.int64), np.array(splits, np.int64)

    def spell(self, word: str) -> list[tuple[int, int]]:
        """The pieces of a normalised word, longest first: (id, end in the word) of each."""
        length = len(word) if self._guards else len(word.encode("utf-8"))
        if length > (MAX_WORD_CHARACTERS if self._guards else MAX_WORD_BYTES):
            return [(self._unk_id, len(word))]
        found, start, tokens = [], 0, self._opening
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                index = tokens.get(word[start:end])
                if index is not None:
                    break
            else:
                return [(self._unk_id, len(word))]
            found.append((index, end))
            start, tokens = end, self._continuing
        return found

    def _pieces(self, chunk: bytes) -> _Pieces:
        pieces = self._remembered.get(chunk)
        if pieces is None:
            pieces = self._split(chunk)
            if len(chunk) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[chunk] = pieces
        return pieces

    def _split(self, chunk: bytes) -> _Pieces:
        text = _decoded(chunk)
        places = _byte_places(text)
        words, kept = self._splitter.words_and_origins(text)
        ids, starts, tight, loose = array("i"), array("i"), array("i"), array("i")
        for word in words:
            start = 0
            for index, end in self.spell(word.letters):
                last = word.origins[end - 1]
                following = bisect.bisect_right(kept, last)
                ids.append(index)
                starts.append(places[word.origins[start]])
                tight.append(places[last + 1])
                loose.append(places[kept[following] if following < len(kept) else len(text)])
                start = end
        return _Pieces(ids, starts, tight, loose)


def _decoded(chunk: bytes) -> str:
    return chunk.decode("utf-8", "surrogateescape")


def _byte_places(text: str) -> Sequence[int]:
    """Where each character stands in the bytes it was decoded from, and at last their number."""
    if text.isascii():
        return range(len(text) + 1)
    first, last = map(chr, _ILL_FORMED)
    lengths = (1 if first <= c <= last else len(c.encode("utf-8")) for c in text)
    return array("q", itertools.accumulate(lengths, initial=0))


@functools.lru_cache(maxsize=4)
def _table(lower_case: bool, strip_accents: bool) -> dict[str, str]:
    table = normalizer.normalization(lower_case, strip_accents)
    first, last = _ILL_FORMED
    return {chr(c): text for c, text in table.items()} | dict.fromkeys(
        map(chr, range(first, last + 1)), ""
    )


@functools.lru_cache(maxsize=2)
def _word_pattern(chinese_words: bool) -> re.Pattern:
    """What is apart is a word of one character. The table puts blanks around later punctuation."""
    signs = re.escape("".join(c for c in map(chr, range(128)) if normalizer.apart(c)))
    chinese = _character_class(normalizer.CHINESE_RANGES) if chinese_words else ""
    return re.compile(f"[{signs}{chinese}]|[^ {signs}{chinese}]+")


@functools.cache
def _final_sigma() -> re.Pattern:
    cased, ignorable = map(_character_class, normalizer.sigma_context())
    # Ill-formed bytes are deleted before anything is lower-cased.
    ignorable += _character_class([_ILL_FORMED])
    before = f"([{cased}][{ignorable}]*)"
    return re.compile(f"{before}{normalizer.SIGMA}(?=[{ignorable}]*(?:[^{cased}{ignorable}]|$))")


def _character_class(ranges: Iterable[Sequence[int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
