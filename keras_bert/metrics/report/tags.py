"""The sections of a report on words with one tag each, such as parts of speech."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from keras_bert.metrics.report.confusion import ConfusionMatrix
from keras_bert.metrics.report.entities import MOST_MISTAKES
from keras_bert.metrics.report.html import tag
from keras_bert.metrics.report.labels import f1_scores, label_scores, order_of_labels, order_told
from keras_bert.metrics.report.lengths import interval, length_table
from keras_bert.metrics.report.sections import Card, Cards, Column, Scores, Section, Table, merged
from keras_bert.metrics.report.texts import Mark, shown_text

__all__ = ["tag_sections", "word_places"]

NO_TAG = "(no tag)"


def tag_sections(
    words: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str | None]],
    scores: Mapping[str, float] | None = None,
    worst: int = 40,
) -> list[Section]:
    """Scores, confusion matrix, tags, mistakes, texts with their wrong words, lengths.

    Args:
        words: Of each text its words.
        gold: Of each text its tags, one per word.
        predicted: Of each text what the model says, one per word; None where it says nothing.
        scores: More scores by name; they come first, and in place of ours of the same name.
        worst: Number of texts with errors that are shown.

    Raises:
        ValueError: If there is no word, or not one tag of each kind per word; the message names
            the text.

    Example:
        >>> from keras_bert.metrics.report import tag_sections
        >>> tag_sections([["I", "am"]], [["PRON", "AUX"]], [["PRON", "VERB"]])[0].scores["accuracy"]
        0.5
    """
    _check(words, gold, predicted)
    predicted = [[name or NO_TAG for name in row] for row in predicted]
    right = [
        np.array([one == other for one, other in zip(*rows, strict=True)], bool)
        for rows in zip(gold, predicted, strict=True)
    ]
    texts = [" ".join(row) for row in words]
    pairs = collections.Counter(
        pair for rows in zip(gold, predicted, strict=True) for pair in zip(*rows, strict=True)
    )
    names = sorted({name for pair in pairs for name in pair})
    numbers = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (one, other), count in pairs.items():
        counts[numbers[one], numbers[other]] = count
    return [
        _scores(counts, np.concatenate(right), scores or {}),
        ConfusionMatrix("Confusion matrix", None, names, counts),
        _tags(names, counts),
        _mistakes(words, gold, predicted),
        _cards(words, gold, predicted, right, worst),
        length_table(
            texts,
            {
                "words": lambda places: sum(len(words[i]) for i in places),
                "accuracy": lambda places: _accuracy([right[i] for i in places]),
            },
            share="accuracy",
        ),
    ]


def word_places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where words stand in the text that they were joined to: start and end in characters.

    Raises:
        ValueError: If a word is not in the text behind the one before it.

    Example:
        >>> word_places("I am, too", ["I", "am", ",", "too"])
        [(0, 1), (2, 4), (4, 5), (6, 9)]
    """
    places, end = [], 0
    for word in words:
        start = text.find(word, end)
        if start < 0:
            raise ValueError(f"The word {word!r} is not in {text[:80]!r} behind character {end}.")
        end = start + len(word)
        places.append((start, end))
    return places


def _check(words, gold, predicted):
    if not len(words) == len(gold) == len(predicted) or not any(map(len, words)):
        raise ValueError(
            "Expected one list of gold and one of predicted tags per text, and one word at least; "
            f"received {len(words)} texts, {len(gold)} and {len(predicted)} lists."
        )
    for row, sizes in enumerate(zip(*(map(len, p) for p in (words, gold, predicted)), strict=True)):
        if len(set(sizes)) > 1:
            raise ValueError(
                f"Text {row} has {sizes[0]} words, {sizes[1]} gold tags and {sizes[2]} predicted "
                "ones."
            )


def _accuracy(right):
    right = np.concatenate(right)
    return float(right.mean()) if len(right) else float("nan")


def _scores(counts, right, more):
    f1 = f1_scores(counts.diagonal(), counts.sum(1), counts.sum(0))
    scores = {"accuracy": float(right.mean()), "macro_f1": float(np.nanmean(f1))}
    notes = {
        "accuracy": f"{right.sum():,} of {len(right):,} words right; with 95 % certainty "
        f"{interval(right)}",
        "macro_f1": "mean over the tags",
    }
    return Scores("Scores", None, merged(more, scores), notes)


def _tags(names, counts):
    hits, gold, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    precision, recall, f1 = label_scores(hits, gold, predicted)
    rows = [
        [names[i], i + 1, gold[i], predicted[i], precision[i], recall[i], f1[i]]
        for i in order_of_labels(f1)
    ]
    numbers = ("no.", "words", "predicted", "precision", "recall")
    columns = [Column("tag"), *(Column(n, "number") for n in numbers), Column("F1", "share")]
    return Table("Tags", order_told(f1), columns, rows)


def _mistakes(words, gold, predicted):
    counts = collections.Counter(
        mistake
        for rows in zip(words, gold, predicted, strict=True)
        for mistake in zip(*rows, strict=True)
        if mistake[1] != mistake[2]
    )
    rows = [
        [shown_text(word, longest=80), one, other, count]
        for (word, one, other), count in counts.most_common(MOST_MISTAKES)
    ]
    columns = [*map(Column, ("word", "gold tag", "predicted tag")), Column("times", "number")]
    intro = "The same word with the same mistake, in whichever text it stands."
    if len(counts) > len(rows):
        intro += f" The first {len(rows)} of {len(counts):,}."
    nothing = "There is no mistake."
    return Table("Frequent mistakes", intro if rows else None, columns, rows, nothing)


def _cards(words, gold, predicted, right, worst):
    mistakes = [int((~row).sum()) for row in right]
    wrong = [i for i, count in enumerate(mistakes) if count]
    order = sorted(wrong, key=lambda i: -mistakes[i])[:worst]
    cards = []
    for i in order:
        text = " ".join(words[i])
        marks = [
            Mark(*place, "wrong", f"gold {one} \u00b7 predicted {other}")
            for place, one, other, fine in zip(
                word_places(text, words[i]), gold[i], predicted[i], right[i], strict=True
            )
            if not fine
        ]
        head = tag("b", f"{mistakes[i]} of {len(words[i]):,} words wrong")
        cards.append(Card(head, shown_text(text, marks)))
    intro = "Texts with the most wrong words first."
    if len(wrong) > len(order):
        intro += f" {len(order):,} of {len(wrong):,} with mistakes are shown."
    nothing = "There is no error to show."
    return Cards("Worst errors", intro if cards else None, cards, nothing, wide=True)
