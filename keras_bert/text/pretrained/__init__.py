"""Tokenizers from and to the folders of pretrained models: each kind's file has what is its own."""

from keras_bert.text.pretrained.loading import load_tokenizer
from keras_bert.text.pretrained.saving import save_tokenizer

__all__ = ["load_tokenizer", "save_tokenizer"]
