"""The sections of a report on texts with one number each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_bert.metrics.report.html import joined, tag
from keras_bert.metrics.report.lengths import length_table
from keras_bert.metrics.report.plots import scatter_figures
from keras_bert.metrics.report.sections import Card, Cards, Figures, Scores, Section, merged, number
from keras_bert.metrics.report.texts import shown_text

__all__ = ["regression_sections"]


def regression_sections(
    texts: Sequence,
    gold,
    predicted,
    scores: Mapping[str, float] | None = None,
    worst: int = 40,
) -> list[Section]:
    """Scores, scatter plot and residuals, worst errors, lengths.

    Args:
        texts: Strings, or pairs of them.
        gold: (texts,) float, the right values.
        predicted: (texts,) float, what the model says.
        scores: More scores by name, such as correlations; they come first.
        worst: Number of errors that are shown, the largest ones.

    Raises:
        ValueError: If there is no text, not one value of each kind per text, or one is not finite.

    Example:
        >>> from keras_bert.metrics.report import regression_sections
        >>> regression_sections(["a", "b"], [1.0, 2.0], [1.5, 2.0])[0].scores["mean_absolute_error"]
        0.25
    """
    gold, predicted = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    if not len(texts) or not gold.shape == predicted.shape == (len(texts),):
        raise ValueError(
            "Expected one gold and one predicted value per text, one at least; received "
            f"{len(texts)} texts, values of shapes {gold.shape} and {predicted.shape}."
        )
    if not (np.isfinite(gold).all() and np.isfinite(predicted).all()):
        raise ValueError("Expected finite values; received NaN or infinity.")
    residuals = predicted - gold
    return [
        _scores(residuals, scores or {}),
        Figures("Predictions", None, scatter_figures(gold, predicted)),
        _errors(texts, gold, predicted, worst),
        length_table(
            texts,
            {
                "mean absolute error": lambda places: float(np.abs(residuals[places]).mean()),
                "mean of predicted \u2212 gold": lambda places: float(residuals[places].mean()),
            },
        ),
    ]


def _scores(residuals, more):
    scores = {
        "mean_absolute_error": float(np.abs(residuals).mean()),
        "root_mean_squared_error": float(np.sqrt(np.mean(residuals**2))),
        "mean of predicted \u2212 gold": float(residuals.mean()),
    }
    notes = {"mean of predicted \u2212 gold": "above 0: too high on the whole"}
    return Scores("Scores", None, merged(more, scores), notes)


def _errors(texts, gold, predicted, worst):
    errors = np.abs(predicted - gold)
    order = np.argsort(-errors, kind="stable")[:worst]
    cards = []
    for i in order[errors[order] > 0]:
        values = {
            "gold": number(gold[i]),
            "predicted": number(predicted[i]),
            "difference": f"{predicted[i] - gold[i]:+.4g}",
        }
        head = [
            tag("span", tag("span", word, class_="word"), " ", tag("b", value))
            for word, value in values.items()
        ]
        cards.append(Card(joined(head, " "), shown_text(texts[i])))
    intro = "The largest differences first."
    return Cards("Worst errors", intro if cards else None, cards, "There is no error to show.")
