"""From one format to another, and the proof that nothing changed on the way."""

from __future__ import annotations

import dataclasses
import os
import warnings
from typing import Any

from keras_bert.checkpoints.buffers import to_be_filled
from keras_bert.checkpoints.report import CheckpointError, LoadReport
from keras_bert.checkpoints.sentence_transformers import (
    read_embedding,
    with_settings,
    write_modules,
)
from keras_bert.checkpoints.sources import resolve
from keras_bert.checkpoints.verification import compare, compute, store
from keras_bert.checkpoints.writing import Parts, new_file, new_folder
from keras_bert.config import EncoderConfig, XLNetConfig

__all__ = ["FORMATS", "convert", "save"]


def _huggingface(parts: Parts, folder: str) -> None:
    from keras_bert.checkpoints.huggingface.writing import write_huggingface

    write_huggingface(parts, folder)
    if parts.embedding is not None:
        write_modules(parts, folder)


def _google(parts: Parts, folder: str) -> EncoderConfig | XLNetConfig | None:
    if isinstance(parts.encoder.config, XLNetConfig):
        from keras_bert.checkpoints.google_xlnet_writing import write_xlnet

        return write_xlnet(parts, folder)
    from keras_bert.checkpoints.google_writing import write_google

    return write_google(parts, folder)


def _garden(parts: Parts, folder: str) -> EncoderConfig | None:
    from keras_bert.checkpoints.garden.writing import write_garden

    return write_garden(parts, folder)


def _tf_hub(parts: Parts, folder: str) -> None:
    from keras_bert.checkpoints.tf_hub_writing import write_tf_hub

    write_tf_hub(parts, folder)


def _kerashub(parts: Parts, folder: str) -> EncoderConfig | None:
    from keras_bert.checkpoints.kerashub.writing import write_kerashub

    return write_kerashub(parts, folder)


def _keras_bert(parts: Parts, place: str) -> None:
    from keras_bert.checkpoints.keras_archive_writing import write_keras

    write_keras(parts, place)


#: Format → what writes it into an empty folder, or, "keras_bert", to a ``.keras`` path too. It
#: returns None; or, where the format has no words for all of a config but its weights are wanted,
#: the config that it has words for.
FORMATS = {
    "huggingface": _huggingface,
    "google": _google,
    "garden": _garden,
    "tf_hub": _tf_hub,
    "kerashub": _kerashub,
    "keras_bert": _keras_bert,
}


def save(model: Any, folder: str, format: str | None = None) -> str:
    """Writes a model in a format that others read, or in keras_bert's own.

    Beside the format's own files stands ``keras_bert_check.npz``, in a ``.keras`` file it is a
    member of the archive: inputs, and what the model computes from them, by which ``verify=True``
    finds out whether a reader computes the same.

    Args:
        model: A ``BertEncoder`` or a model with a head.
        folder: Where to; must not exist yet, or be empty. A path that ends in ``.keras`` becomes
            one file of that format.
        format: A name in ``FORMATS``. Default: "keras_bert" for a ``.keras`` path, else
            "huggingface".

    Returns:
        ``folder``.

    Raises:
        ValueError: If the format is unknown, or writes a folder where a file is asked for.
        FileExistsError: If the folder holds something.
        CheckpointError: If the format has no words for what the model computes.

    Example:
        >>> import keras_bert as kb
        >>> encoder = kb.BertEncoder.from_pretrained("uncased_L-12_H-768_A-12")  # doctest: +SKIP
        >>> kb.checkpoints.save(encoder, "bert", format="huggingface")  # doctest: +SKIP
        'bert'
    """
    _write(Parts.of(model), folder, format_of(folder, format))
    return folder


def convert(source: str, target: str, format: str | None = None) -> LoadReport:
    """Reads a checkpoint, writes it in another format, and reads that again to compare.

    The encoder, all heads that are known and the tokenizer go along; to "huggingface" also what
    makes embeddings in a folder of sentence-transformers.

    Args:
        source: A folder, a ``.keras`` file or ``hf://ORGANISATION/NAME``, in any format.
        target: Where to; must not exist yet, or be empty. A path that ends in ``.keras`` becomes
            one file of that format, which holds the model that has the checkpoint's heads.
        format: A name in ``FORMATS``. Default: "keras_bert" for a ``.keras`` path, else
            "huggingface".

    Returns:
        What became of every tensor of ``source``; its ``parity`` has the largest difference of
        each output between the source and what was read from ``target``.

    Raises:
        FileNotFoundError: If there is no checkpoint at ``source``.
        ValueError: If the format is unknown, or writes a folder where a file is asked for.
        FileExistsError: If ``target`` holds something.
        CheckpointError: If ``source`` cannot be loaded, if the format has no words for what it
            computes, or if ``target`` computes something else. Nothing is left at ``target``.

    Example:
        >>> import keras_bert as kb
        >>> report = kb.checkpoints.convert("uncased_L-12_H-768_A-12", "bert")  # doctest: +SKIP
        >>> report.parity  # doctest: +SKIP
        {'sequence_output': 0.0, 'pooled_output': 0.0, 'masked_lm': 0.0, 'next_sentence': 0.0}
    """
    from keras_bert.checkpoints import open_checkpoint

    format = format_of(target, format)
    path = resolve(source)
    checkpoint = open_checkpoint(path)
    if format == "keras_bert":
        parts, report = _load_model(path, checkpoint, target)
        report.parity = _write(parts, target, format)
        return report
    embedding = _embedding(path, checkpoint, format)
    parts, report = load_parts(checkpoint)
    if embedding is not None:
        parts = dataclasses.replace(with_settings(path, parts), embedding=embedding)
    report.parity = _write(parts, target, format)
    return report


def load_parts(checkpoint: Any, verify: bool = False) -> tuple[Parts, LoadReport]:
    """Loads all that a checkpoint holds; see ``FolderCheckpoint.load``."""
    from keras_bert.models.heads import make_head

    kinds, config = checkpoint.sure_heads, checkpoint.config
    encoder = checkpoint.make_encoder()
    with to_be_filled():
        heads = {kind: make_head(kind, config, checkpoint.heads[kind]) for kind in kinds}
    report = checkpoint.load(encoder, heads, verify=verify)
    labelled = [kind for kind in kinds if kind in ("classifier", "token_classifier")]
    try:
        tokenizer, seq_length = checkpoint.tokenizer(), checkpoint.seq_length
    except FileNotFoundError:  # a checkpoint of weights alone
        tokenizer = seq_length = None
    labels = checkpoint.labels(labelled[0]) if labelled else None
    problem_type = checkpoint.problem_type if "classifier" in heads else None
    parts = Parts(encoder, heads, labels, tokenizer, seq_length, problem_type=problem_type)
    return parts, report


def _load_model(path: str, checkpoint: Any, target: str) -> tuple[Parts, LoadReport]:
    """Loads a checkpoint as the model that keeps all that it holds."""
    from keras_bert.checkpoints.keras_archive_writing import model_class
    from keras_bert.models import DualEncoder

    saved = getattr(checkpoint, "model", None)
    if saved is not None:
        return Parts.of(saved), LoadReport(path, [weight.path for weight in saved.weights])
    has_modules = os.path.isfile(os.path.join(path, "modules.json"))
    cls = DualEncoder if has_modules else model_class(path, checkpoint)
    if cls is not None:
        model = cls.from_pretrained(path)
        return Parts.of(model), model.load_report
    parts, report = load_parts(checkpoint)
    if is_file(target) and parts.tokenizer is not None:
        warnings.warn(
            f"{target} holds an encoder alone, which has no place for the tokenizer of {path}; a "
            "folder, format='keras_bert', keeps both.",
            stacklevel=3,
        )
    return parts, report


def format_of(target: str, format: str | None) -> str:
    """The name of the format to be written.

    Raises:
        ValueError: If it is unknown, or writes a folder where a file is asked for.
    """
    if format is None:
        return "keras_bert" if is_file(target) else "huggingface"
    if format not in FORMATS:
        raise ValueError(f"format={format!r} is unknown; it is one of {', '.join(FORMATS)}.")
    if is_file(target) and format != "keras_bert":
        raise ValueError(
            f"format={format!r} writes a folder, but {os.fspath(target)!r} is called a '.keras' "
            "file: give another name, or format='keras_bert'."
        )
    return format


def is_file(target: str) -> bool:
    """Whether a target is called a ``.keras`` file."""
    return os.fspath(target).endswith(".keras")


def _write(parts: Parts, folder: str, format: str) -> dict[str, float]:
    """Writes, reads again and compares; returns the largest difference of each output."""
    from keras_bert.checkpoints import open_checkpoint

    if parts.embedding is not None and format not in ("huggingface", "keras_bert"):
        raise CheckpointError(
            f"format={format!r} has no words for pooling, dense layers and normalisation of "
            "embeddings; 'huggingface' has, or save the encoder alone: model.encoder."
        )
    with (new_file if is_file(folder) else new_folder)(folder) as stage:
        config = FORMATS[format](parts, stage)
        numbers = compute(parts if config is None else _under(config, parts))
        checkpoint = open_checkpoint(stage)
        again, _ = load_parts(checkpoint)
        if parts.embedding is not None:
            again = dataclasses.replace(again, embedding=_embedding_of(stage, checkpoint))
        parity = compare(os.fspath(folder), numbers, again)
        store(stage, numbers)
    return parity


def _embedding(path: str, checkpoint: Any, format: str) -> Any:
    """What makes embeddings of texts in a source, where the format has words for it."""
    saved = getattr(getattr(checkpoint, "model", None), "embedding", None)
    if saved is None and not os.path.isfile(os.path.join(path, "modules.json")):
        return None
    if format == "huggingface":
        return _embedding_of(path, checkpoint)
    warnings.warn(
        f"{path} makes embeddings of texts; format={format!r} has no words for its pooling and "
        "what follows: the encoder alone is written.",
        stacklevel=3,
    )
    return None


def _embedding_of(path, checkpoint):
    saved = getattr(getattr(checkpoint, "model", None), "embedding", None)
    return saved or read_embedding(path, checkpoint.config.hidden_size)


def _under(config: EncoderConfig, parts: Parts) -> Parts:
    """The same weights under another config."""
    from keras_bert.models.heads import make_head

    counts = {kind: getattr(layer, "num_classes", None) for kind, layer in parts.heads.items()}
    with to_be_filled():
        encoder = type(parts.encoder)(config)
        heads = {kind: make_head(kind, config, count) for kind, count in counts.items()}
    encoder.set_weights(parts.encoder.get_weights())
    for kind, layer in parts.heads.items():
        heads[kind].set_weights(layer.get_weights())
    return dataclasses.replace(parts, encoder=encoder, heads=heads)
