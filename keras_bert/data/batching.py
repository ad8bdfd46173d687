"""Texts to batches of ids: tokenised once, cut by length, padded to the longest of the batch."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import tensorflow as tf

from keras_bert.text.preprocessor import string_tensor

__all__ = [
    "TokenizedTexts",
    "TruncationWarning",
    "dataset_of_batches",
    "fixed_batch",
    "length_grouped_batches",
    "rows_of",
    "sorted_batches",
    "text_batches",
    "tokenized",
    "warn_of_cuts",
    "without_autotuning",
]

#: Batches whose examples are sorted together in training. Larger pools pad less and shuffle
#: less; 50 leaves under 3 % padding on short questions at batch size 32.
POOL = 50

#: Texts per call of the tokenizer, which runs on one core whatever the batch.
TOKENIZER_CHUNK = 1024


class TruncationWarning(UserWarning):
    """Texts were longer than the model takes and have been cut."""


class TokenizedTexts:
    """Texts as piece ids, packed and padded batch by batch.

    Args:
        preprocessor: The ``Preprocessor`` of the model.
        texts: A list of strings, or of (text, text) pairs.
        targets: (texts, ...) array: what a model is to say of each; None: nothing is known.

    Attributes:
        lengths: (texts,) int32: ids per text after packing, special tokens included.

    Example:
        >>> tokens = TokenizedTexts(model.preprocessor, ["How are you?", "Fine."])
        >>> tokens.batch([0, 1])["input_word_ids"].shape
        TensorShape([2, 6])
    """

    def __init__(self, preprocessor, texts, targets=None):
        self._preprocessor = preprocessor
        self.targets = targets
        pairs = bool(texts) and isinstance(texts[0], tuple | list)
        sides = list(zip(*texts, strict=True)) if pairs else [texts]
        self._sides = [tokenized(preprocessor.tokenizer, list(side)) for side in sides]
        pieces = sum(side.row_lengths().numpy() for side in self._sides)
        whole = pieces + preprocessor.special_token_count(len(sides))
        self.lengths = np.minimum(whole, preprocessor.seq_length).astype(np.int32)
        warn_of_cuts(np.maximum(whole - preprocessor.seq_length, 0), preprocessor.seq_length)

    def __len__(self):
        return len(self.lengths)

    def batch(self, rows) -> dict[str, tf.Tensor]:
        """Packs some of the texts, padded to the longest of them.

        Args:
            rows: (batch,) int, numbers of the texts.

        Returns:
            ``input_word_ids``, ``input_mask``, ``input_type_ids``, each (batch, seq) int32.
        """
        return self._preprocessor.pack(*(tf.gather(side, rows) for side in self._sides))

    def dataset(self, batches, shapes=None) -> tf.data.Dataset:
        """A dataset of packed batches, one per array of row numbers.

        Args:
            batches: A function that returns the arrays of one pass; called anew for each pass.
            shapes: ``FixedShapes`` that all batches are to have.

        Returns:
            Elements ``(ids, targets)``, or ``ids`` without targets; the cardinality is known.
        """
        return dataset_of_batches(batches, self.batch, rows_of(self.targets), shapes, self.lengths)


def tokenized(tokenizer, texts: list) -> tf.RaggedTensor:
    """The piece ids of a list of texts, int32 ragged (texts, pieces), without special tokens."""
    chunks = [
        tokenizer.tokenize(string_tensor(texts[i : i + TOKENIZER_CHUNK]))
        for i in range(0, len(texts), TOKENIZER_CHUNK)
    ]
    return chunks[0] if len(chunks) == 1 else tf.concat(chunks, axis=0)


def rows_of(targets):
    """What picks rows of an array, once it is a tensor; None where there is none."""
    if targets is None:
        return None
    tensor = tf.constant(targets)
    return lambda rows: tf.gather(tensor, rows)


def dataset_of_batches(
    batches, batch, targets_of=None, shapes=None, lengths=(), fix=None
) -> tf.data.Dataset:
    """A dataset of packed batches, one per array of row numbers.

    Args:
        batches: A function that returns the arrays of one pass; called anew for each pass.
        batch: Row numbers (batch,) int64 → ids.
        targets_of: Row numbers → targets; None: there are none.
        shapes: ``FixedShapes`` that all batches are to have.
        lengths: (rows,) int, tokens per row; with ``shapes`` none may be too long.
        fix: What gives ids and targets these shapes; default: ``fixed_batch``.

    Returns:
        Elements ``(ids, targets)``, or ``ids`` without targets; the cardinality is known.
    """
    if shapes is not None:
        shapes.check(int(max(lengths, default=0)))
    chosen = batches if shapes is None else lambda: shapes.batches(batches())
    rows = tf.data.Dataset.from_generator(
        lambda: iter(chosen()), output_signature=tf.TensorSpec((None,), tf.int64)
    )
    rows = rows.apply(tf.data.experimental.assert_cardinality(len(chosen())))
    elements = batch if targets_of is None else lambda r: (batch(r), targets_of(r))
    dataset = rows.map(elements)
    if shapes is not None:
        dataset = dataset.map(functools.partial(fix or fixed_batch, shapes))
    return without_autotuning(dataset.prefetch(2))


def fixed_batch(shapes, ids, targets=None):
    """A batch of ids with targets of rows, or without, as one of fixed shape."""
    filled = shapes.filled(shapes.ids(ids), targets)
    return filled if len(filled) > 1 else filled[0]


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset, with tf.data's tuning of its parallelism off unless it was set.

    The thread that tunes sleeps for up to a minute and can miss that the iterator is destroyed,
    which then waits for it: seconds at the end of an epoch in which nothing happens. Without it,
    ``AUTOTUNE`` means the number of cores. Seen with TensorFlow 2.20.
    """
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def warn_of_cuts(cut, seq_length: int):
    """Warns, once for all, where texts had to be cut.

    Args:
        cut: (texts,) int, pieces cut from each text.
        seq_length: Most tokens of a row.
    """
    count = int((cut > 0).sum())
    if count:
        warnings.warn(
            f"{count} of {len(cut)} texts are longer than seq_length={seq_length} tokens and were "
            f"cut; the longest has {seq_length + int(cut.max())}.",
            TruncationWarning,
            stacklevel=5,
        )


def length_grouped_batches(lengths, batch_size: int, seed: int) -> list[np.ndarray]:
    """Random batches of texts of similar length, a pure function of its arguments.

    The texts are shuffled, cut into pools of 50 batches, each pool is sorted by length and cut
    into batches, and the batches are shuffled. Every text comes exactly once.

    Args:
        lengths: (texts,) int, ids per text.
        batch_size: Texts per batch; the last batch of all may be smaller.
        seed: Decides the order.

    Returns:
        Arrays of row numbers, int64.

    Example:
        >>> sorted(map(len, length_grouped_batches([5, 3, 9], batch_size=2, seed=0)))
        [1, 2]
    """
    random = np.random.default_rng(seed)
    lengths = np.asarray(lengths)
    order = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), POOL * batch_size):
        pool = order[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def sorted_batches(lengths, batch_size: int) -> list[np.ndarray]:
    """All texts in batches by falling length: least padding, and memory peaks at the start.

    Args and result: as ``length_grouped_batches``, without a seed.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def text_batches(texts, batch_size: int) -> list[np.ndarray]:
    """All texts in batches by falling number of characters, before anything is tokenized.

    Args:
        texts: Strings, or tuples and lists of them.
        batch_size: As for ``length_grouped_batches``.

    Example:
        >>> [batch.tolist() for batch in text_batches(["a", "ccc", ("b", "b")], 2)]
        [[1, 2], [0]]
    """
    lengths = [len(t) if isinstance(t, str | bytes) else sum(map(len, t)) for t in texts]
    return sorted_batches(lengths, batch_size)
