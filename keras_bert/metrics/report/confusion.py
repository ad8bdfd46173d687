"""The confusion matrix: a table for few labels, a heat map for many."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_bert.metrics.report.html import joined, tag
from keras_bert.metrics.report.sections import Section, percent, scrolling
from keras_bert.metrics.report.texts import shown_label

__all__ = ["ConfusionMatrix"]

#: More labels than these are drawn as a heat map, and more than those not all of them.
MOST_IN_TABLE, MOST_IN_MAP = 12, 100
#: Red, green and blue of cells that are right, and of cells that are wrong.
RIGHT, WRONG = (0, 114, 178), (213, 94, 0)
#: Sizes in the heat map: a cell, the room for the labels' names, characters that fit in there.
CELL, ROOM, CHARACTERS = 12, 230, 36


@dataclasses.dataclass
class ConfusionMatrix(Section):
    """How often each label was answered with each.

    Attributes:
        labels: Names, in the order of the counts.
        counts: (labels, labels) int: rows are gold labels, columns predicted ones.
    """

    labels: Sequence[str] = ()
    counts: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), int))

    def body(self):
        """The table or the heat map."""
        return self._table() if len(self.labels) <= MOST_IN_TABLE else self._map()

    def _table(self):
        shares = _row_shares(self.counts)
        head = [tag("th", shown_label(label), scope="col") for label in self.labels]
        rows = [
            tag(
                "tr",
                tag("th", shown_label(label), scope="row"),
                [self._table_cell(i, j, shares[i, j]) for j in range(len(self.labels))],
            )
            for i, label in enumerate(self.labels)
        ]
        corner = tag("th", "gold \u2193 \u00a0 predicted \u2192", scope="col")
        head = tag("thead", tag("tr", corner, head))
        table = tag("table", head, tag("tbody", rows), class_="confusion")
        note = "Rows are gold labels, columns what the model said; in each cell how many there "
        note += "are and their share of the row. The diagonal, framed, is right."
        return joined([scrolling(table, self.title), tag("p", note, class_="aside")])

    def _table_cell(self, i, j, share):
        count = int(self.counts[i, j])
        if not count:
            return tag("td", tag("span", "0", class_="aside"), class_=(i == j and "right") or None)
        background = _mixed(i == j, share)
        style = f"background:{_hex(background)};color:{_ink(background)}"
        return tag(
            "td",
            tag("b", f"{count:,}"),
            tag("br"),
            tag("small", percent(share)),
            style=style,
            class_=(i == j and "right") or None,
        )

    def _map(self):
        shown = self._most_confused()
        counts, shares = self.counts[np.ix_(shown, shown)], _row_shares(self.counts)
        size = CELL * len(shown)
        cells = [
            self._map_cell(shown[i], shown[j], i, j, shares[shown[i], shown[j]])
            for i, j in zip(*np.nonzero(counts), strict=True)
        ]
        drawing = tag(
            "svg",
            self._grid(len(shown)),
            cells,
            self._names(shown),
            role="img",
            aria_label=f"Heat map of the confusion matrix of {len(shown)} labels",
            viewBox=f"0 0 {ROOM + size + 4} {CELL * 2 + size + 4}",
            style=f"min-width:{(ROOM + size) * 0.85:.0f}px",
            class_="map",
        )
        note = (
            "Rows are gold labels, columns what the model said, under the numbers of the rows. "
            "Squares on the diagonal are right (blue); smaller ones off it are wrong (orange). "
            "The darker, the larger the share of the row; point at one for its numbers."
        )
        if len(shown) < len(self.labels):
            note += (
                f" These are the {len(shown)} labels with the most errors out of "
                f"{len(self.labels):,}."
            )
        return joined([scrolling(drawing, self.title), tag("p", note, class_="aside")])

    def _most_confused(self):
        errors = self.counts.sum(0) + self.counts.sum(1) - 2 * self.counts.diagonal()
        return np.sort(np.argsort(-errors, kind="stable")[:MOST_IN_MAP])

    def _map_cell(self, gold, predicted, i, j, share):
        right = gold == predicted
        inset = 0.5 if right else 1.5
        count, of = int(self.counts[gold, predicted]), int(self.counts[gold].sum())
        said = "rightly" if right else f"as {self.labels[predicted]}"
        told = f"{self.labels[gold]} {said}: {count:,} of {of:,}"
        return tag(
            "rect",
            tag("title", told),
            x=ROOM + j * CELL + inset,
            y=CELL * 2 + i * CELL + inset,
            width=CELL - 2 * inset,
            height=CELL - 2 * inset,
            fill=_hex(_mixed(right, share)),
        )

    def _grid(self, labels):
        """A faint line at every fifth row and column, to follow with the eye."""
        ends = ROOM + labels * CELL, CELL * 2 + labels * CELL
        for place in range(0, labels + 1, 5):
            x, y = ROOM + place * CELL, CELL * 2 + place * CELL
            yield tag("line", x1=x, x2=x, y1=CELL * 2, y2=ends[1], stroke="#d5d9df")
            yield tag("line", x1=0, x2=ends[0], y1=y, y2=y, stroke="#d5d9df")

    def _names(self, shown):
        for place, label in enumerate(shown):
            name = self.labels[label]
            name = name if len(name) <= CHARACTERS else f"{name[: CHARACTERS - 1]}\u2026"
            middle = CELL * (place + 0.5)
            text = f"\u2068{name}\u2069 {label + 1}"  # isolated: it may run from right to left
            yield tag("text", text, x=ROOM - 4, y=CELL * 2 + middle + 3.5, text_anchor="end")
            yield tag(
                "text",
                label + 1,
                x=ROOM + middle,
                y=CELL * 2 - 4,
                text_anchor="middle",
                class_="no",
            )


def _row_shares(counts):
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def _mixed(right, share):
    """From almost white to the full colour; the root makes few errors visible."""
    strength = 0.15 + 0.85 * (share if right else share**0.5)
    return [round(255 + (part - 255) * strength) for part in (RIGHT if right else WRONG)]


def _hex(color):
    return "#" + "".join(f"{part:02x}" for part in color)


def _ink(color):
    """Black or white, whichever has more contrast: 4.5 to 1 at least. Source: WCAG 2.2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (part / 255 for part in color)
    ]
    luminance = sum(map(float.__mul__, (0.2126, 0.7152, 0.0722), linear))
    return "#000" if luminance > 0.179 else "#fff"
