"""Which kind of tokenizer is it? Every kind says so itself, and is then asked to read it."""

from __future__ import annotations

import os

from keras_bert.text.pretrained import byte_pair, sentencepiece, wordpiece
from keras_bert.text.pretrained.folder import TokenizerFolder
from keras_bert.text.tokenizer import Tokenizer

__all__ = ["load_tokenizer"]

# Each has `recognises(folder) -> bool` and `load(folder) -> Tokenizer`; the first that recognises
# the folder reads it. WordPiece is last: it also reads what does not say what it is.
_KINDS = (byte_pair, sentencepiece, wordpiece)


def load_tokenizer(folder: str | os.PathLike, special_tokens_in_text: str = "text") -> Tokenizer:
    """Reads a tokenizer from a model's folder; see `Tokenizer.from_pretrained`."""
    files = TokenizerFolder(folder)
    for kind in _KINDS:
        if kind.recognises(files):
            tokenizer = kind.load(files)
            if special_tokens_in_text == tokenizer.special_tokens_in_text:
                return tokenizer
            options = {"special_tokens_in_text": special_tokens_in_text}
            return type(tokenizer).from_config({**tokenizer.get_config(), **options})
    raise ValueError(
        f"The tokenizer in {str(folder)!r} is a {files.class_name or 'tokenizer'} of the kind "
        f"{files.model_type!r}. Supported are WordPiece, byte-level BPE and SentencePiece unigram."
    )
