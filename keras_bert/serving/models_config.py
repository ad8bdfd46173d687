"""``models.config``: TF Serving's list of models, with their folders, versions and labels."""

from __future__ import annotations

import os

from keras_bert.serving.library import ModelSource

__all__ = ["read_models_config"]


def read_models_config(path: str | os.PathLike) -> dict[str, ModelSource]:
    """Reads a ``models.config`` in protobuf's text format, as TF Serving does.

    Folders that are no absolute paths count from the file's own folder.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds something else, or asks for what this server does not do.

    Example:
        >>> read_models_config("models.config")["cards"].folder
        '/models/cards'
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    with open(path, encoding="utf-8") as file:
        text = file.read()
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise ValueError(f"{os.fspath(path)!r} is no models config: {error}") from error
    models = {}
    for model in config.model_config_list.config:
        if not model.name or not model.base_path or model.name in models:
            raise ValueError(
                f"{os.fspath(path)!r}: each config needs a name of its own and a base_path; "
                f"received {model.name!r} at {model.base_path!r}."
            )
        folder = os.path.join(os.path.dirname(os.path.abspath(path)), model.base_path)
        labels = dict(model.version_labels)
        models[model.name] = ModelSource(folder, _versions(model), labels)
    if not models:
        raise ValueError(f"{os.fspath(path)!r} names no model in its model_config_list.")
    return models


def _versions(model) -> tuple[int, ...] | None:
    policy = model.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "specific":
        return tuple(policy.specific.versions)
    if kind == "all" or (kind == "latest" and policy.latest.num_versions > 1):
        raise ValueError(
            f"{model.name!r}: this server serves the latest version, or those named in specific; "
            f"received the policy {kind!r}."
        )
    return None
