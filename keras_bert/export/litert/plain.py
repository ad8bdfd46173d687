"""The model that is converted: a copy in float32, with what LoRA learnt in its weights."""

from __future__ import annotations

import keras

from keras_bert.export.errors import ExportError
from keras_bert.models.partial_training import without_lora

__all__ = ["plain_copy"]


def plain_copy(model):
    """A copy of a task model as LiteRT can have it; the model stays as it is.

    LiteRT has no kernels for embeddings in float16 and bfloat16, and what LoRA adds beside a layer
    breaks when weights are quantised.

    Args:
        model: A task model, of any dtype policy, with LoRA or without.

    Returns:
        A model of the same class in float32, without LoRA.

    Raises:
        ExportError: If the copy has other weights than the model.

    Example:
        >>> plain_copy(model).encoder.dtype_policy.name
        'float32'
    """
    config = model.get_config()
    encoder = dict(config["encoder"]["config"])
    for key in ("partial_training", "checkpointing"):
        encoder.pop(key, None)
    config["encoder"] = {**config["encoder"], "config": {**encoder, "dtype": "float32"}}
    with _float32_policy():
        copy = type(model).from_config(config)
    values, weights = _weights(model), _weights(copy)
    if [value.shape for value in values] != [weight.shape for weight in weights]:
        raise ExportError(
            f"A copy of this {type(model).__name__}, made of its get_config(), has other weights "
            "than the model. Let get_config return every argument that says which there are."
        )
    for value, weight in zip(values, weights, strict=True):
        weight.assign(keras.ops.cast(value, "float32"))
    return copy


class _float32_policy:
    """Layers without a policy of their own take float32, whatever the user has set."""

    def __enter__(self):
        self._policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")

    def __exit__(self, *_):
        keras.config.set_dtype_policy(self._policy)


def _weights(model) -> list:
    """The encoder's weights, then those beside it; no seeds of random numbers."""
    own = {id(weight) for weight in model.encoder.weights}
    beside = [weight for weight in model.weights if id(weight) not in own]
    weights = [*without_lora(model.encoder).weights, *beside]
    return [weight for weight in weights if "seed" not in weight.path.rsplit("/", 1)[-1]]
