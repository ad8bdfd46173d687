"""Byte-level byte-pair encoding (RoBERTa, ModernBERT) inside the TensorFlow graph.

    strings --> words --> different words --look up--> ids of those that are tokens
                                |
                                the rest: bytes as characters --> SentencePiece op --> ids

Each different word of a batch is encoded once, and nothing is kept between batches. How text is cut
into words is said in `words.py`, why the SentencePiece op gives the ids that byte-pair merging
gives in `model.py`.

**The Unicode version is pinned to 16.0**, the one that Hugging Face's `tokenizers` 0.23 splits
words by, whatever the version of the machine: the characters that are letters and numbers lie in
the package (`tables/unicode16.npz`, made by `tests/fixtures/make/byte_pair.py`).

One known limit. With `normalization="NFC"`, combining marks are put in the order of the Unicode
version in tf.text (16.0 in 2.20). Hugging Face knows those of Unicode 10 only, so two marks on one
character, at least one of them a younger one, may come in another order there.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert.text.byte_pair import model as byte_pair
from keras_bert.text.byte_pair.words import character_table, split_words
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.utf8 import drop_ill_formed, spans_before_dropping

__all__ = ["BytePairTokenizer", "read_token_ids"]


@keras.saving.register_keras_serializable("keras_bert")
class BytePairTokenizer(Tokenizer):
    """The byte-level byte-pair tokenizer of GPT-2, as RoBERTa and ModernBERT use it.

    Ids are those of Hugging Face's `tokenizers` on every well-formed string; bytes that are not
    UTF-8 are dropped first. Nothing is unknown, since every byte has a token. Text that looks like
    a special token (`"<mask>"`) is text.

    Args:
        vocabulary: path of a `vocab.json`, a dict of tokens and their ids, or the tokens in the
            order of their ids, each in GPT-2's spelling: `"Ġthe"` is " the".
        merges: path of a `merges.txt`, or the merges in their order, `"Ġ t"` or `("Ġ", "t")` each.
        add_prefix_space: put a space before a text that does not start with one, so that its first
            word is encoded as one inside a text is.
        trim_offsets: leave the space before a word out of the word's span.
        normalization: "NFC": compose characters and accents first; None: take text as it is.
        unk_token: stands for bytes that the vocabulary lacks, if any.
        cls_token: opens every packed row.
        sep_token: closes every segment.
        pad_token: fills rows up.
        mask_token: hides a token in pretraining; may be missing in the vocabulary.
        model_max_length: most tokens, special ones included, that the model takes; None: unknown.
        separators_between: how many `sep_token`s stand between two segments: two in RoBERTa, one in
            ModernBERT.
        segment_types: whether the model tells segments apart by type ids; if not, all are 0.
        **kwargs: `special_tokens_in_text` and `added_tokens`, see `Tokenizer`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the vocabulary lacks a special token, vocabulary and merges do not belong
            together, or the merges were not learnt from text (a part is made after its whole).

    Source: openai/gpt-2 `encoder.py`; Hugging Face `tokenizers`, ByteLevel and BPE.

    Example:
        >>> tokenizer = BytePairTokenizer("roberta-base/vocab.json", "roberta-base/merges.txt")
        >>> tokenizer.tokenize(["Where is my card?"])
        <tf.RaggedTensor [[13841, 16, 127, 1886, 116]]>
    """

    #: Hugging Face's `<mask>` takes the blank before it.
    mask_token_strips = True

    _shown = ("add_prefix_space", "trim_offsets", "normalization")

    def __init__(
        self,
        vocabulary: str | os.PathLike | Mapping[str, int] | Sequence[str],
        merges: str | os.PathLike | Sequence[str | Sequence[str]],
        add_prefix_space: bool = False,
        trim_offsets: bool = True,
        normalization: str | None = None,
        unk_token: str = "<unk>",
        cls_token: str = "<s>",
        sep_token: str = "</s>",
        pad_token: str = "<pad>",
        mask_token: str = "<mask>",
        model_max_length: int | None = None,
        separators_between: int = 2,
        segment_types: bool = False,
        **kwargs: Any,
    ):
        if isinstance(vocabulary, str | os.PathLike):
            vocabulary = read_token_ids(vocabulary)
        if isinstance(vocabulary, Mapping):
            vocabulary = _in_order(vocabulary)
        if isinstance(merges, str | os.PathLike):
            merges = byte_pair.read_merges(merges)
        if normalization not in (None, "NFC"):
            raise ValueError(f'normalization={normalization!r}. Expected "NFC" or None.')
        super().__init__(
            vocabulary,
            unk_token=unk_token,
            cls_token=cls_token,
            sep_token=sep_token,
            pad_token=pad_token,
            mask_token=mask_token,
            model_max_length=model_max_length,
            **kwargs,
        )
        pairs = byte_pair.check_merges(merges)
        self._merges = "\n".join(f"{left} {right}" for left, right in pairs)
        self.add_prefix_space, self.trim_offsets = bool(add_prefix_space), bool(trim_offsets)
        self.normalization = normalization
        self.separators_between = int(separators_between)
        self.segment_types = bool(segment_types)
        self._model = _model("\n".join(self.vocabulary), self._merges)

    @property
    def merges(self) -> list[str]:
        """The merges in their order, `"Ġ t"` each."""
        return self._merges.split("\n") if self._merges else []

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; vocabulary and merges as strings of lines."""
        return {
            **super().get_config(),
            "merges": self._merges,
            "add_prefix_space": self.add_prefix_space,
            "trim_offsets": self.trim_offsets,
            "normalization": self.normalization,
            "separators_between": self.separators_between,
            "segment_types": self.segment_types,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BytePairTokenizer:
        """Makes the tokenizer that `get_config` described."""
        merges = config["merges"].split("\n") if config["merges"] else []
        return super().from_config({**config, "merges": merges})

    def _ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        plain = _is_plain(strings)
        text = tf.cond(plain, lambda: strings, lambda: drop_ill_formed(strings))
        if self.normalization:
            text = _composed(text)
        pieces = self._pieces(_prefix(text) + text if self.add_prefix_space else text, plain)
        return pieces.with_values(self._token_ids(pieces.values))

    def _ids_and_spans(
        self, strings: tf.Tensor, loose: bool = False
    ) -> tuple[tf.RaggedTensor, ...]:
        plain = _is_plain(strings)
        clean = tf.cond(plain, lambda: strings, lambda: drop_ill_formed(strings))
        text = _composed(clean) if self.normalization else clean
        prefix = _prefix(text) if self.add_prefix_space else tf.zeros_like(text)
        pieces = self._pieces(prefix + text, plain)
        starts, ends = map(pieces.with_values, self._spans(pieces, prefix, text))
        if self.normalization:
            starts, ends = tf.cond(
                tf.reduce_all(text == clean),
                lambda: (starts, ends),
                lambda: _before_composing(clean, starts, ends),
            )
        starts, ends = tf.cond(
            plain,
            lambda: (starts, ends),
            lambda: spans_before_dropping(strings, clean, starts, ends),
        )
        return pieces.with_values(self._token_ids(pieces.values)), starts, ends

    @functools.cached_property
    def _token_texts(self) -> tf.Tensor:
        with tf.init_scope(), tf.device("CPU:0"):
            names = self._names
            return tf.constant([_token_bytes(token, names) for token in self.vocabulary])

    def _texts_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        texts = tf.gather(self._token_texts, ids.values)
        joined = tf.strings.unsorted_segment_join(texts, ids.value_rowids(), ids.nrows())
        # Bytes that are no UTF-8 by themselves, as in a part of an emoji, come as U+FFFD.
        return tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8", errors="replace")

    def _spelled(self, token: str) -> tuple[str | None, bool]:
        content = _token_bytes(token, self._names)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return None, True
        return text.strip(" ") if self.trim_offsets else text, not text.startswith(" ")

    def _pieces(self, text: tf.Tensor, plain: tf.Tensor) -> tf.RaggedTensor:
        """Ids of the pieces; bytes that the vocabulary lacks have ids behind it."""
        words = split_words(text, *self._model.characters)
        different, place = tf.unique(words.values)
        rows, order = tf.cond(
            plain,
            lambda: self._look_up(different),
            lambda: (self._model.merge(different), tf.range(tf.size(different, tf.int64))),
        )
        of_words = tf.gather(rows, tf.gather(order, place))
        return tf.RaggedTensor.from_row_splits(
            of_words.values, tf.gather(of_words.row_splits, words.row_splits), validate=False
        )

    def _look_up(self, words: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """The pieces of words: most are tokens, or characters merged before; others are merged.

        Returns:
            (rows, order): ragged pieces, and in which row those of each word are.
        """
        import tensorflow_text as tf_text

        lookup = tf_text.FastWordpieceTokenizer(
            model_buffer=self._model.words, token_out_type=tf.int32, no_pretokenization=True
        )
        found, limit = lookup.tokenize(words).values, self.vocabulary_size  # no word is empty
        others = tf.where(found == limit)[:, 0]
        merged = self._model.merge(tf.gather(words, others))

        def with_characters() -> tuple[tf.RaggedTensor, tf.Tensor]:
            single = tf.where(found > limit)[:, 0]
            characters = tf.gather(found, single) - (limit + 1)
            pieces = tf.gather(self._model.of_characters, characters)
            return _rows(found, tf.concat([others, single], 0), merged, pieces)

        return tf.cond(
            tf.reduce_any(found > limit), with_characters, lambda: _rows(found, others, merged)
        )

    def _token_ids(self, pieces: tf.Tensor) -> tf.Tensor:
        if not self._model.absent_bytes:
            return pieces
        return tf.where(pieces < self.vocabulary_size, pieces, self.unk_id)

    def _spans(
        self, pieces: tf.RaggedTensor, prefix: tf.Tensor, text: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Starts and ends of pieces of `prefix + text` in the bytes of `text`'s rows."""
        of_pieces = tf.gather(self._model.measures, pieces.values)
        length, leading, trailing = tf.unstack(of_pieces, axis=1)
        ends = tf.cumsum(length)  # in the bytes of all rows
        starts = ends - length
        rows = pieces.value_rowids()
        prefix_bytes = tf.strings.length(prefix)
        row_bytes = tf.cumsum(prefix_bytes + tf.strings.length(text), exclusive=True)
        row_start, text_start = (
            tf.gather(places, rows) for places in (row_bytes, row_bytes + prefix_bytes)
        )
        if self.trim_offsets:
            if self.add_prefix_space:
                # Hugging Face takes a space that starts a text for the one that was put there.
                leading = tf.where(starts == row_start, tf.maximum(leading - 1, 0), leading)
            starts = tf.minimum(starts + leading, ends)
            ends = tf.maximum(ends - trailing, starts)
        else:
            # The space put there stands for the first character.
            ends = tf.where(ends == text_start, ends + (text_start - row_start), ends)
        # A byte behind the last, so that an end is always the place of one.
        all_bytes = tf.io.decode_raw(tf.strings.reduce_join(prefix + text) + "\0", tf.uint8)

        def inside(places: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.gather(all_bytes, places) & 0xC0 == 0x80, tf.int32)

        # Pieces of one character are its span each. It has up to three bytes beside its first.
        for _ in range(3):
            starts -= inside(starts)
            ends += inside(ends)
        return tf.maximum(starts - text_start, 0), tf.maximum(ends - text_start, 0)


def _rows(
    tokens: tf.Tensor, places: tf.Tensor, *others: tf.RaggedTensor
) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Rows of one token each, and behind them others.

    Args:
        tokens: int32 (words,).
        places: for each row of `others`, one after the other, whose place it takes, int64.
        *others: ragged int32.

    Returns:
        (rows, order): all of them, and in which row that of each word is, int64 (words,).
    """
    count = tf.size(tokens, tf.int64)
    starts, end = [tf.range(count)], count
    for ragged in others:
        starts.append(end + ragged.row_splits[:-1])
        end += tf.size(ragged.values, tf.int64)
    values = tf.concat([tokens, *(ragged.values for ragged in others)], 0)
    splits = tf.concat([*starts, [end]], 0)
    behind = count + tf.range(tf.size(places, tf.int64))
    order = tf.tensor_scatter_nd_update(tf.range(count), places[:, tf.newaxis], behind)
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False), order


def _token_bytes(token: str, names: frozenset[str]) -> bytes:
    """What a token spells; names are written as they are, and not in GPT-2's spelling."""
    return token.encode("utf-8") if token in names else byte_pair.token_bytes(token)


def read_token_ids(path: str | os.PathLike) -> dict[str, int]:
    """Reads a `vocab.json` (`encoder.json`): one object, tokens and their ids.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No vocabulary file at {str(path)!r}. Expected a JSON object of tokens and ids, "
            "usually called vocab.json."
        )
    try:
        ids = json.loads(path.read_bytes().decode("utf-8"))
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError alike
        raise ValueError(f"{str(path)!r} is not JSON: {error}. Get the file again.") from None
    if not isinstance(ids, dict) or not all(type(index) is int for index in ids.values()):
        raise ValueError(f"{str(path)!r} is no JSON object of tokens and their ids.")
    return ids


def _in_order(ids: Mapping[str, int]) -> list[str]:
    if sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"The {len(ids)} ids of the vocabulary are not 0 to {len(ids) - 1}, each once."
        )
    return sorted(ids, key=ids.get)


# Letters that are mostly words by themselves where text is cut as `split_words` does it: Japanese,
# Chinese, Korean.
_EAST_ASIAN = range(0x3041, 0x3097), range(0x30A1, 0x30FB), range(0x4E00, 0xA000)
_EAST_ASIAN += (range(0xAC00, 0xD7A4),)


class _Model:
    """What the ops run on, made once for a vocabulary and its merges.

    Attributes:
        merges: the SentencePiece model, bytes.
        words: the automaton that looks words up, a uint8 tensor. What is no token has the id
            behind those of the vocabulary, and behind that one follow single characters.
        of_characters: the pieces of these, ragged int32 (characters, pieces).
        characters: what `split_words` has to know of characters, two tensors.
        measures: int32 tensor (pieces, 3): bytes, spaces they start with, spaces they end with.
        absent_bytes: bytes without a token; their piece ids follow the vocabulary's.
    """

    def __init__(self, vocabulary: list[str], merges: list[tuple[str, str]]):
        import tensorflow_text as tf_text

        ranks = byte_pair.living_merges(vocabulary, merges)
        self.absent_bytes = byte_pair.absent_bytes(ranks)
        self.merges = byte_pair.merging_model(vocabulary, ranks)
        pieces = [byte_pair.token_bytes(token) for token in vocabulary]
        pieces += [bytes([byte]) for byte in self.absent_bytes]
        measures = [
            [len(p), len(p) - len(p.lstrip(b" ")), len(p) - len(p.rstrip(b" "))] for p in pieces
        ]
        table = character_table(byte_pair.token_bytes(token) for token in ranks)
        words = byte_pair.whole_words(vocabulary, ranks)
        no_word = f"{byte_pair.NO_WORD}{len(words)}"
        longest = max(3, *(len(word.encode("utf-8")) for word in words))
        # No token continues another. With a second space, placeholders are not taken for such.
        continuation = f"{byte_pair.NO_WORD} "
        known = set(words)
        characters = [c for r in _EAST_ASIAN for c in map(chr, r) if c not in known]
        model = tf_text.build_fast_wordpiece_model(
            [*words, no_word, *characters], longest, continuation, no_word, True, False
        )
        with tf.init_scope(), tf.device("CPU:0"):
            self.words = tf.constant(np.frombuffer(model, np.uint8))
            self.of_characters = self.merge(tf.constant(characters, tf.string))
            self.characters = [tf.constant(part) for part in table]
            self.measures = tf.constant(np.array(measures, np.int32))

    def merge(self, words: tf.Tensor) -> tf.RaggedTensor:
        """The pieces of words (words,), each merged by itself, ragged int32 (words, pieces)."""
        import tensorflow_text as tf_text

        # Made where it is used, and so part of each graph: kept, the op's resource would have to be
        # tracked by whatever is saved.
        merger = tf_text.SentencepieceTokenizer(model=self.merges)
        return merger.tokenize(tf.strings.unicode_transcode(words, "ISO-8859-1", "UTF-8"))


@functools.lru_cache(maxsize=4)
def _model(vocabulary: str, merges: str) -> _Model:
    """For tokens and merges as lines: hashing two strings is quicker than fifty thousand."""
    pairs = [tuple(line.split(" ")) for line in merges.split("\n")] if merges else []
    return _Model(vocabulary.split("\n"), pairs)


# --- text before it is split; every step has a way back for spans --------------------------------


def _is_plain(strings: tf.Tensor) -> tf.Tensor:
    """Whether all strings are UTF-8, and their words can be looked up."""
    return tf.reduce_all(tf.strings.regex_full_match(strings, f"{_PLAIN}*"))


def _composed(text: tf.Tensor) -> tf.Tensor:
    import tensorflow_text as tf_text

    # Below U+0300 all is composed already.
    simple = tf.reduce_all(tf.strings.regex_full_match(text, r"[\x{0}-\x{2FF}]*"))
    return tf.cond(simple, lambda: text, lambda: tf_text.normalize_utf8(text, "NFC"))


def _before_composing(text, starts, ends) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Moves spans in composed text to the text itself.

    Where composing changed something, a span grows to all that was changed together.
    """
    import tensorflow_text as tf_text

    composed, offsets = tf_text.normalize_utf8_with_offsets_map(text, "NFC")
    lengths = tf.strings.length(composed) + 1
    places = tf.RaggedTensor.from_row_lengths(
        tf.ragged.range(lengths).values, tf.cast(lengths, tf.int64)
    )
    # The map gives the end of a change for every place inside it.
    origins = tf.cast(tf_text.find_source_offsets(offsets, tf.cast(places, tf.int64)), tf.int32)
    row = tf.cast(tf.gather(origins.row_splits, starts.value_rowids()), tf.int32)
    # Rows one after another, so that origins never fall.
    row_bytes = tf.cumsum(tf.strings.length(text) + 1, exclusive=True)
    rising = origins.values + tf.gather(row_bytes, origins.value_rowids())
    first = tf.searchsorted(rising, rising, side="left")
    is_inside = tf.concat([rising[1:] == rising[:-1], [False]], axis=0)
    floor = tf.gather(origins.values, tf.maximum(tf.cast(first, tf.int32) - 1, 0))
    start_origins = tf.where(is_inside, floor, origins.values)
    end = tf.gather(origins.values, row + ends.values)
    start = tf.gather(start_origins, row + starts.values)
    start = tf.where(starts.values < ends.values, start, end)
    return starts.with_values(start), ends.with_values(end)


def _prefix(text: tf.Tensor) -> tf.Tensor:
    """The space that has to be put before each text, or nothing."""
    return tf.where(tf.strings.regex_full_match(text, r"(?s)(?: .*)?"), "", " ")


# In RE2's syntax: characters without NUL, at which the trie of the op that looks words up ends, and
# U+0011, with which it marks nodes of its own: on words with either it would read foreign memory.
_PLAIN = r"[\x{1}-\x{10}\x{12}-\x{D7FF}\x{E000}-\x{10FFFF}]"
