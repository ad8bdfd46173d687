"""The tasks of GLUE: their columns, their labels, and the scores that the benchmark reports."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Sequence

import numpy as np

from keras_bert.metrics.classification import accuracy, f1, matthews_correlation
from keras_bert.metrics.regression import pearson, spearman

__all__ = ["GLUE", "GlueTask", "glue_scores", "glue_task"]

#: Name of a score → its function of labels and predictions, as numbers.
SCORES: dict[str, Callable[[Sequence, Sequence], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews_correlation": matthews_correlation,
    "pearson": pearson,
    "spearman": spearman,
}


@dataclasses.dataclass(frozen=True)
class GlueTask:
    """One task.

    Attributes:
        columns: Names of its text columns, one or two, in the order in which models read them.
        labels: Names of its labels in the order of their numbers; none where they are numbers on a
            scale.
        scores: Names of the scores that GLUE reports, keys of ``SCORES``.
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    scores: tuple[str, ...]

    @property
    def is_regression(self) -> bool:
        """Whether its labels are numbers on a scale."""
        return not self.labels


_ENTAILMENT = ("entailment", "not_entailment")
_SENTENCES = ("sentence1", "sentence2")
_MNLI = (("premise", "hypothesis"), ("entailment", "neutral", "contradiction"))

#: Name of a task → what it is. The label of every task stands in the column ``label``. Source:
#: table 1 of Wang et al. 2018 (arXiv:1804.07461); names of columns and order of labels are those of
#: the ``nyu-mll/glue`` data set.
GLUE = {
    "cola": GlueTask(("sentence",), ("unacceptable", "acceptable"), ("matthews_correlation",)),
    "sst2": GlueTask(("sentence",), ("negative", "positive"), ("accuracy",)),
    "mrpc": GlueTask(_SENTENCES, ("not_equivalent", "equivalent"), ("accuracy", "f1")),
    "qqp": GlueTask(("question1", "question2"), ("not_duplicate", "duplicate"), ("accuracy", "f1")),
    "stsb": GlueTask(_SENTENCES, (), ("pearson", "spearman")),
    "mnli": GlueTask(*_MNLI, ("accuracy",)),
    "mnli_matched": GlueTask(*_MNLI, ("accuracy",)),
    "mnli_mismatched": GlueTask(*_MNLI, ("accuracy",)),
    "qnli": GlueTask(("question", "sentence"), _ENTAILMENT, ("accuracy",)),
    "rte": GlueTask(_SENTENCES, _ENTAILMENT, ("accuracy",)),
    "wnli": GlueTask(_SENTENCES, ("not_entailment", "entailment"), ("accuracy",)),
    "ax": GlueTask(*_MNLI, ("matthews_correlation",)),
}

#: Other spellings, beside capitals, hyphens and underscores: those of papers and of GLUE's folders.
_OTHER_NAMES = {
    "mnlim": "mnli_matched",
    "mnlimm": "mnli_mismatched",
    "mnlimatched": "mnli_matched",
    "mnlimismatched": "mnli_mismatched",
    "sst": "sst2",
    "sts": "stsb",
    "diagnostic": "ax",
}


def glue_task(name: str) -> GlueTask:
    """The task of a name, in any of its spellings: "sst2", "SST-2", "STS-B", "MNLI-mm".

    Raises:
        ValueError: If GLUE has no such task.

    Example:
        >>> glue_task("CoLA").scores
        ('matthews_correlation',)
    """
    plain = str(name).lower().replace("-", "").replace("_", "").replace(" ", "")
    found = _OTHER_NAMES.get(plain, plain)
    if found not in GLUE:
        raise ValueError(f"GLUE has no task {name!r}; it has {', '.join(GLUE)}.")
    return GLUE[found]


def glue_scores(task: str, labels: Sequence, predictions: Sequence) -> dict[str, float]:
    """The scores that GLUE reports of a task.

    MNLI has two sets of examples, matched and mismatched, each with a score of its own: call this
    once for each.

    Args:
        task: Name of the task, as ``glue_task`` takes it.
        labels: What is true, one per example: names of labels or their numbers; for STS-B scores.
        predictions: What was predicted, likewise.

    Returns:
        Scores by name, between -1 and 1. A correlation with something constant is 0 for Matthews'
        (as in scikit-learn) and NaN for Pearson's and Spearman's (as in SciPy).

    Raises:
        ValueError: If GLUE has no such task, a label is unknown (it is named with its place), or
            there is not one prediction per label.

    Source: table 1 of Wang et al. 2018 (arXiv:1804.07461).

    Example:
        >>> glue_scores("MRPC", ["equivalent", "not_equivalent"], [1, 1])
        {'accuracy': 0.5, 'f1': 0.6666666666666666}
    """
    found = glue_task(task)
    known = {name: number for number, name in enumerate(found.labels)}
    read = _read_scores if found.is_regression else _read_labels
    sides = {"labels": labels, "predictions": predictions}
    true, guess = (read(side, values, known) for side, values in sides.items())
    return {name: SCORES[name](true, guess) for name in found.scores}


def _read_labels(side, values, known):
    found = np.empty(len(values), np.int64)
    for i, value in enumerate(values):
        number = known.get(value) if isinstance(value, str) else value
        if isinstance(number, bool | np.bool_) or not isinstance(number, numbers.Integral):
            number = None
        if number is None or not 0 <= number < len(known):
            raise ValueError(
                f"{side}[{i}] is {value!r}; expected one of {', '.join(known)}, or its number from "
                f"0 to {len(known) - 1}. GLUE's test sets, labelled -1, are scored by its server."
            )
        found[i] = number
    return found


def _read_scores(side, values, known):
    found = np.empty(len(values))
    for i, value in enumerate(values):
        try:
            found[i] = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"{side}[{i}] is {value!r}; expected a number.") from None
    return found
