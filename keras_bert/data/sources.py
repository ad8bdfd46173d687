"""Reads examples from CSV, TSV, JSON Lines, Parquet, Arrow and plain text files.

Every example keeps the line it came from, so whatever is wrong with it, here or later, can be
named the way an editor shows it. TensorFlow is not needed to read a file and is not imported.

============  ==================================================================================
``.csv``      fields separated by commas, quoted as in RFC 4180; quoted fields may hold newlines
``.tsv``      fields separated by tabs; quotes are ordinary characters, as in the IANA type
              text/tab-separated-values, GLUE's files and google-research/bert (quotechar=None)
``.jsonl``    one JSON object per line
``.parquet``  needs pyarrow; read in batches of rows, and of their columns only those asked for
``.arrow``    the same in Arrow's IPC formats; ``.feather`` (version 2) is one of them
``.txt``      one text per line (``read_texts`` only)
============  ==================================================================================

Text files are UTF-8, with or without a byte order mark. Blank lines are no rows. An empty text is
a text (the model reads ``[CLS] [SEP]``) and is kept; an empty label is an error. Spaces around a
label are cut off; texts are never changed.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from keras_bert.data.arrow_files import arrow_selection, parquet_selection
from keras_bert.data.collecting import collect
from keras_bert.data.examples import Column, Examples, SourceError
from keras_bert.data.json_lines import jsonl_selection
from keras_bert.data.rows import Selection
from keras_bert.data.tables import csv_selection, long_fields, tsv_selection
from keras_bert.data.wanted import Wanted

# How a format's columns are found and its rows are read, by suffix.
_SELECTIONS = {".csv": csv_selection, ".tsv": tsv_selection, ".jsonl": jsonl_selection}
# The same for files that are no text.
_BINARY_SELECTIONS = {
    ".parquet": parquet_selection,
    ".arrow": arrow_selection,
    ".feather": arrow_selection,
}
SUFFIXES = (*_SELECTIONS, *_BINARY_SELECTIONS)


def read_examples(
    path: str | os.PathLike,
    text_column: Column | None = None,
    text_pair_column: Column | None = None,
    label_column: Column | Sequence[Column] | None = None,
    skip_bad_rows: bool = False,
    with_labels: bool | None = None,
    *,
    negative_column: Column | None = None,
    choices_column: Column | Sequence[Column] | None = None,
    label_kind: str | None = "class",
    label_separator: str | None = None,
) -> Examples:
    """Reads the examples of a file, in the format that its suffix stands for.

    Columns are given by name, or found by their usual names (``text``, ``sentence1`` and
    ``sentence2``, ``label``, ``category``, …); ``Examples.columns`` says what was found. Where the
    text column is given, a second text is read only if it is given, too. A column number, 1 for
    the first, says that the file has no header line. With no column given, a table of two columns
    is taken as text and label without header if its first row's label occurs again below, and one
    of three columns as two texts and label if that holds or all its labels are numbers.

    Args:
        path: the file; its suffix says the format.
        text_column: name, or number in a file without header, of the texts; of the anchors of
            triplets, or the prompts of multiple choice.
        text_pair_column: the same for the second texts of pairs; for what each choice of multiple
            choice begins with.
        label_column: the same for the labels; for ``label_kind="labels"`` two columns or more,
            one per label, that hold 0 or 1.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.
        with_labels: True: a file without label column is an error. False: labels are neither
            read nor checked. None: they are read where the file has them.
        negative_column: the same for the third texts of triplets.
        choices_column: the column that has a list of choices, or one column for each choice.
        label_kind: what a label is. ``"class"``: a name. ``"value"``: a number, for regression and
            similarity. ``"labels"``: any number of names, as a list, or in one cell with
            separators, or in columns of 0 and 1. ``"choice"``: the number (from 0 or 1), letter or
            text of the right choice. None: what the column is called and holds decides.
        label_separator: what stands between several labels in one cell; found, without it, by the
            first of ``|``, ``;`` and ``,`` that is in any of the first 1,000 cells.

    Returns:
        The examples, in the order of the file.

    Raises:
        SourceError: the file is empty, has no such column, or a row is broken (line and reason).
        OSError: the file is missing, is a folder, or cannot be read.
        ImportError: pyarrow is needed and is not there.

    Example:
        >>> from keras_bert.data import read_examples
        >>> train = read_examples("train.csv")                             # doctest: +SKIP
        >>> train.texts[0], train.labels[0], train.rows[0]                 # doctest: +SKIP
        ('I am still waiting on my card?', 'card_arrival', 2)
    """
    path = os.fspath(path)
    wanted = Wanted(
        text_column,
        text_pair_column,
        label_column,
        with_labels,
        negative_column,
        choices_column,
        label_kind,
        label_separator,
    )
    return read_file(path, Path(path).suffix, wanted, skip_bad_rows)


def read_file(path: str, suffix: str, wanted: Wanted, skip_bad_rows: bool = False) -> Examples:
    """Reads a file in the format that ``suffix`` stands for, whatever it is called."""
    if suffix.lower() in _BINARY_SELECTIONS:
        _require_file(path)
        selection = _BINARY_SELECTIONS[suffix.lower()](path, wanted)
        return collect(path, selection, wanted, skip_bad_rows)
    with _opened(path) as file, long_fields():
        select = _SELECTIONS.get(suffix.lower())
        if select is None:
            found = f"the suffix is {suffix}" if suffix else "the file has no suffix"
            expected = ", ".join(SUFFIXES)
            raise SourceError(path, None, f"{found}; expected one of {expected}")
        return collect(path, select(path, file, wanted), wanted, skip_bad_rows)


def read_texts(path: str | os.PathLike, skip_bad_rows: bool = False) -> Examples:
    """Reads a plain file with one text per line; ``columns`` and ``labels`` stay empty.

    Args:
        path: the file, of any suffix.
        skip_bad_rows: leave lines out that are no valid UTF-8, instead of raising.

    Returns:
        The texts, without their line ends; blank lines are not among them.

    Raises:
        SourceError: the file holds no text, or a line is not valid UTF-8.
        OSError: the file is missing, is a folder, or cannot be read.

    Example:
        >>> from keras_bert.data import read_texts
        >>> read_texts("questions.txt").texts                              # doctest: +SKIP
        ['My card has not arrived', 'How do I top up?']
    """
    path = os.fspath(path)
    with _opened(path) as file:
        lines = ((row, text.rstrip("\r\n")) for row, text in enumerate(file, start=1))
        rows = ((row, (text,), None) for row, text in lines if text.strip())
        examples = collect(path, Selection({"text": 1}, rows), Wanted(), skip_bad_rows)
    examples.columns.clear()
    return examples


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """Opens a UTF-8 file; bytes that are no UTF-8 arrive as surrogates, so their row is known."""
    _require_file(path)
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise SourceError(path, None, "the file is UTF-16; save it as UTF-8")
    # newline="" leaves the line ends inside quoted fields as they are.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield file


def _require_file(path: str) -> None:
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; a data file is expected")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} does not exist; a data file is expected")
