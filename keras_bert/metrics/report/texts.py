"""Texts on a page: shortened around what matters, with spans of them marked."""

from __future__ import annotations

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Sequence

from keras_bert.metrics.report.html import Html, escaped, joined, tag

__all__ = ["Mark", "plain_text", "shown_label", "shown_text"]

#: Characters shown of a text without marks, and on each side of a mark.
LONGEST, AROUND = 600, 100
#: A gap of fewer characters than these is shown: to tell of it would take as much room.
SHORTEST_GAP = 60
#: How far before the place to cut at a space is looked for.
NEAR = 15
#: Characters in whose place a sign is shown: ends of lines, and those that turn the direction of
#: what follows. Marks of direction that act on their neighbours alone are part of any such text.
SIGNS = re.compile("[\n\u202a-\u202e\u2066-\u2069]")
#: Windows of one long text, at most, and how many times ``longest`` they may be together; what is
#: marked beyond them is counted.
MOST_WINDOWS, MOST_LENGTHS = 12, 4


@dataclasses.dataclass(frozen=True)
class Mark:
    """A span of a text to be marked.

    Attributes:
        start: Its first character.
        end: The place behind its last one.
        style: Class of the mark: ``right``, ``wrong``, ``gold`` or ``predicted``.
        note: What stands behind it, such as its label; None for nothing.
    """

    start: int
    end: int
    style: str
    note: str | None = None


def plain_text(text) -> str | tuple[str, ...]:
    """A text, or a pair of them, as strings: bytes are read as UTF-8."""
    if isinstance(text, tuple | list):
        return tuple(plain_text(part) for part in text)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def shown_label(label: str) -> Html:
    """A label's name, isolated from what stands around it, that may break behind its marks.

    Example:
        >>> str(shown_label("lost_card"))
        '<bdi>lost_<wbr>card</bdi>'
    """
    return tag("bdi", Html(re.sub(r"(?<=[_/])(?=\w)", "<wbr>", escaped(label))))


def shown_text(
    text,
    marks: Sequence[Mark] = (),
    longest: int = LONGEST,
    around: int = AROUND,
    also: Sequence[tuple[int, int]] = (),
) -> Html:
    """A text or a pair of texts, with marks, shortened around them where it is long.

    Args:
        text: A string, bytes, or a pair of such; marks are possible in a single text alone.
        marks: Spans; they may overlap. What lies outside the text is cut, empty ones are left out.
        longest: Characters shown at most of a text without marks. With marks, a longer text is
            shown around them. How long the whole is, is told.
        around: Characters shown on each side of a mark in a longer text.
        also: Start and end of more spans that a long text is shown around, without a mark.

    Example:
        >>> str(shown_text("a < b", [Mark(0, 1, "gold")]))
        '<bdi class="text" dir="auto"><mark class="gold">a</mark> &lt; b</bdi>'
    """
    text = plain_text(text)
    if isinstance(text, tuple):
        parts = [tag("div", shown_text(part, (), longest), class_="part") for part in text]
        return joined(parts)
    if not text:
        return tag("span", "(empty text)", class_="aside")
    marks = [_inside(mark, len(text)) for mark in marks]
    marks = sorted((m for m in marks if m.start < m.end), key=lambda m: (m.start, -m.end))
    places = [(mark.start, mark.end) for mark in marks]
    windows = _windows(text, sorted({*places, *also}), longest, around)
    unseen = sum(mark.start >= windows[-1][1] for mark in marks)
    parts, place = [], 0
    for start, end in windows:
        parts += [_gap(start - place), *_segments(text, start, end, marks)]
        place = end
    parts.append(_gap(len(text) - place))
    shown = tag("bdi", parts, class_="text", dir="auto")
    if place == len(text) and windows == [(0, place)]:
        return shown
    told = f"{len(text):,} characters in all"
    told += f"; {unseen:,} more marks not shown" if unseen else ""
    return joined([shown, " ", tag("span", f"({told})", class_="aside")])


def _inside(mark, length):
    start, end = max(0, min(mark.start, length)), max(0, min(mark.end, length))
    return dataclasses.replace(mark, start=start, end=end)


def _windows(text, places, longest, around):
    """The parts of the text to be shown, in order and apart from each other."""
    if len(text) <= longest + SHORTEST_GAP:
        return [(0, len(text))]
    windows, room = [], longest * MOST_LENGTHS
    for first, behind in places or [(0, longest - around)]:
        first = max(0, min(first, len(text)))
        start = _cut(text, first - around)
        # A span of ten thousand characters is cut too.
        end = _cut(text, min(behind + around, first + longest))
        if room <= 0 or len(windows) == MOST_WINDOWS:
            break
        if windows and start <= windows[-1][1] + SHORTEST_GAP:
            start = windows[-1][1]
            windows[-1][1] = end = max(start, end)
        else:
            windows.append([start, end])
        room -= end - start
    return [tuple(window) for window in windows]


def _cut(text, place):
    """A place near this one to cut at: an end of the text, a space, or between two characters."""
    if place < SHORTEST_GAP:
        return 0
    if place > len(text) - SHORTEST_GAP:
        return len(text)
    space = text.rfind(" ", place - NEAR, place)
    if space >= 0:
        return space + 1
    # Accents and the parts of an emoji are not torn off what they belong to.
    while place < len(text) and (
        unicodedata.category(text[place]) in ("Mn", "Mc", "Me", "Cf", "Sk")
        or text[place - 1] == "\u200d"
    ):
        place += 1
    return place


def _segments(text, start, end, marks):
    """The text of a window, cut wherever a mark begins or ends."""
    inside = [mark for mark in marks if mark.start < end and mark.end > start]
    places = {start, end}
    for mark in inside:
        places |= {place for place in (mark.start, mark.end) if start < place < end}
    for left, right in itertools.pairwise(sorted(places)):
        over = [mark for mark in inside if mark.start <= left and right <= mark.end]
        part = _with_breaks(text[left:right])
        if over:
            styles = " ".join(dict.fromkeys(mark.style for mark in over))
            part = tag("mark", part, class_=styles)
        yield part
        for mark in over:
            if mark.note is not None and right == min(mark.end, end):
                yield tag("span", tag("bdi", mark.note), class_=f"note {mark.style}")


def _with_breaks(text):
    """Escaped text in which ends of lines and changes of direction are signs that can be seen.

    So no text fills a page, or turns what stands around it.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Html(SIGNS.sub(lambda found: _sign(found.group()), escaped(text)))


def _sign(character):
    if character == "\n":
        return tag("span", "\u21b5", class_="aside", title="line break") + " "
    shown, name = f"[U+{ord(character):04X}]", unicodedata.name(character).lower()
    return tag("span", shown, class_="aside", title=name)


def _gap(characters):
    if characters:
        return tag("span", f" \u2026 {characters:,} characters \u2026 ", class_="aside")
    return None
