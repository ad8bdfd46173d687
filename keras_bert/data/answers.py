"""Answers to questions about a text: the forms they come in, and where in the text they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keras_bert.data.examples import shown

__all__ = ["START_KEYS", "first_answer_bytes", "place_answer", "read_answers"]

#: What the place of an answer is called: SQuAD and its kin, and ours.
START_KEYS = ("answer_start", "start")

FORMS = (
    'Expected a list of {"text": ..., "answer_start": ...}, of (text, start) or of texts; one of '
    'them alone; {"text": [...], "answer_start": [...]}; or nothing, where there is no answer.'
)


def read_answers(answers: Any) -> list[dict[str, Any]]:
    """Reads the gold answers of one question, in any of the usual forms.

    Args:
        answers: A list of ``{"text", "answer_start"}`` as SQuAD has them (``"start"`` for the
            latter too), of (text, start), or of texts; one of these alone; SQuAD's two lists in a
            dict, as ``datasets`` has them; or None or nothing where the question has no answer.
            Starts are characters of the context; where there is none, or one below 0, it is not
            known. Empty texts are no answers.

    Returns:
        One ``{"text": str, "start": int or None}`` per answer.

    Raises:
        TypeError: If it is something else.

    Example:
        >>> read_answers({"text": ["Paris", "Paris"], "answer_start": [3, 40]})
        [{'text': 'Paris', 'start': 3}, {'text': 'Paris', 'start': 40}]
    """
    if hasattr(answers, "tolist"):
        answers = answers.tolist()
    if answers is None:
        return []
    if _is_one(answers):
        answers = [answers]
    elif isinstance(answers, Mapping):
        answers = _from_columns(answers)
    if not isinstance(answers, list | tuple):
        raise TypeError(f"answers are {shown(answers)}. {FORMS}")
    found = [_read_one(answer) for answer in answers]
    return [answer for answer in found if answer["text"]]


def place_answer(context: str, text: str, start: int | None = None) -> tuple[int, int] | None:
    """Finds an answer in its context: where it should be, or else where its text is nearest.

    Places are often a few characters off, because the text was changed after they were noted, and
    white space may differ. Where the start is not known, the first place is taken.

    Args:
        context: The text that the question is about.
        text: The answer's text.
        start: The character at which it should start.

    Returns:
        (start, end) in characters of the context; None where the text is not in it.

    Example:
        >>> place_answer("in Paris or in  Paris", "Paris", 20)
        (16, 21)
        >>> place_answer("in Paris or in  Paris", " in Paris", 14)
        (12, 21)
    """
    known = start is not None and start >= 0
    if known and context.startswith(text, start):
        return start, start + len(text)
    words = text.split()
    for found in re.escape(text), r"\s+".join(map(re.escape, words)):
        # Looked ahead for, so that places may overlap.
        spans = [match.span(1) for match in re.finditer(f"(?=({found}))", context)] if words else []
        if spans:
            return min(spans, key=lambda span: abs(span[0] - start)) if known else spans[0]
    return None


def first_answer_bytes(context: str, answers: list[dict[str, Any]]) -> tuple[int, int] | None:
    """Where the first answer stands that is in its context, in bytes of its UTF-8.

    Args:
        context: The text that the question is about.
        answers: As ``read_answers`` returns them.

    Returns:
        (start, end); None where there is no answer in the context.

    Example:
        >>> first_answer_bytes("é or Rome", [{"text": "Rome", "start": 5}])
        (6, 10)
    """
    for answer in answers:
        span = place_answer(context, answer["text"], answer["start"])
        if span is not None:
            start = len(context[: span[0]].encode("utf-8"))
            return start, start + len(context[slice(*span)].encode("utf-8"))
    return None


def _is_one(answers):
    if isinstance(answers, str | bytes):
        return True
    if isinstance(answers, Mapping):
        return isinstance(answers.get("text"), str | bytes)
    return isinstance(answers, tuple) and len(answers) == 2 and _is_start(answers[1])


def _from_columns(answers):
    """``datasets``' dict of lists as a list of pairs."""
    texts = answers.get("text", [] if not answers else None)
    texts = texts.tolist() if hasattr(texts, "tolist") else texts
    starts = next((answers[key] for key in START_KEYS if key in answers), None)
    starts = [None] * len(texts or ()) if starts is None else starts
    starts = starts.tolist() if hasattr(starts, "tolist") else starts
    lists = isinstance(texts, list | tuple) and isinstance(starts, list | tuple)
    if not lists or len(texts) != len(starts):
        raise TypeError(f"answers are {shown(answers)}. {FORMS}")
    return list(zip(texts, starts, strict=True))


def _read_one(answer):
    text, start = answer, None
    if isinstance(answer, Mapping):
        text = answer.get("text")
        start = next((answer[key] for key in START_KEYS if key in answer), None)
    elif isinstance(answer, list | tuple) and len(answer) == 2:
        text, start = answer
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str) or not (start is None or _is_start(start)):
        raise TypeError(f"an answer is {shown(answer)}. {FORMS}")
    return {"text": text, "start": None if start is None or start < 0 else int(start)}


def _is_start(value):
    return hasattr(value, "__index__") and not isinstance(value, bool)
