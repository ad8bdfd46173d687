"""WordPiece inside the TensorFlow graph, with the ids of BERT's reference implementation.

    strings --plain?--> FastBertNormalize (our table) --> FastWordpieceTokenizeWithOffsets --> ids
               |
               no: ill-formed bytes made deletable, final sigmas lowered before the table,
                   words of more than 200 characters made unknown after it

Both ops are tf.text's; the table is `normalizer.py`'s. One regular expression decides for a whole
batch whether it is plain, which all but a few texts are, and costs less than a tenth of the rest.

Two known limits, neither of which shows with vocabularies that exist. Several *spacing* combining
marks (category Mc) in a row keep their order, where the reference would sort those of different
combining class (NFD): they are viramas and musical notes, and a word with them is `[UNK]` either
way. Punctuation younger than the table's Unicode version is `[UNK]` even where a vocabulary has it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_bert.text.offsets import original_spans
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.utf8 import (
    byte_counts,
    character_class,
    is_well_formed,
    replace_ill_formed,
)
from keras_bert.text.vocabulary import read_vocabulary
from keras_bert.text.wordpiece import normalizer
from keras_bert.text.wordpiece.in_python import (
    MAX_WORD_BYTES,
    MAX_WORD_CHARACTERS,
    PythonWordPiece,
    WordSplitter,
)

__all__ = ["BACKENDS", "UNMATCHABLE", "WordPieceTokenizer", "distinct_tokens"]

BACKENDS = ("tensorflow", "python")


@keras.saving.register_keras_serializable("keras_bert")
class WordPieceTokenizer(Tokenizer):
    """BERT's WordPiece tokenizer as a chain of TensorFlow ops.

    Ids are those of google-research/bert's `FullTokenizer` on every well-formed string; bytes that
    are not UTF-8 are dropped first. Text that looks like a special token (`"[SEP]"`) is text,
    unless `special_tokens_in_text="special"`. The tokenizer works eagerly, in `tf.function`, in
    `tf.data.Dataset.map` and in SavedModels (loading one takes `import tensorflow_text`), and it
    has no variables or files to track.

    Args:
        vocabulary: path of a `vocab.txt`, or the tokens in the order of their ids.
        lower_case: lower-case the text ("uncased" models).
        strip_accents: decompose characters and drop accents; None means: as `lower_case`.
        tokenize_chinese_chars: make each Chinese character a word.
        unk_token: stands for a word that the vocabulary's pieces cannot spell.
        cls_token: opens every packed row.
        sep_token: closes every segment.
        pad_token: fills rows up.
        mask_token: hides a token in pretraining; may be missing in the vocabulary.
        model_max_length: most tokens, special ones included, that the model takes; None: unknown.
        guards: False leaves out of the graph what LiteRT has no op for: the regular expressions
            that look for final sigmas and long words. Ids then differ for words that end in a
            capital sigma (lower-casing) and for words of 201 characters to 800 bytes, which are
            spelled where the reference has `unk_token`; nothing else changes.
        backend: "tensorflow", the graph as above; "python", the same ids and spans from a Python
            function, some ten times slower, where tensorflow-text cannot be installed. Such a
            tokenizer works in `tf.data.Dataset.map` too (`tf.numpy_function`), but cannot be
            exported. None: "tensorflow" where tensorflow-text is installed; then a saved tokenizer
            settles it anew on the machine that loads it.
        **kwargs: `special_tokens_in_text` and `added_tokens`, see `Tokenizer`. Added tokens that
            are `normalized` are found in the text as this tokenizer normalises it.

    Attributes:
        backend: the one in use.

    Raises:
        FileNotFoundError: no such vocabulary file.
        ValueError: the vocabulary is empty, is not UTF-8, or lacks a special token; or there is no
            such backend.
        ImportError: backend "tensorflow" without tensorflow-text.

    Example:
        >>> tokenizer = WordPieceTokenizer("uncased_L-12_H-768_A-12/vocab.txt")
        >>> tokenizer.tokenize(["Where is my card?"])
        <tf.RaggedTensor [[2073, 2003, 2026, 4003, 1029]]>
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike | Sequence[str],
        lower_case: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
        unk_token: str = "[UNK]",
        cls_token: str = "[CLS]",
        sep_token: str = "[SEP]",
        pad_token: str = "[PAD]",
        mask_token: str = "[MASK]",
        model_max_length: int | None = None,
        guards: bool = True,
        backend: str | None = None,
        **kwargs: Any,
    ):
        if isinstance(vocabulary, str | os.PathLike):
            vocabulary = read_vocabulary(vocabulary)
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
        self.lower_case = bool(lower_case)
        self.strip_accents = strip_accents
        self.tokenize_chinese_chars = bool(tokenize_chinese_chars)
        self._patterns = _patterns(self.lower_case, self._strips(), self.tokenize_chinese_chars)
        self.guards = bool(guards)
        self._asked_backend, self.backend = backend, _backend(backend)
        if self.backend == "python":
            self._python = self._make_python()
        else:
            self._normalizer, self._wordpiece = self._make_ops()

    @property
    def in_graph(self) -> bool:
        """Whether the tokenizer consists of graph ops, so that an export can hold it."""
        return self.backend == "tensorflow"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values; the vocabulary as one string of lines."""
        config = {
            **super().get_config(),
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "guards": self.guards,
        }
        return config if self._asked_backend is None else {**config, "backend": self.backend}

    def __repr__(self) -> str:
        return (
            f"WordPieceTokenizer(vocabulary_size={self.vocabulary_size}, "
            f"lower_case={self.lower_case}, strip_accents={self.strip_accents}, "
            f"tokenize_chinese_chars={self.tokenize_chinese_chars}, "
            f"model_max_length={self.model_max_length}, backend={self.backend!r})"
        )

    def _strips(self) -> bool:
        return self.lower_case if self.strip_accents is None else bool(self.strip_accents)

    def _make_ops(self):
        import tensorflow_text as tf_text

        model = normalizer.normalizer_model(
            self.lower_case, self._strips(), self.tokenize_chinese_chars
        )
        # Eager constants, also when a graph is being built: every graph then refers to the same
        # tensor. On the CPU, where the ops are, and not copied there in each call.
        with tf.init_scope(), tf.device("CPU:0"):
            return (
                tf_text.FastBertNormalizer(model_buffer=tf.constant(model)),
                tf_text.FastWordpieceTokenizer(
                    model_buffer=_wordpiece_model(
                        "\n".join(self.model_vocabulary),
                        self.unk_token,
                        self.tokenize_chinese_chars,
                    ),
                    token_out_type=tf.int32,
                ),
            )

    def _make_python(self) -> PythonWordPiece:
        unmatchable = set(UNMATCHABLE)
        if not self.tokenize_chinese_chars:
            # In the graph these stand in for Chinese characters.
            unmatchable.update(normalizer.chinese_stand_ins().values())
        splitter = WordSplitter(
            self.lower_case, self._strips(), self.tokenize_chinese_chars, final_sigma=self.guards
        )
        return PythonWordPiece(
            self.model_vocabulary, self.unk_id, splitter, unmatchable, self.guards
        )

    def _ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        if not self.in_graph:
            return _call_python(self._python.ids, strings, 1)[0]
        if not self.guards:
            return self._wordpiece.tokenize(self._normalizer.normalize(strings))
        plain = self._is_plain(strings)
        text = tf.cond(
            plain,
            lambda: self._normalizer.normalize(strings),
            lambda: self._spoil_long_words(self._normalizer.normalize(self._repair(strings))),
        )
        return self._wordpiece.tokenize(text)

    @property
    def _set_apart(self) -> str:
        ranges = normalizer.CHINESE_RANGES if self.tokenize_chinese_chars else ()
        return character_class(ranges)

    def _normalize(self, strings: tf.Tensor) -> tf.Tensor:
        if not self.in_graph:
            return self._normalize_in_python(strings)[0]
        return self._normalizer.normalize(self._repair_if_needed(strings))

    def _normalize_with_spans(self, strings: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        if self.in_graph:
            repaired = self._repair_if_needed(strings)
            text, origins = self._normalizer.normalize_with_offsets(repaired)
        else:
            text, origins = self._normalize_in_python(strings)
        return text, lambda starts, ends: original_spans(strings, origins, starts, ends)

    def _normalize_in_python(self, strings: tf.Tensor) -> tuple[tf.Tensor, tf.RaggedTensor]:
        types = [tf.string, tf.int64, tf.int64]
        text, *origins = tf.numpy_function(self._python.normalize, [strings], types, stateful=False)
        for values in (text, *origins):
            values.set_shape([None])
        return text, tf.RaggedTensor.from_row_splits(*origins, validate=False)

    def _ids_and_spans(
        self, strings: tf.Tensor, loose: bool = False
    ) -> tuple[tf.RaggedTensor, ...]:
        if not self.in_graph:
            return _call_python(lambda batch: self._python.ids_and_spans(batch, loose), strings, 3)
        if not self.guards:
            text, origins = self._normalizer.normalize_with_offsets(strings)
            ids, starts, ends = self._wordpiece.tokenize_with_offsets(text)
            return ids, *original_spans(strings, origins, starts, ends, loose)
        plain = self._is_plain(strings)
        repaired = tf.cond(plain, lambda: strings, lambda: self._repair(strings))
        text, origins = self._normalizer.normalize_with_offsets(repaired)
        text = tf.cond(plain, lambda: text, lambda: self._spoil_long_words(text))
        ids, starts, ends = self._wordpiece.tokenize_with_offsets(text)
        return ids, *original_spans(strings, origins, starts, ends, loose)

    def _texts_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        tokens = ids.with_values(tf.gather(self._token_texts, ids.values))
        joined = tf.strings.reduce_join(tokens, axis=1, separator=" ")
        # A continuation that opens the text keeps its mark: the word's beginning is not there.
        return tf.strings.regex_replace(joined, " ##", "")

    def _spelled(self, token: str) -> tuple[str, bool]:
        return token.removeprefix("##"), token.startswith("##")

    # --- what the table cannot say. Every step keeps the length in bytes, so offsets stay true. ---

    def _is_plain(self, strings: tf.Tensor) -> tf.Tensor:
        return tf.reduce_all(tf.strings.regex_full_match(strings, self._patterns["plain"]))

    def _repair_if_needed(self, strings: tf.Tensor) -> tf.Tensor:
        if not self.guards:
            return strings
        return tf.cond(self._is_plain(strings), lambda: strings, lambda: self._repair(strings))

    def _repair(self, strings: tf.Tensor) -> tf.Tensor:
        strings = tf.cond(
            is_well_formed(strings),
            lambda: strings,
            lambda: replace_ill_formed(strings, _DELETED),
        )
        if not self.lower_case:
            return strings
        return tf.strings.regex_replace(strings, self._patterns["final_sigma"], r"\1ς\2")

    def _spoil_long_words(self, text: tf.Tensor) -> tf.Tensor:
        return _spoil_long_words(text, self.tokenize_chinese_chars)


def _backend(asked: str | None) -> str:
    """The backend to use, where `asked` says none the best that there is."""
    if asked not in (None, *BACKENDS):
        raise ValueError(f"backend={asked!r}. Expected one of {BACKENDS}, or None.")
    if asked == "python":
        return asked
    try:
        import tensorflow_text  # noqa: F401
    except ModuleNotFoundError as error:
        # A package that is there and broken is an error to be seen.
        if error.name != "tensorflow_text":
            raise
        if asked is None:
            return "python"
        raise ImportError(
            'backend="tensorflow" needs tensorflow-text, which is not installed: pip install '
            "'tensorflow-text==2.20.*'. Where there are no wheels for it, as on Windows, take "
            'backend="python".'
        ) from None
    return "tensorflow"


def _call_python(function, strings: tf.Tensor, count: int) -> tuple[tf.RaggedTensor, ...]:
    """Calls what returns `count` flat int32 arrays and the splits of their rows."""
    types = [tf.int32] * count + [tf.int64]
    *flat, splits = tf.numpy_function(function, [strings], types, stateful=False)
    for values in (*flat, splits):
        values.set_shape([None])
    return tuple(tf.RaggedTensor.from_row_splits(v, splits, validate=False) for v in flat)


@functools.lru_cache(maxsize=4)
def _wordpiece_model(vocabulary: str, unk_token: str, tokenize_chinese_chars: bool) -> tf.Tensor:
    """tf.text's WordPiece automaton for a vocabulary (one token per line), a uint8 tensor."""
    import tensorflow_text as tf_text

    tokens = vocabulary.split("\n")
    if not tokenize_chinese_chars:
        stand_ins = normalizer.chinese_stand_ins()
        tokens = [token.translate(stand_ins) for token in tokens]
    model = tf_text.build_fast_wordpiece_model(
        distinct_tokens(tokens), MAX_WORD_BYTES, "##", unk_token, False, False
    )
    # Not `list(model)`, as tf.text does it: 50 times slower.
    return tf.constant(np.frombuffer(model, np.uint8))


def distinct_tokens(tokens: list[str]) -> list[str]:
    """Replaces tokens that no text gives, so that the automaton is built of distinct ones.

    Dead are empty lines, all but the last of equal tokens (the reference's dict keeps the last),
    those with a blank inside (the op would match them across words), and any with a character that
    we write into words to make them unknown.
    """
    last = {token: index for index, token in enumerate(tokens)}
    unmatchable = set(map(chr, UNMATCHABLE))
    # Control characters are deleted from every text, hence the replacement matches none.
    return [
        token
        if token.split() == [token] and last[token] == index and unmatchable.isdisjoint(token)
        else f"\x02{index}"
        for index, token in enumerate(tokens)
    ]


# Normalisation deletes this character.
_DELETED = b"\x01"
# Characters that are in no vocabulary, of one, two, three and four bytes.
UNMATCHABLE = (0x01, 0x80, ord(normalizer.STAND_IN), 0x1FFFE)


def _spoil_long_words(text: tf.Tensor, chinese_words: bool) -> tf.Tensor:
    """Makes words of more than 200 characters unknown, by overwriting all from the 201st on.

    Args:
        text: normalised strings (batch,): punctuation beyond ASCII has spaces around it.
        chinese_words: Chinese characters end words.

    Returns:
        Strings of the same lengths in bytes.
    """
    characters = tf.strings.unicode_decode(text, "UTF-8")
    codes = characters.values
    splits = _splits_words(codes, chinese_words)
    row_starts = tf.scatter_nd(
        characters.row_starts()[:, tf.newaxis],
        tf.ones_like(characters.row_starts(), tf.int32),
        # A last empty row starts behind the last character.
        tf.shape(codes, tf.int64) + 1,
    )[:-1]
    after_split = tf.concat([[False], splits], axis=0)[:-1]
    opens_run = splits | after_split | (row_starts > 0)
    run = tf.cumsum(tf.cast(opens_run, tf.int32)) - 1
    place_in_run = tf.range(tf.size(codes)) - tf.gather(
        tf.cast(tf.where(opens_run)[:, 0], tf.int32), run
    )
    spoiled = tf.where(
        place_in_run < MAX_WORD_CHARACTERS, codes, tf.gather(UNMATCHABLE, byte_counts(codes) - 1)
    )
    return tf.strings.unicode_encode(characters.with_values(spoiled), "UTF-8")


def _splits_words(codes: tf.Tensor, chinese_words: bool) -> tf.Tensor:
    ascii_splits = [code <= 32 or normalizer.apart(chr(code)) for code in range(128)]
    splits = tf.gather([*ascii_splits, False], tf.minimum(codes, 128))
    if chinese_words:
        for first, last in normalizer.CHINESE_RANGES:
            splits |= (codes >= first) & (codes <= last)
    return splits


# --- regular expressions (RE2's syntax) ----------------------------------------------------------

_ASCII_BREAKS = r" \t\n\r!-/:-@\[-`{-~"
# Enough to see that Chinese and Japanese have no long words. All that ends a word would make an
# automaton too large for RE2, which then falls back to a method thirty times slower.
_CHINESE_BREAKS = r"\x{3001}\x{3002}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}"
# Most characters that one character becomes, by (lower_case, strips accents): Korean syllables
# decompose into three letters, a capital I with dot becomes i and a combining dot.
_LONGEST_EXPANSION = {(False, False): 1, (True, False): 2, (False, True): 3, (True, True): 3}


@functools.lru_cache(maxsize=16)
def _patterns(lower_case: bool, strips: bool, chinese_words: bool) -> dict[str, str | None]:
    breaks = _ASCII_BREAKS + (_CHINESE_BREAKS if chinese_words else "")
    sigma = normalizer.SIGMA if lower_case else ""
    # What one run of characters may hold without becoming a word of more than 200.
    run = MAX_WORD_CHARACTERS // _LONGEST_EXPANSION[lower_case, strips]
    word = rf"[^{breaks}{sigma}\x{{D800}}-\x{{DFFF}}]{{0,{run}}}"
    return {
        "plain": f"(?:{word}[{breaks}])*{word}",
        "final_sigma": _final_sigma() if lower_case else None,
    }


def _final_sigma() -> str:
    cased, ignorable = map(character_class, normalizer.sigma_context())
    before = f"[{cased}][{ignorable}]*"
    after = f"[{ignorable}]*(?:[^{cased}{ignorable}]|$)"
    return f"({before}){normalizer.SIGMA}({after})"
