"""One answer per text where a model reads it in windows."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

__all__ = ["DOCUMENT_WINDOWS", "WINDOWS_AT_ONCE", "in_chunks", "merge_windows", "with_documents"]

#: Input beside the ids (texts, windows) bool: which windows are those of each text. Its name comes
#: first in the alphabet: Keras weights the loss of a batch by the size of its first input.
DOCUMENT_WINDOWS = "document_windows"

#: Windows that go through an encoder at once where a text has more of them.
WINDOWS_AT_ONCE = 64

_ROWS_OF_NUMBERS = tf.TensorSpec((None, None))


def merge_windows(outputs: tf.Tensor, windows: tf.Tensor, pooling: str) -> tf.Tensor:
    """Merges what a model says of windows.

    Args:
        outputs: (windows, outputs) floating.
        windows: Where the windows are of: ``window_source`` as ``Preprocessor`` gives it, int32
            (windows,), the number of each window's text, which never falls; or ``document_windows``
            as ``with_documents`` makes it.
        pooling: "mean" or "max".

    Returns:
        (texts, outputs), in the dtype of the outputs.

    Example:
        >>> outputs = tf.constant([[1.0], [3.0], [7.0]])
        >>> merge_windows(outputs, tf.constant([0, 0, 1]), "mean").numpy().tolist()
        [[2.0], [7.0]]
    """
    if windows.shape.rank == 1:
        merge = {"mean": tf.math.segment_mean, "max": tf.math.segment_max}[pooling]
        return merge(outputs, windows)
    # Segments have sizes that XLA does not know; this has none.
    if pooling == "mean":
        shares = tf.cast(windows, outputs.dtype)
        # Rows that fill a batch up to a fixed shape have no windows, and get 0.
        shares = tf.math.divide_no_nan(shares, tf.reduce_sum(shares, axis=1, keepdims=True))
        return tf.matmul(shares, outputs)
    chosen = tf.where(windows[:, :, tf.newaxis], outputs[tf.newaxis], outputs.dtype.min)
    has = tf.reduce_any(windows, axis=1)[:, tf.newaxis]
    return tf.where(has, tf.reduce_max(chosen, axis=1), tf.zeros((), outputs.dtype))


def with_documents(ids: dict, texts: tf.Tensor | int) -> dict:
    """Ids with ``document_windows`` in place of ``window_source`` and ``window_start``.

    Args:
        ids: As ``Preprocessor`` makes them with a ``stride``.
        texts: How many texts there are.
    """
    source = ids["window_source"]
    members = source[tf.newaxis, :] == tf.range(texts, dtype=source.dtype)[:, tf.newaxis]
    kept = {name: value for name, value in ids.items() if not name.startswith("window_")}
    return {DOCUMENT_WINDOWS: members, **kept}


def in_chunks(
    call: Callable,
    inputs: dict[str, tf.Tensor],
    size: tf.Tensor | int = WINDOWS_AT_ONCE,
    specs=_ROWS_OF_NUMBERS,
):
    """Calls a model on rows, so many at once, in the graph.

    A long text has more windows than memory has room for.

    Args:
        call: Some rows of the inputs → tensors, first axis the rows, structured as ``specs``.
        inputs: Tensors, first axis the rows, of which there may be any number, none included.
        size: Most rows at once.
        specs: A ``tf.TensorSpec`` of what it gives, or a nest of them; default: one tensor float32
            (rows, outputs).

    Returns:
        The same of all rows.
    """
    count = tf.shape(next(iter(inputs.values())))[0]
    # Once at least: of no rows too the outputs have a width.
    chunks = tf.maximum((count + size - 1) // size, 1)

    def part(number, arrays):
        rows = {name: value[number * size : (number + 1) * size] for name, value in inputs.items()}
        found = zip(arrays, tf.nest.flatten(call(rows)), strict=True)
        return number + 1, [array.write(number, value) for array, value in found]

    arrays = [
        tf.TensorArray(spec.dtype, size=chunks, infer_shape=False, element_shape=spec.shape)
        for spec in tf.nest.flatten(specs)
    ]
    _, arrays = tf.while_loop(
        lambda number, _: number < chunks, part, (0, arrays), parallel_iterations=1
    )
    return tf.nest.pack_sequence_as(specs, [array.concat() for array in arrays])
