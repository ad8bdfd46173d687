"""Serving: a client for TF Serving, and a development server that speaks its API.

The client needs neither TensorFlow (over REST) nor a model of this package::

    from keras_bert.serving import Client

    client = Client("http://127.0.0.1:8501", model="banking77")
    client.predict(["My card has not arrived"])
    [{'label': 'card_arrival', 'probability': 0.987, 'probabilities': array([...])}]
"""

import importlib

#: Public name → the module that defines it.
_EXPORTS = {
    "BatchingConfig": "keras_bert.serving.batching_config",
    "Client": "keras_bert.serving.client",
    "Limits": "keras_bert.serving.service",
    "ModelSource": "keras_bert.serving.library",
    "Server": "keras_bert.serving.server",
    "ServerConfig": "keras_bert.serving.server",
    "ServingError": "keras_bert.serving.errors",
    "read_batching_config": "keras_bert.serving.batching_config",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name):
    # A client needs nothing of the server, which needs TensorFlow and more.
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__)
