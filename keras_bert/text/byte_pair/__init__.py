"""Byte-level byte-pair encoding: the tokenizer of RoBERTa and ModernBERT."""

from keras_bert.text.byte_pair.tokenizer import BytePairTokenizer

__all__ = ["BytePairTokenizer"]
