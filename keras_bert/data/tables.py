"""Rows of CSV and TSV files, each with the line where it starts."""

import contextlib
import csv
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from keras_bert.data.columns import (
    columns_without_header,
    named_columns,
    numbered_columns,
)
from keras_bert.data.examples import Column, SourceError, counted, listed
from keras_bert.data.rows import Row, Selection, named, picker
from keras_bert.data.wanted import Wanted

# The csv module refuses fields above 131,072 characters; a text of some megabytes is odd, but
# fine. The limit is also where the search for the end of a quote that is never closed ends.
_LONGEST_FIELD = 10_000_000
# Rows looked at before a file is believed to have no header line.
_PEEKED_ROWS = 1_000
_CSV_HINT = "a field that holds a comma needs quotes around it"
_TSV_HINT = "quotes mean nothing in .tsv: texts with tabs or newlines need a .csv"


def csv_selection(path: str, file: TextIO, wanted: Wanted) -> Selection:
    """The wanted columns of a CSV file (RFC 4180, UTF-8).

    Args:
        path: the file, for messages.
        file: the open file; line ends must not be translated (``newline=""``).
        wanted: what the caller asks for.

    Returns:
        The columns by role, and an iterator over (line, values, None) or, for a broken row,
        (line, None, reason).

    Raises:
        SourceError: there is no such column, or the file is empty.
    """
    return _selection(path, _csv_rows(file), wanted, _CSV_HINT)


def tsv_selection(path: str, file: TextIO, wanted: Wanted) -> Selection:
    """The wanted columns of a file of tab-separated values without quoting; as csv_selection."""
    return _selection(path, _tsv_rows(file), wanted, _TSV_HINT)


@contextlib.contextmanager
def long_fields():
    """Lets the csv module read fields of up to 10 million characters meanwhile."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _selection(path: str, rows: Iterator[Row], wanted: Wanted, hint: str) -> Selection:
    line, first, reason = next(rows, (None, None, None))
    if line is None:
        raise SourceError(path, None, "the file is empty")
    if reason:
        raise SourceError(path, line, reason)
    if any("\0" in cell for cell in first):
        raise SourceError(path, line, "the line holds a NUL character; is this file UTF-8 text?")
    names: Sequence[Column] = range(1, len(first) + 1)
    places = numbered_columns(path, first, wanted)
    sound: list[Sequence[str]] = []
    if places is None:
        peeked = list(itertools.islice(rows, _PEEKED_ROWS))
        rows = itertools.chain(peeked, rows)
        sound = [cells for _, cells, _ in peeked if cells]
        places = columns_without_header(first, sound, wanted)
    if places is None:
        names = [_readable(cell).strip() for cell in first]
        places = named_columns(path, names, wanted, sound)
    else:
        rows = itertools.chain([(line, first, None)], rows)
    return Selection(named(places, names), _picked(rows, names, picker(places), hint))


def _picked(rows: Iterable[Row], names: Sequence[Column], pick, hint: str) -> Iterator[Row]:
    """Yields the wanted values of every row that is as wide as the first one."""
    width = len(names)
    expected = counted(width, "column")
    if isinstance(names, list):
        expected += f" ({listed(names)})"
    for line, cells, reason in rows:
        if reason is not None:
            yield line, None, reason
        elif len(cells) != width:
            yield line, None, f"{expected} expected, {len(cells)} found; {hint}"
        else:
            yield line, pick(cells), None


def _csv_rows(file: TextIO) -> Iterator[Row]:
    """Yields the records of a CSV file.

    After a record with a broken quote, reading goes on at the line below its first one: an open
    quote swallows every line up to the next quote, and those lines may well be sound.
    """
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, None, _broken_quotes(error)
            lines.put_back_all_but_first()
            line += 1
            continue
        if cells:
            yield line, cells, None
        line += len(lines.taken)
        lines.taken.clear()


def _tsv_rows(file: TextIO) -> Iterator[Row]:
    for line, text in enumerate(file, start=1):
        text = text.rstrip("\r\n")
        if text:
            yield line, text.split("\t"), None


class _Lines:
    """Iterates over the lines of a file, and again over lines that were put back."""

    def __init__(self, file: TextIO):
        self.taken: list[str] = []
        self._file = file
        self._again: deque[str] = deque()

    def __iter__(self):
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file)
        self.taken.append(line)
        return line

    def put_back_all_but_first(self) -> None:
        self._again.extendleft(reversed(self.taken[1:]))
        self.taken.clear()


def _broken_quotes(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return "a quote is opened here and never closed"
    if "expected after" in message:
        return "text follows a closing quote; inside a quoted field a quote is written twice"
    if "field limit" in message:
        return f"a field is longer than {_LONGEST_FIELD:,} characters; is a quote left open?"
    return message


def _readable(cell: str) -> str:
    """A column's name with bytes that are no UTF-8 shown as U+FFFD."""
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
