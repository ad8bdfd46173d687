"""The sections of a report on texts with any number of labels each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from keras_bert.metrics.curves import precision_recall_curve, reliability, roc_curve
from keras_bert.metrics.report.curve_figures import area_of, curve_figures, precision_of
from keras_bert.metrics.report.html import joined, tag
from keras_bert.metrics.report.labels import f1_scores, label_scores, order_of_labels, order_told
from keras_bert.metrics.report.lengths import length_table
from keras_bert.metrics.report.plots import reliability_figure
from keras_bert.metrics.report.sections import (
    Card,
    Cards,
    Column,
    Figures,
    Scores,
    Section,
    Table,
    merged,
    percent,
)
from keras_bert.metrics.report.texts import shown_label, shown_text

__all__ = ["multi_label_sections"]


def multi_label_sections(
    texts: Sequence,
    gold: Sequence[Collection[str]],
    probabilities,
    labels: Sequence[str],
    predicted: Sequence[Collection[str]] | None = None,
    scores: Mapping[str, float] | None = None,
    worst: int = 40,
) -> list[Section]:
    """Scores, labels, worst errors, curves, calibration and lengths.

    Args:
        texts: Strings, or pairs of them.
        gold: The right labels of each text.
        probabilities: (texts, labels) float, what the model says of each label.
        labels: Names of the labels, in the order of the probabilities.
        predicted: The labels that the model gives each text; default: those of 0.5 and more.
        scores: More scores by name; they come first, and in place of ours of the same name.
        worst: Number of texts with errors that are shown.

    Raises:
        ValueError: If there is no text, not one set and one row per text, or an unknown label.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if not len(texts) or probabilities.shape != (len(texts), len(labels)):
        raise ValueError(
            f"Expected probabilities of shape ({len(texts)}, {len(labels)}), one row per text, one "
            f"at least; received {probabilities.shape}."
        )
    truth = _table(gold, labels, len(texts), "gold")
    if predicted is None:
        given = probabilities >= 0.5
    else:
        given = _table(predicted, labels, len(texts), "predicted")
    curves = {
        label: (
            roc_curve(truth[:, label], probabilities[:, label]),
            precision_recall_curve(truth[:, label], probabilities[:, label]),
        )
        for label in range(len(labels))
        if 0 < truth[:, label].sum() < len(texts)
    }
    decisions = truth.ravel(), probabilities.ravel()
    micro = roc_curve(*decisions), precision_recall_curve(*decisions)
    # A decision for or against a label is sure to the extent that its probability is not one half.
    sure = np.maximum(decisions[1], 1 - decisions[1])
    found = reliability(sure, (decisions[1] >= 0.5) == decisions[0])
    return [
        _scores(truth, given, scores or {}),
        _labels(truth, given, labels, curves),
        _errors(texts, truth, given, probabilities, labels, worst),
        curve_figures(dict(enumerate(labels)), curves, micro if curves else None),
        Figures(
            "Calibration",
            "Whether probabilities can be taken at their word. Every label of every text is one "
            "decision; its confidence is the probability of what was decided.",
            [reliability_figure(found)],
        ),
        length_table(
            texts,
            {
                "micro-F1": lambda places: _micro_f1(truth[places], given[places]),
                "all labels right": lambda places: percent(
                    float((truth[places] == given[places]).all(1).mean())
                ),
            },
            share="micro-F1",
        ),
    ]


def _table(sets, labels, texts, name):
    """Sets of names as (texts, labels) bool."""
    if len(sets) != texts:
        raise ValueError(f"Received {texts} texts and {len(sets)} sets of {name} labels.")
    numbers = {label: i for i, label in enumerate(labels)}
    table = np.zeros((texts, len(labels)), bool)
    for row, names in enumerate(sets):
        for label in names:
            if label not in numbers:
                raise ValueError(f"Example {row} has the unknown {name} label {label!r}.")
            table[row, numbers[label]] = True
    return table


def _micro_f1(truth, given):
    return float(f1_scores((truth & given).sum(), truth.sum(), given.sum()))


def _scores(truth, given, more):
    f1 = f1_scores((truth & given).sum(0), truth.sum(0), given.sum(0))
    exact = (truth == given).all(1)
    scores = {
        "micro_f1": _micro_f1(truth, given),
        "macro_f1": float(np.nanmean(f1)) if not np.isnan(f1).all() else float("nan"),
        "all labels right": float(exact.mean()),
        "wrong decisions": float((truth != given).mean()),
    }
    notes = {
        "micro_f1": f"over all {truth.size:,} decisions",
        "macro_f1": "mean over the labels",
        "all labels right": f"{exact.sum():,} of {len(exact):,} texts",
        "wrong decisions": "Hamming loss; 0 is best",
    }
    return Scores("Scores", None, merged(more, scores), notes)


def _labels(truth, given, labels, curves):
    hits, gold, predicted = (truth & given).sum(0), truth.sum(0), given.sum(0)
    precision, recall, f1 = label_scores(hits, gold, predicted)
    rows = [
        [
            labels[i],
            gold[i],
            predicted[i],
            gold[i] - hits[i],
            predicted[i] - hits[i],
            precision[i],
            recall[i],
            f1[i],
            area_of(curves, i),
            precision_of(curves, i),
        ]
        for i in order_of_labels(f1)
    ]
    numbers = ("texts", "predicted", "missed", "false alarms", "precision", "recall")
    columns = [
        Column("label"),
        *(Column(name, "number") for name in numbers),
        Column("F1", "share"),
        Column("area under ROC", "number"),
        Column("average precision", "number"),
    ]
    return Table("Labels", order_told(f1), columns, rows)


def _errors(texts, truth, given, probabilities, labels, worst):
    # How sure the model was of its worst mistake in the text.
    mistaken = np.where(truth, 1 - probabilities, probabilities)
    mistaken = np.where(truth != given, mistaken, -1.0).max(1)
    wrong = np.flatnonzero((truth != given).any(1))
    order = wrong[np.argsort(-mistaken[wrong], kind="stable")][:worst]
    words = {(True, False): "missed", (False, True): "false alarm", (True, True): "right"}
    cards = []
    for i in order:
        parts = [
            joined(
                [
                    tag("span", word, class_="word"),
                    " ",
                    tag("b", shown_label(labels[label])),
                    f" {percent(probabilities[i, label])}",
                ]
            )
            for state, word in words.items()
            for label in np.flatnonzero((truth[i] == state[0]) & (given[i] == state[1]))
        ]
        cards.append(Card(joined([tag("span", part) for part in parts], " "), shown_text(texts[i])))
    intro = "Texts with a label too many or too few, the surest mistake first; each label with the "
    intro += "probability that the model gave it."
    if len(wrong) > len(order):
        intro += f" {len(order):,} of {len(wrong):,} are shown."
    return Cards("Worst errors", intro if cards else None, cards, "There is no error to show.")
