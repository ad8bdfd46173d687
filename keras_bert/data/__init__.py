"""Examples from files, data sets and tables, and batches of them."""

from keras_bert.data.conll import TaggedExamples, read_conll
from keras_bert.data.examples import Examples, SourceError
from keras_bert.data.parallel import read_parallel
from keras_bert.data.reading import read_dataset
from keras_bert.data.sources import read_examples, read_texts
from keras_bert.data.squad import QuestionExamples, question_examples, read_squad

__all__ = [
    "Examples",
    "QuestionExamples",
    "SourceError",
    "TaggedExamples",
    "question_examples",
    "read_conll",
    "read_dataset",
    "read_examples",
    "read_parallel",
    "read_squad",
    "read_texts",
]
