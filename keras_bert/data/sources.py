"""Reads labelled texts and pairs of texts from CSV, TSV, JSON Lines and plain text files.

Every example keeps the line it came from, so whatever is wrong with it, here or later, can be
named the way an editor shows it. TensorFlow is not needed to read a file and is not imported.

=========  =====================================================================================
``.csv``   fields separated by commas, quoted as in RFC 4180; quoted fields may hold newlines
``.tsv``   fields separated by tabs; quotes are ordinary characters, as in the IANA type
           text/tab-separated-values, GLUE's files and google-research/bert (quotechar=None)
``.jsonl`` one JSON object per line
``.txt``   one text per line (``read_texts`` only)
=========  =====================================================================================

Files are UTF-8, with or without a byte order mark. Blank lines are no rows. An empty text is a
text (the model reads ``[CLS] [SEP]``) and is kept; an empty label is an error. Spaces around a
label are cut off; texts are never changed.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from keras_bert.data.columns import Wanted
from keras_bert.data.examples import Column, Examples, SourceError, shown
from keras_bert.data.json_lines import jsonl_selection
from keras_bert.data.tables import Row, csv_selection, long_fields, tsv_selection

# How a format's columns are found and its rows are read, by suffix.
_SELECTIONS = {".csv": csv_selection, ".tsv": tsv_selection, ".jsonl": jsonl_selection}


def read_examples(
    path: str | os.PathLike,
    text_column: Column | None = None,
    text_pair_column: Column | None = None,
    label_column: Column | None = None,
    skip_bad_rows: bool = False,
    with_labels: bool | None = None,
) -> Examples:
    """Reads the examples of a ``.csv``, ``.tsv`` or ``.jsonl`` file.

    Columns are given by name, or found by their usual names (``text``, ``sentence1`` and
    ``sentence2``, ``label``, ``category``, …); ``Examples.columns`` says what was found. Where the
    text column is given, a second text is read only if it is given, too. A column number, 1 for
    the first, says that the file has no header line. With no column given, a table of two columns
    is taken as text and label without header if its first row's label occurs again below.

    Args:
        path: the file; its suffix says the format.
        text_column: name, or number in a file without header, of the texts.
        text_pair_column: the same for the second texts of pairs.
        label_column: the same for the labels.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.
        with_labels: True: a file without label column is an error. False: labels are neither
            read nor checked. None: they are read where the file has them.

    Returns:
        The examples, in the order of the file.

    Raises:
        SourceError: the file is empty, has no such column, or a row is broken (line and reason).
        OSError: the file is missing, is a folder, or cannot be read.

    Example:
        >>> from keras_bert.data import read_examples
        >>> train = read_examples("train.csv")                             # doctest: +SKIP
        >>> train.texts[0], train.labels[0], train.rows[0]                 # doctest: +SKIP
        ('I am still waiting on my card?', 'card_arrival', 2)
    """
    path = os.fspath(path)
    suffix = Path(path).suffix
    wanted = Wanted(text_column, text_pair_column, label_column, with_labels)
    with _opened(path) as file, long_fields():
        selection = _SELECTIONS.get(suffix.lower())
        if selection is None:
            found = f"the suffix is {suffix}" if suffix else "the file has no suffix"
            raise SourceError(path, None, f"{found}; expected one of {', '.join(_SELECTIONS)}")
        columns, rows = selection(path, file, wanted)
        examples = Examples([], [] if "label" in columns else None, [], [], columns, path)
        _collect(examples, rows, skip_bad_rows)
    examples.require_some()
    return examples


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
    examples = Examples([], None, [], [], {}, os.fspath(path))
    with _opened(examples.path) as file:
        lines = ((row, text.rstrip("\r\n")) for row, text in enumerate(file, start=1))
        rows = ((row, (text, None, None), None) for row, text in lines if text.strip())
        _collect(examples, rows, skip_bad_rows)
    examples.require_some()
    return examples


@contextlib.contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """Opens a UTF-8 file; bytes that are no UTF-8 arrive as surrogates, so their row is known."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; a data file is expected")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} does not exist; a data file is expected")
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise SourceError(path, None, "the file is UTF-16; save it as UTF-8")
    # newline="" leaves the line ends inside quoted fields as they are.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield file


def _collect(examples: Examples, rows: Iterable[Row], skip_bad_rows: bool) -> None:
    """Appends rows of (text, second text or None, label or None) to ``examples``."""
    has_pair, has_label = "text_pair" in examples.columns, examples.labels is not None
    one_of_each: dict[str, str] = {}  # one string object per label, however many rows have it
    for row, values, reason in rows:
        if reason is None:
            text, pair, label = values
            reason = _text_problem("text", text)
            if reason is None and has_pair:
                reason = _text_problem("second text", pair)
            if reason is None and has_label:
                label, reason = _label_or_problem(label)
        if reason is None:
            examples.texts.append((text, pair) if has_pair else text)
            examples.rows.append(row)
            if has_label:
                examples.labels.append(one_of_each.setdefault(label, label))
        elif skip_bad_rows:
            examples.skipped.append((row, reason))
        else:
            raise SourceError(examples.path, row, reason)


def _text_problem(role: str, value: Any) -> str | None:
    """Why ``value`` is no text, or None where it is one."""
    if not isinstance(value, str):
        found = "null" if value is None else f"{shown(value)}, a {type(value).__name__}"
        return f"the {role} is {found}; a string is expected"
    if "\0" in value:
        return f"the {role} holds a NUL character; is this file UTF-8 text?"
    if value.isascii():
        return None
    try:
        value.encode()  # surrogates, which stand for bytes that are no UTF-8, cannot be encoded
    except UnicodeEncodeError as error:
        byte = ord(value[error.start]) - 0xDC00
        if 0x80 <= byte <= 0xFF:
            where = f"byte 0x{byte:02X} after {error.start} characters"
            return f"the {role} is not valid UTF-8 ({where}); save the file as UTF-8"
        return f"the {role} holds half a surrogate pair after {error.start} characters"
    return None


def _label_or_problem(value: Any) -> tuple[str, str | None]:
    """A label as a string, and why it is none; JSON's numbers and booleans as JSON writes them."""
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    problem = _text_problem("label", value)
    if problem:
        return "", problem
    label = value.strip()
    return label, None if label else "the label is empty"
