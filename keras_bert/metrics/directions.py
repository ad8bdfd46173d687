"""Whether more of a metric is better or less, by its name."""

from __future__ import annotations

import re

__all__ = ["better"]

#: Word in a metric's name → whether the largest or the smallest value is the best. Of a name with
#: words of both kinds the smallest is: "accuracy_loss" is a loss.
SMALLEST = ("loss", "perplexity", "error", "mse", "rmse", "mae", "mape", "brier", "divergence")
LARGEST = (
    *("accuracy", "acc", "precision", "recall", "f1", "fbeta", "f", "auc", "map", "ap", "mrr"),
    *("ndcg", "mcc", "matthews", "kappa", "pearson", "spearman", "pearsonr", "spearmanr"),
    *("correlation", "exact", "em", "match", "matches", "jaccard", "iou", "r2", "hit", "hits"),
    *("similarity", "score", "glue", "bleu", "rouge"),
)


def better(name: str) -> str | None:
    """Which values of a metric are better.

    Args:
        name: The metric's name, such as ``"val_macro_f1"`` or ``"recall@10"``.

    Returns:
        ``"max"`` or ``"min"``; None where the name does not tell.

    Example:
        >>> better("val_macro_f1"), better("val_loss"), better("val_length")
        ('max', 'min', None)
    """
    words = re.findall(r"[a-z]+[0-9]?", name.lower())
    if any(word in SMALLEST for word in words):
        return "min"
    return "max" if any(word in LARGEST for word in words) else None
