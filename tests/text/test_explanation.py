import pytest

from keras_bert.text.explanation import ExplainedPiece, Explanation, display_width, visible


def piece(name, index, span, span_bytes, source, *flags):
    return ExplainedPiece(name, index, *span, *span_bytes, source, flags)


EXPLANATION = Explanation(
    "Où 中国\u200b<b>",
    (
        piece("ou", 11, (0, 2), (0, 3), "Où", "changed"),
        piece("中", 7, (3, 4), (4, 7), "中"),
        piece("[UNK]", 100, (4, 9), (7, 16), "国\u200b<b>", "unknown"),
    ),
)


def test_table_lines_up():
    assert str(EXPLANATION).splitlines() == [
        "piece   id  characters  bytes  text",
        "ou      11         0–2    0–3  Où           changed",
        "中       7         3–4    4–7  中",
        r"[UNK]  100         4–9   7–16  国\u200b<b>  unknown",
    ]


def test_nothing_but_the_heading():
    assert str(Explanation("", ())) == "piece  id  characters  bytes  text"


def test_is_a_sequence():
    assert len(EXPLANATION) == 3
    assert EXPLANATION[0].piece == "ou"
    assert [p.id for p in EXPLANATION] == [11, 7, 100]


def test_html_is_escaped():
    table = EXPLANATION._repr_html_()
    assert "<b>" not in table and "&lt;b&gt;" in table
    assert table.count("<tr") == 4 and table.count("</td>") == 18
    assert table.count("background") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é", "plain é"),
        ("a\nb\x1b\xad", r"a\x0ab\x1b\xad"),
        ("\u0301a\u0301", "\\u0301a\u0301"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_visible(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("中ａ", 4), ("a\u0301हि", 3)])
def test_display_width(text, width):
    assert display_width(text) == width
