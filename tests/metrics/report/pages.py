"""Reads pages as a browser does, and examples of every task to make them of."""

import html.parser

import numpy as np

from keras_bert.metrics.report import (
    classification_sections,
    entity_sections,
    multi_label_sections,
    question_sections,
    regression_sections,
    tag_sections,
)

#: Texts that would break a page that does not expect them.
ATTACKS = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "&lt;b&gt; &amp; &#60;",
    "]]> <!-- --> <svg onload=alert(1)>",
    "\u202eevil\u202c مرحبا بالعالم",
    "two\nlines\r\nthree\rfour",
    "\x00\x07\x1b[31m \ud800 \ufffe",
    "👩\u200d👩\u200d👧 e\u0301",
    "",
    "x" * 100_000,
]
VOID = {"br", "meta", "wbr"}


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text, and fails on tags that do not close each other."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.pieces = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):  # in matplotlib's SVG
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open[-1] == tag, (self.open, tag, self.getpos())
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self):
        """What can be read on the page."""
        return "".join(self.pieces)


def read(page):
    """Reads a page that has to be well-formed."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def classification(texts, labels=("<b>bad</b>", "good"), **kwargs):
    """Sections on texts of two or more labels, most of them right."""
    random = np.random.default_rng(1)
    gold = random.integers(0, len(labels), len(texts))
    logits = random.normal(size=(len(texts), len(labels)))
    logits[np.arange(len(texts)), gold] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return classification_sections(
        texts, [labels[i] for i in gold], probabilities, labels, **kwargs
    )


def multi_label(texts, **kwargs):
    """Sections on texts with any number of three labels."""
    random, labels = np.random.default_rng(1), ["a", "<b>", "c"]
    probabilities = random.random((len(texts), 3))
    gold = [{label for label in labels if random.random() < 0.4} for _ in texts]
    return multi_label_sections(texts, gold, probabilities, labels, **kwargs)


def regression(texts, **kwargs):
    """Sections on texts with a number each."""
    random = np.random.default_rng(1)
    gold = random.random(len(texts)) * 5
    return regression_sections(texts, gold, gold + random.normal(size=len(texts)), **kwargs)


def entities(texts, **kwargs):
    """Sections on texts whose first half is an entity, found in every other one."""
    gold = [[{"label": "<LOC>", "start": 0, "end": len(text) // 2}] for text in texts]
    found = [{"label": "<PER>", "start": 0, "end": 1, "score": 0.75}]
    predicted = [found if i % 2 else gold[i] for i in range(len(texts))]
    return entity_sections(texts, gold, predicted, **kwargs)


def questions(texts, **kwargs):
    """Sections on questions about texts, half of them answered."""
    gold = [[{"text": text[:5], "start": 0}] for text in texts]
    answers = [
        {"text": text[2:9], "start": 2, "end": 9, "score": 0.5, "n_best": None} for text in texts
    ]
    right = [float(i % 2) for i in range(len(texts))]
    return question_sections(texts, texts, gold, answers, right, right, **kwargs)


def tags(texts, **kwargs):
    """Sections on texts whose words have a tag each, every third one wrong."""
    words = [text.split(" ") for text in texts]
    gold = [["<X>"] * len(row) for row in words]
    predicted = [[None if i % 3 == 0 else "<X>" for i in range(len(row))] for row in words]
    return tag_sections(words, gold, predicted, **kwargs)


TASKS = [classification, multi_label, regression, entities, questions, tags]
