"""Tables in memory: data sets of Hugging Face ``datasets``, pandas and pyarrow, dicts of columns.

They are known by what they can do; none of these packages is imported.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras_bert.data.collecting import collect
from keras_bert.data.examples import Examples, SourceError, listed
from keras_bert.data.rows import Feature
from keras_bert.data.typed_columns import Batch, declared_features, typed_selection
from keras_bert.data.wanted import Wanted

_BATCH_ROWS = 1_024


class _Table(NamedTuple):
    """What is known of a table: its name for messages, columns, their types, rows by batches."""

    path: str
    names: list[str]
    features: dict[str, Feature]
    batches: Callable[[list[str]], Iterable[Batch]]


def is_table(x: Any) -> bool:
    """Whether ``x`` is a table of one of the kinds that are read."""
    return any(is_kind(x) for is_kind, _ in _KINDS)


def holds_texts(table: Any) -> bool:
    """Whether a table may hold texts; those of numbers alone are other people's."""
    if _is_frame(table):
        kinds = [getattr(dtype, "kind", "O") for dtype in table.dtypes]
        return any(kind in "OSU" for kind in kinds)
    if _is_columns(table):
        return any(_begins_with_text(column) for column in table.values())
    return True


def is_dataset_of_splits(x: Any) -> bool:
    """Whether ``x`` is a ``DatasetDict``, or any other dict of data sets."""
    return isinstance(x, Mapping) and bool(x) and all(map(_is_dataset, x.values()))


def read_table(table: Any, wanted: Wanted, skip_bad_rows: bool = False) -> Examples:
    """Reads the examples of a table in memory.

    Args:
        table: a ``datasets.Dataset`` or ``IterableDataset``, whose ``ClassLabel`` features name
            the labels; a pandas ``DataFrame``; a ``pyarrow.Table``; a dict of columns.
        wanted: what the caller asks for.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.

    Returns:
        The examples; their ``rows`` are counted from 0.

    Raises:
        SourceError: there is no such column, a row is broken, or there is none.
        TypeError: ``table`` is none.

    Example:
        >>> read_table({"text": ["Good", "Bad"], "label": [1, 0]}, Wanted()).labels
        ['1', '0']
    """
    path, names, features, batches = _opened(table)
    selection = typed_selection(path, names, features, batches, wanted, unit="index")
    return collect(path, selection, wanted, skip_bad_rows)


def read_columns(table: Any, wanted: Mapping[str, Sequence[str]]) -> dict[str, list]:
    """Whole columns of a table as they are, for tasks whose examples are no plain texts.

    Args:
        table: as ``read_table`` takes it.
        wanted: names to look for by role, in lower case; the first that is there is taken.

    Returns:
        The values of each role, in the order of ``wanted``; numbers of named classes are names.

    Raises:
        SourceError: a column is missing.

    Example:
        >>> tagged = {"tokens": [["In", "Rome"]], "ner_tags": [["O", "B-LOC"]]}
        >>> read_columns(tagged, {"words": ["words", "tokens"], "tags": ["tags", "ner_tags"]})
        {'words': [['In', 'Rome']], 'tags': [['O', 'B-LOC']]}
    """
    path, names, features, batches = _opened(table)
    usual = {name.casefold(): name for name in reversed(names)}
    columns: dict[str, str] = {}
    for role, candidates in wanted.items():
        found = [usual[name] for name in candidates if name in usual]
        if not found:
            looked_for = ", ".join(candidates)
            reason = f"no column of {role} among {listed(names)} (looked for {looked_for})"
            raise SourceError(path, None, reason)
        columns[role] = found[0]
    values: dict[str, list] = {role: [] for role in columns}
    for batch in batches(list(dict.fromkeys(columns.values()))):
        for role, name in columns.items():
            classes = features.get(name, Feature()).classes
            values[role] += [_named(value, classes) for value in batch[name]]
    return values


def read_records(table: Any) -> Iterator[dict[str, Any]]:
    """The rows of a table as dicts of all columns; numbers of named classes are names.

    Example:
        >>> list(read_records({"question": ["Where?"], "context": ["In Rome."]}))
        [{'question': 'Where?', 'context': 'In Rome.'}]
    """
    _, names, features, batches = _opened(table)
    for batch in batches(names):
        for values in zip(*(batch[name] for name in names), strict=True):
            yield {
                name: _named(value, features.get(name, Feature()).classes)
                for name, value in zip(names, values, strict=True)
            }


def _opened(table: Any) -> _Table:
    for is_kind, open_table in _KINDS:
        if is_kind(table):
            found = open_table(table)
            if not found.names:
                raise SourceError(found.path, None, "there are no columns")
            return found
    raise TypeError(f"Received {type(table).__name__}, which is no table.")


def _named(value: Any, classes: Sequence[str] | None) -> Any:
    """A number of a class as its name; those in a list, too."""
    if classes is None:
        return value
    if isinstance(value, list | tuple):
        return [_named(part, classes) for part in value]
    known = isinstance(value, int) and 0 <= value < len(classes)
    return classes[value] if known else value


# Hugging Face datasets.


def _is_dataset(x: Any) -> bool:
    return hasattr(x, "features") and hasattr(x, "column_names") and not isinstance(x, Mapping)


def _open_dataset(dataset: Any) -> _Table:
    names = dataset.column_names or list(next(iter(dataset), {}))
    declared = dataset.features.to_dict() if hasattr(dataset.features, "to_dict") else {}

    def batches(needed: list[str]) -> Iterator[Batch]:
        # Plain Python values, whatever format was set; nothing else is decoded.
        yield from dataset.select_columns(needed).with_format(None).iter(_BATCH_ROWS)

    return _Table(type(dataset).__name__, list(names), declared_features(declared), batches)


def _refuse_splits(splits: Mapping) -> _Table:
    some = list(splits)
    reason = f"this holds the splits {listed(some)}; pick one, such as data[{some[0]!r}]"
    raise SourceError(type(splits).__name__, None, reason)


# pandas.


def _is_frame(x: Any) -> bool:
    return hasattr(x, "iloc") and hasattr(x, "columns") and hasattr(x, "dtypes")


def _open_frame(frame: Any) -> _Table:
    names = [str(name) for name in frame.columns]
    places = {name: place for place, name in reversed(list(enumerate(names)))}

    def batches(needed: list[str]) -> Iterator[Batch]:
        for start in range(0, len(frame), _BATCH_ROWS):
            part = frame.iloc[start : start + _BATCH_ROWS]
            yield {name: part.iloc[:, places[name]].tolist() for name in needed}

    return _Table(f"{type(frame).__name__}.iloc", names, {}, batches)


# pyarrow.


def _is_arrow(x: Any) -> bool:
    return hasattr(x, "column_names") and hasattr(x, "to_batches") and hasattr(x, "schema")


def _open_arrow(table: Any) -> _Table:
    def batches(needed: list[str]) -> Iterator[Batch]:
        for part in table.select(needed).to_batches(_BATCH_ROWS):
            yield {name: part.column(name).to_pylist() for name in needed}

    return _Table(type(table).__name__, list(table.column_names), {}, batches)


# Dicts.


def _is_columns(x: Any) -> bool:
    return isinstance(x, Mapping) and not is_dataset_of_splits(x)


def _open_columns(columns: Mapping) -> _Table:
    lengths = {str(name): len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        differ = ", ".join(f"{name}: {length:,}" for name, length in lengths.items())
        raise SourceError("columns", None, f"the columns are not of one length ({differ})")

    def batches(needed: list[str]) -> Iterator[Batch]:
        by_name = {str(name): column for name, column in columns.items()}
        yield {name: _plain(by_name[name]) for name in needed}

    return _Table("columns", list(lengths), {}, batches)


def _plain(column: Any) -> list:
    """Python values of a column: a list, an array, a tensor or anything with a length."""
    column = column.numpy() if hasattr(column, "numpy") else column
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [
        value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        for value in values
    ]


def _begins_with_text(column: Any) -> bool:
    kind = getattr(getattr(column, "dtype", None), "kind", None)
    if kind is not None:
        return kind in "OSU"
    if hasattr(column, "numpy"):
        return getattr(getattr(column, "dtype", None), "name", "") == "string"
    if isinstance(column, str | bytes) or not hasattr(column, "__iter__"):
        return False
    first = next(itertools.islice(iter(column), 1), None)
    while isinstance(first, list | tuple) and first:
        first = first[0]
    return isinstance(first, str | bytes)


# What a table is, and how it is opened; the first that fits.
_KINDS = (
    (is_dataset_of_splits, _refuse_splits),
    (_is_dataset, _open_dataset),
    (_is_frame, _open_frame),
    (_is_arrow, _open_arrow),
    (_is_columns, _open_columns),
)
