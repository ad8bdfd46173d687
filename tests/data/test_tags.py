"""Schemes of tags: recognised, read and written."""

import random

import pytest

from keras_bert.data.tags import (
    are_entity_tags,
    normal_tags,
    scheme_of,
    spans_of_tags,
    tag_names,
    tag_parts,
    tags_of_spans,
)


@pytest.mark.parametrize(
    ("rows", "scheme"),
    [
        (["I-X I-X O", "I-X B-X"], "IOB1"),
        (["I-X O"], "IOB1"),
        (["B-X I-X O", "B-Y"], "IOB2"),
        (["B-X O", "I-X O"], "IOB2"),  # one tag against the scheme
        (["I-X E-X O E-Y"], "IOE2"),
        (["I-X I-X O", "I-X E-X I-X"], "IOE1"),
        (["B-X E-X O S-Y"], "IOBES"),
        (["S-X O"], "IOBES"),
        (["B-X L-X O", "U-Y"], "BILOU"),
        (["B I O"], "IOB2"),
        (["O O"], "IOB2"),
        (["DET NOUN", "B-X"], "plain"),
        (["IN NNP SYM O"], "plain"),
    ],
)
def test_schemes_are_recognised(rows, scheme):
    assert scheme_of([row.split() for row in rows]) == scheme


@pytest.mark.parametrize("scheme", ["IOB2", "IOE2", "IOBES", "BILOU"])
def test_there_and_back(scheme):
    rng = random.Random(5)
    for _ in range(300):
        words, spans, place = rng.randint(0, 12), [], 0
        while place < words:
            length = rng.randint(1, 4)
            if rng.random() < 0.6 and place + length <= words:
                spans.append((rng.choice(["X", "a-b", "_"]), place, place + length))
            place += length
        tags = tags_of_spans(spans, words, scheme)
        assert spans_of_tags(tags) == spans
        assert normal_tags(tags, scheme) == tags
        assert spans_of_tags(normal_tags(tags)) == spans
    assert scheme_of([["O", *tags_of_spans([("X", 0, 3)], 3, scheme)]]) == scheme


@pytest.mark.parametrize(
    ("tags", "normal"),
    [
        ("I-X I-X B-X O I-Y", "B-X I-X B-X O B-Y"),
        ("B-X I-Y I-Y O I-X", "B-X B-Y I-Y O B-X"),
        ("E-X E-X I-X S-X I-X", "B-X B-X B-X B-X B-X"),
        ("I O B I", "B O B I"),
        ("", ""),
    ],
)
def test_what_continues_nothing_begins(tags, normal):
    assert normal_tags(tags.split()) == normal.split()


def test_names():
    assert tag_names(["O", "S-b", "I-a"]) == ["O", "B-a", "I-a", "B-b", "I-b"]
    assert tag_names(["B", "O"]) == ["O", "B", "I"]
    assert tag_names(["NOUN", "ADJ"]) == ["ADJ", "NOUN"]
    assert tag_names(["NOUN", "O"]) == ["O", "NOUN"]
    assert tag_names([]) == ["O"]
    assert tag_parts("B-a-b") == ("B", "a-b")
    assert tag_parts("") is None and tag_parts("b-x") is None and tag_parts("X-y") is None
    assert are_entity_tags(["O"]) and not are_entity_tags(["-LRB-", "NN"])
