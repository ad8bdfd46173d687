"""Whole pages of every task: self-contained, well-formed, safe; and how they are written."""

import re
import sys

import numpy as np
import pytest

from keras_bert.metrics.report import Scores, Table, write_report
from keras_bert.metrics.report.page import POLICY, page
from tests.metrics.report.pages import (
    ATTACKS,
    TASKS,
    classification,
    entities,
    questions,
    read,
    tags,
)

TEXTS = ATTACKS * 3


@pytest.mark.parametrize("task", TASKS)
def test_pages_are_self_contained_and_safe(task):
    whole = page("A < B", task(TEXTS), {"data": "<script>"}, "One & two")
    reader = read(whole)
    assert whole.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "iframe", "img", "object", "base"} & set(reader.tags)
    for tag, name, value in reader.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "data", "action"):
            assert value.startswith("#"), (tag, name, value)
        if name == "style":
            assert "url(" not in value
    assert "://" not in whole and "@import" not in whole
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for used in re.findall(r'(?:url\(|href=")#([^")]*)', whole):
        assert used in ids
    assert ("meta", "content", POLICY) in reader.attributes
    # Long texts are told of, not shown.
    assert len(whole) < 600_000 and "x" * 2000 not in whole
    assert "100,000 characters in all" in reader.text
    whole.encode("utf-8")


@pytest.mark.parametrize("task", TASKS)
def test_one_example(task):
    read(page("One", task(["a text"])))


@pytest.mark.parametrize("task", TASKS)
def test_pairs_and_equal_texts(task):
    single = task in (entities, questions, tags)
    texts = ["same"] * 5 if single else [("one", "two")] * 5
    read(page("Pairs", task(texts, worst=0)))


def test_same_examples_same_page():
    assert page("T", classification(TEXTS[:12])) == page("T", classification(TEXTS[:12]))


def test_every_section_can_be_reached():
    reader = read(page("T", classification(TEXTS)))
    links = [value[1:] for tag, name, value in reader.attributes if (tag, name) == ("a", "href")]
    sections = [v for tag, name, v in reader.attributes if (tag, name) == ("section", "id")]
    assert links == sections and len(links) == 8


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "report.html"
    assert write_report(path, "One", [Scores("S", scores={"accuracy": 0.5})]) == path
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_report(str(path), "Two", [Scores("S", scores={"accuracy": "no number"})])
    assert path.read_bytes() == before
    write_report(str(path), "Two", [])
    assert b"<title>Two</title>" in path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_where_no_file_can_be(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        write_report(tmp_path, "T", [])
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_report(tmp_path / "no" / "report.html", "T", [])


def test_texts_that_are_no_unicode_are_written(tmp_path):
    path = write_report(tmp_path / "r.html", "\ud800", [Table("T", rows=[])])
    assert "\ufffd" in path.read_text("utf-8")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'keras-bert-garden\[report\]'"):
        classification(["a", "b"])
    entities(["a text"])  # has no plots


def test_users_of_matplotlib_notice_nothing():
    import matplotlib
    from matplotlib import pyplot

    matplotlib.rcParams["figure.facecolor"] = "black"
    before = dict(matplotlib.rcParams)
    dark = page("T", classification(TEXTS))
    assert dict(matplotlib.rcParams) == before and pyplot.get_fignums() == []
    matplotlib.rcdefaults()
    assert page("T", classification(TEXTS)) == dark


def test_numbers_of_other_types(tmp_path):
    scores = {"a": np.float32(0.5), "b": np.int64(1234), "c": float("nan"), "d": 0}
    reader = read(page("T", [Scores("S", None, scores)], {"rows": np.int64(5), "n": 1234}))
    for shown in ("0.5000", "1,234", "\u2013", "0"):
        assert shown in reader.pieces
