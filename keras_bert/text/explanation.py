"""What a tokenizer made of a text, as a table for people."""

from __future__ import annotations

import dataclasses
import html
import unicodedata
from collections.abc import Iterator, Sequence

__all__ = ["ExplainedPiece", "Explanation", "display_width", "visible"]

_COLUMNS = ("piece", "id", "characters", "bytes", "text", "")
_RIGHT = ("id", "characters", "bytes")
# Rows of these flags are tinted where there are colours.
_TINTS = {"unknown": "#d9303033", "special": "#3060d933"}


@dataclasses.dataclass(frozen=True)
class ExplainedPiece:
    """One piece of a text.

    Attributes:
        piece: the token as the vocabulary has it.
        id: its id.
        start, end: its span in characters of the text, `end` excluded.
        start_byte, end_byte: its span in bytes.
        source: the text there.
        flags: of "unknown" (stands for what the vocabulary cannot spell), "special" (another
            special token), "added" (an added token), "continuation" (goes on with the word before),
            "changed" (normalisation made something else of the text: `source` is not what the
            piece says).
    """

    piece: str
    id: int
    start: int
    end: int
    start_byte: int
    end_byte: int
    source: str
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Explanation(Sequence):
    """The pieces of a text; printed, a table, and in notebooks too.

    Attributes:
        text: the text.
        pieces: tuple of `ExplainedPiece`; the object itself is a sequence of them.

    Example:
        >>> print(tokenizer.explain("Überbringer"))
        piece      id  characters  bytes  text
        uber    19169         0–4    0–5  Über  changed
        ##bri   23736         4–7    5–8  bri   continuation
        ##nger  11392        7–11   8–12  nger  continuation
    """

    text: str
    pieces: tuple[ExplainedPiece, ...]

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index):
        return self.pieces[index]

    def __str__(self) -> str:
        rows = [_COLUMNS, *self._cells()]
        widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                _padded(cell, width, name in _RIGHT)
                for cell, width, name in zip(row, widths, _COLUMNS, strict=True)
            ).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        """The table as HTML, for notebooks."""
        lines = ["<table>", _html_row("th", _COLUMNS)]
        for piece, cells in zip(self.pieces, self._cells(), strict=True):
            tint = next((_TINTS[flag] for flag in piece.flags if flag in _TINTS), None)
            lines.append(_html_row("td", cells, tint))
        return "\n".join([*lines, "</table>"])

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for piece in self.pieces:
            yield (
                visible(piece.piece),
                str(piece.id),
                f"{piece.start}–{piece.end}",
                f"{piece.start_byte}–{piece.end_byte}",
                visible(piece.source),
                ", ".join(piece.flags),
            )


def visible(text: str) -> str:
    """A text in one line that shows, and cannot move a terminal's cursor.

    Characters that have no sign of their own are written as escapes; accents stay on their letters.
    """
    return "".join(
        c if c.isprintable() and (i or not unicodedata.combining(c)) else _escaped(c)
        for i, c in enumerate(text)
    )


def display_width(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese characters take two, accents none."""
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - display_width(text))
    return space + text if right else text + space


def _html_row(tag: str, cells: Sequence[str], tint: str | None = None) -> str:
    style = f' style="background:{tint}"' if tint else ""
    inner = "".join(
        f'<{tag} style="text-align:{"right" if name in _RIGHT else "left"};white-space:pre">'
        f"{html.escape(cell)}</{tag}>"
        for cell, name in zip(cells, _COLUMNS, strict=True)
    )
    return f"<tr{style}>{inner}</tr>"
