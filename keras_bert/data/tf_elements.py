"""``tf.data`` datasets whose elements are dicts, as TensorFlow Datasets makes them."""

from __future__ import annotations

import tensorflow as tf

from keras_bert.data.columns import named_columns
from keras_bert.data.wanted import AS_GIVEN, Wanted

__all__ = ["has_texts", "text_elements"]

_PATH = "tf.data.Dataset"


def has_texts(dataset: tf.data.Dataset) -> bool:
    """Whether the elements hold strings for the Preprocessor, rather than ids for the encoder."""
    texts = dataset.element_spec
    texts = texts[0] if isinstance(texts, tuple) and texts else texts
    specs = tf.nest.flatten(texts)
    if not isinstance(texts, dict):
        specs = specs[:1]
    return any(getattr(spec, "dtype", None) == tf.string for spec in specs)


def text_elements(dataset: tf.data.Dataset, with_labels: bool | None = None) -> tf.data.Dataset:
    """The dataset, with named features put in order.

    Args:
        dataset: Elements ``{"sentence1": ..., "sentence2": ..., "label": ...}``, of any names that
            are usual; or ``({"sentence1": ..., "sentence2": ...}, label)``; or anything else, which
            is returned as it is.
        with_labels: True: elements without label are an error; False: labels are dropped.

    Returns:
        Elements ``(text or pair, label)``, or of texts alone where there are no labels.

    Raises:
        SourceError: If no features have usual names for texts.

    Example:
        >>> features = {"idx": [0], "sentence": ["Hi."], "label": [1]}
        >>> rows = text_elements(tf.data.Dataset.from_tensor_slices(features))
        >>> [(text.numpy(), int(label)) for text, label in rows]
        [(b'Hi.', 1)]
    """
    spec = dataset.element_spec
    if not has_texts(dataset):
        return dataset
    if isinstance(spec, dict):
        roles = _roles(spec, with_labels)
        return dataset.map(lambda features: _picked(features, roles))
    if isinstance(spec, tuple) and spec and isinstance(spec[0], dict):
        roles = _roles(spec[0], False)
        return dataset.map(lambda features, *rest: (_picked(features, roles), *rest))
    return dataset


def _roles(features: dict, with_labels: bool | None) -> dict[str, str]:
    """The name of the feature for each role."""
    names = list(features)
    wanted = Wanted(with_labels=with_labels, label_kind=AS_GIVEN)
    return {role: names[place] for role, place in named_columns(_PATH, names, wanted).items()}


def _picked(features: dict, roles: dict[str, str]):
    texts = tuple(features[name] for role, name in roles.items() if role != "label")
    texts = texts[0] if len(texts) == 1 else texts
    return (texts, features[roles["label"]]) if "label" in roles else texts
