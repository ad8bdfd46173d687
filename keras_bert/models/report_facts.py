"""What stands at the top of a report: which model, on which data."""

from __future__ import annotations

import datetime
from pathlib import Path

__all__ = ["report_facts", "report_title"]


def report_title(model, data) -> str:
    """The model's class, and the name of the data's file where it came from one."""
    name = type(model).__name__
    path = getattr(data, "path", None)
    return f"{name} on {Path(path).name}" if path else name


def report_facts(model, data, examples: int) -> dict[str, object]:
    """Name → value: the model, its encoder and sizes, the data, the date.

    Args:
        model: A ``TaskModel``.
        data: What its user called labelled texts.
        examples: How many they are.
    """
    # Upwards, for the version alone.
    from keras_bert import __version__

    encoder, preprocessor = model.encoder, model.text_preprocessor()
    config = encoder.config
    facts = {
        "model": type(model).__name__,
        "encoder": f"{type(encoder).__name__}, {config.num_layers} layers of width "
        f"{config.hidden_size}",
        "parameters": model.count_params(),
        "tokens at most": preprocessor.seq_length,
    }
    if preprocessor.stride is not None:
        facts["stride of windows"] = preprocessor.stride
    if getattr(model, "labels", None):
        facts["labels"] = len(model.labels)
    if getattr(data, "path", None):
        facts["data"] = str(data.path)
    now = datetime.datetime.now(datetime.UTC)
    return {
        **facts,
        "examples": examples,
        "written": f"{now:%Y-%m-%d %H:%M} UTC, keras_bert {__version__}",
    }
