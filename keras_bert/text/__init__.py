"""From strings to token ids, inside the TensorFlow graph."""

from keras_bert.text.added_tokens import AddedToken
from keras_bert.text.byte_pair import BytePairTokenizer
from keras_bert.text.preprocessor import Preprocessor
from keras_bert.text.sentencepiece import SentencePieceTokenizer
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary_learning import learn_vocabulary
from keras_bert.text.wordpiece import WordPieceTokenizer

__all__ = [
    "AddedToken",
    "BytePairTokenizer",
    "Preprocessor",
    "SentencePieceTokenizer",
    "Tokenizer",
    "WordPieceTokenizer",
    "learn_vocabulary",
]
