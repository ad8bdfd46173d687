"""Examples from files, and batches of them."""

from keras_bert.data.examples import Examples, SourceError
from keras_bert.data.sources import read_examples, read_texts

__all__ = ["Examples", "SourceError", "read_examples", "read_texts"]
