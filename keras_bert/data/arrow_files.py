"""Columns of Parquet and Arrow files, read through pyarrow a batch of rows at a time."""

import json
from collections.abc import Iterator

from keras_bert.data.examples import SourceError
from keras_bert.data.rows import Feature, Selection
from keras_bert.data.typed_columns import Batch, declared_features, typed_selection
from keras_bert.data.wanted import Wanted

# Rows in memory at a time, beside the examples made of them.
_BATCH_ROWS = 1_024


def parquet_selection(path: str, wanted: Wanted) -> Selection:
    """The wanted columns of a Parquet file; nothing else of it is read.

    Args:
        path: the file.
        wanted: what the caller asks for.

    Raises:
        SourceError: there is no such column, or the file is damaged.
        ImportError: there is no pyarrow.
    """
    pyarrow = _pyarrow(path)
    import pyarrow.parquet

    file = _opened(path, pyarrow, pyarrow.parquet.ParquetFile)

    def batches(names: list[str]) -> Iterator[Batch]:
        yield from _plain(path, pyarrow, file.iter_batches(_BATCH_ROWS, columns=names), names)

    return _selection(path, file.schema_arrow, batches, wanted)


def arrow_selection(path: str, wanted: Wanted) -> Selection:
    """The wanted columns of an Arrow IPC file, with random access or a stream; as for Parquet."""
    pyarrow = _pyarrow(path)
    schema = _opened(path, pyarrow, lambda path: _record_batches(path, pyarrow)[0])

    def batches(names: list[str]) -> Iterator[Batch]:
        parts = (
            batch.slice(start, _BATCH_ROWS)
            for batch in _record_batches(path, pyarrow)[1]
            for start in range(0, batch.num_rows, _BATCH_ROWS)
        )
        yield from _plain(path, pyarrow, parts, names)

    return _selection(path, schema, batches, wanted)


def _record_batches(path: str, pyarrow):
    """(schema, batches) of a memory-mapped file in either IPC format."""
    import pyarrow.ipc

    source = pyarrow.memory_map(path)
    try:
        file = pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        stream = pyarrow.ipc.open_stream(source)
        return stream.schema, stream
    return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))


def _selection(path: str, schema, batches, wanted: Wanted) -> Selection:
    features = _features(schema.metadata or {})
    return typed_selection(path, schema.names, features, batches, wanted, unit="row")


def _features(metadata: dict[bytes, bytes]) -> dict[str, Feature]:
    """What Hugging Face ``datasets`` notes of the columns, names of classes above all."""
    try:
        noted = json.loads(metadata.get(b"huggingface", b"{}"))
        return declared_features(noted["info"]["features"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _plain(path: str, pyarrow, batches, names: list[str]) -> Iterator[Batch]:
    """Batches as lists of Python values."""
    try:
        for batch in batches:
            yield {name: _values(batch.column(name), pyarrow) for name in names}
    except (pyarrow.ArrowException, OSError) as error:
        raise SourceError(path, None, f"the file is damaged: {_first_line(error)}") from error


def _values(column, pyarrow) -> list:
    try:
        values = column.to_pylist()
    except UnicodeDecodeError:  # a writer did not check what it called UTF-8
        values = column.cast(pyarrow.large_binary()).to_pylist()
    return [
        value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        for value in values
    ]


def _opened(path: str, pyarrow, open_file):
    try:
        return open_file(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = f"no file of this kind, or a damaged one: {_first_line(error)}"
        raise SourceError(path, None, reason) from error


def _pyarrow(path: str):
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            f"{path} is read through pyarrow, which is not installed: "
            "pip install 'keras-bert-garden[parquet]'"
        ) from error
    return pyarrow


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
