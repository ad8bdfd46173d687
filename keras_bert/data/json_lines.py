"""Rows of JSON Lines files, each with its line."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TextIO

from keras_bert.data.columns import Wanted, named_columns
from keras_bert.data.examples import SourceError, listed
from keras_bert.data.tables import Row, Selection


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
    rows = _objects(file)
    before: list[Row] = []
    first = None
    while first is None:
        row = next(rows, None)
        if row is None:
            break
        before.append(row)
        first = row[1]
    if not before:
        raise SourceError(path, None, "the file is empty")
    if first is None:
        raise SourceError(path, before[0][0], before[0][2])
    names = list(first)
    columns = {role: names[place] for role, place in named_columns(path, names, wanted).items()}
    keys = tuple(columns.get(role) for role in ("text", "text_pair", "label"))
    return columns, _picked(itertools.chain(before, rows), keys)


def _picked(rows: Iterable[Row], keys: tuple[str | None, ...]) -> Iterator[Row]:
    needed = [key for key in keys if key is not None]
    for line, record, reason in rows:
        if reason is not None:
            yield line, None, reason
        elif any(key not in record for key in needed):
            missing = [key for key in needed if key not in record]
            yield line, None, f"the object has no {listed(missing)}"
        else:
            yield line, tuple(None if key is None else record[key] for key in keys), None


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
