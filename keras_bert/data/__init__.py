"""Examples from files, and batches of them."""

from keras_bert.data.sources import Examples, SourceError, read_examples, read_texts
from keras_bert.data.squad import QuestionExamples, question_examples, read_squad

__all__ = [
    "Examples",
    "QuestionExamples",
    "SourceError",
    "question_examples",
    "read_examples",
    "read_squad",
    "read_texts",
]
