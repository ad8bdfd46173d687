"""A task model as one LiteRT (TFLite) file."""

# After this line `keras_bert.export.litert.litert` is the function; `keras_bert.export.litert` is
# it too, once `keras_bert.export` has imported it.
from keras_bert.export.litert.writing import litert

__all__ = ["litert"]
