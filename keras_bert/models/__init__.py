"""keras.Model classes: the encoder, and one file per task on top of it."""

import keras

from keras_bert.models.encoder import BertEncoder
from keras_bert.models.encoders import make_encoder
from keras_bert.models.head_model import HeadModel
from keras_bert.models.modern_encoder import ModernBertEncoder
from keras_bert.models.pretrainer import BertPretrainer
from keras_bert.models.xlnet_encoder import XLNetEncoder

__all__ = [
    "BertEncoder",
    "BertPretrainer",
    "HeadModel",
    "ModernBertEncoder",
    "XLNetEncoder",
    "make_encoder",
]

# These run on every Keras backend, without TensorFlow too; task models read text.
if keras.config.backend() == "tensorflow":
    from keras_bert.models.beam_spans import BeamSpanLabeler
    from keras_bert.models.classifier import BertClassifier
    from keras_bert.models.dual_encoder import DualEncoder
    from keras_bert.models.masked_lm import BertMaskedLM
    from keras_bert.models.multiple_choice import BertMultipleChoice
    from keras_bert.models.span_labeler import BertSpanLabeler
    from keras_bert.models.task import TaskModel, UntrainedHeadWarning
    from keras_bert.models.token_classifier import BertTokenClassifier

    __all__ += [
        "BeamSpanLabeler",
        "BertClassifier",
        "BertMaskedLM",
        "BertMultipleChoice",
        "BertSpanLabeler",
        "BertTokenClassifier",
        "DualEncoder",
        "TaskModel",
        "UntrainedHeadWarning",
    ]
