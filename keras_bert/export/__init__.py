"""From a task model to an artefact that answers without keras_bert."""

from keras_bert.export.errors import ExportError

# After these lines `keras_bert.export.saved_model` and `.litert` are the functions; the modules of
# the same names stay reachable as `from keras_bert.export.saved_model import ...`.
from keras_bert.export.litert import litert
from keras_bert.export.saved_model import saved_model

__all__ = ["ExportError", "litert", "saved_model"]
