"""Texts with marks: what is shown, what is marked, what is told of the rest."""

import re

import pytest

from keras_bert.metrics.report.texts import Mark, shown_label, shown_text
from tests.metrics.report.pages import ATTACKS, read


def marked(html, style):
    """The parts of a text that carry a style, as text."""
    found = re.findall(r'<mark class="([^"]*)">(.*?)</mark>', html, flags=re.S)
    return [read(part).text for styles, part in found if style in styles.split()]


@pytest.mark.parametrize("text", [text for text in ATTACKS if 0 < len(text) < 100])
def test_every_character_can_be_marked(text):
    for start in range(len(text)):
        html = shown_text(text, [Mark(start, start + 1, "gold")])
        assert len(marked(html, "gold")) == 1 and len(marked(html, "gold")[0]) in (1, 2, 8)
        assert "script" not in read(html).tags
        read(html)


def test_marks_that_overlap():
    html = shown_text("0123456789", [Mark(2, 6, "gold", "A"), Mark(4, 8, "predicted", "B")])
    assert "".join(marked(html, "gold")) == "2345"
    assert "".join(marked(html, "predicted")) == "4567"
    # A note stands where its mark ends.
    assert read(html).text == "012345A67B89"


def test_marks_outside_are_cut_and_empty_ones_left_out():
    marks = [Mark(-5, 2, "gold"), Mark(8, 99, "gold"), Mark(4, 4, "gold", "no"), Mark(50, 60, "x")]
    html = shown_text("0123456789", marks)
    assert marked(html, "gold") == ["01", "89"]
    assert read(html).text == "0123456789"


def test_a_long_text_is_shown_around_its_marks():
    text = "a " * 30_000 + "<here>" + " b" * 20_000
    html = shown_text(text, [Mark(60_000, 60_006, "gold", "LOC")])
    assert marked(html, "gold") == ["<here>"]
    assert len(html) < 2000
    shown = read(html).text
    assert "100,006 characters in all" in shown
    before, after = (int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) characters …", shown))
    told = len(re.sub(r"….*?…|\(.*\)|LOC", "", shown).strip())
    assert before + after + told == pytest.approx(100_006, abs=4)


def test_a_mark_of_a_whole_long_text_is_cut_too():
    html = shown_text("x" * 100_000, [Mark(0, 100_000, "gold", "LOC")])
    assert len(html) < 3000 and "100,000 characters in all" in read(html).text


def test_more_marks_than_a_page_takes_are_counted():
    marks = [Mark(place, place + 3, "gold") for place in range(0, 100_000, 1000)]
    shown = read(shown_text("y" * 100_000, marks)).text
    assert "88 more marks not shown" in shown and len(shown) < 5000


def test_a_long_text_without_marks_is_cut_at_its_end():
    shown = read(shown_text("word " * 1000)).text
    assert shown.startswith("word word") and "(5,000 characters in all)" in shown
    assert 590 < len(shown) < 700
    assert "characters" not in read(shown_text("z" * 620)).text


def test_an_emoji_is_not_torn():
    family = "👩\u200d👩\u200d👧"
    shown = read(shown_text(family * 500, longest=100)).text
    assert len(shown.split(" …")[0]) % len(family) == 0


def test_lines_are_signs():
    html = shown_text("a\nb\r\nc\rd")
    assert html.count("\u21b5") == 3 and "\n" not in html


def test_a_turn_of_direction_is_a_sign_too():
    html = shown_text("a\u202eb\u2069", [Mark(1, 3, "gold")])
    assert marked(html, "gold") == ["[U+202E]b"] and "\u202e" not in html
    assert 'title="right-to-left override"' in html
    assert "\u200f" in shown_text("\u200fא")  # a mark that turns nothing but itself


def test_pairs_bytes_and_nothing():
    assert read(shown_text((b"caf\xc3\xa9", "<b>"))).text == "café<b>"
    assert read(shown_text("")).text == "(empty text)"
    assert read(shown_text(b"\xff")).text == "\ufffd"


def test_labels_may_break():
    assert shown_label("a_b/<c") == "<bdi>a_<wbr>b/&lt;c</bdi>"
