"""Tokenizers inside a LiteRT graph, with the kernels that tf.text has for LiteRT.

    strings --> FastBertNormalize (our table) --> FastWordpieceTokenizeWithOffsets --> ids, spans

Packing is dense already. What the tokenizers do beside that takes regular expressions, which LiteRT
has not: ``differences`` says what is left out, and for which texts it matters.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_bert.export.litert.text_bytes import TextBytes
from keras_bert.text.preprocessor import Preprocessor
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.utf8 import ANNOUNCED_BYTES
from keras_bert.text.wordpiece import WordPieceTokenizer
from keras_bert.text.wordpiece.normalizer import SIGMA

__all__ = [
    "LiteWordPiece",
    "differences",
    "litert_preprocessor",
    "litert_tokenizer",
    "may_differ",
    "why_no_strings",
]

#: More normalised bytes than any character becomes, blanks around it included.
_MOST_BYTES = 16


class LiteWordPiece(WordPieceTokenizer):
    """``WordPieceTokenizer`` of what LiteRT has kernels for; all but final capital sigmas."""

    def _ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        return self._pieces(self._normalizer.normalize(strings))[0]

    def _ids_and_spans(
        self, strings: tf.Tensor, loose: bool = False
    ) -> tuple[tf.RaggedTensor, ...]:
        text, origins = self._normalizer.normalize_with_offsets(strings)
        ids, starts, ends = self._pieces(text)
        return ids, *_original_spans(TextBytes.of(strings), origins, starts, ends, loose)

    def _pieces(self, text: tf.Tensor) -> tuple[tf.RaggedTensor, ...]:
        """Ids and spans in the normalised text, words of more than 200 characters unknown."""
        found = self._wordpiece.tokenize_with_offsets(text)
        return self._automaton.without_long_words(*found, self.unk_id)


def _original_spans(
    texts: TextBytes,
    origins: tf.RaggedTensor,
    starts: tf.RaggedTensor,
    ends: tf.RaggedTensor,
    loose: bool,
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """As ``keras_bert.text.offsets.original_spans``."""
    rows = starts.value_rowids()
    base = tf.cast(tf.gather(origins.row_splits[:-1], rows), tf.int32)
    last_of_row = tf.cast(tf.gather(origins.row_splits[1:], rows), tf.int32) - 1
    places = tf.cast(origins.values, tf.int32)
    starts, ends = (x.with_values(tf.cast(x.values, tf.int32)) for x in (starts, ends))
    first = tf.gather(places, base + starts.values)
    last = tf.gather(places, base + ends.values - 1)
    if loose:
        end = tf.gather(texts.lengths, rows)
        # From afar, so that the nearest one stays.
        for ahead in reversed(range(_MOST_BYTES)):
            place = tf.gather(places, tf.minimum(base + ends.values + ahead, last_of_row))
            end = tf.where(place > last, tf.minimum(place, end), end)
    else:
        lead = tf.gather(texts.values, tf.gather(texts.first, rows) + last)
        end = last + tf.gather(tf.constant(ANNOUNCED_BYTES), lead)
    return starts.with_values(first), ends.with_values(end)


def litert_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer without what LiteRT has no kernels for."""
    config = tokenizer.get_config()
    if type(tokenizer) is WordPieceTokenizer:
        return LiteWordPiece.from_config({**config, "guards": False, "backend": None})
    if "guards" in config:
        return type(tokenizer).from_config({**config, "guards": False})
    return tokenizer


def litert_preprocessor(preprocessor: Preprocessor) -> Preprocessor:
    """The same preprocessor, with a tokenizer that LiteRT has kernels for where there is one."""
    settings = ("seq_length", "stride", "pad_to", "pad_multiple", "truncation")
    return Preprocessor(
        litert_tokenizer(preprocessor.tokenizer),
        **{name: getattr(preprocessor, name) for name in settings},
    )


def differences(tokenizer: Tokenizer) -> list[str]:
    """For which texts ids in LiteRT are not the tokenizer's, in words.

    Example:
        >>> differences(kb.WordPieceTokenizer("vocab.txt", lower_case=False))
        []
    """
    if isinstance(tokenizer, WordPieceTokenizer):
        if not tokenizer.lower_case:
            return []
        return [
            "words that end in a capital sigma (U+03A3): it becomes the small sigma U+03C3, and "
            "not the final one, U+03C2"
        ]
    if "guards" in tokenizer.get_config():
        return ["bytes that are not UTF-8: they are unknown characters, and are not dropped"]
    return []


def may_differ(tokenizer: Tokenizer, text: bytes) -> bool:
    """Whether ``differences`` may concern a text.

    Example:
        >>> may_differ(kb.WordPieceTokenizer("vocab.txt"), "ΟΔΟΣ".encode())
        True
    """
    if not differences(tokenizer):
        return False
    if isinstance(tokenizer, WordPieceTokenizer):
        return SIGMA.encode() in text
    return text.decode("utf-8", "ignore").encode() != text


def why_no_strings(
    tokenizer: Tokenizer, find_missing: Callable, with_offsets: bool = False
) -> str | None:
    """Why a LiteRT file cannot hold the tokenizer; None: it can.

    Args:
        tokenizer: The model's.
        find_missing: A function of a concrete function → the names of operations that LiteRT has no
            kernels for.
        with_offsets: Whether it is also to say where pieces stand in the text.
    """
    if not tokenizer.in_graph:
        return f"the tokenizer is a Python function (backend={tokenizer.backend!r})"
    lite = litert_tokenizer(tokenizer)

    def pieces(text):
        found = lite.tokenize_with_offsets(text) if with_offsets else [lite.tokenize(text)]
        return [part.values for part in found]

    spec = tf.TensorSpec((None,), tf.string, "text")
    function = tf.function(pieces, input_signature=[spec], autograph=False)
    missing = find_missing(function.get_concrete_function())
    if not missing:
        return None
    kind = type(tokenizer).__name__
    places = ", to say where pieces stand," if with_offsets else ""
    return f"LiteRT has no kernels for what this {kind}{places} takes: {', '.join(missing)}"
