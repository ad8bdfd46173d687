"""Activation functions by the names found in published checkpoints."""

import functools

from keras import ops

from keras_bert.config import ACTIVATIONS
from keras_bert.layers import gradients

__all__ = ["get_activation"]


def quick_gelu(x):
    """``x * sigmoid(1.702 x)``, the cheap GELU of Hendrycks & Gimpel 2016, section 2."""
    return x * ops.sigmoid(1.702 * x)


# Both GELUs: Hendrycks & Gimpel 2016 (arXiv:1606.08415). google-research/bert computes the tanh
# form, Hugging Face's "gelu" the erf form; they differ by up to 3e-3 after twelve layers.
_FUNCTIONS = {
    "gelu": functools.partial(ops.gelu, approximate=False),
    "gelu_tanh": functools.partial(ops.gelu, approximate=True),
    "quick_gelu": quick_gelu,
    "relu": ops.relu,
    "silu": ops.silu,
    "mish": lambda x: x * ops.tanh(ops.softplus(x)),
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "linear": lambda x: x,
}


# The same for training, where these two need less memory.
_IN_TRAINING = {**_FUNCTIONS, "gelu": gradients.gelu, "gelu_tanh": gradients.gelu_tanh}


def get_activation(name: str, training: bool = False):
    """Returns the function for a checkpoint's activation name.

    Args:
        name: The name.
        training: Whether it is for training: some functions then keep less for their gradient.

    Raises:
        ValueError: If the name is unknown; the message lists the known ones.

    Example:
        >>> float(get_activation("relu")(-1.0))
        0.0
    """
    try:
        return (_IN_TRAINING if training else _FUNCTIONS)[ACTIVATIONS[name]]
    except KeyError:
        raise ValueError(
            f"Unknown activation {name!r}; known are {', '.join(ACTIVATIONS)}."
        ) from None
