import pytest

from keras_bert.metrics.report.html import Html, escaped, joined, tag
from tests.metrics.report.pages import ATTACKS, read


@pytest.mark.parametrize("text", ATTACKS)
def test_any_string_is_text_and_nothing_else(text):
    page = tag("p", text, title=text, data_x=[text])
    reader = read(page)
    assert reader.tags == ["p"]
    assert [name for _, name, _ in reader.attributes] == ["title", "data-x"]
    page.encode("utf-8")
    assert len(reader.attributes[0][2]) == len(reader.text) == len(text)
    assert not any(ord(c) < 32 and c not in "\r\n\t" for c in page)


def test_what_was_built_is_kept():
    assert tag("b", tag("i", "<"), ["a", None, 1, [2.5]]) == "<b><i>&lt;</i>a12.5</b>"
    assert joined(["<", Html("<br>")], " & ") == "&lt; &amp; <br>"
    assert isinstance(joined([]), Html) and escaped(Html("<br>")) == "<br>"
    # A string is markup only as long as nobody changes it.
    assert not isinstance(Html("<br>") + "<i>", Html)


def test_attributes():
    element = tag("td", class_="x", aria_label="a b", hidden=False, title=None, open=True)
    assert element == '<td class="x" aria-label="a b" open></td>'
    assert tag("br") == "<br>"
    assert tag("td", title=Html('"><script>')) == '<td title="&quot;&gt;&lt;script&gt;"></td>'
