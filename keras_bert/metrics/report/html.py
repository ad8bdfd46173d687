"""Builds HTML in which every string is text, unless it was built here."""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["Html", "escaped", "joined", "tag"]

#: Elements without content or end tag.
VOID = {"br", "meta"}
#: Control characters and lone surrogates, which no HTML page may hold, → what is shown for them.
UNPRINTABLE = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    0xFFFE: "\ufffd",
    0xFFFF: "\ufffd",
}


class Html(str):
    """A string that is markup: what ``tag`` takes as it is. Any other string is escaped."""


def escaped(text: object) -> Html:
    r"""Text as HTML that shows it, whatever it holds, one character for one character.

    Example:
        >>> escaped("<b> & \x00")
        '&lt;b&gt; &amp; ␀'
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape(str(text).translate(UNPRINTABLE)))


def joined(children: Iterable, separator: str = "") -> Html:
    """Children one after the other: strings escaped, ``Html`` as it is, None left out."""
    return Html(escaped(separator).join(_flat(children)))


def tag(name: str, /, *children, **attributes) -> Html:
    """One element.

    Args:
        name: Such as ``"td"``.
        *children: Strings and numbers, which are escaped; ``Html``; lists of these; None is left
            out.
        **attributes: An underscore at the end is dropped, others become hyphens: ``class_``,
            ``aria_label``. None and False leave the attribute out, True gives it no value.

    Example:
        >>> tag("a", "1 < 2", tag("b", 3), href="#x", class_="far", hidden=False)
        '<a href="#x" class="far">1 &lt; 2<b>3</b></a>'
    """
    start = f"<{name}{''.join(_attributes(attributes))}>"
    return Html(start) if name in VOID else Html(f"{start}{joined(children)}</{name}>")


def _attributes(attributes):
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        yield f" {name}" if value is True else f' {name}="{escaped(str(value))}"'


def _flat(children):
    for child in children:
        if isinstance(child, str):
            yield escaped(child)
        elif isinstance(child, Iterable):
            yield from _flat(child)
        elif child is not None:
            yield escaped(child)
