"""Names of labels: checked, and compared with those of a checkpoint's head."""

from __future__ import annotations

from typing import Any

__all__ = [
    "MULTI_LABEL",
    "REGRESSION",
    "SINGLE_LABEL",
    "checked_labels",
    "choose_labels",
    "choose_problem",
    "numbered_labels",
]

#: What a head's outputs stand for, as the field ``problem_type`` in a config of ``transformers``
#: has it.
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"

_TOO_FEW = {
    1: "A classifier needs one label at least; received {labels!r}.",
    2: "A classifier needs two labels at least; received {labels!r}. With one label there is "
    "nothing to decide; num_labels=1 without labels is a regression, which answers with numbers.",
}
_NO_HEAD = (
    "{source} has no classification head for this task, so that it has no labels either: give "
    "labels=[...], the names of your labels."
)


def checked_labels(labels, least: int = 2) -> list[str]:
    """Returns the names as strings.

    Args:
        labels: The names.
        least: How many there must be: where a text may have none of them, one is enough.

    Raises:
        TypeError: If ``labels`` is one string.
        ValueError: If there are fewer than that, or one twice.
    """
    if isinstance(labels, str | bytes):
        raise TypeError(f"labels is a list of names; received {labels!r}.")
    labels = [str(label) for label in labels]
    if len(labels) < least:
        raise ValueError(_TOO_FEW[least].format(labels=labels))
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"Label(s) named twice: {', '.join(twice)}.")
    return labels


def choose_labels(source: str, found: list[str] | None, asked) -> tuple[list[str], bool]:
    """Settles a model's labels.

    Args:
        source: Where the checkpoint is, for the message.
        found: Labels of the checkpoint's head; None if it has none.
        asked: Labels that the user gave, or None.

    Returns:
        The labels; and whether the checkpoint's head is for them: it has the same, or as many
        without names.

    Raises:
        ValueError: If there are none, or as ``checked_labels``.
    """
    if asked is None and found is None:
        raise ValueError(_NO_HEAD.format(source=source))
    labels = checked_labels(found if asked is None else asked)
    return labels, _are_same(found, labels)


def choose_problem(
    source: str, found: list[str] | None, found_type: str | None, labels, num_labels, multi_label
) -> tuple[dict[str, Any], bool]:
    """Settles what a classifier's outputs stand for.

    Args:
        source: Where the checkpoint is, for the message.
        found: Labels of the checkpoint's head; None if it has none.
        found_type: What that head's outputs stand for; None where the checkpoint does not say.
        labels: Labels that the user gave, or None.
        num_labels: Their number, which the user gave, or None.
        multi_label: Whether the user asked for any number of labels per text; None: did not say.

    Returns:
        Arguments for ``BertClassifier``; and whether the checkpoint's head is for them: it has the
        same labels, or as many without names, and does not say that they stand for something else.

    Raises:
        ValueError: If there is nothing to go by, if labels and their number are not the same, or
            as ``checked_labels``.
    """
    named = labels is not None
    if named:
        maybe_many = multi_label or (multi_label is None and found_type == MULTI_LABEL)
        labels = checked_labels(labels, least=1 if maybe_many else 2)
    elif num_labels is not None:
        labels = found if found and len(found) == num_labels else numbered_labels(num_labels)
    elif found is None:
        raise ValueError(_NO_HEAD.format(source=source))
    elif found_type == REGRESSION and len(found) > 1:
        raise ValueError(
            f"The head of {source} answers with {len(found)} numbers at once, which cannot be "
            "loaded. Give labels=[...] for a new head; or num_labels=1, for one number."
        )
    else:
        labels = found
    same = _are_same(found, labels)
    if multi_label is None:
        multi_label = same and found_type == MULTI_LABEL
    is_number = not named and len(labels) == 1 and (num_labels == 1 or found_type != SINGLE_LABEL)
    if multi_label:
        options, asked_type = {"labels": labels, "multi_label": True}, MULTI_LABEL
    elif is_number:
        options, asked_type = {}, REGRESSION
    else:
        options, asked_type = {"labels": checked_labels(labels)}, SINGLE_LABEL
    number = len(labels) if num_labels is None else num_labels
    return {**options, "num_labels": number}, same and found_type in (None, asked_type)


def numbered_labels(count: int) -> list[str]:
    """Names for labels that have none, as ``transformers`` calls them.

    Raises:
        ValueError: If ``count`` is no whole number of 1 or more.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"num_labels={count!r}. Expected a whole number of 1 or more.")
    return [f"LABEL_{i}" for i in range(count)]


def _are_same(found, labels):
    """Whether a head is for these labels: it has them, or as many without names."""
    if not found:
        return False
    return found == labels or (len(found) == len(labels) and found == numbered_labels(len(found)))
