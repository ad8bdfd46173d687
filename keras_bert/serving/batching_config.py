"""``batching.config``: how requests are put together, in TF Serving's names and file format."""

from __future__ import annotations

import dataclasses
import os

__all__ = ["BatchingConfig", "read_batching_config"]

#: Fields of TF Serving's BatchingParameters: name → (number, type).
_FIELDS = {
    "max_batch_size": (1, "Int64Value"),
    "batch_timeout_micros": (2, "Int64Value"),
    "max_enqueued_batches": (3, "Int64Value"),
    "num_batch_threads": (4, "Int64Value"),
    "thread_pool_name": (5, "StringValue"),
    "allowed_batch_sizes": (6, "int64"),
    "pad_variable_length_inputs": (7, "bool"),
    "enable_large_batch_splitting": (8, "BoolValue"),
    "max_execution_batch_size": (9, "Int64Value"),
}


@dataclasses.dataclass(frozen=True)
class BatchingConfig:
    """How rows of requests are put together.

    Attributes:
        max_batch_size: Rows of a batch at most.
        batch_timeout_micros: How long the first request of a batch waits for more; 0 takes what is
            there as soon as a thread is free.
        max_enqueued_batches: Batches' worth of rows that wait at most; further requests are told
            to come later.
        num_batch_threads: Batches computed at a time. They share the threads that compute an
            operation; a second batch takes them where the first leaves them idle.
        allowed_batch_sizes: Sizes that batches are filled up to, the last one
            ``max_batch_size``; empty for any.
        pad_variable_length_inputs: Whether requests whose rows are of different lengths go
            together, the shorter ones filled with **their own first value**, as TF Serving does;
            else only those of the same length do.
        enable_large_batch_splitting: Whether requests of more rows than ``max_batch_size`` are
            taken. They are computed in parts; where an output's rows have no fixed size, alone.
        thread_pool_name: What metrics call the threads.
        max_execution_batch_size: Rows of a computed batch at most, with splitting.
        is_explicit: Whether it was read from a file, so that batches are those of TF Serving: in
            the order of arrival, and what it would refuse to batch is refused. Else texts of like
            length go together, which takes half the time: a batch is padded to its longest.

    Raises:
        ValueError: If a number is out of its range or the sizes do not fit.
    """

    max_batch_size: int = 16
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 64
    num_batch_threads: int = 2
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = True
    thread_pool_name: str = "batch_threads"
    max_execution_batch_size: int = 0
    is_explicit: bool = False

    def __post_init__(self):
        for name, least in (
            ("max_batch_size", 1),
            ("batch_timeout_micros", 0),
            ("max_enqueued_batches", 1),
            ("num_batch_threads", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more; received {getattr(self, name)}.")
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1):
            raise ValueError(
                f"allowed_batch_sizes must be positive and increasing; received {list(sizes)}."
            )
        if sizes and sizes[-1] != self.largest_batch:
            raise ValueError(
                "The last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{sizes[-1]}; expected {self.largest_batch}."
            )

    @property
    def largest_batch(self) -> int:
        """Rows that are computed together at most."""
        return self.max_execution_batch_size or self.max_batch_size

    def rounded(self, rows: int) -> int:
        """Rows that a batch is filled up to."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def read_batching_config(path: str | os.PathLike) -> BatchingConfig:
    """Reads a ``batching.config`` in protobuf's text format, as TF Serving does.

    What the file leaves out has TF Serving's defaults: batches of 1,000, 10 of them waiting,
    a thread for each core, no waiting.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds something else; the line is named.

    Example:
        >>> with open("batching.config", "w") as file:
        ...     file.write("max_batch_size { value: 16 }")
        >>> read_batching_config("batching.config").max_batch_size
        16
    """
    from google.protobuf import text_format

    with open(path, encoding="utf-8") as file:
        text = file.read()
    message = _message_class()()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ValueError(f"{os.fspath(path)!r} is no batching config: {error}") from error
    values = {}
    for field, value in message.ListFields():
        name = field.name
        if _FIELDS[name][1].endswith("Value"):
            value = value.value
        values[name] = tuple(value) if name == "allowed_batch_sizes" else value
    defaults = {
        "max_batch_size": 1000,
        "max_enqueued_batches": 10,
        "num_batch_threads": os.cpu_count() or 1,
        "enable_large_batch_splitting": False,
    }
    try:
        return BatchingConfig(**{**defaults, **values}, is_explicit=True)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r}: {error}") from error


def _message_class():
    """TF Serving's BatchingParameters, which its Python package leaves out."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_bert/batching_parameters.proto",
        package="keras_bert",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, (number, kind) in _FIELDS.items():
        field = message.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
        if kind.endswith("Value"):
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".google.protobuf.{kind}"
        else:
            field.type = {"int64": kinds.TYPE_INT64, "bool": kinds.TYPE_BOOL}[kind]
        if name == "allowed_batch_sizes":
            field.label = kinds.LABEL_REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("keras_bert.BatchingParameters")
    )
