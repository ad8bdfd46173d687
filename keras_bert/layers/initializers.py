"""How weights start."""

import contextlib
import contextvars

import keras

__all__ = ["normal", "without_random_start"]

_SKIPS = contextvars.ContextVar("keras_bert_skips_random_start", default=False)


def normal(stddev):
    """Returns BERT's initializer of matrices: a normal distribution cut at two deviations.

    Source: ``create_initializer`` in google-research/bert ``modeling.py``.
    """
    return (
        keras.initializers.Zeros()
        if _SKIPS.get()
        else keras.initializers.TruncatedNormal(stddev=stddev)
    )


@contextlib.contextmanager
def without_random_start():
    """Within it layers start from zeros, for weights that are about to be loaded.

    Drawing the 110 million numbers of BERT-base takes several times as long as reading them.

    Example:
        >>> with without_random_start():
        ...     type(normal(0.02)).__name__
        'Zeros'
    """
    token = _SKIPS.set(True)
    try:
        yield
    finally:
        _SKIPS.reset(token)
