"""The sections of a report on texts with one label each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from keras_bert.metrics.curves import precision_recall_curve, reliability, roc_curve
from keras_bert.metrics.report.confusion import ConfusionMatrix
from keras_bert.metrics.report.curve_figures import area_of, curve_figures, precision_of
from keras_bert.metrics.report.html import Html, joined, tag
from keras_bert.metrics.report.labels import f1_scores, label_scores, order_of_labels, order_told
from keras_bert.metrics.report.lengths import interval, length_table
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

__all__ = ["classification_sections"]

#: Rows in the table of confusions.
MOST_CONFUSIONS = 20


def classification_sections(
    texts: Sequence,
    gold: Sequence[str],
    probabilities,
    labels: Sequence[str],
    scores: Mapping[str, float] | None = None,
    worst: int = 40,
) -> list[Section]:
    """Scores, confusions, labels, worst errors, curves, calibration and lengths.

    Args:
        texts: Strings, or pairs of them.
        gold: The right label of each text. One that is not among ``labels`` counts as an error.
        probabilities: (texts, labels) float, what the model says.
        labels: Names of the labels, in the order of the probabilities.
        scores: More scores by name; they come first, and in place of ours of the same name.
        worst: Number of errors that are shown, those with the highest probability.

    Raises:
        ValueError: If there is no text, or not one label and one row per text.

    Example:
        >>> from keras_bert.metrics.report import classification_sections
        >>> sections = classification_sections(
        ...     ["very good", "poor"], ["good", "bad"], [[0.1, 0.9], [0.6, 0.4]], ["bad", "good"])
        >>> sections[0].scores["accuracy"]
        1.0
    """
    found = _Found(texts, gold, probabilities, labels)
    sections = [
        _scores(found, scores or {}),
        _confusions(found),
        ConfusionMatrix("Confusion matrix", None, found.labels, found.counts),
        _labels(found),
        _errors(found, worst),
        _curves(found),
        Figures(
            "Calibration",
            "Whether the model's confidence, the probability of the label it gives, can be "
            "taken at its word: of the answers given with 80 %, 80 % should be right.",
            [reliability_figure(found.reliability)],
        ),
        length_table(
            found.texts,
            {
                "accuracy": lambda places: float(found.right[places].mean()),
                "95 % interval": lambda places: interval(found.right[places]),
            },
            share="accuracy",
        ),
    ]
    return sections


class _Found:
    """What all sections need of the answers, computed once."""

    def __init__(self, texts, gold, probabilities, labels):
        self.probabilities = np.asarray(probabilities, np.float64)
        if not len(texts) or not len(texts) == len(gold) == len(self.probabilities):
            raise ValueError(
                "Expected one label and one row of probabilities per text, one at least; received "
                f"{len(texts)} texts, {len(gold)} labels, {len(self.probabilities)} rows."
            )
        if self.probabilities.shape[1:] != (len(labels),):
            raise ValueError(
                f"Expected a probability of each of {len(labels)} labels; received shape "
                f"{self.probabilities.shape}."
            )
        self.texts, self.known = texts, len(labels)
        # A label that the model has never seen is a row of the confusion matrix all the same.
        unknown = sorted(set(gold) - set(labels))
        self.labels = [*labels, *unknown]
        numbers = {name: i for i, name in enumerate(self.labels)}
        self.gold = np.array([numbers[name] for name in gold])
        self.probabilities = np.pad(self.probabilities, ((0, 0), (0, len(unknown))))
        self.predicted = self.probabilities.argmax(1)
        self.confidence = self.probabilities.max(1)
        self.right = self.gold == self.predicted
        self.counts = np.zeros((len(self.labels),) * 2, int)
        np.add.at(self.counts, (self.gold, self.predicted), 1)
        self.reliability = reliability(self.confidence, self.right)
        self.curves = {
            place: self._curves_of(place)
            for place in range(self.known)
            if 0 < np.sum(self.gold == place) < len(texts)
        }

    def _curves_of(self, place):
        truth, scores = self.gold == place, self.probabilities[:, place]
        return roc_curve(truth, scores), precision_recall_curve(truth, scores)


def _scores(found, given):
    rows = np.arange(len(found.gold))
    of_gold = found.probabilities[rows, found.gold]
    scores = {
        "accuracy": float(found.right.mean()),
        "macro_f1": float(np.nanmean(_f1(found))),
        # The smallest float32 that a softmax gives, so that one sure error is not infinite.
        "cross_entropy": float(-np.log(np.maximum(of_gold, 1e-38)).mean()),
        "expected_calibration_error": found.reliability.expected_error,
    }
    right, texts = int(found.right.sum()), len(found.right)
    notes = {
        "accuracy": f"{right:,} of {texts:,} right; with 95 % certainty {interval(found.right)}",
        "macro_f1": "mean over the labels",
        "cross_entropy": "mean per text, in nats",
        "expected_calibration_error": "0 is best",
    }
    return Scores("Scores", None, merged(given, scores), notes)


def _f1(found):
    return f1_scores(found.counts.diagonal(), found.counts.sum(1), found.counts.sum(0))


def _confusions(found):
    wrong = found.counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    rows = []
    for gold, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if not wrong[gold, predicted]:
            break
        texts = np.flatnonzero((found.gold == gold) & (found.predicted == predicted))
        surest = texts[found.confidence[texts].argmax()]
        rows.append(
            [
                found.labels[gold],
                found.labels[predicted],
                int(wrong[gold, predicted]),
                percent(wrong[gold, predicted] / found.counts[gold].sum()),
                shown_text(found.texts[surest], longest=140),
            ]
        )
    columns = [
        Column("gold label"),
        Column("predicted as"),
        Column("texts", "number"),
        Column("of the label's", "number"),
        Column("such as", "wide"),
    ]
    pairs, errors = np.count_nonzero(wrong), int(wrong.sum())
    intro = f"{errors:,} texts got a wrong label" if errors != 1 else "1 text got a wrong label"
    intro += f", in {pairs:,} different ways" if pairs > 1 else ""
    intro += "; these are the most frequent." if pairs > len(rows) else "."
    nothing = "No text got a wrong label."
    return Table(
        "Largest confusions", intro if errors else None, columns, rows, nothing, stacks=True
    )


def _labels(found):
    hits, gold, predicted = found.counts.diagonal(), found.counts.sum(1), found.counts.sum(0)
    precision, recall, f1 = label_scores(hits, gold, predicted)
    rows = [
        [
            _label_name(found, i),
            i + 1,
            gold[i],
            predicted[i],
            precision[i],
            recall[i],
            f1[i],
            area_of(found.curves, i),
            precision_of(found.curves, i),
        ]
        for i in order_of_labels(f1)
    ]
    columns = [
        Column("label"),
        *(Column(name, "number") for name in ("no.", "texts", "predicted", "precision", "recall")),
        Column("F1", "share"),
        Column("area under ROC", "number"),
        Column("average precision", "number"),
    ]
    return Table("Labels", order_told(f1), columns, rows)


def _label_name(found, place):
    if place < found.known:
        return found.labels[place]
    aside = tag("span", "unknown to the model", class_="aside")
    return joined([shown_label(found.labels[place]), " ", aside])


def _errors(found, worst):
    wrong = np.flatnonzero(~found.right)
    order = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:worst]
    cards = [Card(_verdict(found, i), shown_text(found.texts[i])) for i in order]
    intro = "Wrong answers, the surest first: often the gold label is the wrong one."
    if len(wrong) > len(order):
        intro += f" {len(order):,} of {len(wrong):,} are shown."
    nothing = "There is no error to show."
    return Cards("Worst errors", intro if cards else None, cards, nothing)


def _verdict(found, place) -> Html:
    """Gold and predicted label of a text, each with its probability."""
    parts = []
    for word, label in (("gold", found.gold[place]), ("predicted", found.predicted[place])):
        share = percent(found.probabilities[place, label])
        said = tag("b", shown_label(found.labels[label]))
        parts.append(tag("span", tag("span", word, class_="word"), " ", said, f" {share}"))
    return joined(parts, " ")


def _curves(found):
    truth = found.gold[:, None] == np.arange(found.known)
    names = {place: found.labels[place] for place in found.curves}
    micro = None
    # Of two labels one is the other's mirror, and the mean of both adds nothing.
    if found.known > 2:
        scores = found.probabilities[:, : found.known].ravel()
        micro = roc_curve(truth.ravel(), scores), precision_recall_curve(truth.ravel(), scores)
    return curve_figures(names, found.curves, micro)
