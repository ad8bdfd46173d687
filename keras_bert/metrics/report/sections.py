"""What a page is made of: one data class per kind of section, each of which writes itself."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence

from keras_bert.metrics.report.html import Html, joined, tag
from keras_bert.metrics.report.texts import shown_label

__all__ = ["Card", "Cards", "Column", "Figure", "Figures", "Scores", "Section", "Table", "number"]

#: Names of scores as keys → as people write them. Others are shown without their underscores.
SCORE_NAMES = {
    "average_precision": "average precision",
    "expected_calibration_error": "calibration error (ECE)",
    "f1": "F1",
    "exact_match": "exact match",
    "macro_f1": "macro-F1",
    "matthews_correlation": "Matthews correlation",
    "mean_absolute_error": "mean absolute error",
    "micro_f1": "micro-F1",
    "pearson": "Pearson correlation",
    "roc_area": "area under ROC",
    "root_mean_squared_error": "root mean squared error",
    "spearman": "Spearman correlation",
}


@dataclasses.dataclass
class Section:
    """A part of a page under a heading.

    Attributes:
        title: The heading.
        intro: A sentence or two on how to read it; None for nothing.
    """

    title: str
    intro: str | None = None

    def body(self) -> Html:
        """What stands under the heading and the intro."""
        raise NotImplementedError


@dataclasses.dataclass
class Scores(Section):
    """Scores as large figures.

    Attributes:
        scores: Name → value.
        notes: Name → what stands in small print below the value.
    """

    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def body(self):
        """One tile per score."""
        tiles = [
            tag(
                "div",
                tag("dt", SCORE_NAMES.get(name, name.replace("_", " "))),
                tag("dd", number(value)),
                self.notes.get(name) and tag("dd", self.notes[name], class_="aside"),
            )
            for name, value in self.scores.items()
        ]
        return tag("dl", tiles, class_="scores")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        kind: ``text``; ``wide``, which is text with a line of its own on a narrow page;
            ``number``; or ``share``, a number from 0 to 1 that is drawn as a bar too.
    """

    name: str
    kind: str = "text"


@dataclasses.dataclass
class Table(Section):
    """Rows under columns.

    Attributes:
        columns: The columns.
        rows: One value per column each: a string, ``Html``, a number, or None for an empty cell.
        nothing: What is said in place of a table without rows.
        stacks: Whether on a narrow page the cells of a row stand below each other: for tables
            with whole texts in them.
    """

    columns: Sequence[Column] = ()
    rows: Sequence[Sequence] = ()
    nothing: str = "There is none."
    stacks: bool = False

    def body(self):
        """The table, or ``nothing``."""
        if not self.rows:
            return tag("p", self.nothing)
        head = [tag("th", c.name, scope="col", class_=c.kind) for c in self.columns]
        rows = [
            tag("tr", [self._cell(*cell) for cell in zip(self.columns, row, strict=True)])
            for row in self.rows
        ]
        style = "stacks" if self.stacks else None
        table = tag("table", tag("thead", tag("tr", head)), tag("tbody", rows), class_=style)
        return scrolling(table, self.title)

    def _cell(self, column, value):
        name = column.name if self.stacks else None
        if column is self.columns[0]:
            return tag("th", _shown(column, value), scope="row", data_name=name)
        return tag("td", _shown(column, value), class_=column.kind, data_name=name)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        title: What it shows; also what a screen reader says of it.
        picture: An ``<svg>`` element.
        caption: What to see in it.
        legend: What its lines mean, as a list of elements.
    """

    title: str
    picture: Html
    caption: str | None = None
    legend: Sequence[Html] = ()

    def html(self):
        """The picture with its title, legend and caption."""
        return tag(
            "figure",
            tag("h3", self.title),
            self.picture,
            tag("ul", [tag("li", entry) for entry in self.legend], class_="legend")
            if self.legend
            else None,
            self.caption and tag("figcaption", self.caption),
        )


@dataclasses.dataclass
class Figures(Section):
    """Pictures side by side, below each other where there is no room.

    Attributes:
        figures: The pictures.
        nothing: What is said where there is none.
    """

    figures: Sequence[Figure] = ()
    nothing: str = "There is nothing to draw."

    def body(self):
        """The pictures."""
        if not self.figures:
            return tag("p", self.nothing)
        return tag("div", [figure.html() for figure in self.figures], class_="figures")


@dataclasses.dataclass(frozen=True)
class Card:
    """One example: what was said of it and its text.

    Attributes:
        head: What was expected, what was answered.
        text: The text, as ``shown_text`` gives it.
    """

    head: Html
    text: Html


@dataclasses.dataclass
class Cards(Section):
    """Examples, one after the other.

    Attributes:
        cards: The examples.
        nothing: What is said where there is none.
        key: How to read the marks in the texts; None for nothing.
        wide: Whether each takes the whole width, for long texts.
    """

    cards: Sequence[Card] = ()
    nothing: str = "There is none."
    key: Html | None = None
    wide: bool = False

    def body(self):
        """A numbered list."""
        if not self.cards:
            return tag("p", self.nothing)
        items = [
            tag("li", tag("div", card.head, class_="head"), tag("div", card.text))
            for card in self.cards
        ]
        return joined([self.key, tag("ol", items, class_="cards wide" if self.wide else "cards")])


def merged(given: Mapping[str, float], ours: Mapping[str, float]) -> dict[str, float]:
    """Given scores, and ours that are not among them."""
    return {**given, **{name: ours[name] for name in ours if name not in given}}


def number(value) -> str:
    """A number as a table shows it: integers whole, others with four decimals or digits.

    Example:
        >>> number(12345), number(0.91234), number(87.654321), number(float("nan"))
        ('12,345', '0.9123', '87.65', '–')
    """
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}"
    value = float(value)
    if math.isnan(value):
        return "\u2013"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"


def percent(share: float) -> str:
    """A share in percent: 100 % and 0 % only where it is that.

    Example:
        >>> print(percent(0.5), percent(0.9999), percent(1))
        50.0 % >99.9 % 100 %
    """
    if share in (0, 1):
        return f"{share:.0%}".replace("%", "\u202f%")
    if share > 0.9995:
        return ">99.9\u202f%"
    return "<0.1\u202f%" if share < 0.0005 else f"{100 * share:.1f}\u202f%"


def scrolling(content: Html, name: str) -> Html:
    """What may be wider than the page: it scrolls by itself, with the keyboard too."""
    return tag("div", content, class_="scrolling", tabindex=0, role="region", aria_label=name)


def _shown(column, value):
    if value is None:
        return None
    if isinstance(value, str):
        return value if isinstance(value, Html) else shown_label(value)
    if column.kind != "share" or math.isnan(value):
        return number(value)
    width = 100 * min(max(float(value), 0), 1)
    bar = tag("span", class_="bar", style=f"width:{width:.1f}%", aria_hidden="true")
    return joined([tag("span", bar, class_="track"), number(value)])
