"""From strings to token ids, inside the TensorFlow graph."""

from keras_bert.text.preprocessor import Preprocessor
from keras_bert.text.sentencepiece import SentencePieceTokenizer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.wordpiece import WordPieceTokenizer

__all__ = ["Preprocessor", "SentencePieceTokenizer", "Tokenizer", "WordPieceTokenizer"]
