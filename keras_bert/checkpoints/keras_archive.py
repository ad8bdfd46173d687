"""Models that keras_bert itself saved: ``model.keras``."""

from __future__ import annotations

import contextlib
import functools
import os
import zipfile

import keras

from keras_bert.checkpoints.buffers import to_be_filled
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.verification import compare, read_numbers
from keras_bert.checkpoints.writing import Parts
from keras_bert.models.labels import numbered_labels

__all__ = ["MODEL_FILE", "KerasCheckpoint"]

#: The file's name in a folder.
MODEL_FILE = "model.keras"


class KerasCheckpoint:
    """A ``.keras`` file that holds a model with an encoder inside.

    Args:
        path: The file.

    Raises:
        CheckpointError: If the file is damaged or holds another kind of model.
    """

    format = "keras_bert"

    def __init__(self, path: str):
        self.path = path

    @functools.cached_property
    def model(self):
        """The saved model, not compiled."""
        from keras_bert.models.encoder import Encoder

        try:
            with to_be_filled():
                model = keras.saving.load_model(self.path, compile=False)
        except (zipfile.BadZipFile, ValueError, KeyError, OSError, TypeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise CheckpointError(f"{self.path} cannot be loaded: {reason}") from error
        encoder = getattr(model, "encoder", model)
        if not isinstance(encoder, Encoder):
            raise CheckpointError(f"{self.path} holds a {type(model).__name__}, no BERT model.")
        encoder.merge_lora()  # for others have plain weights
        return model

    @property
    def encoder(self):
        """The saved model's encoder."""
        return getattr(self.model, "encoder", self.model)

    @property
    def family(self) -> str:
        """The saved model's class."""
        return type(self.model).__name__

    @property
    def config(self):
        """The encoder's config."""
        return self.encoder.config

    @property
    def heads(self) -> dict[str, int | None]:
        """Kind of head → its number of classes, where it has a number."""
        layers = self._head_layers
        return {kind: getattr(layer, "num_classes", None) for kind, layer in layers.items()}

    @property
    def sure_heads(self) -> list[str]:
        """Kinds of `heads`."""
        return list(self.heads)

    @property
    def _head_layers(self):
        return self.model.head_layers() if self.model is not self.encoder else {}

    def labels(self, kind: str) -> list[str] | None:
        """The saved model's labels, numbered where they are none; None without such a head."""
        if kind not in self.heads:
            return None
        return getattr(self.model, "labels", None) or numbered_labels(self.heads[kind])

    @property
    def problem_type(self) -> str | None:
        """What the saved classifier's outputs stand for; None for other models."""
        return getattr(self.model, "problem_type", None)

    @property
    def classifier_settings(self) -> dict:
        """How the saved classifier reads and answers, as ``BertClassifier.from_pretrained``
        takes it; nothing of other models.
        """
        if "classifier" not in self.heads:
            return {}
        names = {"threshold": self.model, "window_pooling": self.model}
        names |= dict.fromkeys(("stride", "truncation"), getattr(self.model, "preprocessor", None))
        found = {name: getattr(owner, name, None) for name, owner in names.items()}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def seq_length(self) -> int:
        """Longest input in tokens, as the saved model takes it."""
        if self.model is not self.encoder:
            return self._preprocessor.seq_length
        most = self.config.max_seq_length
        return min(most, self.tokenizer().model_max_length or most)

    def tokenizer(self):
        """The saved model's tokenizer; beside a saved encoder in a folder, the folder's."""
        if self._has_folder and self.model is self.encoder:
            from keras_bert.text import Tokenizer

            with contextlib.suppress(FileNotFoundError):
                return Tokenizer.from_pretrained(os.path.dirname(self.path))
        return self._preprocessor.tokenizer

    @property
    def _has_folder(self):
        """Whether what stands beside the file belongs to it."""
        return os.path.basename(self.path) == MODEL_FILE

    @property
    def _preprocessor(self):
        preprocessor = getattr(self.model, "preprocessor", None)
        if preprocessor is None:
            raise FileNotFoundError(
                f"{self.path} holds a {type(self.model).__name__} without a vocabulary."
            )
        return preprocessor

    def make_encoder(self, config=None, **kwargs):
        """Makes an encoder, newly initialised, of the saved one's config or a changed one."""
        return type(self.encoder)(self.config if config is None else config, **kwargs)

    def load(self, encoder, heads, verify=False) -> LoadReport:
        """Fills an encoder and heads of the same sizes as the saved model's."""
        numbers = self._numbers() if verify else None
        report = LoadReport(self.path)
        parts = [(encoder, self.encoder)]
        parts += [(layer, self._head_layers[kind]) for kind, layer in heads.items()]
        for ours, saved in parts:
            values = {_inner_path(v, saved): v for v in saved.weights}
            for variable in ours.weights:
                name = _inner_path(variable, ours)
                if name not in values and name.startswith("pooler/"):
                    report.fresh = ["pooler"]
                    continue
                variable.assign(values[name])
                report.loaded.append(name)
        if numbers is not None:
            report.parity = compare(self.path, numbers, Parts(encoder, heads))
        return report

    def _numbers(self):
        try:
            return read_numbers(self.path)
        except FileNotFoundError:
            if not self._has_folder:
                raise
            return read_numbers(os.path.dirname(self.path))


def _inner_path(variable, owner):
    """A variable's path below its model or layer, whose own name may differ."""
    return variable.path.split(f"{owner.name}/", 1)[-1]
