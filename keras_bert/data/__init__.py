"""Examples from files, and batches of them."""

from keras_bert.data.conll import TaggedExamples, read_conll
from keras_bert.data.sources import Examples, SourceError, read_examples, read_texts

__all__ = [
    "Examples",
    "SourceError",
    "TaggedExamples",
    "read_conll",
    "read_examples",
    "read_texts",
]
