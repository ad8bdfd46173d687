"""Filling models with tensors: what every format's reader does once it knows the names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import keras
import numpy as np

from keras_bert.checkpoints.buffers import as_tensor, empty
from keras_bert.checkpoints.report import CheckpointError, LoadReport

__all__ = [
    "SHAPES",
    "Table",
    "Tensors",
    "check_sizes",
    "encoder_table",
    "fill",
    "find",
    "head_table",
    "names_of",
    "part_tables",
    "prefix_of",
]

#: Attribute path of a model ← name of a tensor, or names of tensors joined along the last axis.
Table = Mapping[str, str | tuple[str, ...]]

#: Problems that an error message names; of more it gives the number.
NAMED_PROBLEMS = 8

#: Path of a ``BertEncoder`` or of one of its blocks → config fields that its shape shows, in the
#: order of one layout or the other. Together they bound every variable.
SHAPES = {
    "embeddings.word_embeddings": ("vocab_size", "embedding_width"),
    "embeddings.position_embeddings": ("max_position_embeddings", "embedding_width"),
    "embeddings.type_embeddings": ("type_vocab_size", "embedding_width"),
    "attention.output_linear.kernel": ("hidden_size", "hidden_size"),
    "intermediate.kernel": ("hidden_size", "intermediate_size"),
}

#: Layers that share their weights leave no trace in a file of how many there are.
MOST_LAYERS = 1000


class Tensors(Protocol):
    """The tensors of a checkpoint, read one at a time."""

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, name: str) -> bool: ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""

    def is_floating(self, name: str) -> bool:
        """Whether a tensor holds floating numbers."""

    def read(self, name: str) -> np.ndarray:
        """A tensor; floating ones as float32."""

    def read_into(self, name: str, out: np.ndarray) -> None:
        """Reads a floating tensor to where it is wanted: a float32 array of its shape."""
        out[...] = self.read(name)


def encoder_table(
    encoder: Any, embeddings: Table, block: Table, block_prefix: str, pooler: Table
) -> dict[str, str | tuple[str, ...]]:
    """All names of an encoder's tensors.

    Args:
        encoder: An encoder.
        embeddings: Paths of the encoder ← names.
        block: Paths of a block ← names behind the prefix, with ``{network}`` for the number of a
            feed-forward network but the last.
        block_prefix: As for ``prefix_of``.
        pooler: Paths of the encoder ← names.

    Paths of embeddings and blocks that lead to a part which this encoder lacks are left out.
    """
    config = encoder.config
    table = {ours: theirs for ours, theirs in embeddings.items() if _has(encoder, ours)}
    for i, part in enumerate(encoder.blocks):
        prefix = prefix_of(i, config, block_prefix)
        networks = getattr(config, "num_feedforward_networks", 1)
        for ours, theirs in _numbered(block, networks - 1):
            if _has(part, ours):
                table[f"blocks.{i}.{ours}"] = tuple(prefix + name for name in theirs)
    return {**table, **pooler}


def part_tables(
    encoder: Any,
    heads: Mapping[str, Any],
    family: Any,
    pooler: Table | None = None,
    names_of_head: Callable[[str, Any], Table] | None = None,
) -> list[tuple[Any, Table]]:
    """The encoder and heads of a model, each with its table: what `fill` and `entries` take.

    Args:
        encoder: The encoder.
        heads: Kind of head → its layer.
        family: Has the tables that `encoder_table` takes, and ``heads``: kind → a head's table.
        pooler: The pooler's names; None: the family's, where the encoder has a pooler.
        names_of_head: Kind and layer → the names of that head's tensors; None: `head_table`'s.
    """
    if pooler is None:
        pooler = family.pooler if encoder.pooler is not None else {}
    table = encoder_table(encoder, family.embeddings, family.block, family.block_prefix, pooler)
    tables = [(encoder, table)]
    for kind, head in heads.items():
        ours = names_of_head is None
        names = head_table(family.heads[kind], head) if ours else names_of_head(kind, head)
        tables.append((head, names))
    return tables


def prefix_of(number: int, config: Any, block_prefix: str) -> str:
    """What the names of a block's tensors begin with.

    Args:
        number: The block's number, from 0.
        config: The encoder's config, which says how many blocks form a group.
        block_prefix: With ``{block}``, the number, or ``{group}`` and ``{place}``, the number of
            its group and its own within that; ``{counted}`` is nothing for the first block, then
            _1, _2, ..., as Keras counts.
    """
    group, place = divmod(number, getattr(config, "group_size", 1))
    counted = f"_{number}" if number else ""
    return block_prefix.format(block=number, group=group, place=place, counted=counted)


def head_table(table: Table, layer: Any) -> dict[str, str | tuple[str, ...]]:
    """The names of a head's tensors: those of a family's table that this layer has a use for.

    Args:
        table: Paths of the head's layer ← names.
        layer: The layer; a masked-language-model head that is tied has no matrix of its own, and
            few have extra columns.
    """
    return {ours: theirs for ours, theirs in table.items() if _has(layer, ours)}


def check_sizes(
    source: str,
    config: Any,
    tensors: Tensors,
    tables: Table,
    block_prefix: str,
    shapes: Mapping[str, tuple[str, ...]] = SHAPES,
) -> None:
    """Compares a config with tensors before an encoder of its sizes asks for time and memory.

    Args:
        source: The checkpoint's path, for messages.
        config: An ``EncoderConfig``.
        tensors: The checkpoint's tensors.
        tables: Paths of a ``BertEncoder`` ← names, and paths of a block ← names behind the prefix.
        block_prefix: As for ``prefix_of``.
        shapes: Path → config fields; paths that the tables lack are left out.

    Raises:
        CheckpointError: If the config has a size that the tensors do not bear out.
    """
    for name in ("num_layers", "num_feedforward_networks"):
        if getattr(config, name, 1) > MOST_LAYERS:
            raise CheckpointError(
                f"{source} does not fit its config: {name}={getattr(config, name)}, which is more "
                f"than {MOST_LAYERS}."
            )
    groups = getattr(config, "num_layer_groups", None) or config.num_layers
    size = getattr(config, "group_size", 1)
    prefix = prefix_of(groups * size - 1, config, block_prefix)
    for path, fields in shapes.items():
        sizes = {field: getattr(config, field) for field in fields}
        if path not in tables or 0 in sizes.values():
            continue
        outside = path.startswith("embeddings.")
        name = ("" if outside else prefix) + names_of(tables[path])[0]
        if name not in tensors:
            raise CheckpointError(f"{source} does not fit its config: missing tensor {name}.")
        if sorted(tensors.shape(name)) != sorted(getattr(config, field) for field in fields):
            said = ", ".join(f"{field}={size}" for field, size in sizes.items())
            raise CheckpointError(
                f"{source} does not fit its config: {name} has shape {list(tensors.shape(name))}, "
                f"the config says {said}."
            )


def _numbered(table, networks):
    """The pairs of a table; those with ``{network}`` once for each number."""
    for ours, theirs in table.items():
        for number in range(networks) if "{network}" in ours else (0,):
            names = tuple(name.format(network=number) for name in names_of(theirs))
            yield ours.format(network=number), names


def fill(
    source: str,
    tensors: Tensors,
    parts: list[tuple[Any, Table]],
    ignored: Mapping[str, str],
    transposed: Callable[[Any, str], bool],
) -> LoadReport:
    """Fills models with tensors; nothing is changed unless all of it fits.

    Args:
        source: The checkpoint's path, for messages.
        tensors: Its tensors.
        parts: Models or layers, each with its table.
        ignored: Pattern of names that may be left over → why they are not needed.
        transposed: Says of a variable and its tensor's name whether the tensor is the transpose.

    Raises:
        CheckpointError: Naming the tensors that are missing, unknown, of another shape or no
            floating numbers.
    """
    plan = [
        (find(model, path), names_of(theirs))
        for model, table in parts
        for path, theirs in table.items()
    ]
    used = {name for _, names in plan for name in names}
    left_out = {name: _reason(name, ignored) for name in tensors if name not in used}
    unknown = sorted(name for name, reason in left_out.items() if reason is None)
    problems = [f"unknown tensor {name}" for name in unknown]
    for variable, names in plan:
        problems += _problems(tensors, variable, names, transposed(variable, names[0]))
    if problems:
        more = len(problems) - NAMED_PROBLEMS
        raise CheckpointError(
            f"{source} does not fit its config: {'; '.join(problems[:NAMED_PROBLEMS])}"
            f"{f'; and {more} more' if more > 0 else ''}."
        )
    for variable, names in plan:
        turned = transposed(variable, names[0])
        variable.assign(_value(source, tensors, names, tuple(variable.shape), turned))
    return LoadReport(source, sorted(used), left_out)


def _problems(tensors, variable, names, transposed):
    missing = [f"missing tensor {name}" for name in names if name not in tensors]
    if missing:
        return missing
    expected = (*variable.shape[:-1], variable.shape[-1] // len(names))
    expected = expected[::-1] if transposed else expected
    problems = []
    for name in names:
        if tuple(tensors.shape(name)) != expected:
            problems.append(
                f"{name} has shape {list(tensors.shape(name))}, the config asks for "
                f"{list(expected)}"
            )
        elif not tensors.is_floating(name):
            problems.append(f"{name} does not hold floating numbers")
    return problems


def _value(source, tensors, names, shape, transposed):
    """What a variable of this shape is to hold: one tensor, or several joined along the last axis.

    That axis is the first one of tensors that are the transpose, so they stand one behind the other
    already when they have been read, and are turned all at once.
    """
    buffer = empty(shape[::-1] if transposed else shape)
    axis = 0 if transposed else -1
    parts = np.split(buffer, len(names), axis) if len(names) > 1 else [buffer]
    for name, part in zip(names, parts, strict=True):
        tensors.read_into(name, part)
        # The sum first, which needs no memory: it may overflow, but not hide anything.
        if not np.isfinite(part.sum()) and not np.isfinite(part).all():
            warnings.warn(f"{source}: {name} holds NaN or infinity.", stacklevel=6)
    value = as_tensor(buffer)
    # By the backend, which transposes several times as fast as NumPy.
    return keras.ops.transpose(value) if transposed else value


def _reason(name, ignored):
    return next((why for pattern, why in ignored.items() if re.fullmatch(pattern, name)), None)


def names_of(theirs: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names on the right of a table's line."""
    return (theirs,) if isinstance(theirs, str) else theirs


def find(model: Any, path: str) -> Any:
    """Follows an attribute path; numbers index into lists."""
    for step in path.split("."):
        model = model[int(step)] if step.isdigit() else getattr(model, step)
    return model


def _has(model, path):
    """Whether an attribute path leads to something; variants of a model lack some parts."""
    try:
        return find(model, path) is not None
    except (AttributeError, IndexError):
        return False
