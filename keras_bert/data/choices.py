"""Examples of a prompt and several choices, one of which is right."""

from __future__ import annotations

import numpy as np

from keras_bert.data.examples import shown
from keras_bert.data.inputs import as_examples, as_list

__all__ = ["choice_segments", "choice_targets", "read_choices", "read_labelled_choices"]

FORMS = (
    "Expected (prompt, [choice, ...]), where the prompt is a text or (context, start of each "
    "choice); with labels, ((prompt, [choice, ...]), label)."
)


def read_choices(x) -> list[tuple]:
    """Reads prompts with their choices.

    Args:
        x: A list of (prompt, choices). The prompt is a text, or a pair of a context and what each
            choice goes on from, as in SWAG; the choices are one text or more, of any number. Or
            ``Examples``, or a table.

    Returns:
        The same as tuples (prompt, list of choices).

    Raises:
        TypeError: If an item is something else; the message names its place.
        ValueError: If there is nothing, or an item has no choices.

    Example:
        >>> read_choices([("It rains.", ["I get wet.", "I get rich."])])
        [('It rains.', ['I get wet.', 'I get rich.'])]
    """
    examples = as_examples(x, with_labels=False, label_kind="choice")
    items = as_list(x) if examples is None else examples.texts
    if not items:
        raise ValueError("Received no prompts.")
    return [_checked(place, item) for place, item in enumerate(items)]


def _checked(place, item):
    if not _is_sequence(item) or len(item) != 2 or not _is_sequence(item[1]):
        raise TypeError(f"Item {place} is {shown(item)}. {FORMS}")
    prompt, choices = item[0], list(item[1])
    if not _is_text(prompt):
        if not _is_sequence(prompt) or len(prompt) != 2 or not all(map(_is_text, prompt)):
            raise TypeError(f"The prompt of item {place} is {shown(prompt)}. {FORMS}")
        prompt = tuple(prompt)
    if not choices:
        raise ValueError(f"Item {place} has no choices. {FORMS}")
    for number, choice in enumerate(choices):
        if not _is_text(choice):
            raise TypeError(f"Choice {number} of item {place} is {shown(choice)}; expected a text.")
    return prompt, choices


def read_labelled_choices(x, y=None) -> tuple[list[tuple], list]:
    """Reads prompts with their choices and which of them is right.

    Args:
        x: Items of ((prompt, choices), label); or what ``read_choices`` takes, with labels in
            ``y``; or ``Examples``, or a table.
        y: Numbers of the right choices from 0, or their texts.

    Returns:
        The examples as ``read_choices`` returns them, and their labels.

    Raises:
        TypeError: If an item is something else; the message names its place.
        ValueError: If there is nothing, or not one label per item.
    """
    examples = as_examples(x, with_labels=True, label_kind="choice") if y is None else None
    if examples is not None:
        return read_choices(examples), examples.labels
    items = as_list(x)
    if y is None:
        for place, item in enumerate(items):
            if not _is_sequence(item) or len(item) != 2 or not _is_sequence(item[0]):
                raise TypeError(f"Item {place} is {shown(item)}. {FORMS}")
        items, labels = [item for item, _ in items], [label for _, label in items]
    else:
        labels = as_list(y)
    if len(items) != len(labels):
        raise ValueError(f"Received {len(items)} prompts and {len(labels)} labels.")
    return read_choices(items), labels


def choice_targets(examples, labels) -> np.ndarray:
    """Numbers of the right choices: (examples,) int32.

    Args:
        examples: As ``read_choices`` returns them.
        labels: Numbers from 0, or texts; of choices with equal texts the first is meant. A text
            that is no choice, but a number, counts as one.

    Raises:
        ValueError: If a label is none of the choices; the message names its place.

    Example:
        >>> choice_targets([("It rains.", ["I get wet.", "I get rich."])], ["I get rich."])
        array([1], dtype=int32)
    """
    pairs = zip(examples, labels, strict=True)
    return np.array([_target(i, e[1], label) for i, (e, label) in enumerate(pairs)], np.int32)


def _target(place, choices, label):
    if _is_text(label):
        texts = [_as_text(choice) for choice in choices]
        if _as_text(label) in texts:
            return texts.index(_as_text(label))
        label = int(label) if _as_text(label).isdecimal() else label
    whole = isinstance(label, int | np.integer) and not isinstance(label, bool | np.bool_)
    if not whole or not 0 <= label < len(choices):
        raise ValueError(
            f"Example {place} has the label {shown(label)}, which is none of its {len(choices)} "
            "choices. Expected one of their texts, or its number from 0."
        )
    return int(label)


def choice_segments(examples) -> tuple[list, list[list]]:
    """What stands in the rows of ids: the first texts (examples,), and the second ones of each.

    Where a prompt is (context, start), the choices come behind the start.

    Example:
        >>> choice_segments([(("He sits.", "He"), ["eats.", "flies."])])
        (['He sits.'], [['He eats.', 'He flies.']])
    """
    prompts, seconds = [], []
    for prompt, choices in examples:
        context, start = prompt if isinstance(prompt, tuple) else (prompt, None)
        prompts.append(context)
        if start is not None:
            choices = [f"{_as_text(start)} {_as_text(choice)}" for choice in choices]
        seconds.append(list(choices))
    return prompts, seconds


def _is_text(value):
    return isinstance(value, str | bytes)


def _is_sequence(value):
    return isinstance(value, list | tuple | np.ndarray)


def _as_text(text):
    return text if isinstance(text, str) else text.decode("utf-8", "replace")
