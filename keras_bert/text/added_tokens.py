"""Tokens that are searched in text before it is split: added words, and special tokens if asked.

    strings --any token in the batch?--> no:  the tokenizer's own way
                                     --> yes: cut at the tokens, tokenize what lies between,
                                              put the tokens' ids in

The search is Hugging Face's: first the tokens that stand in the text as it is, then, in what lies
between those, the ones that are compared with normalised text; leftmost, the longest of those that
begin at one place. RE2 marks the tokens, so the cost is linear in the text whatever it holds.

Source: huggingface/tokenizers, `added_vocabulary.rs` (`find_matches`, `extract_and_normalize`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_bert.text.offsets import split_by_offsets
from keras_bert.text.unicode_tables import WHITE_SPACE
from keras_bert.text.utf8 import NEVER_IN_UTF8, character_class

__all__ = ["AddedToken", "Parts", "TokenSearch", "as_added_tokens"]


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is looked for in text before the text is split into pieces.

    Args:
        content: what the text must hold.
        lstrip: the token takes the blanks before it; they belong to its span.
        rstrip: the token takes the blanks behind it.
        single_word: the token counts only where no letter, digit, mark or "_" touches it.
        normalized: compare with the text as the tokenizer normalises it (lower-cased, accents
            stripped, ...), the content normalised likewise. None: unless `special`.
        special: the token marks structure (`[MASK]`, `<user>`), and text is searched for it only
            with `special_tokens_in_text="special"`.

    Raises:
        TypeError: `content` is not a str.
        ValueError: `content` is empty.

    Example:
        >>> WordPieceTokenizer("vocab.txt", added_tokens=[AddedToken("covid", single_word=True)])
    """

    content: str
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool | None = None
    special: bool = False

    def __post_init__(self):
        if not isinstance(self.content, str):
            raise TypeError(
                f"The content of an added token is {self.content!r} "
                f"({type(self.content).__name__}). Expected str."
            )
        if not self.content:
            raise ValueError("An added token is empty. Expected at least one character.")
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)


def as_added_tokens(tokens: Iterable[AddedToken | dict[str, Any] | str]) -> list[AddedToken]:
    """Added tokens from what users and configs give.

    Args:
        tokens: `AddedToken`s, dicts of its arguments, or the contents of plain ones.

    Raises:
        TypeError: an entry is none of these.
        ValueError: two entries have the same content.
    """
    if isinstance(tokens, str):
        raise TypeError(f"added_tokens={tokens!r}. Expected a list of tokens.")
    tokens = [_as_added_token(token) for token in tokens]
    contents = [token.content for token in tokens]
    twice = sorted({content for content in contents if contents.count(content) > 1})[:5]
    if twice:
        raise ValueError(f"Added tokens are given twice: {twice}. Give each once.")
    return tokens


def _as_added_token(token: AddedToken | dict[str, Any] | str) -> AddedToken:
    if isinstance(token, AddedToken):
        return token
    if isinstance(token, dict):
        return AddedToken(**token)
    return AddedToken(token)


class Parts(NamedTuple):
    """Strings cut at the tokens found in them: text, token, text, ..., token, text.

    Attributes:
        texts: string ragged (batch, parts), what lies between the tokens; may be empty strings.
        starts: int32 ragged, the first byte of each text in its string.
        tokens: int32 ragged, id of the token that follows each text, -1 behind the last one.
            A token spans all from the end of its text to the start of the next one.
    """

    texts: tf.RaggedTensor
    starts: tf.RaggedTensor
    tokens: tf.RaggedTensor

    @classmethod
    def whole(cls, strings: tf.Tensor) -> Parts:
        """Strings (batch,) before the search: one text each."""
        splits = tf.range(tf.size(strings, tf.int64) + 1)
        no_token = tf.fill(tf.shape(strings), -1)
        return cls(
            *(
                tf.RaggedTensor.from_row_splits(values, splits, validate=False)
                for values in (strings, tf.zeros_like(no_token), no_token)
            )
        )

    def join_ids(self, ids: tf.RaggedTensor) -> tf.RaggedTensor:
        """Puts the tokens between the pieces' ids (all texts, pieces): -> (batch, pieces)."""
        return self._join(ids, self.tokens.values)

    def join_spans(
        self, starts: tf.RaggedTensor, ends: tf.RaggedTensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Moves the pieces' spans from the texts to the strings, and puts the tokens' between."""
        part_starts = self.starts.values
        part_ends = part_starts + tf.strings.length(self.texts.values)
        # Behind the last part of all comes no token, whatever is rolled there.
        next_starts = tf.roll(part_starts, -1, axis=0)
        starts, ends = (
            spans.with_values(spans.values + tf.gather(part_starts, spans.value_rowids()))
            for spans in (starts, ends)
        )
        return self._join(starts, part_ends), self._join(ends, next_starts)

    def _join(self, pieces: tf.RaggedTensor, at_tokens: tf.Tensor) -> tf.RaggedTensor:
        followed = self.tokens.values >= 0
        of_tokens = tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(at_tokens, followed), tf.cast(followed, tf.int64), validate=False
        )
        joined = tf.concat([pieces, of_tokens], axis=1)
        return tf.RaggedTensor.from_row_splits(
            joined.values, tf.gather(joined.row_splits, self.texts.row_splits), validate=False
        )


class TokenSearch:
    """The search for a tokenizer's added tokens. Graph ops only, no state.

    Args:
        tokens: what to look for, at least one.
        ids: token -> id.
        normalize: strings (batch,) -> normalised strings, for tokens with `normalized`.
        normalize_with_spans: strings -> (normalised strings, function of ragged (starts, ends) in
            those that gives them in the strings).
        apart: characters, as in a class of a regular expression, that `normalize` leaves where
            Hugging Face's puts blanks around them: no word touches a normalised token with them.
    """

    def __init__(
        self,
        tokens: Sequence[AddedToken],
        ids: Mapping[str, int],
        normalize: Callable[[tf.Tensor], tf.Tensor],
        normalize_with_spans: Callable[[tf.Tensor], tuple[tf.Tensor, Callable]],
        apart: str = "",
    ):
        self._normalize, self._normalize_with_spans = normalize, normalize_with_spans
        as_it_is = [(t.content.encode(), t, ids[t.content]) for t in tokens]
        normalized = [row for row in as_it_is if row[1].normalized]
        as_it_is = [row for row in as_it_is if not row[1].normalized]
        if normalized:
            # Eagerly, also when a graph is being built.
            with tf.init_scope():
                contents = normalize(tf.constant([row[0] for row in normalized])).numpy()
            normalized = [
                (content, *row[1:]) for content, row in zip(contents, normalized, strict=True)
            ]
        self._as_it_is, self._normalized = _Pass.of(as_it_is), _Pass.of(normalized, apart)

    def any_in(self, strings: tf.Tensor) -> tf.Tensor:
        """Whether any of the strings (batch,) holds a token (or what may be one): bool ()."""
        found = tf.constant(False)
        if self._as_it_is:
            found |= self._as_it_is.any_in(strings)
        if self._normalized:
            found |= self._normalized.any_in(self._normalize(strings))
        return found

    def cut(self, strings: tf.Tensor) -> tuple[Parts, tf.Tensor]:
        """Cuts strings (batch,) at the tokens in them; and says whether there may be any."""
        any_found = self.any_in(strings)
        whole = Parts.whole(strings)
        return tf.cond(any_found, lambda: self._cut(strings), lambda: whole), any_found

    def _cut(self, strings: tf.Tensor) -> Parts:
        parts = Parts.whole(strings)
        if self._as_it_is:
            starts, ends, numbers = self._as_it_is.find(parts.texts.values)
            parts = self._as_it_is.cut(parts, starts, ends, numbers)
        if self._normalized:
            text, to_original = self._normalize_with_spans(parts.texts.values)
            starts, ends, numbers = self._normalized.find(text)
            parts = self._normalized.cut(parts, *to_original(starts, ends), numbers)
        return parts


# A byte that is in no well-formed text, and what stands for it where a text has it all the same.
_MARK, _INSTEAD = NEVER_IN_UTF8, b"\xfe"
# Rust's \s and \w, whose \w has Unicode's letters, marks, digits and connectors (RE2's are ASCII).
_BLANK = f"[{character_class(zip(WHITE_SPACE, WHITE_SPACE, strict=True))}]"
_WORD = (
    r"[\pL\pM\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}"
    r"\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}]"
)


class _Pass:
    """Tokens that are looked for together.

    Args:
        rows: (content as bytes, token, id), contents distinct and not empty.
        apart: see `TokenSearch`.
    """

    @classmethod
    def of(cls, rows: Sequence[tuple[bytes, AddedToken, int]], apart: str = "") -> _Pass | None:
        # Of contents that normalisation makes equal, the first one is found.
        distinct = {row[0]: row for row in reversed(rows) if row[0]}
        return cls(list(distinct.values()), apart) if distinct else None

    def __init__(self, rows, apart):
        self._apart = apart
        # RE2 takes the first alternative that matches: a token before each beginning of it.
        contents = sorted((row[0] for row in rows), reverse=True)
        self._pattern = "|".join(re.escape(content.decode()) for content in contents)
        with tf.init_scope():
            hashes = _hashes(tf.constant([row[0] for row in rows])).numpy()
        order = np.argsort(hashes)
        rows = [rows[i] for i in order]
        self._hashes = hashes[order]
        self._ids = np.array([row[2] for row in rows], np.int32)
        flags = np.array([(t.lstrip, t.rstrip, t.single_word) for _, t, _ in rows])
        self._lstrip, self._rstrip, self._single_word = flags.T

    def any_in(self, strings: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(tf.strings.regex_full_match(strings, rf"\C*(?:{self._pattern})\C*"))

    def find(self, text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Starts, ends (bytes), numbers of the tokens in strings: int32 ragged (batch, found)."""
        pieces = tf.strings.split(text, _MARK)
        text = tf.strings.unsorted_segment_join(
            pieces.values, pieces.value_rowids(), pieces.nrows(), _INSTEAD
        )
        marked = tf.strings.regex_replace(text, f"({self._pattern})", _MARK + rb"\1" + _MARK)
        # Text and token in turn, text first and last, empty where tokens touch.
        pieces = tf.strings.split(marked, _MARK)
        rows, first = pieces.value_rowids(), tf.gather(pieces.row_splits, pieces.value_rowids())
        place = tf.range(tf.size(rows, tf.int64)) - first
        found = tf.where(place % 2 == 1)[:, 0]
        ends = tf.cumsum(tf.strings.length(pieces.values))
        starts = ends - tf.strings.length(pieces.values)
        starts, ends = (x - tf.gather(starts, first) for x in (starts, ends))
        numbers = tf.searchsorted(self._hashes, _hashes(tf.gather(pieces.values, found)))
        if self._single_word.any():
            inside = self._touches_word(pieces.values, place, found)
            stays = ~(inside & tf.gather(self._single_word, numbers))
            found, numbers = tf.boolean_mask(found, stays), tf.boolean_mask(numbers, stays)
        of_found = tf.RaggedTensor.from_value_rowids(
            numbers, tf.gather(rows, found), pieces.nrows(), validate=False
        )
        return (
            of_found.with_values(tf.gather(starts, found)),
            of_found.with_values(tf.gather(ends, found)),
            of_found,
        )

    def _touches_word(self, pieces: tf.Tensor, place: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        """Whether a word's character stands next to each token; beyond an empty text, a token's."""
        ends_in_word = tf.strings.regex_full_match(pieces, rf"\C*{_WORD}")
        opens_with_word = tf.strings.regex_full_match(pieces, rf"{_WORD}\C*")
        if self._apart:
            ends_in_word &= ~tf.strings.regex_full_match(pieces, rf"\C*[{self._apart}]")
            opens_with_word &= ~tf.strings.regex_full_match(pieces, rf"[{self._apart}]\C*")
        empty = tf.strings.length(pieces) == 0
        is_last = tf.concat([place[1:] == 0, [True]], axis=0)[: tf.size(place)]

        def neighbour(is_word, step, beyond_exists):
            beside = found + step
            beyond = tf.where(beyond_exists(beside), beside + step, beside)
            return tf.gather(is_word, tf.where(tf.gather(empty, beside), beyond, beside))

        return neighbour(ends_in_word, -1, lambda i: tf.gather(place, i) > 0) | neighbour(
            opens_with_word, 1, lambda i: ~tf.gather(is_last, i)
        )

    def cut(
        self,
        parts: Parts,
        starts: tf.RaggedTensor,
        ends: tf.RaggedTensor,
        numbers: tf.RaggedTensor,
    ) -> Parts:
        """Cuts the texts of `parts` at spans (all texts, found) in bytes."""
        lengths = tf.strings.length(parts.texts.values)[:, tf.newaxis]
        text_starts = tf.concat([tf.zeros_like(lengths), ends], axis=1)
        text_ends = tf.concat([starts, lengths], axis=1)
        texts = split_by_offsets(parts.texts.values, text_starts, text_ends)
        texts, stripped = self._strip(texts, numbers)
        first = tf.gather(parts.starts.values, text_starts.value_rowids())
        tokens = numbers.with_values(tf.gather(self._ids, numbers.values))
        tokens = tf.concat([tokens, parts.tokens.values[:, tf.newaxis]], axis=1)
        # The old parts' rows are made of the new ones'.
        splits = tf.gather(tokens.row_splits, parts.texts.row_splits)
        return Parts(
            *(
                tf.RaggedTensor.from_row_splits(values, splits, validate=False)
                for values in (texts.values, first + text_starts.values + stripped, tokens.values)
            )
        )

    def _strip(
        self, texts: tf.RaggedTensor, numbers: tf.RaggedTensor
    ) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Takes from texts the blanks that tokens beside them claim; the left one has its turn."""
        stripped = tf.zeros_like(texts.values, tf.int32)
        nowhere = tf.zeros([numbers.nrows(), 1], tf.bool)
        if self._rstrip.any():
            claims = numbers.with_values(tf.gather(self._rstrip, numbers.values))
            claimed = tf.concat([nowhere, claims], axis=1).values
            less = tf.strings.regex_replace(texts.values, rf"\A{_BLANK}+", "")
            less = tf.where(claimed, less, texts.values)
            stripped = tf.strings.length(texts.values) - tf.strings.length(less)
            texts = texts.with_values(less)
        if self._lstrip.any():
            claims = numbers.with_values(tf.gather(self._lstrip, numbers.values))
            claimed = tf.concat([claims, nowhere], axis=1).values
            less = tf.strings.regex_replace(texts.values, rf"{_BLANK}+\z", "")
            texts = texts.with_values(tf.where(claimed, less, texts.values))
        return texts, stripped


def _hashes(contents: tf.Tensor) -> tf.Tensor:
    # 63 bits: two of even a million tokens collide with a chance of one in ten million.
    return tf.strings.to_hash_bucket_fast(contents, 2**63 - 1)
