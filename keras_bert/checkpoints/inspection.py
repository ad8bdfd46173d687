"""What a checkpoint is, for people who look."""

from __future__ import annotations

import dataclasses
import os

from keras_bert.checkpoints.conversion import load_parts
from keras_bert.checkpoints.report import CheckpointError, LoadReport, some_of
from keras_bert.checkpoints.sentence_transformers import Modules, read_modules
from keras_bert.checkpoints.sources import resolve
from keras_bert.config import EncoderConfig

__all__ = ["Inspection", "inspect"]


@dataclasses.dataclass
class Inspection:
    """What ``inspect`` found; ``str`` of it is a page of text.

    Attributes:
        source: Folder, file or id that was inspected.
        format: Who wrote it: "Hugging Face", "KerasHub", "Google TensorFlow 1" or "keras_bert".
        family: The network's family, as the checkpoint calls it.
        config: The encoder's config.
        parameters: Numbers in the tensors that a model loads: encoder and heads.
        heads: Kinds of its heads, as ``keras_bert.models.heads`` has them.
        labels: Names of the labels of a head that has some; None without one.
        tokenizer: The tokenizer's class and size, or why there is none.
        embeddings: What makes embeddings of texts in a folder of sentence-transformers or a saved
            ``DualEncoder``, or why that cannot be read; None for other checkpoints.
        report: What loading does with every tensor.
    """

    source: str
    format: str
    family: str
    config: EncoderConfig
    parameters: int
    heads: list[str]
    labels: list[str] | None
    tokenizer: str
    report: LoadReport
    embeddings: str | None = None

    def __str__(self):
        config = self.config
        width = config.embedding_width
        widths = f", embeddings {width}" if width != config.hidden_size else ""
        bottleneck = getattr(config, "bottleneck_size", None)
        widths += f", bottleneck {bottleneck}" if bottleneck else ""
        rows = {
            "format": self.format,
            "family": self.family,
            "encoder": f"{config.num_layers} layers, hidden {config.hidden_size}{widths}, "
            f"{config.num_attention_heads} heads, feed-forward {config.intermediate_size}, "
            f"{config.hidden_activation}",
            "sizes": f"vocabulary {config.vocab_size}, {config.max_seq_length} positions, "
            f"{config.type_vocab_size} segment types",
            "pooler": "yes" if config.use_pooler else "no",
            "heads": ", ".join(self.heads) or "none",
            "labels": "none" if self.labels is None else some_of(self.labels, 8),
            "embeddings": self.embeddings,
            "tokenizer": self.tokenizer,
            "parameters": f"{self.parameters:,}",
            "loaded": f"{len(self.report.loaded)} tensors",
            "left out": f"{len(self.report.ignored)} tensors",
        }
        if self.embeddings is None:
            del rows["embeddings"]
        if self.report.parity is not None:
            off = max(self.report.parity.values())
            rows["verified"] = f"{', '.join(self.report.parity)}: differ by {off:.2g} at most"
        lines = [self.source, *(f"  {name:<11}{value}" for name, value in rows.items())]
        return "\n".join([*lines, *(f"    {n}: {why}" for n, why in self.report.ignored.items())])


def inspect(source: str, verify: bool = False) -> Inspection:
    """Says what a checkpoint is, and what loading it does with every tensor.

    The weights are loaded into a model to find that out, and dropped.

    Args:
        source: A folder, a ``.keras`` file or ``hf://ORGANISATION/NAME``.
        verify: Whether to compare with the numbers beside a checkpoint that keras_bert wrote.

    Raises:
        FileNotFoundError: If there is no checkpoint, or nothing to verify with.
        CheckpointError: If it cannot be loaded; the message names the tensors. If it computes
            something else than it is known to.

    Example:
        >>> import keras_bert as kb
        >>> print(kb.checkpoints.inspect("uncased_L-12_H-768_A-12"))  # doctest: +SKIP
        uncased_L-12_H-768_A-12
          format     Google TensorFlow 1
          family     bert
          ...
    """
    from keras_bert.checkpoints import open_checkpoint

    checkpoint = open_checkpoint(source)
    parts, report = load_parts(checkpoint, verify=verify)
    return Inspection(
        source=str(source),
        format=checkpoint.format,
        family=checkpoint.family,
        config=checkpoint.config,
        parameters=sum(part.count_params() for part in (parts.encoder, *parts.heads.values())),
        heads=list(parts.heads),
        labels=parts.labels,
        tokenizer=_tokenizer(checkpoint),
        report=report,
        embeddings=_embeddings(source, checkpoint),
    )


def _embeddings(source, checkpoint):
    path = resolve(source)
    saved = getattr(getattr(checkpoint, "model", None), "embedding", None)
    if saved is not None:
        config = saved.get_config()
        return str(Modules(config["pooling"], config["dense"], config["normalize"]))
    try:
        modules = read_modules(path) if os.path.isdir(path) else None
    except CheckpointError as error:
        return f"none: {error}"
    return None if modules is None else f"{modules} (sentence-transformers)"


def _tokenizer(checkpoint):
    try:
        tokenizer = checkpoint.tokenizer()
    except (OSError, ValueError, ImportError) as error:
        return f"none: {error}"
    return f"{type(tokenizer).__name__}, {tokenizer.vocabulary_size} tokens"
