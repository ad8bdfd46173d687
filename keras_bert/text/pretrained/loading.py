"""Which kind of tokenizer is it? Every kind says so itself, and is then asked to read it."""

from __future__ import annotations

import os

from keras_bert.text.pretrained import byte_pair, kerashub, sentencepiece, wordpiece
from keras_bert.text.pretrained.folder import TokenizerFolder
from keras_bert.text.tokenizer import Tokenizer

__all__ = ["KINDS", "load_tokenizer"]

#: Each has `recognises(folder) -> bool` and `load(folder, **options) -> Tokenizer`; the first that
#: recognises the folder reads it. WordPiece is last: it takes whatever no other kind does, and says
#: what is wrong with it. The way back is `contents(tokenizer) -> Contents`, for tokenizers of the
#: class `KIND`; the names of the kind's own files are `FILES`.
KINDS = (byte_pair, sentencepiece, wordpiece)


def load_tokenizer(folder: str | os.PathLike, special_tokens_in_text: str = "text") -> Tokenizer:
    """Reads a tokenizer from a model's folder; see `Tokenizer.from_pretrained`."""
    files = TokenizerFolder(folder)
    # KerasHub is first, for its tokenizer.json is not Hugging Face's.
    kind = next(kind for kind in (kerashub, *KINDS) if kind.recognises(files))
    return kind.load(files, special_tokens_in_text=special_tokens_in_text)
