"""Weights as constants of a graph: oneDNN packs them once and need not read them at every call."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

__all__ = ["ConstantWeights", "constants_of"]

#: What a graph may take as one message of Protocol Buffers, less room for all else that is in it.
_MOST_BYTES = 2**31 - 2**26


class ConstantWeights(keras.StatelessScope):
    """Within it, reading one of some variables puts the value that it had into the graph.

    For a matrix product with a constant oneDNN chooses the layout of the kernel that is best for it
    and keeps the kernel in that layout; a variable's it takes as it lies in memory. The constant is
    made where it is read, so that a loop's body has it too and not as an input. It may be entered
    again and again, but not within itself.

    Args:
        variables: Keras variables. All others are read as ever.

    Example:
        >>> with ConstantWeights(layer.variables):
        ...     graph = tf.function(layer).get_concrete_function(features)
        >>> graph.variables
        ()
    """

    def __init__(self, variables: Iterable[keras.Variable]):
        super().__init__(initialize_variables=False)
        # Read here: in a function that is being traced this would count as its own reading.
        self._values = {id(variable): variable.numpy() for variable in variables}
        self._made: dict = {}

    @property
    def read(self) -> set[int]:
        """Those that were read, by ``id``."""
        return {variable for _, variable in self._made}

    def get_current_value(self, variable):
        """The constant, or None for "as ever"."""
        if id(variable) not in self._values:
            return super().get_current_value(variable)
        # One per graph: what is read twice, such as a layer that all blocks share, is there once.
        place = (tf.compat.v1.get_default_graph(), id(variable))
        if place not in self._made:
            self._made[place] = tf.constant(self._values[id(variable)])
        return self._made[place]


def constants_of(model) -> ConstantWeights:
    """For the weights of a task model that are worth it: all but the encoder's embedding tables.

    Rows are looked up in those, which may be half of all weights.

    Args:
        model: A task model.

    Raises:
        ValueError: If they are more than a graph can hold.
    """
    tables = {id(v) for v in model.encoder.embeddings.variables if v.name.endswith("_embeddings")}
    found = [v for v in model.variables if id(v) not in tables and v.value.dtype.is_floating]
    size = sum(v.value.shape.num_elements() * v.value.dtype.size for v in found)
    if size > _MOST_BYTES:
        raise ValueError(
            f'weights="constants" would put {size / 2**30:.1f} GiB into the graph. Expected less '
            'than 2 GiB, which is what it can hold. Use weights="variables".'
        )
    return ConstantWeights(found)
