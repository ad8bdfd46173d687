"""From a task model to an artefact that answers without keras_bert."""

from keras_bert.export.errors import ExportError

# After this line `keras_bert.export.saved_model` is the function; the module of the same name
# stays reachable as `from keras_bert.export.saved_model import ...`.
from keras_bert.export.saved_model import saved_model

__all__ = ["ExportError", "saved_model"]
