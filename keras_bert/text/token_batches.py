"""Small batches of ids through tf.data, of texts that are tokenized many at a time."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

__all__ = ["token_batches"]


def token_batches(
    tokenizer, texts: Any, batch_size: int, at_a_time: int, num_parallel_calls: int | None
) -> tf.data.Dataset:
    """See `Tokenizer.token_batches`."""
    for name, number in (("batch_size", batch_size), ("at_a_time", at_a_time)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name}={number!r}. Expected an int of 1 or more.")
    texts = _dataset_of(texts)
    is_group = texts.element_spec.shape.rank == 1
    count = -1 if is_group else int(texts.cardinality())
    if not is_group:
        texts = texts.batch(batch_size * max(1, at_a_time // batch_size))
    calls = tf.data.AUTOTUNE if num_parallel_calls is None else num_parallel_calls

    def ids_of(strings: tf.Tensor) -> tf.RaggedTensor:
        ids = tokenizer.tokenize(strings)
        ends = tf.concat([tf.range(0, ids.nrows(), batch_size), [ids.nrows()]], 0)
        return tf.RaggedTensor.from_row_splits(ids, ends, validate=False)

    # Unbatching is C++ that cuts in place; slices in the graph would be a dozen ops for each batch.
    batches = texts.map(ids_of, num_parallel_calls=calls, deterministic=True).unbatch()
    if count >= 0:
        batches = batches.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    return batches


def _dataset_of(texts: Any) -> tf.data.Dataset:
    if not isinstance(texts, tf.data.Dataset):
        if isinstance(texts, str | bytes):
            raise TypeError("Expected texts. Received a single one; put it into a list.")
        texts = tf.data.Dataset.from_tensor_slices(tf.convert_to_tensor(texts, tf.string))
    spec = texts.element_spec
    is_text = isinstance(spec, tf.TensorSpec) and spec.dtype == tf.string
    if not is_text or spec.shape.rank not in (0, 1):
        raise TypeError(
            "Expected a tf.data.Dataset of texts, string () each, or of vectors of them, string "
            f"(texts,). Received elements {spec}. Take the texts out of them: "
            "dataset.map(lambda text, label: text)."
        )
    return texts
