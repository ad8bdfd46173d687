"""How weights start."""

import contextlib
import contextvars

import keras

__all__ = ["normal", "without_random_start"]

_START = contextvars.ContextVar("keras_bert_start", default=None)


def normal(stddev):
    """Returns BERT's initializer of matrices: a normal distribution cut at two deviations.

    Source: ``create_initializer`` in google-research/bert ``modeling.py``.
    """
    return _START.get() or keras.initializers.TruncatedNormal(stddev=stddev)


@contextlib.contextmanager
def without_random_start(start=None):
    """Within it layers start from zeros, for weights that are about to be loaded.

    Drawing the 110 million numbers of BERT-base takes several times as long as reading them.

    Args:
        start: What else to start from: shape and dtype → tensor.

    Example:
        >>> with without_random_start():
        ...     type(normal(0.02)).__name__
        'Zeros'
    """
    token = _START.set(start or keras.initializers.Zeros())
    try:
        yield
    finally:
        _START.reset(token)
