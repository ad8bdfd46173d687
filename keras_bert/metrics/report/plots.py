"""Plots as SVG that stands in a page, drawn by matplotlib without its global state."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Sequence

import numpy as np

from keras_bert.metrics.curves import Reliability
from keras_bert.metrics.report.html import Html, joined, tag
from keras_bert.metrics.report.sections import Figure, number
from keras_bert.metrics.report.texts import shown_label

__all__ = ["line_figure", "reliability_figure", "require_matplotlib", "scatter_figures"]

#: Colours that people with any colour vision tell apart, and dashes for those who see none.
#: Source: Okabe and Ito 2008, "Color universal design", without their yellow, faint on white.
STYLES = [
    ("#0072B2", ()),
    ("#D55E00", (6, 2)),
    ("#009E73", (2, 2)),
    ("#CC79A7", (8, 2, 2, 2)),
    ("#000000", (9, 2, 2, 2, 2, 2)),
    ("#56B4E9", (10, 3)),
    ("#A66F00", (4, 1, 1, 1)),
    ("#5E3C99", (3, 4)),
]
BLUE, ORANGE, GREY = STYLES[0][0], STYLES[1][0], "#8a8f98"
SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be read out, searched, and is small
    "svg.hashsalt": "keras_bert",
    "path.simplify_threshold": 0.4,
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#e3e6ea",
    "axes.edgecolor": "#5b626d",
    "text.color": "#1b1f24",
    "axes.labelcolor": "#1b1f24",
    "xtick.color": "#3d444d",
    "ytick.color": "#3d444d",
}
#: More points than these are drawn as the density of points.
MOST_POINTS = 2000


def require_matplotlib() -> None:
    """Raises ModuleNotFoundError, with what to install, where there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "A report draws its plots with matplotlib, which is not installed: "
            "pip install 'keras-bert-garden[report]'.",
            name="matplotlib",
        ) from error


def line_figure(
    title: str,
    lines: Sequence[tuple[str, np.ndarray, np.ndarray]],
    axes: tuple[str, str],
    background: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    diagonal: bool = False,
    corner: tuple[float, float] = (1, 0),
    caption: str | None = None,
) -> Figure:
    """Lines over the unit square, or over its upper left corner.

    Args:
        title: The figure's title.
        lines: Name for the legend, x and y each; as many as there are ``STYLES``.
        axes: Names of the x and the y axis.
        background: x and y of thin grey lines without names.
        diagonal: Whether the line that chance would give is drawn.
        corner: The largest x and the smallest y that are drawn.
        caption: What to see.
    """
    with _axes((5.4, 4.4)) as (figure, plot):
        for x, y in background:
            plot.plot(x, y, color=GREY, linewidth=0.6, alpha=0.45)
        if diagonal:
            plot.plot([0, 1], [0, 1], color="#5b626d", linewidth=0.8, dashes=(1, 3))
        for (_, x, y), (color, dashes) in zip(lines, STYLES, strict=False):
            plot.plot(x, y, color=color, dashes=dashes or (None, None), linewidth=1.9)
        right, low = corner
        plot.set_xlim(-0.01 * right, 1.01 * right)
        plot.set_ylim(low - 0.01 * (1 - low), 1 + 0.02 * (1 - low))
        plot.set(xlabel=axes[0], ylabel=axes[1])
        picture = _svg(figure, title)
    legend = [
        joined([_line_sample(*style), shown_label(name)])
        for (name, _, _), style in zip(lines, STYLES, strict=False)
    ]
    if background:
        legend.append(
            joined([_line_sample(GREY, (), 1), tag("span", f"the other {len(background):,}")])
        )
    return Figure(title, picture, caption, legend)


def reliability_figure(found: Reliability) -> Figure:
    """Accuracy in each bin of confidence, against what it should be, and how full the bins are."""
    title = "Reliability"
    with _axes((5.4, 4.4), rows=(3, 1)) as (figure, (plot, below)):
        left, width = found.edges[:-1], np.diff(found.edges)
        full = found.counts > 0
        accuracy, confidence = found.accuracy[full], found.confidence[full]
        plot.bar(left[full], accuracy, width[full], align="edge", color="#9ec9e8", edgecolor=BLUE)
        plot.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=2)
        plot.plot(confidence, confidence, "D", color=ORANGE, markersize=4.5)
        plot.plot([0, 1], [0, 1], color="#5b626d", linewidth=0.8, dashes=(1, 3))
        plot.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
        plot.tick_params(labelbottom=False)
        shares = found.counts / found.counts.sum()
        below.bar(left, shares, width, align="edge", color="#c9ced6", edgecolor="#5b626d")
        below.set(xlim=(0, 1), xlabel="confidence", ylabel="of all")
        picture = _svg(figure, title)
    legend = [
        joined([_box_sample("#9ec9e8", BLUE), tag("span", "share of the answers that is right")]),
        joined([_diamond_sample(), tag("span", "mean confidence; the line is the gap")]),
        joined([_box_sample("#c9ced6", "#5b626d"), tag("span", "share of all answers in the bin")]),
    ]
    caption = (
        f"Expected calibration error {number(found.expected_error)}: the gaps' mean over all "
        f"answers, in {len(found.counts)} bins. Largest gap {number(found.largest_error)}. "
        "Where the diamonds lie above the bars, the model is surer than it may be."
    )
    return Figure(title, picture, caption, legend)


def scatter_figures(gold: np.ndarray, predicted: np.ndarray) -> list[Figure]:
    """Predicted against gold values, and the residuals against gold values and by frequency."""
    residuals = predicted - gold
    low, high = min(gold.min(), predicted.min()), max(gold.max(), predicted.max())
    with _axes((5.4, 4.4)) as (figure, plot):
        _points(plot, gold, predicted)
        plot.plot([low, high], [low, high], color=ORANGE, linewidth=1.6, dashes=(6, 2))
        plot.set(xlabel="gold value", ylabel="predicted value")
        scatter = _svg(figure, "Predicted against gold")
    with _axes((5.4, 4.4)) as (figure, plot):
        _points(plot, gold, residuals)
        plot.axhline(0, color=ORANGE, linewidth=1.6, dashes=(6, 2))
        plot.set(xlabel="gold value", ylabel="predicted \u2212 gold")
        against = _svg(figure, "Residuals against gold")
    with _axes((5.4, 4.4)) as (figure, plot):
        bins = min(30, max(5, round(len(gold) ** 0.5)))
        plot.hist(residuals, bins=bins, color="#9ec9e8", edgecolor=BLUE)
        plot.axvline(0, color=ORANGE, linewidth=1.6, dashes=(6, 2))
        plot.set(xlabel="predicted \u2212 gold", ylabel="texts")
        histogram = _svg(figure, "How large the residuals are")
    many = "Darker is more texts. " if len(gold) > MOST_POINTS else ""
    return [
        Figure(
            "Predicted against gold",
            scatter,
            f"{many}On the dashed line predictions are exact; above it they are too high.",
        ),
        Figure(
            "Residuals against gold",
            against,
            f"{many}A falling cloud says that the model draws values towards the middle.",
        ),
        Figure(
            "How large the residuals are",
            histogram,
            "Right of the dashed line are predictions that are too high.",
        ),
    ]


def _points(plot, x, y):
    if len(x) > MOST_POINTS:
        # A million circles would make a page of a hundred megabytes.
        plot.hexbin(x, y, gridsize=40, bins="log", mincnt=1, cmap="Blues", linewidths=0.2)
    else:
        plot.plot(x, y, "o", color=BLUE, markersize=4, alpha=0.45, markeredgewidth=0)


@contextlib.contextmanager
def _axes(size, rows=(1,)):
    """A figure of its own and its axes, under settings that are neither the user's nor kept."""
    require_matplotlib()
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figure = Canvas(figsize=size, layout="constrained")
        axes = figure.subplots(
            len(rows), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows}
        )[:, 0]
        yield figure, axes[0] if len(rows) == 1 else axes


def _svg(figure, title):
    """The drawing as one ``<svg>`` element that refers to nothing but itself."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    # The metadata name web addresses; names of spaces mean nothing in HTML.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    # Names of elements have to be unique in the page, and figures use the same ones.
    prefix = "p" + hashlib.sha256(f"{title}{svg}".encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}-", svg)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    start = tag(
        "svg", role="img", aria_label=title, viewBox=f"0 0 {width} {height}", class_="plot"
    ).removesuffix("</svg>")
    return Html(start + svg[svg.index(">") + 1 :].strip())


def _line_sample(color, dashes, width=2):
    line = tag(
        "line",
        x1=0,
        x2=36,
        y1=5,
        y2=5,
        stroke=color,
        stroke_width=width,
        stroke_dasharray=" ".join(map(str, dashes)) or None,
    )
    return tag("svg", line, class_="sample", viewBox="0 0 36 10", aria_hidden="true")


def _box_sample(fill, stroke):
    box = tag("rect", x=10, y=1, width=16, height=8, fill=fill, stroke=stroke)
    return tag("svg", box, class_="sample", viewBox="0 0 36 10", aria_hidden="true")


def _diamond_sample():
    shape = tag("path", d="M18 1l4 4-4 4-4-4z", fill=ORANGE)
    return tag("svg", shape, class_="sample", viewBox="0 0 36 10", aria_hidden="true")
