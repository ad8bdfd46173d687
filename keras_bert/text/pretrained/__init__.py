"""Tokenizers from the folders of pretrained models: one file per kind reads what is its own."""

from keras_bert.text.pretrained.loading import load_tokenizer

__all__ = ["load_tokenizer"]
