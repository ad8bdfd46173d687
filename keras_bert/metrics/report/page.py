"""The page: one HTML file that needs no other, holds no script and asks no network."""

from __future__ import annotations

import functools
import importlib.resources
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_bert.complete_file import check_destination, complete_file
from keras_bert.metrics.report.html import Html, joined, tag
from keras_bert.metrics.report.sections import Section

__all__ = ["page", "write_report"]

#: What a browser may load for the page: nothing. Second to having everything escaped.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_report(
    path: str | os.PathLike,
    title: str,
    sections: Sequence[Section],
    facts: Mapping[str, object] | None = None,
    summary: str | None = None,
) -> Path:
    """Writes a report as one self-contained HTML file.

    Args:
        path: The file. An existing one is replaced once the new one is whole.
        title: The page's heading.
        sections: What it shows, in order: see ``keras_bert.metrics.report.sections``.
        facts: Name → value, at the top: what was scored on what.
        summary: A sentence below the heading.

    Returns:
        The path.

    Raises:
        OSError: If ``path`` is a folder, its folder does not exist, or it cannot be written.
        ModuleNotFoundError: If a section has plots, and matplotlib is not installed.

    Example:
        >>> from keras_bert.metrics.report import Scores, write_report
        >>> sections = [Scores("Scores", scores={"accuracy": 0.93})]
        >>> write_report("report.html", "Reviews", sections)          # doctest: +SKIP
        PosixPath('report.html')
    """
    path = check_destination(path)
    content = page(title, sections, facts, summary).encode("utf-8")
    with complete_file(path) as temporary:
        temporary.write_bytes(content)
    return path


def page(
    title: str,
    sections: Sequence[Section],
    facts: Mapping[str, object] | None = None,
    summary: str | None = None,
) -> Html:
    """The whole page as HTML; see ``write_report``."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", _style()),
    )
    header = tag(
        "header",
        tag("h1", tag("bdi", title)),
        summary and tag("p", summary, class_="summary"),
        facts and tag("dl", map(_fact, facts, facts.values()), class_="facts"),
        _contents(sections),
    )
    parts = [_section(number, section) for number, section in enumerate(sections, 1)]
    body = tag("body", header, tag("main", parts))
    return joined([Html("<!DOCTYPE html>\n"), tag("html", head, "\n", body, lang="en"), "\n"])


@functools.cache
def _style():
    files = importlib.resources.files("keras_bert.metrics.report")
    return Html(files.joinpath("style.css").read_text("utf-8"))


def _fact(name, value):
    shown = f"{value:,}" if isinstance(value, int) else str(value)
    return tag("div", tag("dt", name), tag("dd", tag("bdi", shown)))


def _contents(sections):
    if len(sections) < 2:
        return None
    entries = [
        tag("li", tag("a", section.title, href=f"#s{number}"))
        for number, section in enumerate(sections, 1)
    ]
    return tag("nav", tag("ul", entries), aria_label="Contents")


def _section(number, section):
    return joined(
        [
            "\n",
            tag(
                "section",
                tag("h2", section.title),
                section.intro and tag("p", section.intro),
                section.body(),
                id=f"s{number}",
            ),
        ]
    )
