"""Questions and the texts they are about, as rows of ids: a window over the text in each."""

from __future__ import annotations

import tensorflow as tf

from keras_bert.text.preprocessor import Preprocessor

__all__ = ["QuestionWindows", "default_stride"]


class QuestionWindows:
    """What a ``Preprocessor`` makes of (question, context), the question cut where it is long.

    A long question would leave little room for the context, so that there are many windows of it.
    The ends of tokens take in what normalisation dropped behind them, such as accents. The question
    comes first, unless the preprocessor cuts first texts alone (``truncation="only_first"``): then
    the context does.

    Args:
        preprocessor: A ``Preprocessor``; with a ``stride`` it makes windows over the context.
        max_query_length: Most pieces of a question; at most half of a row's room is used.

    Attributes:
        tokenizer: The preprocessor's.

    Example:
        >>> windows = QuestionWindows(kb.Preprocessor(tokenizer, 384, stride=128), 64)
        >>> windows((["Where?"], ["In Rome."]))["input_segments"]
        <tf.Tensor: shape=(1, 8), dtype=int32, numpy=array([[-1, 0, 0, -1, 1, 1, 1, -1]])>
    """

    def __init__(self, preprocessor: Preprocessor, max_query_length: int = 64):
        self._preprocessor = preprocessor
        self.tokenizer = preprocessor.tokenizer
        self._context_first = preprocessor.truncation == "only_first"
        room = preprocessor.seq_length - preprocessor.special_token_count(2)
        self.max_query_length = min(max_query_length, room // 2)

    def __call__(self, texts, return_truncated=False, return_offsets=True) -> dict[str, tf.Tensor]:
        """Tokenizes and packs.

        Args:
            texts: (questions, contexts), string tensors (batch,) or lists of str.
            return_truncated: As for ``Preprocessor.call``; what was cut from questions counts too.
            return_offsets: As for ``Preprocessor.call``.

        Returns:
            As ``Preprocessor.call``, with ``window_source`` and ``window_start`` always; whichever
            comes first, of ``input_segments`` 0 is the question and 1 the context.
        """
        questions, contexts = texts
        question = self.tokenizer.tokenize_with_offsets(questions, ends="loose")
        cut = tf.cast(question[0].row_lengths(), tf.int32) - self.max_query_length
        question = _first_pieces(question, self.max_query_length)
        segments = [question, self.tokenizer.tokenize_with_offsets(contexts, ends="loose")]
        packed = self._preprocessor.pack(
            *(reversed(segments) if self._context_first else segments),
            return_truncated=return_truncated,
            return_offsets=return_offsets,
        )
        if self._context_first and return_offsets:
            place = packed["input_segments"]
            packed["input_segments"] = tf.where(place < 0, place, 1 - place)
        rows = tf.range(tf.shape(packed["input_word_ids"])[0])
        packed.setdefault("window_source", rows)
        packed.setdefault("window_start", tf.zeros_like(rows))
        if return_truncated:
            packed["truncated"] += tf.gather(tf.maximum(cut, 0), packed["window_source"])
        return packed


def _first_pieces(parts, count: int) -> tuple[tf.RaggedTensor, ...]:
    """``part[:, :count]`` of ragged tensors of one shape; by a mask, which LiteRT knows."""
    ids = parts[0]
    starts = tf.gather(ids.row_splits[:-1], ids.value_rowids())
    kept = tf.range(tf.size(starts, starts.dtype)) - starts < count
    splits = tf.concat([[0], tf.cumsum(tf.minimum(ids.row_lengths(), count))], 0)
    return tuple(
        tf.RaggedTensor.from_row_splits(tf.boolean_mask(part.values, kept), splits, validate=False)
        for part in parts
    )


def default_stride(seq_length: int, max_query_length: int = 64) -> int:
    """How many pieces of a context two windows share, where nobody says so.

    Windows move on by a third of a row beside the longest question, and further beside shorter
    ones: 128 of 384 pieces, as google-research/bert's ``doc_stride`` has it, which counts the step
    where ``Preprocessor`` counts what is shared.

    Source: the flags of google-research/bert ``run_squad.py``.

    Example:
        >>> default_stride(384)      # 384 less 3 special tokens, 64 of the question and 128
        189
    """
    room = seq_length - 3
    return max(room - min(max_query_length, room // 2) - seq_length // 3, 0)
