"""Rows to examples: texts put together, labels read, what is broken refused or left out."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from keras_bert.data.examples import Examples, SourceError, shown
from keras_bert.data.labels import (
    Reading,
    find_kind,
    find_separator,
    make_reader,
    read_right_choice,
    text_problem,
)
from keras_bert.data.rows import Row, Selection
from keras_bert.data.wanted import AS_GIVEN, Wanted

# Rows looked at to find out what the labels are.
_PEEKED_ROWS = 1_000
# How messages call the texts, by role.
_WORDS = {"text": "text", "text_pair": "second text", "negative": "negative"}


def collect(path: str, selection: Selection, wanted: Wanted, skip_bad_rows: bool) -> Examples:
    """Makes examples of the rows of a source.

    Args:
        path: the source, for messages.
        selection: its columns and rows.
        wanted: what the caller asks for.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.

    Returns:
        The examples, in the order of the rows. Where a source with types has -1 or null in the
        place of every label, they have no labels, as test data has none.

    Raises:
        SourceError: a row is broken, or there is none.
    """
    columns, feature, unit = selection.columns, selection.label, selection.unit
    peeked = list(itertools.islice(selection.rows, _PEEKED_ROWS))
    rows = itertools.chain(peeked, selection.rows)
    label_at = list(columns).index("label") if "label" in columns else None
    if label_at is not None and feature is not None and wanted.with_labels is None:
        rows, has_gold = _gold(rows, label_at)
        if not has_gold:
            columns = {role: column for role, column in columns.items() if role != "label"}
            label_at = None
    labels = [values[label_at] for _, values, _ in peeked if values] if label_at is not None else []
    kind = wanted.label_kind or find_kind(columns, feature, labels)
    if "choices" in columns:
        kind = "choice"
    elif isinstance(columns.get("label"), tuple):
        kind = "labels"
    separator = wanted.label_separator
    if kind == "labels" and separator is None:
        separator = find_separator(labels)
    read = make_reader(kind, columns.get("label"), feature, separator)
    examples = Examples(
        texts=[],
        labels=None if label_at is None else [],
        rows=[],
        skipped=[],
        columns=columns,
        path=path,
        label_kind=kind,
        classes=_classes(kind, columns, feature),
        unit=unit,
    )
    roles = [role for role in columns if role != "label"]
    if kind == "choice":
        _collect_choices(examples, rows, roles, label_at, skip_bad_rows)
    else:
        _collect_texts(examples, rows, roles, label_at, read, skip_bad_rows)
    examples.require_some()
    return examples


def _collect_texts(examples, rows, roles, label_at, read: Callable[[Any], Reading], skip_bad_rows):
    """Appends rows of texts, each with its label where there are any."""
    one_of_each: dict[Any, Any] = {}  # one object per label, however many rows have it
    words = [_WORDS[role] for role in roles]
    has_label = label_at is not None
    # Texts stand first, in the order of their roles.
    single, width = len(roles) == 1, len(roles)
    for row, values, reason in rows:
        label = None
        if reason is None:
            for word, text in zip(words, values, strict=False):
                reason = text_problem(word, text)
                if reason is not None:
                    break
            else:
                if has_label:
                    label, reason = read(values[label_at])
        if reason is not None:
            _refuse(examples, row, reason, skip_bad_rows)
        elif has_label and label is None:
            examples.unlabelled.append(row)
        else:
            examples.texts.append(values[0] if single else tuple(values[:width]))
            examples.rows.append(row)
            if has_label:
                one = isinstance(label, str | tuple)
                examples.labels.append(one_of_each.setdefault(label, label) if one else label)


def _collect_choices(examples, rows, roles, label_at, skip_bad_rows):
    """Appends rows of (prompt, choices) with the number of the right choice."""
    has_label = label_at is not None
    for row, values, reason in rows:
        number = None
        if reason is None:
            parts = dict(zip(roles, values, strict=False))
            text, choices, names, reason = _prompt_and_choices(parts)
        if reason is None and has_label:
            number, reason = read_right_choice(values[label_at], choices, names)
        if reason is not None:
            _refuse(examples, row, reason, skip_bad_rows)
            continue
        start = parts.get("text_pair", "")
        choices = [f"{start} {choice}".strip() if start else choice for choice in choices]
        examples.texts.append((text, tuple(choices)))
        examples.rows.append(row)
        if has_label:
            examples.labels.append(number)
    if has_label:
        _count_from_zero(examples, skip_bad_rows)


def _prompt_and_choices(parts: dict) -> tuple:
    """(prompt, choices, what the source calls them or None, why they are none)."""
    for role in ("text", "text_pair"):
        problem = text_problem(_WORDS[role], parts.get(role, ""))
        if problem:
            return None, None, None, problem
    choices, names = parts["choices"], None
    if isinstance(choices, dict):  # {"text": [...], "label": ["A", ...]}, as in ARC
        choices, names = choices.get("text"), choices.get("label")
    elif isinstance(choices, list | tuple) and all(isinstance(part, dict) for part in choices):
        names = [part.get("label") for part in choices]
        choices = [part.get("text") for part in choices]
    if not isinstance(choices, list | tuple) or len(choices) < 2:
        reason = f"the choices are {shown(parts['choices'])}; a list of two or more is expected"
        return None, None, None, reason
    for number, choice in enumerate(choices):
        problem = text_problem(f"choice {number}", choice)
        if problem:
            return None, None, None, problem
    return parts["text"], choices, names, None


def _count_from_zero(examples: Examples, skip_bad_rows: bool) -> None:
    """Turns labels that count from 1 into such from 0, and refuses those out of range.

    They count from 1 where no label is 0 and one is the number of its choices.
    """
    counts = [len(choices) for _, choices in examples.texts]
    from_one = 0 not in examples.labels and any(
        label == count for label, count in zip(examples.labels, counts, strict=True)
    )
    if from_one:
        examples.labels = [label - 1 for label in examples.labels]
    kept = []
    for index, (label, count) in enumerate(zip(examples.labels, counts, strict=True)):
        if 0 <= label < count:
            kept.append(index)
            continue
        shown_label = label + from_one
        reason = f"the label is {shown_label}, and there are {count} choices"
        _refuse(examples, examples.rows[index], reason, skip_bad_rows)
    if len(kept) < len(counts):
        examples.skipped.sort()
        selected = examples.select(kept)
        examples.texts, examples.labels = selected.texts, selected.labels
        examples.rows = selected.rows


def _refuse(examples: Examples, row: int, reason: str, skip_bad_rows: bool) -> None:
    if not skip_bad_rows:
        raise SourceError(examples.path, row, reason, examples.unit)
    examples.skipped.append((row, reason))


def _gold(rows, label_at: int) -> tuple[Sequence[Row], bool]:
    """The rows, and whether any has a label that is neither -1 nor null."""
    seen = []
    for row in rows:
        seen.append(row)
        values = row[1]
        if values is not None and values[label_at] not in (None, -1, -1.0):
            return itertools.chain(seen, rows), True
    return iter(seen), False


def _classes(kind: str, columns: dict, feature) -> list[str] | None:
    """Names of all classes in the order of the source, where it has one."""
    label = columns.get("label")
    if kind == "labels" and isinstance(label, tuple):
        return [str(column) for column in label]
    if feature is None or feature.classes is None or kind not in ("class", "labels", AS_GIVEN):
        return None
    return list(feature.classes)
