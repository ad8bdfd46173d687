"""Hiding tokens for a model to find again, in the graph; and putting tokens into masked texts."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from keras_bert.text.tokenizer import Tokenizer

__all__ = ["TokenMasking", "fill", "uniforms"]

#: Of the chosen tokens, which become the mask token, and which a random one; the rest stay.
MASKED, RANDOM = 0.8, 0.1

#: What the draws of one token are for.
CHOICE, KIND, REPLACEMENT = range(3)


class TokenMasking:
    """Hides some of the tokens of packed rows.

    Of a row of ``n`` tokens, special ones included, ``max(1, round(n · rate))`` are chosen, at most
    ``max_predictions``, and no special ones; 80 % of them become the mask token, 10 % any token of
    the vocabulary, 10 % stay. What is chosen depends on a row's tokens and its key alone, not on
    what else is in the batch or on padding.

    Args:
        tokenizer: A ``Tokenizer`` with a mask token.
        rate: Share of the tokens that is chosen.
        max_predictions: Most tokens chosen of a row; None: any number.
        whole_word: Choose whole words; one that would exceed the number is passed over. What
            becomes of each of its pieces is still decided one by one.
        seed: Rows of equal keys are masked in another way with another seed.

    Raises:
        ValueError: If the vocabulary has no mask token, or an option is out of range.

    Source: ``create_masked_lm_predictions`` in google-research/bert ``create_pretraining_data.py``;
    section 3.1 of Devlin et al. 2018.

    Example:
        >>> masking = TokenMasking(tokenizer)                                  # doctest: +SKIP
        >>> masked = masking(preprocessor(["the man went to a store"]), [0])   # doctest: +SKIP
        >>> masked["masked_lm_positions"], masked["masked_lm_ids"]             # doctest: +SKIP
        (<tf.Tensor: [[4]]>, <tf.Tensor: [[2000]]>)
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        rate: float = 0.15,
        max_predictions: int | None = None,
        whole_word: bool = False,
        seed: int = 0,
    ):
        if tokenizer.mask_id is None:
            raise ValueError(
                f"The vocabulary of {tokenizer.vocabulary_size} tokens lacks the mask token "
                f"{tokenizer.mask_token!r}. If it has another name, pass it as mask_token."
            )
        if not 0 < rate <= 1:
            raise ValueError(f"rate={rate!r}; expected a share above 0 and at most 1.")
        if max_predictions is not None and max_predictions < 1:
            raise ValueError(f"max_predictions={max_predictions!r}; expected 1 or more, or None.")
        self.rate, self.max_predictions, self.seed = rate, max_predictions, seed
        self._mask_id, self._vocabulary_size = tokenizer.mask_id, tokenizer.vocabulary_size
        self._special = [tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id]
        self._continues = None
        if whole_word:
            self._continues = np.array(
                [_continues_word(tokenizer, t) for t in tokenizer.vocabulary]
            )

    def most_predictions(self, length: int) -> int:
        """The most tokens that are chosen of a row of so many."""
        most = max(1, round(length * self.rate))
        return most if self.max_predictions is None else min(most, self.max_predictions)

    def __call__(self, ids: dict, keys) -> dict[str, tf.Tensor]:
        """Masks a batch.

        Args:
            ids: ``input_word_ids`` and ``input_mask``, (batch, seq) int32, and any others.
            keys: (batch,) int: rows with equal tokens and keys are masked alike.

        Returns:
            ``ids`` with some of ``input_word_ids`` replaced, and ``masked_lm_positions`` and
            ``masked_lm_ids`` (batch, predictions) int32, ``masked_lm_weights`` float32: 1 where a
            token was chosen, 0 in places that are left over, whose position and id are 0.
            ``predictions`` is the most that a row has, 1 at least.
        """
        words = tf.convert_to_tensor(ids["input_word_ids"])
        real = tf.convert_to_tensor(ids["input_mask"]) > 0
        is_special = tf.reduce_any(words[..., tf.newaxis] == tf.constant(self._special), axis=-1)
        candidates = real & ~is_special
        lengths = tf.reduce_sum(tf.cast(real, tf.int32), axis=1)
        # In float64 and to the even one of two, as Python's round.
        wanted = tf.cast(tf.round(tf.cast(lengths, tf.float64) * self.rate), tf.int32)
        wanted = tf.maximum(wanted, 1)
        if self.max_predictions is not None:
            wanted = tf.minimum(wanted, self.max_predictions)
        draws = [uniforms(keys, real, self.seed, what) for what in range(3)]
        if self._continues is None:
            chosen = _first_by(draws[CHOICE], candidates) < wanted[:, tf.newaxis]
            chosen &= candidates
        else:
            starts = candidates & ~(tf.gather(self._continues, words) & _behind(candidates))
            chosen = _whole_words(draws[CHOICE], candidates, starts, wanted)
        kind = draws[KIND]
        anything = tf.cast(draws[REPLACEMENT] * self._vocabulary_size, words.dtype)
        hidden = tf.where(kind >= 1 - RANDOM, anything, words)
        hidden = tf.where(kind < MASKED, tf.cast(self._mask_id, words.dtype), hidden)
        return {
            **ids,
            "input_word_ids": tf.where(chosen, hidden, words),
            **_predictions(words, chosen),
        }


def uniforms(keys, real, seed: int, what: int = 0) -> tf.Tensor:
    """Random numbers that are a function of a row's key and a token's number in it alone.

    Args:
        keys: (batch,) int.
        real: (batch, seq) bool, False at padding, on whichever side.
        seed: Any int.
        what: A draw of the same token for another purpose has another number.

    Returns:
        (batch, seq) float64 in [0, 1).

    Source: the finaliser of SplitMix64, Steele et al. 2014, "Fast splittable pseudorandom number
    generators".
    """
    stream = tf.constant((seed * 3 + what) % 2**64, tf.uint64)
    rows = _mixed(_mixed(stream) + _mixed(tf.cast(tf.cast(keys, tf.int64), tf.uint64)))
    numbers = tf.cast(tf.cumsum(tf.cast(real, tf.int64), axis=1), tf.uint64)
    # The golden ratio's bits: neighbours start far apart.
    golden = tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    bits = _mixed(rows[:, tf.newaxis] + numbers * golden)
    bits = tf.bitwise.right_shift(bits, tf.constant(11, tf.uint64))
    return tf.cast(tf.cast(bits, tf.int64), tf.float64) * math.ldexp(1.0, -53)


def _mixed(x):
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint64)))
        x *= tf.constant(factor, tf.uint64)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(31, tf.uint64)))


def _first_by(draws, candidates):
    """Each candidate's place from 0 in the order of their draws; others come last."""
    order = tf.argsort(tf.where(candidates, draws, 2.0), axis=1, stable=True)
    return tf.argsort(order, axis=1)


def _behind(candidates):
    """Whether the place before is a candidate."""
    return tf.pad(candidates[:, :-1], [[0, 0], [1, 0]])


def _whole_words(draws, candidates, starts, wanted):
    """Words in the order of their draws, each taken if there is room for all of it."""
    shape = tf.shape(candidates)
    length = shape[1]
    word = tf.maximum(tf.cumsum(tf.cast(starts, tf.int32), axis=1) - 1, 0)
    flat = tf.reshape(word + length * tf.range(shape[0])[:, tf.newaxis], (-1,))

    def per_word(values):
        return tf.reshape(
            tf.math.unsorted_segment_sum(tf.reshape(values, (-1,)), flat, tf.size(flat)), shape
        )

    sizes = per_word(tf.cast(candidates, tf.int32))
    first = per_word(tf.where(starts, draws, tf.zeros_like(draws)))
    order = tf.argsort(tf.where(sizes > 0, first, 2.0), axis=1, stable=True)

    def take(state, size):
        used, _ = state
        fits = (size > 0) & (used + size <= wanted)
        return used + tf.where(fits, size, 0), fits

    start = (tf.zeros_like(wanted), tf.zeros_like(wanted, tf.bool))
    ordered = tf.transpose(tf.gather(sizes, order, batch_dims=1))
    _, taken = tf.scan(take, ordered, start)
    taken = tf.gather(tf.transpose(taken), tf.argsort(order, axis=1), batch_dims=1)
    return candidates & tf.gather(taken, word, batch_dims=1)


def _predictions(words, chosen):
    places = tf.broadcast_to(tf.range(tf.shape(words)[1]), tf.shape(words))
    places = tf.ragged.boolean_mask(places, chosen)
    most = tf.maximum(tf.cast(places.bounding_shape()[1], tf.int32), 1)
    places = places.to_tensor(-1, shape=(-1, most))
    positions = tf.maximum(places, 0)
    weights = places >= 0
    originals = tf.gather(words, positions, batch_dims=1)
    return {
        "masked_lm_positions": positions,
        "masked_lm_ids": tf.where(weights, originals, tf.zeros_like(originals)),
        "masked_lm_weights": tf.cast(weights, tf.float32),
    }


def _continues_word(tokenizer, token):
    # Special tokens end words, whatever they look like.
    return token not in tokenizer._names and tokenizer._spelled(token)[1]


def fill(tokenizer: Tokenizer, text: str, number: int, token_id: int) -> str:
    """A text with a token in the place of one of its masks.

    Args:
        tokenizer: The ``Tokenizer``.
        text: A text with mask tokens.
        number: Which of them, from 0.
        token_id: What goes there. The rest of a word joins what is before the mask.

    Example:
        >>> fill(tokenizer, "Play [MASK] [MASK].", 0, tokenizer.vocabulary.index("##ing"))
        'Playing [MASK].'
    """
    parts = text.split(tokenizer.mask_token)
    before = tokenizer.mask_token.join(parts[: number + 1])
    behind = tokenizer.mask_token.join(parts[number + 1 :])
    token = tokenizer.vocabulary[token_id]
    letters, continues = (token, False)
    if token not in tokenizer._names:
        letters, continues = tokenizer._spelled(token)
    letters = "\N{REPLACEMENT CHARACTER}" if letters is None else letters.strip()
    if continues:
        before = before.rstrip()
    elif tokenizer.mask_token_strips and before.strip():
        # The mask took the blank before it, which the token brings along.
        before = before.rstrip() + " "
    return before + letters + behind
