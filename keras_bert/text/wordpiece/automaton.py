"""tf.text's WordPiece automaton for a vocabulary, and words that are too long.

For BERT's reference a word of more than 200 characters is unknown. The op that runs the automaton
counts bytes instead, and gives such a word as one unknown piece. So with a limit of 200 bytes its
ids are right unless a piece is of more bytes than that; then the same automaton has to be run with
a limit of 800, and words of more than 200 characters are to be looked for in what it gives.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from keras_bert.text.wordpiece import normalizer
from keras_bert.text.wordpiece.in_python import MAX_WORD_BYTES, MAX_WORD_CHARACTERS

__all__ = ["Automaton", "distinct_tokens"]


class Automaton:
    """What the op runs on, made once for a vocabulary.

    One id follows those of the vocabulary: that of `normalizer.SIGMA_MARK`.

    Args:
        vocabulary: the tokens in the order of their ids, one per line.
        unk_token: stands for unknown words.
        tokenize_chinese_chars: whether the normaliser leaves Chinese characters as they are.

    Attributes:
        for_short_words: the model with which words of more than 200 bytes are unknown, a uint8
            tensor.
    """

    def __init__(self, vocabulary: str, unk_token: str, tokenize_chinese_chars: bool):
        import tensorflow_text as tf_text

        tokens = vocabulary.split("\n")
        continues = np.array([t.startswith("##") and t != "##" for t in tokens])
        letters = np.array([len(token) for token in tokens], np.int32)
        if not tokenize_chinese_chars:
            stand_ins = normalizer.chinese_stand_ins()
            tokens = [token.translate(stand_ins) for token in tokens]
        tokens = [*distinct_tokens(tokens), normalizer.SIGMA_MARK]
        model = tf_text.build_fast_wordpiece_model(
            tokens, MAX_WORD_BYTES, "##", unk_token, False, False
        )
        self._model = np.frombuffer(model, np.uint8)
        self._limit = _place_of_limit(self._model)
        first, last = self._limit, self._limit + 4
        short = [self._model[:first], _as_bytes(MAX_WORD_CHARACTERS), self._model[last:]]
        # Eager constants, also when a graph is being built: every graph then refers to the same
        # tensor. On the CPU, where the op is, and not copied there in each call.
        with tf.init_scope(), tf.device("CPU:0"):
            self.for_short_words = tf.constant(np.concatenate(short))
            # Characters, below zero those of pieces that continue a word.
            signed = np.where(continues, 2 - letters, letters)
            self._letters = tf.constant(np.append(signed, np.int32(1)))

    @classmethod
    @functools.lru_cache(maxsize=4)
    def of(cls, vocabulary: str, unk_token: str, tokenize_chinese_chars: bool) -> Automaton:
        """An automaton, made anew only if it was not among the last ones."""
        return cls(vocabulary, unk_token, tokenize_chinese_chars)

    def for_long_words(self, constant: bool = False) -> tf.Tensor:
        """The model with which words of more than 800 bytes are unknown, a uint8 tensor.

        Args:
            constant: a second copy of some megabytes, where an export has no use for the other
                one; or a tensor that the graph makes of the other one where it needs it.
        """
        if constant:
            with tf.init_scope(), tf.device("CPU:0"):
                return tf.constant(self._model)
        first, last = self._limit, self._limit + 4
        model = self.for_short_words
        return tf.concat([model[:first], _as_bytes(MAX_WORD_BYTES), model[last:]], axis=0)

    def without_long_words(
        self,
        ids: tf.RaggedTensor,
        starts: tf.RaggedTensor,
        ends: tf.RaggedTensor,
        unk_id: int,
    ) -> tuple[tf.RaggedTensor, ...]:
        """Makes one unknown piece of all pieces of a word of more than 200 characters.

        Args:
            ids: ragged int32 (batch, pieces).
            starts: where in their strings the pieces begin; likewise ragged.
            ends: where they end.
            unk_id: the id of unknown words.

        Returns:
            (ids, starts, ends), of the same types.
        """
        letters = tf.gather(self._letters, ids.values)
        opens = letters >= 0
        word = tf.cumsum(tf.cast(opens, tf.int32)) - 1
        # LiteRT has kernels for these, in int32, and not for those of sorted segments.
        words = tf.reduce_max(tf.concat([[-1], word], 0)) + 1
        letters_of = tf.math.unsorted_segment_sum(tf.abs(letters), word, words)
        long = tf.gather(letters_of > MAX_WORD_CHARACTERS, word)
        word_ends = tf.math.unsorted_segment_max(tf.cast(ends.values, tf.int32), word, words)
        word_ends = tf.cast(tf.gather(word_ends, word), ends.dtype)
        kept = opens | ~long
        before = tf.concat([[0], tf.cumsum(tf.cast(kept, tf.int64))], axis=0)
        splits = tf.gather(before, ids.row_splits)
        values = (
            tf.where(long, unk_id, ids.values),
            starts.values,
            tf.where(long, word_ends, ends.values),
        )
        return tuple(
            tf.RaggedTensor.from_row_splits(tf.boolean_mask(x, kept), splits, validate=False)
            for x in values
        )


def distinct_tokens(tokens: list[str]) -> list[str]:
    """Replaces tokens that no text gives, so that the automaton is built of distinct ones.

    Dead are empty lines, all but the last of equal tokens (the reference's dict keeps the last),
    those with a blank inside (the op would match them across words), and any with a character that
    we write into words to make them unknown.
    """
    last = {token: index for index, token in enumerate(tokens)}
    unmatchable = set(normalizer.UNMATCHABLE)
    # Control characters are deleted from every text, hence the replacement matches none.
    return [
        token
        if token.split() == [token] and last[token] == index and unmatchable.isdisjoint(token)
        else f"\x02{index}"
        for index, token in enumerate(tokens)
    ]


def _place_of_limit(model: np.ndarray) -> int:
    """At which byte of a model its `max_bytes_per_token` stands.

    Source: tensorflow_text/core/kernels/fast_wordpiece_tokenizer_model.fbs.
    """
    from flatbuffers.number_types import Int32Flags

    fields = normalizer.open_flatbuffer(model)
    offset = fields.Offset(12)
    if not offset or fields.Get(Int32Flags, fields.Pos + offset) != MAX_WORD_BYTES:
        raise RuntimeError(
            "tensorflow-text writes its WordPiece models in another form than version 2.20 does. "
            "Install that: pip install 'tensorflow-text==2.20.*'."
        )
    return fields.Pos + offset


def _as_bytes(number: int) -> np.ndarray:
    return np.array([number], "<i4").view(np.uint8)
