"""SentencePiece unigram models: the tokenizer of ALBERT and XLM-RoBERTa."""

from keras_bert.text.sentencepiece.tokenizer import SentencePieceTokenizer

__all__ = ["SentencePieceTokenizer"]
