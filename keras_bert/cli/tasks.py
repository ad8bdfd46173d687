"""What the commands need to know of each task: its model, its data, how its answers look."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keras_bert.data.examples import Examples, SourceError, shown

__all__ = ["TASKS", "Task", "is_data", "read_data", "task_of_examples", "task_of_model"]

#: Splits of a data set with a name, by the option that it is given to.
SPLITS = {"train": "train", "validation": "validation", "data": "validation"}


@dataclasses.dataclass(frozen=True)
class Task:
    """A task as the command line has it.

    Attributes:
        model: Name of the task model in ``keras_bert``.
        label_kind: What labels are, as ``read_dataset`` takes it; None: found, or none needed.
        with_labels: Whether examples have labels; None: they may.
        options: Examples → arguments of ``from_pretrained``.
        lines: Text and answer → lines for a terminal.
        check: Refuses examples that nothing can be learned from.
    """

    model: str
    label_kind: str | None
    lines: Callable[[Any, Mapping], Iterator[str]]
    options: Callable[[Examples], dict] = lambda train: {}
    check: Callable[[Examples], None] = lambda train: None
    with_labels: bool | None = True


def _two_labels(train: Examples) -> None:
    labels = train.label_names
    if len(labels) == 1:
        reason = f"every row has the label {shown(labels[0])}; two or more are needed"
        raise SourceError(train.path, None, reason)


def _labels(train):
    return {"labels": train.label_names}


def _class_lines(text, answer):
    yield f"{answer['probability']:.3f}  {answer['label']}"


def _labels_lines(text, answer):
    yield ", ".join(answer["labels"]) or "(none)"


def _value_lines(text, answer):
    yield f"{answer['value']:.3f}"


def _entity_lines(text, answer):
    for entity in answer["entities"]:
        where = f"{entity['start']}-{entity['end']}"
        yield f"{entity['score']:.3f}  {entity['label']:<8} {where:<9} {entity['text']}"
    if not answer["entities"]:
        yield "(nothing found)"


def _span_lines(text, answer):
    where = f"{answer['start']}-{answer['end']}"
    yield f"{answer['probability']:.3f}  {where:<9} {answer['text'] or '(no answer)'}"


def _choice_lines(text, answer):
    yield f"{answer['probability']:.3f}  {answer['choice']}"


def _word_lines(text, answer):
    for mask in answer:
        yield "  ".join(f"{word['score']:.3f} {word['token']}" for word in mask)
    if not answer:
        yield "(no masked word)"


def _vector_lines(text, answer):
    yield " ".join(f"{number:.4f}" for number in answer["embedding"])


#: Name on the command line → task.
TASKS = {
    "classification": Task("BertClassifier", "class", _class_lines, _labels, _two_labels),
    "multi-label": Task(
        "BertClassifier", "labels", _labels_lines, lambda e: {**_labels(e), "multi_label": True}
    ),
    "regression": Task("BertClassifier", "value", _value_lines, lambda e: {"num_labels": 1}),
    "tagging": Task("BertTokenClassifier", None, _entity_lines, _labels),
    "question-answering": Task("BertSpanLabeler", None, _span_lines),
    "multiple-choice": Task("BertMultipleChoice", "choice", _choice_lines),
    "similarity": Task("DualEncoder", "value", _vector_lines, with_labels=None),
    "masked-words": Task("BertMaskedLM", None, _word_lines, with_labels=False),
}

#: A classifier's ``problem_type`` → task.
_PROBLEMS = {
    "multi_label_classification": "multi-label",
    "regression": "regression",
}


def task_of_model(model) -> str:
    """The name of a model's task."""
    problem = _PROBLEMS.get(getattr(model, "problem_type", None))
    kinds = (name for name, task in TASKS.items() if task.model == type(model).__name__)
    return problem or next(kinds)


def is_data(path: str) -> bool:
    """Whether a file is more than lines of text, by its suffix."""
    from keras_bert.data.reading import DATA_SUFFIXES

    return os.path.splitext(path)[1].lower() in DATA_SUFFIXES


def task_of_examples(examples: Examples) -> str | None:
    """The task of examples that are of one kind only: sentences of tagged words, questions."""
    # Here, for it costs time that --help does not need.
    from keras_bert.data import QuestionExamples, TaggedExamples

    if isinstance(examples, TaggedExamples):
        return "tagging"
    return "question-answering" if isinstance(examples, QuestionExamples) else None


def read_data(
    args, source: str, role: str, task: str | None = None, with_labels: bool | None = True
) -> tuple[Examples, str]:
    """Reads the data that an option names.

    Args:
        args: The command's arguments, with its columns.
        source: A file, a folder, or the name of a data set.
        role: A key of ``SPLITS``: which split is read of what has several.
        task: A key of ``TASKS``; None: as the data say, or classification.
        with_labels: False: labels are not wanted.

    Returns:
        The examples, and the task.

    Raises:
        SourceError: If the data cannot be read, or are not for the task.
    """
    from keras_bert.data import read_dataset

    kind = TASKS[task or "classification"]
    examples = read_dataset(
        source,
        None if os.path.isfile(source) else SPLITS[role],
        text_column=args.text_column,
        text_pair_column=args.text_pair_column,
        label_column=getattr(args, "label_column", None),
        label_kind=kind.label_kind,
        with_labels=with_labels and kind.with_labels,
        skip_bad_rows=args.skip_bad_rows,
    )
    found = task_of_examples(examples)
    wanted = task if task in ("tagging", "question-answering") else None
    if found != wanted and not (found and task is None):
        has = {"tagging": "tagged words", "question-answering": "questions with contexts"}
        reason = f"it has {has.get(found, 'labelled texts')}, which is no data for {task}"
        raise SourceError(source, None, reason)
    return examples, found or task or "classification"
