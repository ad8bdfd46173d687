"""JSON as TF Serving's REST API reads and writes it: NaN and Infinity included, UTF-8 or not."""

from __future__ import annotations

import json
import math
import re

import numpy as np

from keras_bert.serving.errors import ServingError

__all__ = ["decimals", "encoded", "kind_of", "parse", "shown"]

_DECODER = json.JSONDecoder()
_LARGE_EXPONENT = re.compile(r"[eE]\+?[0-9]{3}")
_SPACE = re.compile(r"[ \t\r\n]*")
_MOST_SHOWN = 256
#: How Python's reader begins to say what is wrong → how RapidJSON says it.
_WORDS = {
    "Expecting value": "Invalid value.",
    "Expecting property name": "Missing a name for object member.",
    "Expecting ':'": "Missing a colon after a name of object member.",
    "Unterminated string": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\u": "Incorrect hex digit after \\u escape in string.",
    "Invalid control": "Invalid encoding in string.",
    "Illegal trailing comma": "Invalid value.",
}


def parse(body: bytes) -> dict:
    """Reads the object of a request; what follows it is passed over, as TF Serving does.

    Raises:
        ServingError: If it is no JSON, or no object.
    """
    if not body:
        raise _parse_error("The document is empty", None)
    text = body.decode("utf-8", "surrogateescape")
    start = 1 if text.startswith("\ufeff") else 0
    # Python reads 1e999 as infinity; to look at every number would take its time.
    decoder = _CAREFUL_DECODER if _LARGE_EXPONENT.search(text) else _DECODER
    try:
        document, _ = decoder.raw_decode(text, _SPACE.match(text, start).end())
    except json.JSONDecodeError as error:
        raise _parse_error(_in_rapidjsons_words(error, text), error.pos) from None
    except RecursionError:
        raise _parse_error("The document is nested too deeply.", None) from None
    except ValueError as error:  # a number of thousands of digits
        raise _parse_error(f"Number too big to be stored in double. ({error})", None) from None
    if not isinstance(document, dict):
        raise ServingError("INVALID_ARGUMENT", f"JSON Value: {shown(document)} Is not object")
    return document


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text:.40}")
    return number


_CAREFUL_DECODER = json.JSONDecoder(parse_float=_finite)


def _in_rapidjsons_words(error: json.JSONDecodeError, text: str) -> str:
    if error.msg.startswith("Expecting ','"):
        is_array = _innermost(text, error.pos) == "["
        kind = "] after an array element" if is_array else "} after an object member"
        return f"Missing a comma or {kind}."
    return next((words for begin, words in _WORDS.items() if error.msg.startswith(begin)), "?")


def _innermost(text: str, end: int) -> str:
    """The bracket that is open at a place."""
    is_open = []
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[][{}]', text[:end]):
        if match[0] in "[{":
            is_open.append(match[0])
        elif match[0] in "]}" and is_open:
            is_open.pop()
    return is_open[-1] if is_open else "{"


def _parse_error(words: str, place: int | None) -> ServingError:
    where = "" if place is None else f" at offset: {place}"
    return ServingError("INVALID_ARGUMENT", f"JSON Parse error: {words}{where}")


def kind_of(value) -> str:
    """What RapidJSON calls a value's type."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    kinds = {dict: "Object", list: "Array", str: "String"}
    return kinds.get(type(value), "Number")


def shown(value) -> str:
    """The beginning of a value, for messages."""
    try:
        text = json.dumps(_beginning(value), ensure_ascii=False)
    except RecursionError:
        text = "…"
    return text[:_MOST_SHOWN].encode("utf-8", "replace").decode()


def _beginning(value, depth: int = 4):
    """A value without what would not be shown: writing a large one takes its time."""
    if depth and isinstance(value, list):
        return [_beginning(item, depth - 1) for item in value[:_MOST_SHOWN]]
    if depth and isinstance(value, dict):
        return {k: _beginning(v, depth - 1) for k, v in list(value.items())[:_MOST_SHOWN]}
    if isinstance(value, list | dict):
        return type(value)()
    return value[:_MOST_SHOWN] if isinstance(value, str) else value


def encoded(text: str) -> bytes:
    """A string's bytes as they were sent.

    Raises:
        ServingError: If an escape stands for half a character.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _parse_error("The surrogate pair in string is invalid.", None) from None


def decimals(values: np.ndarray) -> list[str]:
    """Numbers as TF Serving writes them: six digits where those say it exactly, else enough.

    Always with a point or an exponent, so that a reader knows a float.

    Example:
        >>> decimals(np.array([3.5, 4, 1 / 3, np.nan], np.float32))
        ['3.5', '4.0', '0.333333343', 'NaN']
    """
    flat = values.reshape(-1)
    numbers = flat.tolist()
    digits = ".17g" if values.dtype == np.float64 else ".9g"
    texts = [format(number, ".6g") for number in numbers]
    with np.errstate(all="ignore"):
        exact = np.array(list(map(float, texts))).astype(values.dtype) == flat
    return [
        _decimal(text if same else format(number, digits))
        for text, same, number in zip(texts, exact.tolist(), numbers, strict=True)
    ]


def _decimal(text: str) -> str:
    if "." in text or "e" in text:
        return text
    return _SPECIAL.get(text) or f"{text}.0"


_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
