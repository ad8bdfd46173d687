"""keras.Model classes: the encoder, and one file per task on top of it."""

import keras

from keras_bert.models.encoder import BertEncoder

__all__ = ["BertEncoder"]

# The encoder runs on every Keras backend, without TensorFlow too; the task models read text.
if keras.config.backend() == "tensorflow":
    from keras_bert.models.classifier import BertClassifier
    from keras_bert.models.task import TaskModel, UntrainedHeadWarning

    __all__ += ["BertClassifier", "TaskModel", "UntrainedHeadWarning"]
