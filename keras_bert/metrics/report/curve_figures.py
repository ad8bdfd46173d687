"""ROC and precision-recall curves of labels, each against all others: all of few, some of many."""

from __future__ import annotations

from collections.abc import Mapping

from keras_bert.metrics.curves import PrecisionRecallCurve, RocCurve
from keras_bert.metrics.report.plots import line_figure
from keras_bert.metrics.report.sections import Figures

__all__ = ["area_of", "curve_figures", "precision_of"]

Curves = tuple[RocCurve, PrecisionRecallCurve]
#: As many labels at most get a line with a name: the lowest ones, where there are more.
MOST_LINES, LOWEST = 7, 5


def area_of(curves: Mapping[int, Curves], label: int) -> float | None:
    """The area under a label's ROC curve; None where it has no curve."""
    return curves[label][0].area if label in curves else None


def precision_of(curves: Mapping[int, Curves], label: int) -> float | None:
    """A label's average precision; None where it has no curve."""
    return curves[label][1].average_precision if label in curves else None


def curve_figures(
    names: Mapping[int, str], curves: Mapping[int, Curves], micro: Curves | None
) -> Figures:
    """Two plots: ROC curves, precision-recall curves.

    Args:
        names: Label → its name.
        curves: Label → its curves; labels that have none are left out.
        micro: Curves over all decisions together; None to leave them out.
    """
    figures = []
    if curves:
        figures = [
            _figure("ROC curves", 0, names, curves, micro),
            _figure("Precision-recall curves", 1, names, curves, micro),
        ]
    intro = "Each label against all others, as the threshold on its probability falls."
    if len(curves) > MOST_LINES:
        intro += (
            f" Of {len(curves):,} labels the {LOWEST} lowest are named, by the area below their "
            "curves; the table of labels has the numbers of all."
        )
    nothing = "A curve needs texts with a label and texts without it."
    return Figures("Curves", intro, figures, nothing)


def _figure(title, kind, names, curves, micro):
    size = [lambda curve: curve.area, lambda curve: curve.average_precision][kind]
    points = [
        lambda curve: (curve.false_positive_rate, curve.true_positive_rate),
        lambda curve: (curve.recall, curve.precision),
    ][kind]
    axes = [("false positive rate", "true positive rate"), ("recall", "precision")][kind]
    of_labels = {label: both[kind] for label, both in curves.items()}
    shown = list(of_labels)
    if len(shown) > MOST_LINES:
        shown = sorted(shown, key=lambda label: size(of_labels[label]))[:LOWEST]
    lines = [(f"{names[i]}: {size(of_labels[i]):.4f}", *points(of_labels[i])) for i in shown]
    if micro is not None:
        lines.insert(0, (f"all decisions (micro): {size(micro[kind]):.4f}", *points(micro[kind])))
    rest = [points(curve) for label, curve in of_labels.items() if label not in shown]
    captions = [
        "The further towards the upper left, the better. In the legend: the area. On the dotted "
        "line true and false texts are told apart no better than by chance.",
        "The further towards the upper right, the better. In the legend: the average precision.",
    ]
    return line_figure(title, lines, axes, rest, diagonal=kind == 0, caption=captions[kind])
