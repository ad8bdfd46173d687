"""``params.yaml``: what the Garden's trainer was told."""

from __future__ import annotations

import re
from typing import Any

from keras_bert.checkpoints.report import CheckpointError

__all__ = ["read_encoder_params"]

#: Where the encoder's fields are, behind one of several names of it.
ENCODER = ("task", "model", "encoder")
#: Types of encoder that are a BERT.
TYPES = ("bert", "bert_v2")

_SCALARS = {"null": None, "~": None, "": None, "true": True, "false": False}
_LINE = re.compile(r"( *)([\w-]+):(?: +(.*?))? *")


def read_encoder_params(path: str) -> dict[str, Any]:
    """Reads the fields of the BERT encoder, and ``mlm_activation`` of the model around it.

    Of YAML this reads what the trainer writes: mappings in mappings, one entry a line, and of
    their values numbers, words and null.

    Args:
        path: The file.

    Raises:
        CheckpointError: If there is no BERT encoder in it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            entries = dict(_entries(file))
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no text: {error}.") from None
    kind = entries.get((*ENCODER, "type"), TYPES[0])
    if kind not in TYPES:
        raise CheckpointError(
            f"{path} says that the encoder is {kind!r}; what can be loaded is {', '.join(TYPES)}."
        )
    fields = {
        place[-1]: value for place, value in entries.items() if place[:-1] == (*ENCODER, kind)
    }
    if not fields:
        raise CheckpointError(f"{path} does not say {'.'.join((*ENCODER, kind))}.")
    # Not the encoder's, but of what stands on it.
    activation = entries.get((*ENCODER[:-1], "mlm_activation"))
    return {**fields, "mlm_activation": activation}


def _entries(lines):
    """(names from the outermost mapping on, value) of each line that is an entry with a value."""
    above: list[tuple[int, str]] = []
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            continue
        depth, name, value = len(match[1]), match[2], match[3]
        above = [entry for entry in above if entry[0] < depth]
        if value is not None:
            yield (*(n for _, n in above), name), _scalar(value)
        above.append((depth, name))


def _scalar(text):
    if text in _SCALARS:
        return _SCALARS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text.strip("'\"")
