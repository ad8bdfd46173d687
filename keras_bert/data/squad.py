"""Reads questions about texts: SQuAD 1.1 and 2.0, CMRC 2018, and records of the same content.

=========  =====================================================================================
``.json``  SQuAD's layout, ``{"data": [{"paragraphs": [{"context", "qas": [...]}]}]}``; CMRC's
           own, a list of ``{"context_text", "qas": [...]}``; or a list of flat records
``.jsonl`` one flat record per line, ``{"id", "question", "context", "answers"}``
=========  =====================================================================================

Answers are read in any form that ``keras_bert.data.answers`` knows. Each is looked for where it
should be, then where its text is nearest to that. A question none of whose answers is in its
context stays, since it counts in the official scores; it is listed, and training leaves it out.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_bert.data.answers import place_answer, read_answers
from keras_bert.data.examples import Examples, SourceError, counted, listed, shown

__all__ = ["QuestionExamples", "question_examples", "read_squad"]

#: Part of a question → what it is called, the usual name first: SQuAD and ``datasets``; CMRC.
_KEYS = {
    "id": ("id", "query_id", "qid", "qas_id"),
    "question": ("question", "query_text", "query"),
    "context": ("context", "context_text", "passage", "paragraph"),
    "answers": ("answers", "answer"),
}

_LAYOUT = (
    'Expected SQuAD\'s layout, {"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]}, or a '
    "list of objects with question, context and answers."
)


@dataclasses.dataclass
class QuestionExamples(Examples):
    """Questions about texts, as ``BertSpanLabeler`` takes them.

    Attributes:
        texts: (question, context) per question.
        labels: Per question a list of ``{"text", "start"}``, empty where it has no answer; the
            start in characters of the context, None where the text is not in it. None where the
            source has no answers at all.
        rows: The line, or the number from 1, of each question in its source.
        skipped: (id, reason) of each question left out because of ``skip_bad_rows``.
        columns: What id, question, context and answers are called in the source.
        path: The file, or what else they come from.
        ids: One id per question, none twice.
        unplaced: (id, reason) of each question that has answers, none of them in its context.
        moved: How many answers were found elsewhere than their source says.
        absent: How many answers are not in their context.
    """

    ids: list[str] = dataclasses.field(default_factory=list)
    unplaced: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    moved: int = 0
    absent: int = 0

    @property
    def label_names(self) -> list[str]:
        """None: answers are no classes."""
        return []

    def select(self, indices):
        """Some of these questions, by their index from 0."""
        indices = list(indices)
        return dataclasses.replace(super().select(indices), ids=[self.ids[i] for i in indices])

    @property
    def unanswerable(self) -> int:
        """How many questions have no answer."""
        return sum(not answers for answers in self.labels or ())

    @property
    def answers(self) -> dict[str, list[str]]:
        """Question's id → texts of its answers, as ``keras_bert.metrics`` takes them."""
        pairs = zip(self.ids, self.labels or (), strict=self.labels is not None)
        return {id: [answer["text"] for answer in answers] for id, answers in pairs}

    def require_some(self) -> None:
        """Raises a SourceError where no question is left, with the first reason why."""
        if not self.texts:
            why = "the file holds no questions"
            if self.skipped:
                id, reason = self.skipped[0]
                why = f"no question could be used, {len(self.skipped):,} skipped; {id}: {reason}"
            raise SourceError(self.path, None, why)

    def describe(self) -> str:
        """What was found, in one line."""
        contexts = len({context for _, context in self.texts})
        parts = [f"{self.path}: {counted(len(self), 'question')} about {counted(contexts, 'text')}"]
        if self.labels is None:
            parts.append("without answers")
        elif self.unanswerable:
            parts.append(f"{self.unanswerable:,} of them have no answer")
        if self.moved:
            parts.append(f"{counted(self.moved, 'answer')} found elsewhere than stated")
        if self.absent:
            parts.append(f"{counted(self.absent, 'answer')} not in their text")
        if self.unplaced:
            few = listed((id for id, _ in self.unplaced), 3)
            number = counted(len(self.unplaced), "question")
            parts.append(f"{number} without any answer in the text ({few})")
        if self.skipped:
            parts.append(f"{counted(len(self.skipped), 'bad question')} skipped")
        return ", ".join(parts)


def read_squad(path: str | os.PathLike, skip_bad_rows: bool = False) -> QuestionExamples:
    """Reads questions about texts from a ``.json`` or ``.jsonl`` file.

    Args:
        path: The file, UTF-8; its suffix says the format.
        skip_bad_rows: Leave questions that cannot be used out and list them in ``skipped``: no
            question or context, answers of no known form, an id that was there before.

    Returns:
        The questions, in the order of the file.

    Raises:
        SourceError: If the file is no JSON, of another layout or without questions, or a question
            cannot be used.
        OSError: If the file is missing or cannot be read.

    Source: Rajpurkar et al. 2016 (arXiv:1606.05250), 2018 (arXiv:1806.03822); Cui et al. 2019
    (arXiv:1810.07366).

    Example:
        >>> train = read_squad("train-v2.0.json")                            # doctest: +SKIP
        >>> train.texts[0], train.labels[0]                                  # doctest: +SKIP
        (('When did Beyonce start becoming popular?', 'Beyoncé Giselle ...'),
         [{'text': 'in the late 1990s', 'start': 269}])
    """
    path = os.fspath(path)
    suffix = Path(path).suffix.lower()
    if suffix not in (".json", ".jsonl"):
        raise SourceError(
            path, None, f"the suffix is {suffix or 'missing'}; expected .json, .jsonl"
        )
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(path, None, f"byte {error.start + 1} is no valid UTF-8") from error
    records = _json_lines(path, text) if suffix == ".jsonl" else _json_records(path, text)
    return question_examples(records, path, skip_bad_rows)


def question_examples(
    records: Iterable[Mapping[str, Any]] | Iterable[tuple[int, Mapping[str, Any]]],
    path: str = "the records",
    skip_bad_rows: bool = False,
) -> QuestionExamples:
    """Makes examples of flat records, such as the rows of a Hugging Face ``datasets.Dataset``.

    Args:
        records: Mappings with ``question``, ``context``, and where they exist ``id``, ``answers``
            and ``is_impossible``; or (line, mapping).
        path: What errors and ``describe`` call them.
        skip_bad_rows: As in ``read_squad``.

    Raises:
        SourceError: As in ``read_squad``.

    Example:
        >>> record = {"question": "Where?", "context": "In Rome.", "answers": ["Rome"]}
        >>> question_examples([record]).labels
        [[{'text': 'Rome', 'start': 3}]]
    """
    examples = QuestionExamples([], [], [], [], {}, path)
    seen, with_answers = set(), 0
    for number, record in enumerate(records, start=1):
        row, record = record if isinstance(record, tuple) else (number, record)
        id = str(_value(record, "id", f"question {row}"))
        try:
            question, context, answers = _read_record(record, examples.columns)
            if id in seen:
                raise ValueError("the id was there before")
        except (TypeError, ValueError) as error:
            if not skip_bad_rows:
                name = id if id == f"question {row}" else f"question {row}, id {id}"
                raise SourceError(path, None, f"{name}: {error}") from error
            examples.skipped.append((id, str(error)))
            continue
        seen.add(id)
        examples.ids.append(id)
        examples.rows.append(row)
        examples.texts.append((question, context))
        with_answers += answers is not None
        examples.labels.append(answers or [])
        _place(examples, id, context, examples.labels[-1])
    examples.require_some()
    if not with_answers:
        examples.labels = None
    elif with_answers < len(examples):
        raise SourceError(path, None, f"only {with_answers} of {len(examples)} have answers")
    return examples


def _read_record(record, columns):
    """One question: its text, its context and its answers, None where it does not say."""
    if not isinstance(record, Mapping):
        raise TypeError(f"an object expected, {shown(record)} found")
    texts = []
    for part in ("question", "context"):
        value = _value(record, part, None)
        if not isinstance(value, str):
            raise TypeError(f"the {part} is {shown(value)}, no text")
        texts.append(value)
    for part, keys in _KEYS.items():
        for key in keys:
            if key in record:
                columns.setdefault(part, key)
    if record.get("is_impossible"):
        return *texts, []
    told = any(key in record for key in _KEYS["answers"])
    return *texts, read_answers(_value(record, "answers", None)) if told else None


def _value(record, part, default):
    if not isinstance(record, Mapping):
        return default
    return next((record[key] for key in _KEYS[part] if record.get(key) is not None), default)


def _place(examples, id, context, answers):
    """Sets each answer's start to where it is; notes what was moved and what is nowhere."""
    for answer in answers:
        span = place_answer(context, answer["text"], answer["start"])
        if span is None:
            examples.absent += 1
        elif answer["start"] not in (None, span[0]):
            examples.moved += 1
        answer["start"] = None if span is None else span[0]
    if answers and all(answer["start"] is None for answer in answers):
        reason = f"{shown(answers[0]['text'])} is not in its context"
        examples.unplaced.append((id, reason))


def _json_lines(path, text) -> Iterator[tuple[int, Any]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                yield line, json.loads(content)
            except ValueError as error:
                raise SourceError(path, line, f"not JSON: {error}") from error


def _json_records(path, text) -> Iterator[Mapping[str, Any]]:
    """The flat records of any of the layouts of a JSON file."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(path, None, f"not JSON: {error}") from error
    data = content.get("data") if isinstance(content, dict) else content
    if not isinstance(data, list):
        raise SourceError(path, None, f"another layout. {_LAYOUT}")
    for entry in data:
        paragraphs = entry.get("paragraphs", [entry]) if isinstance(entry, dict) else [entry]
        for paragraph in paragraphs if isinstance(paragraphs, list) else [paragraphs]:
            if isinstance(paragraph, dict) and isinstance(paragraph.get("qas"), list):
                shared = {"context": _value(paragraph, "context", None)}
                for qa in paragraph["qas"]:
                    yield {**qa, **shared} if isinstance(qa, dict) else qa
            else:
                yield paragraph
