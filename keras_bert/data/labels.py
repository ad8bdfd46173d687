"""Labels of every kind, out of what a file or an object holds in their place."""

import ast
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from keras_bert.data.examples import Label, listed, shown
from keras_bert.data.rows import Feature
from keras_bert.data.usual_columns import NO_GOLD_LABEL, VALUE_COLUMNS
from keras_bert.data.wanted import AS_GIVEN

# (the label, why it is none); both None where the source says that there is no gold label.
Reading = tuple[Label | None, str | None]
Reader = Callable[[Any], Reading]

# What separates labels in one cell, if it is found in any: the first of these.
_SEPARATORS = ("|", ";", ",")
_FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


def find_kind(columns: dict, feature: Feature | None, values: Sequence[Any]) -> str:
    """What the labels of a source are, where nobody said.

    Args:
        columns: the columns read, by role.
        feature: what the source says of the label column.
        values: some of its labels.

    Returns:
        ``"choice"`` where there are choices; ``"labels"`` where the label has several columns or
        lists; ``"value"`` where its column is usually called so for numbers, or holds numbers that
        are not all whole; else ``"class"``.
    """
    if "choices" in columns:
        return "choice"
    column = columns.get("label")
    if isinstance(column, tuple):
        return "labels"
    if feature is not None and feature.kind is not None:
        return feature.kind
    if any(isinstance(value, list | tuple) for value in values):
        return "labels"
    numbers = [_number(value) for value in values if value not in (None, "")]
    are_numbers = bool(numbers) and None not in numbers
    called_value = isinstance(column, str) and column.casefold() in VALUE_COLUMNS
    whole = all(float(number).is_integer() for number in numbers if number is not None)
    return "value" if are_numbers and (called_value or not whole) else "class"


def make_reader(kind: str, column, feature: Feature | None, separator: str | None) -> Reader:
    """The function from what stands in a label's place to the label.

    Args:
        kind: one of ``LABEL_KINDS`` but ``"choice"``, or ``AS_GIVEN``.
        column: the label column, or a tuple of columns with 0 and 1.
        feature: what the source says of the column.
        separator: what stands between labels of one cell.
    """
    classes = feature.classes if feature else None
    if kind == "labels" and isinstance(column, tuple):
        return lambda values: _read_flags(values, column)
    if kind == "labels":
        return lambda value: _read_label_list(value, classes, separator)
    if kind == "value":
        return _read_value
    if kind == AS_GIVEN:
        return lambda value: _read_as_given(value, classes)
    no_gold = NO_GOLD_LABEL.get(column.casefold()) if isinstance(column, str) else None
    return lambda value: _read_class(value, classes, no_gold)


def find_separator(values: Sequence[Any]) -> str | None:
    """What separates labels within one cell, by some cells: of ``|;,`` the first that is in any."""
    texts = [value for value in values if isinstance(value, str) and not _is_list(value)]
    return next((mark for mark in _SEPARATORS if any(mark in text for text in texts)), None)


def read_right_choice(value: Any, choices: Sequence[str], names: Sequence[str] | None) -> Reading:
    """Which choice is right: its number as the source counts, its letter, its name or its text.

    Args:
        value: what stands in the label's place.
        choices: the texts of the choices.
        names: what the source calls them, such as ``["A", "B"]``, or None.

    Returns:
        The number, from 0; a number is not yet known to be in range.
    """
    if isinstance(value, str) and value not in choices:
        value = value.strip()
    if value in (names or ()):
        return list(names or ()).index(value), None
    number = _number(value)
    if number is not None and float(number).is_integer():
        return int(number), None
    if value in choices:
        return list(choices).index(value), None
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value.isalpha():
        return ord(value.upper()) - ord("A"), None
    return None, (
        f"the label is {shown(value)}; expected the number, letter or text of one of the choices "
        f"{listed(choices)}"
    )


def text_problem(role: str, value: Any) -> str | None:
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


def _read_class(value: Any, classes: Sequence[str] | None, no_gold: str | None = None) -> Reading:
    """A label as a string; JSON's numbers and booleans as JSON writes them."""
    if classes is not None and isinstance(value, int | float) and not isinstance(value, bool):
        return _class_name(value, classes)
    if isinstance(value, float) and math.isnan(value):
        return None, "the label is missing (nan)"
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    problem = text_problem("label", value)
    if problem:
        return None, problem
    label = value.strip()
    if label == no_gold:
        return None, None
    return (label, None) if label else (None, "the label is empty")


def _class_name(number: float, classes: Sequence[str]) -> Reading:
    if number == -1:  # what TensorFlow Datasets and Hugging Face write for "not known"
        return None, None
    if number in range(len(classes)):
        return classes[int(number)], None
    return None, f"the label is {number}; the classes are numbered 0 to {len(classes) - 1}"


def _read_value(value: Any) -> Reading:
    number = _number(value)
    if number is not None and math.isfinite(number):
        return float(number), None
    if value is None or value == "" or number is not None:
        return None, f"the label is {'null' if value is None else shown(value)}; a number is needed"
    hint = "; write 3.5 with a point" if isinstance(value, str) and "," in value else ""
    return None, f"the label is {shown(value)}, no number{hint}"


def _read_label_list(value: Any, classes, separator: str | None) -> Reading:
    """Several labels: a list of them, in Python's or JSON's writing, or a cell with separators."""
    if isinstance(value, str):
        problem = text_problem("label", value)
        if problem:
            return None, problem
        if _is_list(value):
            value = _listed_in(value)
            if value is None:
                return None, "the label begins like a list, and is none"
        else:
            parts = value.split(separator) if separator else [value]
            value = [part for part in map(str.strip, parts) if part]
    elif isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        value = [value]
    if not isinstance(value, list | tuple):
        found = "null" if value is None else shown(value)
        return None, f"the labels are {found}; expected a list, or one text with separators"
    names: list[str] = []
    for part in value:
        name, problem = _read_class(part, classes)
        if problem or name is None:
            return None, problem or f"the label {shown(part)} stands for none"
        if name not in names:
            names.append(name)
    return tuple(names), None


def _read_flags(values: tuple, columns: tuple) -> Reading:
    """One column per label, 1 where the text has it."""
    names = []
    for value, column in zip(values, columns, strict=True):
        flag = _FLAGS.get(str(value).strip().casefold())
        if flag is None:
            found = "null" if value is None else shown(value)
            return None, f"column {shown(column)} is {found}; expected 0 or 1"
        if flag:
            names.append(str(column))
    return tuple(names), None


def _read_as_given(value: Any, classes: Sequence[str] | None) -> Reading:
    """Whatever the source has, with names in place of the numbers of named classes."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None, f"the label is missing ({'null' if value is None else 'nan'})"
    if classes is None:
        return value, None
    if isinstance(value, list | tuple):
        return _read_label_list(value, classes, None)
    return _read_class(value, classes)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_list(text: str) -> bool:
    text = text.strip()
    return text.startswith("[") and text.endswith("]")


def _listed_in(text: str) -> list | None:
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list) else None
    return None
