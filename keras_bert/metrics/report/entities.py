"""The sections of a report on spans with labels in texts: names, and whatever else is tagged."""

from __future__ import annotations

import bisect
import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from keras_bert.metrics.report.confusion import ConfusionMatrix
from keras_bert.metrics.report.html import joined, tag
from keras_bert.metrics.report.labels import f1_scores
from keras_bert.metrics.report.lengths import length_table
from keras_bert.metrics.report.sections import (
    Card,
    Cards,
    Column,
    Scores,
    Section,
    Table,
    merged,
    percent,
)
from keras_bert.metrics.report.texts import Mark, plain_text, shown_text

__all__ = ["compared", "entity_sections"]

#: What becomes of an entity, gold or predicted → what it means.
OUTCOMES = {
    "right": "found with its exact bounds and its label",
    "wrong label": "found with its exact bounds and another label",
    "wrong bounds": "found with its label and other bounds that overlap",
    "wrong label and bounds": "overlaps an entity of another label",
    "missed": "gold, and nothing was predicted there",
    "false alarm": "predicted, and there is nothing there",
}
#: Rows in the table of mistakes.
MOST_MISTAKES = 20
NOTHING = "(no entity)"


@dataclasses.dataclass(frozen=True)
class Compared:
    """An entity and what became of it.

    Attributes:
        entity: ``{"label", "start", "end"}``, a predicted one with its ``"score"``.
        outcome: A key of ``OUTCOMES``.
        other: The entity of the other side that it matches or overlaps; None without one.
    """

    entity: Mapping
    outcome: str
    other: Mapping | None = None


def entity_sections(
    texts: Sequence[str],
    gold: Sequence[Sequence[Mapping]],
    predicted: Sequence[Sequence[Mapping]],
    scores: Mapping[str, float] | None = None,
    worst: int = 40,
) -> list[Section]:
    """Scores, kinds of error, labels, mistakes, texts with their spans, lengths.

    Args:
        texts: Strings.
        gold: Of each text its entities, ``{"label", "start", "end"}`` in characters.
        predicted: Of each text what the model found, with a ``"score"`` from 0 to 1 or without.
        scores: More scores by name, such as the official ones; they come first, and in place of
            ours of the same name.
        worst: Number of texts with errors that are shown.

    Raises:
        ValueError: If there is no text, or not one list of each kind per text.

    Example:
        >>> from keras_bert.metrics.report import entity_sections
        >>> entity = {"label": "LOC", "start": 3, "end": 8}
        >>> entity_sections(["In Paris"], [[entity]], [[entity]])[0].scores["f1"]
        1.0
    """
    if not len(texts) or not len(texts) == len(gold) == len(predicted):
        raise ValueError(
            "Expected one list of gold and one of predicted entities per text, one at least; "
            f"received {len(texts)} texts, {len(gold)} and {len(predicted)} lists."
        )
    texts = [plain_text(text) for text in texts]
    pairs = [compared(*both) for both in zip(gold, predicted, strict=True)]
    return [
        _scores(pairs, scores or {}),
        _outcomes(pairs),
        _labels(pairs),
        _confusion(pairs),
        _mistakes(texts, pairs),
        _cards(texts, pairs, worst),
        length_table(
            texts,
            {
                "gold entities": lambda places: sum(len(gold[i]) for i in places),
                "F1": lambda places: _f1([pairs[i] for i in places]),
            },
            share="F1",
        ),
    ]


def compared(gold, predicted) -> tuple[list[Compared], list[Compared]]:
    """Says of each gold and each predicted entity of a text what became of it.

    Example:
        >>> gold, predicted = compared([{"label": "LOC", "start": 0, "end": 5}],
        ...                            [{"label": "PER", "start": 0, "end": 5}])
        >>> gold[0].outcome, predicted[0].other["label"]
        ('wrong label', 'LOC')
    """
    exact = collections.Counter(map(_key, gold)) & collections.Counter(map(_key, predicted))
    sides = []
    for side, others, alone in ((gold, predicted, "missed"), (predicted, gold, "false alarm")):
        # What matched an entity exactly is nobody else's mistake.
        free = sorted((e for e in others if not exact[_key(e)]), key=lambda e: e["start"])
        starts = [other["start"] for other in free]
        longest = max((other["end"] - other["start"] for other in free), default=0)
        left = exact.copy()
        found = []
        for entity in side:
            if left[_key(entity)]:
                left[_key(entity)] -= 1
                found.append(Compared(entity, "right", entity))
            else:
                first = bisect.bisect_left(starts, entity["start"] - longest)
                near = free[first : bisect.bisect_left(starts, entity["end"])]
                found.append(_mistaken(entity, near, alone))
        sides.append(found)
    return sides[0], sides[1]


def _mistaken(entity, near, alone):
    """The outcome of an entity that has no equal on the other side; ``alone`` without overlap."""
    overlaps = [(_overlap(entity, other), other["label"] == entity["label"]) for other in near]
    best = max(range(len(near)), key=overlaps.__getitem__, default=None)
    if best is None or overlaps[best][0] <= 0:
        return Compared(entity, alone)
    other = near[best]
    same_bounds = (other["start"], other["end"]) == (entity["start"], entity["end"])
    kinds = {(True, False): "wrong label", (False, True): "wrong bounds"}
    kind = kinds.get((same_bounds, overlaps[best][1]), "wrong label and bounds")
    return Compared(entity, kind, other)


def _key(entity):
    return entity["label"], entity["start"], entity["end"]


def _overlap(one, other):
    return min(one["end"], other["end"]) - max(one["start"], other["start"])


def _counts(pairs):
    """Right, gold and predicted entities."""
    right = sum(item.outcome == "right" for gold, _ in pairs for item in gold)
    return right, sum(len(gold) for gold, _ in pairs), sum(len(found) for _, found in pairs)


def _f1(pairs):
    return float(f1_scores(*_counts(pairs)))


def _scores(pairs, more):
    right, gold, predicted = _counts(pairs)
    nan = float("nan")
    scores = {
        "f1": _f1(pairs),
        "precision": right / predicted if predicted else nan,
        "recall": right / gold if gold else nan,
    }
    notes = {
        "f1": "of entities with exact bounds and label",
        "precision": f"{right:,} right of {predicted:,} predicted",
        "recall": f"{right:,} found of {gold:,} gold",
    }
    return Scores("Scores", None, merged(more, scores), notes)


def _outcomes(pairs):
    counts = [collections.Counter(i.outcome for pair in pairs for i in pair[s]) for s in (0, 1)]
    sizes = [max(sum(count.values()), 1) for count in counts]
    rows = []
    for outcome, meaning in OUTCOMES.items():
        cells = []
        for count, size, never in zip(counts, sizes, ("false alarm", "missed"), strict=True):
            here = outcome != never
            cells += [count[outcome], percent(count[outcome] / size)] if here else [None, None]
        rows.append([outcome, *cells, tag("span", meaning)])
    columns = [
        Column("what became of them"),
        Column("gold", "number"),
        Column("of gold", "number"),
        Column("predicted", "number"),
        Column("of predicted", "number"),
        Column("that is", "wide"),
    ]
    return Table("Kinds of error", None, columns, rows, stacks=True)


def _labels(pairs):
    labels = sorted({i.entity["label"] for pair in pairs for side in pair for i in side})
    sides = [
        [collections.Counter(i.entity["label"] for pair in pairs for i in pair[s]) for s in (0, 1)],
        [
            collections.Counter(
                i.entity["label"] for pair in pairs for i in pair[s] if i.outcome == outcome
            )
            for s, outcome in ((0, "right"), (0, "missed"), (1, "false alarm"))
        ],
    ]
    (gold, predicted), (right, missed, alarms) = sides
    nan = float("nan")
    rows = [
        [
            label,
            gold[label],
            predicted[label],
            right[label],
            missed[label],
            alarms[label],
            right[label] / predicted[label] if predicted[label] else nan,
            right[label] / gold[label] if gold[label] else nan,
            float(f1_scores(right[label], gold[label], predicted[label])),
        ]
        for label in labels
    ]
    names = ("gold", "predicted", "right", "missed", "false alarms", "precision", "recall")
    columns = [Column("label"), *(Column(n, "number") for n in names), Column("F1", "share")]
    return Table("Labels", None, columns, rows, "There is no entity, neither gold nor predicted.")


def _confusion(pairs):
    labels = sorted({i.entity["label"] for pair in pairs for side in pair for i in side})
    numbers = {label: place for place, label in enumerate([*labels, NOTHING])}
    counts = np.zeros((len(numbers), len(numbers)), int)
    for gold, predicted in pairs:
        for item in gold:
            other = item.other["label"] if item.other else NOTHING
            counts[numbers[item.entity["label"]], numbers[other]] += 1
        for item in predicted:
            if item.other is None:
                counts[numbers[NOTHING], numbers[item.entity["label"]]] += 1
    intro = (
        "Which label was predicted where a gold entity is, whatever the bounds, as long as they "
        "overlap. The last column holds the missed ones, the last row the false alarms."
    )
    return ConfusionMatrix("Confusion matrix", intro, list(numbers), counts)


def _mistakes(texts, pairs):
    counts = collections.Counter()
    for text, (gold, predicted) in zip(texts, pairs, strict=True):
        for item in gold:
            if item.outcome != "right":
                found = item.other and item.other["label"]
                words = text[item.entity["start"] : item.entity["end"]]
                counts[words, item.entity["label"], found, item.outcome] += 1
        for item in predicted:
            if item.other is None:
                words = text[item.entity["start"] : item.entity["end"]]
                counts[words, None, item.entity["label"], item.outcome] += 1
    rows = [
        [shown_text(words, longest=80), gold, found, outcome, count]
        for (words, gold, found, outcome), count in counts.most_common(MOST_MISTAKES)
    ]
    names = ("words", "gold label", "predicted label", "mistake")
    columns = [*map(Column, names), Column("times", "number")]
    intro = "The same words with the same mistake, in whichever text they stand."
    if len(counts) > len(rows):
        intro += f" The first {len(rows)} of {len(counts):,}."
    nothing = "There is no mistake."
    return Table("Frequent mistakes", intro if rows else None, columns, rows, nothing, stacks=True)


def _cards(texts, pairs, worst):
    mistakes = [
        sum(i.outcome != "right" for i in gold) + sum(i.other is None for i in predicted)
        for gold, predicted in pairs
    ]
    wrong = [i for i in range(len(texts)) if mistakes[i]]
    surest = [max((_score(item) for item in found), default=0.0) for _, found in pairs]
    order = sorted(wrong, key=lambda i: (-mistakes[i], -surest[i]))[:worst]
    cards = [Card(_head(mistakes[i], pairs[i]), _two_lines(texts[i], pairs[i])) for i in order]
    intro = "Texts with the most mistakes first."
    if len(wrong) > len(order):
        intro += f" {len(order):,} of {len(wrong):,} with mistakes are shown."
    key = tag(
        "ul",
        tag("li", _sample("right"), " right: the same on both lines"),
        tag("li", _sample("wrong"), " a mistake, said in the note behind it"),
        class_="key",
    )
    return Cards(
        "Worst errors",
        intro if cards else None,
        cards,
        "There is no error to show.",
        key,
        wide=True,
    )


def _sample(style):
    return tag("mark", "words", class_=style)


def _score(item):
    """How sure a wrong prediction was; 0 where it says nothing of it."""
    return float(item.entity.get("score") or 0) if item.outcome != "right" else 0.0


def _head(mistakes, pair):
    counts = collections.Counter(i.outcome for i in pair[0] if i.outcome != "right")
    counts.update(i.outcome for i in pair[1] if i.other is None)
    parts = [f"{count:,} \u00d7 {outcome}" for outcome, count in counts.items()]
    total = f"{mistakes:,} mistake{'s' if mistakes > 1 else ''}"
    return joined([tag("b", total), tag("span", ", ".join(parts))])


def _two_lines(text, pair):
    """Gold and predicted entities, each in the text; both parts of a long text are the same."""
    lines = []
    for word, side in zip(("gold", "predicted"), pair, strict=True):
        marks = [Mark(i.entity["start"], i.entity["end"], _style(i), _note(i)) for i in side]
        # Both lines show the same part of a long text: that around the entities of either.
        places = [(i.entity["start"], i.entity["end"]) for both in pair for i in both]
        shown = shown_text(text, marks, also=places)
        lines.append(tag("div", tag("span", word, class_="word"), tag("div", shown), class_="line"))
    return joined(lines)


def _style(item):
    return "right" if item.outcome == "right" else "wrong"


def _note(item):
    score = item.entity.get("score")
    said = item.entity["label"] + ("" if score is None else f" {percent(float(score))}")
    return said if item.outcome == "right" else f"{said} \u00b7 {item.outcome}"
