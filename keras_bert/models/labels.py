"""Names of labels: checked, and compared with those of a checkpoint's head."""

from __future__ import annotations

__all__ = ["checked_labels", "choose_labels"]


def checked_labels(labels) -> list[str]:
    """Returns the names as strings.

    Raises:
        TypeError: If ``labels`` is one string.
        ValueError: If there are fewer than two, or one twice.
    """
    if isinstance(labels, str | bytes):
        raise TypeError(f"labels is a list of names; received {labels!r}.")
    labels = [str(label) for label in labels]
    if len(labels) < 2:
        raise ValueError(
            f"A classifier needs two labels at least; received {labels!r}. With one label there "
            "is nothing to decide."
        )
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
        raise ValueError(
            f"{source} has no classification head for this task, so that it has no labels either: "
            "give labels=[...], the names of your labels."
        )
    labels = checked_labels(found if asked is None else asked)
    generic = found is not None and all(name == f"LABEL_{i}" for i, name in enumerate(found))
    return labels, found == labels or (generic and len(found) == len(labels))
