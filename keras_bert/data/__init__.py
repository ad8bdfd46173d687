"""Examples from files, data sets and tables, and batches of them."""

from keras_bert.data.examples import Examples, SourceError
from keras_bert.data.parallel import read_parallel
from keras_bert.data.reading import read_dataset
from keras_bert.data.sources import read_examples, read_texts

__all__ = [
    "Examples",
    "SourceError",
    "read_dataset",
    "read_examples",
    "read_parallel",
    "read_texts",
]
