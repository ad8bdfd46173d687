"""WordPiece: the tokenizer of BERT and most of its kin."""

from keras_bert.text.wordpiece.tokenizer import WordPieceTokenizer

__all__ = ["WordPieceTokenizer"]
