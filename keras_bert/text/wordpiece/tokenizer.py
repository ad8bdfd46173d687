"""WordPiece inside the TensorFlow graph, with the ids of BERT's reference implementation.

    strings --> FastBertNormalize (our table) --> FastWordpieceTokenizeWithOffsets --> ids
                                                                                       |
               if there is a capital sigma or a word of more than 200 bytes: once more,
               sigmas lowered as their neighbours want it, characters counted and not bytes

Both ops are tf.text's; the table is `normalizer.py`'s. Most batches need them once, and their ids
and spans tell: a capital sigma has an id of its own, and a word of more than 200 bytes is one
unknown piece. To ask them takes some ten microseconds per batch; to ask the text by a regular
expression before took a tenth of the time.

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
import tensorflow as tf

from keras_bert.text.offsets import original_spans
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.utf8 import character_class, is_well_formed, replace_ill_formed
from keras_bert.text.vocabulary import read_vocabulary
from keras_bert.text.wordpiece import normalizer
from keras_bert.text.wordpiece.automaton import Automaton
from keras_bert.text.wordpiece.in_python import (
    MAX_WORD_CHARACTERS,
    PythonWordPiece,
    WordSplitter,
)

__all__ = ["BACKENDS", "WordPieceTokenizer"]

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
        guards: False leaves out of the graph what LiteRT has no op for: what is done about final
            sigmas and long words. Ids then differ for words that end in a
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

    _shown = ("lower_case", "strip_accents", "tokenize_chinese_chars", "backend")

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
        self.guards = bool(guards)
        self._asked_backend, self.backend = backend, _backend(backend)
        if self.backend == "python":
            self._python = self._make_python()
        else:
            self._normalizer, self._wordpiece, self._automaton = self._make_ops()

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

    def _strips(self) -> bool:
        return self.lower_case if self.strip_accents is None else bool(self.strip_accents)

    def _make_ops(self):
        import tensorflow_text as tf_text

        model = normalizer.normalizer_model(
            self.lower_case,
            self._strips(),
            self.tokenize_chinese_chars,
            mark_sigmas=self.guards,
        )
        with tf.init_scope(), tf.device("CPU:0"):
            model = tf.constant(model)
        automaton = Automaton.of(
            "\n".join(self.model_vocabulary), self.unk_token, self.tokenize_chinese_chars
        )
        words = (
            automaton.for_short_words if self.guards else automaton.for_long_words(constant=True)
        )
        return tf_text.FastBertNormalizer(model_buffer=model), _wordpiece(words), automaton

    def _make_python(self) -> PythonWordPiece:
        unmatchable = set(normalizer.UNMATCHABLE)
        if not self.tokenize_chinese_chars:
            # In the graph these stand in for Chinese characters.
            unmatchable.update(map(chr, normalizer.chinese_stand_ins().values()))
        splitter = WordSplitter(
            self.lower_case, self._strips(), self.tokenize_chinese_chars, final_sigma=self.guards
        )
        return PythonWordPiece(
            self.model_vocabulary, self.unk_id, splitter, unmatchable, self.guards
        )

    def _ids(self, strings: tf.Tensor) -> tf.RaggedTensor:
        if not self.in_graph:
            return _call_python(self._python.ids, strings, 1)[0]

        def pieces(strings: tf.Tensor, wordpiece) -> tuple[tf.RaggedTensor, ...]:
            return wordpiece.tokenize_with_offsets(self._normalizer.normalize(strings))

        return self._guarded(pieces, strings, 1)[0]

    @property
    def _set_apart(self) -> str:
        ranges = normalizer.CHINESE_RANGES if self.tokenize_chinese_chars else ()
        return character_class(ranges)

    def _normalize(self, strings: tf.Tensor) -> tf.Tensor:
        if not self.in_graph:
            return self._normalize_in_python(strings)[0]
        return self._normalizer.normalize(self._without_sigmas(strings))

    def _normalize_with_spans(self, strings: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        if self.in_graph:
            text, origins = self._normalizer.normalize_with_offsets(self._without_sigmas(strings))
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

        def pieces(strings: tf.Tensor, wordpiece) -> tuple[tf.RaggedTensor, ...]:
            text, origins = self._normalizer.normalize_with_offsets(strings)
            return *wordpiece.tokenize_with_offsets(text), origins

        ids, starts, ends, origins = self._guarded(pieces, strings, 4)
        return ids, *original_spans(strings, origins, starts, ends, loose)

    def _texts_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        tokens = ids.with_values(tf.gather(self._token_texts, ids.values))
        joined = tf.strings.reduce_join(tokens, axis=1, separator=" ")
        # A continuation that opens the text keeps its mark: the word's beginning is not there.
        return tf.strings.regex_replace(joined, " ##", "")

    def _spelled(self, token: str) -> tuple[str, bool]:
        return token.removeprefix("##"), token.startswith("##")

    # --- what the table cannot say ---------------------------------------------------------------

    def _guarded(
        self, pieces: Callable, strings: tf.Tensor, count: int
    ) -> tuple[tf.RaggedTensor, ...]:
        """The first `count` of what `pieces(strings, wordpiece)` gives, right in any case.

        That is (ids, starts, ends, ...). What nobody wants would still be handed on, some
        microseconds for each tensor.
        """
        found = pieces(strings, self._wordpiece)
        if not self.guards:
            return found[:count]
        ids, starts, ends = (x.values for x in found[:3])
        # Greatest values, and not comparisons piece by piece, which would all be written first.
        odd = tf.reduce_max(ends - starts) > MAX_WORD_CHARACTERS
        if self.lower_case:
            odd |= tf.reduce_max(ids) >= len(self.model_vocabulary)  # a capital sigma: the last id

        def carefully() -> tuple[tf.RaggedTensor, ...]:
            wordpiece = _wordpiece(self._automaton.for_long_words())
            again = pieces(self._without_sigmas(strings), wordpiece)
            mended = *self._automaton.without_long_words(*again[:3], self.unk_id), *again[3:]
            return mended[:count]

        return tf.cond(odd, carefully, lambda: found[:count])

    def _without_sigmas(self, strings: tf.Tensor) -> tf.Tensor:
        """The strings with capital sigmas, if there are any, lower-cased."""
        if not (self.guards and self.lower_case):
            return strings
        none = tf.reduce_all(tf.strings.regex_full_match(strings, _NO_SIGMA))
        return tf.cond(none, lambda: strings, lambda: self._lower_sigmas(strings))

    def _lower_sigmas(self, strings: tf.Tensor) -> tf.Tensor:
        """Lower-cases capital sigmas: a final one to `ς`. Every character keeps its place."""
        # Regular expressions see nothing of strings that are not UTF-8.
        strings = tf.cond(
            is_well_formed(strings),
            lambda: strings,
            lambda: replace_ill_formed(strings, _DELETED),
        )
        strings = tf.strings.regex_replace(strings, _final_sigma(), r"\1ς\2")
        return tf.strings.regex_replace(strings, normalizer.SIGMA, "σ")


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


def _wordpiece(model: tf.Tensor):
    import tensorflow_text as tf_text

    return tf_text.FastWordpieceTokenizer(model_buffer=model, token_out_type=tf.int32)


# --- capital sigmas (regular expressions in RE2's syntax) ----------------------------------------

# Normalisation deletes this character.
_DELETED = b"\x01"

_NO_SIGMA = rf"[^{normalizer.SIGMA}\x{{D800}}-\x{{DFFF}}]*"


@functools.cache
def _final_sigma() -> str:
    cased, ignorable = map(character_class, normalizer.sigma_context())
    before = f"[{cased}][{ignorable}]*"
    after = f"[{ignorable}]*(?:[^{cased}{ignorable}]|$)"
    return f"({before}){normalizer.SIGMA}({after})"
