"""What a progress bar says, as text: numbers short enough, fields that fit the line."""

from __future__ import annotations

import dataclasses
import math

__all__ = ["MARKS", "Field", "bar", "duration", "fitted", "number", "rate", "wrapped"]

#: Done, the step at work, to come.
MARKS = {"unicode": "━╸─", "ascii": "=>."}
LEAST_BAR, MOST_BAR = 8, 40


@dataclasses.dataclass(frozen=True)
class Field:
    """A part of the line.

    Attributes:
        long: Its text where there is room.
        short: Its text where there is little.
        rank: Those with the highest ranks are left out first where there is none.
    """

    long: str
    short: str
    rank: int


def fitted(fields, width: int, marks: str, share: float | None) -> str:
    """One line of at most ``width`` characters: the fields, and a bar behind the first of them.

    All texts long and two spaces apart; else short ones, then one space apart, then with the least
    important left out.

    Args:
        fields: ``Field`` objects in the order in which they are shown.
        width: Characters.
        marks: One of ``MARKS``.
        share: How much of the bar is done, from 0 to 1; None: there is no bar.

    Example:
        >>> fields = [Field("Epoch 1/3", "1/3", 0), Field("loss 0.4", "loss 0.4", 1)]
        >>> fitted(fields, 40, MARKS["ascii"], 0.5)
        'Epoch 1/3  =========>.........  loss 0.4'
        >>> fitted(fields, 12, MARKS["ascii"], 0.5)
        '1/3 loss 0.4'
    """
    fields = list(fields)
    while True:
        for name, gap, least in _LEVELS:
            line = _line(fields, name, gap, width, marks, share, least)
            if line is not None:
                return line
        worst = max(range(len(fields)), key=lambda place: (fields[place].rank, place))
        if share is not None and fields[worst].rank <= BAR_RANK:
            share = None
        elif len(fields) > 1:
            fields.pop(worst)
        else:
            return fields[0].short[:width]


#: From roomy to narrow: which texts, what is between them, least characters of the bar.
_LEVELS = (("long", "  ", 12), ("short", "  ", 10), ("short", " ", LEAST_BAR))

#: The bar itself goes where fields of this rank and below would have to go for it.
BAR_RANK = 3


def _line(fields, name, gap, width, marks, share, least):
    """The line, or None where it does not fit."""
    texts = [getattr(field, name) for field in fields]
    room = width - sum(map(len, texts)) - len(gap) * (len(texts) - 1)
    if share is not None:
        room -= len(gap)
        if room < least:
            return None
        texts.insert(1, bar(share, min(room, MOST_BAR), marks))
    return gap.join(texts) if room >= 0 else None


def bar(share: float, width: int, marks: str) -> str:
    """A bar of so many characters.

    Example:
        >>> bar(0.5, 8, MARKS["ascii"]), bar(1.0, 8, MARKS["ascii"])
        ('====>...', '========')
    """
    done, at_work, to_come = marks
    filled = min(int(share * width), width)
    middle = at_work if filled < width and share > 0 else ""
    return done * filled + middle + to_come * (width - filled - len(middle))


def wrapped(texts, width: int, indent: int = 4) -> str:
    """Texts two spaces apart, in as many lines as it takes; all but the first are indented.

    Example:
        >>> print(wrapped(["Epoch 1/3", "loss 0.4", "val_loss 0.5"], 20))
        Epoch 1/3  loss 0.4
            val_loss 0.5
    """
    lines = [texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + 2 + len(text) <= width:
            lines[-1] += f"  {text}"
        else:
            lines.append(" " * min(indent, max(width - len(text), 0)) + text)
    return "\n".join(lines)


def number(value) -> str:
    """A loss or a score, four or five digits of it.

    Example:
        >>> number(0.43124), number(123.456), number(0.000012345), number(float("nan"))
        ('0.4312', '123.46', '1.23e-05', 'nan')
    """
    try:
        value = float(value)
    except (TypeError, ValueError):
        return str(value)
    size = abs(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if size < 1e-3 or size >= 1e5:
        return f"{value:.2e}"
    return f"{value:.4f}" if size < 10 else f"{value:.2f}"


def rate(value: float) -> str:
    """A number per second, three digits of it.

    Example:
        >>> rate(3.14159), rate(412.3), rate(18_240), rate(1_300_000)
        ('3.14', '412', '18.2k', '1.30M')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit * 0.9995:
            return _three_digits(value / unit) + letter
    return _three_digits(value)


def _three_digits(value):
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def duration(seconds: float) -> str:
    """Minutes and seconds; hours, and days, where it takes them.

    Example:
        >>> duration(42), duration(3_723), duration(180_000), duration(0.25)
        ('0:42', '1:02:03', '2d 02:00', '0:00')
    """
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    if hours >= 24:
        return f"{hours // 24}d {hours % 24:02}:{rest // 60:02}"
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
