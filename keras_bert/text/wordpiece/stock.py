"""tf.text's own BERT tokenizer, to see what it does to a text and how far that is from BERT's."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_bert.text.wordpiece.automaton import distinct_tokens
from keras_bert.text.wordpiece.tokenizer import WordPieceTokenizer

__all__ = ["stock_tokenizer"]


def stock_tokenizer(tokenizer: WordPieceTokenizer) -> Callable[[tf.Tensor], tf.RaggedTensor]:
    """`tensorflow_text.FastBertTokenizer` as it comes, for the vocabulary and case of `tokenizer`.

    It folds compatibility characters, splits at what BERT deletes, and takes words of more than 100
    bytes for unknown: see `normalizer.py`.

    Args:
        tokenizer: what it is to be compared with.

    Returns:
        A function from strings (batch,) to ragged int32 ids (batch, pieces).

    Raises:
        TypeError: `tokenizer` is of another kind.
        ImportError: tensorflow-text is not installed.

    Example:
        >>> stock_tokenizer(tokenizer)(tf.constant(["½"])), tokenizer.tokenize(["½"])
        (<tf.RaggedTensor [[1015, 30083, 2475]]>, <tf.RaggedTensor [[1090]]>)
    """
    if not isinstance(tokenizer, WordPieceTokenizer):
        raise TypeError(
            f"tf.text has nothing to compare a {type(tokenizer).__name__} with; a "
            "WordPieceTokenizer is expected."
        )
    import tensorflow_text as tf_text

    stock = tf_text.FastBertTokenizer(
        vocab=distinct_tokens(tokenizer.vocabulary),
        token_out_type=tf.int32,
        unknown_token=tokenizer.unk_token,
        lower_case_nfd_strip_accents=tokenizer.lower_case,
    )
    return stock.tokenize
