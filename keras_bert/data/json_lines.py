"""Rows of JSON Lines files, each with its line."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TextIO

from keras_bert.data.columns import named_columns
from keras_bert.data.examples import Column, SourceError, listed
from keras_bert.data.rows import Row, Selection, named
from keras_bert.data.wanted import Wanted, as_tuple

# Objects looked at to find columns that hold 0 and 1 alone.
_PEEKED_ROWS = 1_000


def jsonl_selection(path: str, file: TextIO, wanted: Wanted) -> Selection:
    """The wanted keys of a file with one JSON object per line.

    Args:
        path: the file, for messages.
        file: the open file.
        wanted: what the caller asks for; the first object says which keys there are.

    Returns:
        As ``tables.csv_selection``; the values are as JSON has them, so not always strings.

    Raises:
        SourceError: there is no such key, no object in the file, or the file is empty.
    """
    return records_selection(path, _objects(file), wanted)


def records_selection(
    path: str, rows: Iterator[Row], wanted: Wanted, unit: str = "line"
) -> Selection:
    """The wanted keys of rows whose values are dicts; as ``jsonl_selection``."""
    before = list(itertools.islice(rows, _PEEKED_ROWS))
    if not before:
        raise SourceError(path, None, "the file is empty")
    sound = [record for _, record, _ in before if record is not None]
    while not sound:
        row = next(rows, None)
        if row is None:
            raise SourceError(path, before[0][0], before[0][2], unit)
        before.append(row)
        sound = [record for record in row[1:2] if record is not None]
    rows = itertools.chain(before, rows)
    names = list(sound[0])
    peeked = [[record.get(name) for name in names] for record in sound]
    columns = named(named_columns(path, names, wanted, peeked), names)
    return Selection(columns, _picked(rows, columns), unit=unit)


def _picked(rows: Iterable[Row], columns: dict[str, Column | tuple[Column, ...]]) -> Iterator[Row]:
    needed = [key for keys in columns.values() for key in as_tuple(keys)]
    for line, record, reason in rows:
        if reason is not None:
            yield line, None, reason
        elif any(key not in record for key in needed):
            missing = [key for key in needed if key not in record]
            yield line, None, f"the object has no {listed(missing)}"
        else:
            values = [
                tuple(record[key] for key in keys) if isinstance(keys, tuple) else record[keys]
                for keys in columns.values()
            ]
            yield line, tuple(values), None


def _objects(file: TextIO) -> Iterator[Row]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            yield line, None, f"not JSON: {error.msg} at character {error.colno}"
        except (ValueError, RecursionError) as error:  # numbers or nesting beyond Python's limits
            yield line, None, f"JSON that cannot be read: {error}"
        else:
            if isinstance(record, dict):
                yield line, record, None
            else:
                kind = {"list": "array", "NoneType": "null"}.get(type(record).__name__, "value")
                yield line, None, f"one JSON object per line expected, a JSON {kind} found"
