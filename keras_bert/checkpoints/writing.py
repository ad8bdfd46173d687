"""Writing models: what every format's writer does once it knows the names."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_bert.checkpoints.loading import Table, find, names_of
from keras_bert.checkpoints.report import CheckpointError
from keras_bert.config import ACTIVATIONS, EncoderConfig

__all__ = [
    "HEAD_FIELDS",
    "Entry",
    "Parts",
    "check_heads",
    "different_fields",
    "entries",
    "new_file",
    "new_folder",
]

#: Field of ``EncoderConfig`` → kinds of the heads that it concerns: without one of them it does not
#: matter what it says.
HEAD_FIELDS = {
    "classifier_activation": {"classifier", "multiple_choice"},
    "masked_lm_activation": {"masked_lm"},
    "masked_lm_epsilon": {"masked_lm"},
    "tie_word_embeddings": {"masked_lm"},
    "start_n_top": {"beam_span_labeler"},
    "end_n_top": {"beam_span_labeler"},
}


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a checkpoint is made of.

    Attributes:
        encoder: The encoder.
        heads: Kind of head → its layer.
        labels: Names of the labels of a head that has some.
        tokenizer: The tokenizer; None without one.
        seq_length: Longest input in tokens; None where only the encoder's positions limit it.
        embedding: What makes one embedding of each text, an ``EmbeddingHead``; None without one.
        problem_type: What a classifier's outputs stand for, in the words of ``transformers``; None
            where nobody said.
        model: The model whose parts they are, if it is more than an encoder; None if they are
            parts alone.
    """

    encoder: Any
    heads: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    labels: list[str] | None = None
    tokenizer: Any = None
    seq_length: int | None = None
    embedding: Any = None
    problem_type: str | None = None
    model: Any = None

    @classmethod
    def of(cls, model: Any) -> Parts:
        """The parts of an encoder or of a model with a head."""
        from keras_bert.models.partial_training import without_lora

        encoder = without_lora(getattr(model, "encoder", model))
        if not hasattr(model, "encoder"):
            return cls(encoder)
        preprocessor = model.preprocessor
        return cls(
            encoder,
            model.head_layers(),
            getattr(model, "labels", None),
            None if preprocessor is None else preprocessor.tokenizer,
            None if preprocessor is None else preprocessor.seq_length,
            getattr(model, "embedding", None),
            getattr(model, "problem_type", None),
            model,
        )


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor to be written: its name, its shape, and what gives its numbers as float32."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def entries(parts: list[tuple[Any, Table]], transposed: Callable[[Any, str], bool]) -> list[Entry]:
    """The tensors of models under a format's names: ``loading.fill`` backwards.

    Args:
        parts: Models or layers, each with its table.
        transposed: Says of a variable and its tensor's name whether the tensor is the transpose.

    Raises:
        CheckpointError: If two parts have different weights for one tensor.
    """
    found = {}
    for model, table in parts:
        for path, theirs in table.items():
            variable, names = find(model, path), names_of(theirs)
            shape = (*variable.shape[:-1], variable.shape[-1] // len(names))
            turned = transposed(variable, names[0])
            for i, name in enumerate(names):
                read = functools.partial(_share, variable, i, len(names), turned)
                entry = Entry(name, shape[::-1] if turned else shape, read)
                # RoBERTa's multiple choice has the pooler for the head's dense layer.
                if name in found and not np.array_equal(found[name].read(), entry.read()):
                    raise CheckpointError(f"Two parts of the model have different weights {name}.")
                found[name] = entry
    return list(found.values())


def _share(variable, number, count, transposed):
    """One of the equal shares of a variable along its last axis."""
    value = np.asarray(variable.value, np.float32)
    width = value.shape[-1] // count
    share = value[..., number * width : (number + 1) * width]
    return np.ascontiguousarray(share.T if transposed else share)


@contextlib.contextmanager
def new_folder(folder: str) -> Iterator[str]:
    """Gives a folder to write into, which becomes ``folder`` once all is written.

    Raises:
        FileExistsError: If ``folder`` holds something.
        NotADirectoryError: If it is a file.
    """
    folder = os.path.abspath(os.fspath(folder))
    if os.path.isfile(folder):
        raise NotADirectoryError(f"Cannot write a checkpoint to {folder!r}: it is a file.")
    if os.path.isdir(folder) and os.listdir(folder):
        raise FileExistsError(
            f"{folder!r} holds something already, and is left as it is. Give a new folder."
        )
    parent, name = os.path.split(folder)
    os.makedirs(parent, exist_ok=True)
    # Beside its place, for a rename does not lead to another disk.
    stage = os.path.join(parent, f".{name}-{uuid.uuid4().hex}")
    os.mkdir(stage)
    try:
        yield stage
        os.rename(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextlib.contextmanager
def new_file(path: str) -> Iterator[str]:
    """Gives a path to write a file to, which becomes ``path`` once all is written.

    Raises:
        FileExistsError: If there is something at ``path``.
    """
    path = os.path.abspath(os.fspath(path))
    if os.path.lexists(path):
        raise FileExistsError(f"{path!r} is there already, and is left as it is. Give a new name.")
    parent, name = os.path.split(path)
    os.makedirs(parent, exist_ok=True)
    # Beside its place, for a rename does not lead to another disk; the ending tells the format.
    stage = os.path.join(parent, f".{uuid.uuid4().hex}-{name}")
    try:
        yield stage
        os.rename(stage, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(stage)


def check_heads(format: str, heads: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises CheckpointError if there is a head that a format or family has no names for."""
    unknown = [kind for kind in heads if kind not in known]
    if unknown:
        raise CheckpointError(
            f"{format} has no head {', '.join(unknown)}; it has {', '.join(known) or 'none'}."
        )


def different_fields(
    config: EncoderConfig, again: EncoderConfig, heads: Iterable[str] | None = None
) -> list[str]:
    """What ``config`` says and ``again`` says otherwise, each as ``field=value``.

    Args:
        config: A config.
        again: Another one of the same class.
        heads: Kinds of heads; what concerns only others is left out. None: all matter.
    """
    ours, theirs = _meaning(config), _meaning(again)
    for name, kinds in HEAD_FIELDS.items():
        if heads is not None and kinds.isdisjoint(heads):
            ours.pop(name, None)
    # What None stands for, where it stands for something.
    said = {
        name: ours[name] if getattr(config, name) is None else getattr(config, name)
        for name in ours
    }
    return [f"{name}={said[name]!r}" for name in ours if ours[name] != theirs[name]]


def _meaning(config):
    """A config's fields, the same wherever the same is computed."""
    fields = config.to_dict()
    # Not every format has these two; they only matter to who trains on.
    del fields["classifier_dropout"], fields["initializer_range"]
    if "masked_lm_activation" in fields:
        fields["masked_lm_activation"] = config.masked_lm_activation or config.hidden_activation
        fields["masked_lm_epsilon"] = config.masked_lm_epsilon or config.layer_norm_epsilon
    for name in (name for name in fields if name.endswith("_activation")):
        fields[name] = ACTIVATIONS.get(fields[name])
    if fields.get("embedding_projection") == "words" and fields["embedding_size"] is None:
        fields["embedding_projection"] = "sum"  # for there is no linear layer
    return fields
