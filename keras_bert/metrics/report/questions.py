"""The sections of a report on questions whose answers are spans of a context."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from keras_bert.metrics.curves import reliability
from keras_bert.metrics.report.html import Html, joined, tag
from keras_bert.metrics.report.lengths import length_table
from keras_bert.metrics.report.plots import reliability_figure
from keras_bert.metrics.report.sections import (
    Card,
    Cards,
    Column,
    Figures,
    Scores,
    Section,
    Table,
    number,
    percent,
)
from keras_bert.metrics.report.texts import Mark, plain_text, shown_text

__all__ = ["question_sections"]

#: Kind of outcome → what it means.
OUTCOMES = {
    "right": "an exact match",
    "partly right": "some words in common with a gold answer",
    "wrong": "no word in common",
    "needless answer": "there is none, and the model gave one",
    "answer missed": "there is one, and the model gave none",
}
#: Rows in the table of first words, and how many questions have to begin with one of them.
MOST_WORDS, FEWEST_QUESTIONS = 12, 5
#: Candidates shown below a context.
MOST_CANDIDATES = 5
NO_ANSWER = tag("i", "no answer")


def question_sections(
    questions: Sequence[str],
    contexts: Sequence[str],
    gold: Sequence[Sequence[Mapping]],
    predicted: Sequence[Mapping],
    exact: Sequence[float],
    f1: Sequence[float],
    scores: Mapping[str, float] | None = None,
    worst: int = 40,
) -> list[Section]:
    """Scores, kinds of outcome, worst errors in their contexts, calibration, lengths.

    Args:
        questions: Strings.
        contexts: Strings, one per question.
        gold: Of each question its answers, ``{"text", "start"}`` in characters of the context;
            none where it cannot be answered.
        predicted: Of each question ``{"text", "start", "end", "score", "n_best"}``: the answer, an
            empty text where there is none; ``n_best``, a list of such answers, may be missing.
            A ``"probability"`` is shown in place of the score.
        exact: Of each question whether the answer is an exact match, 0 or 1.
        f1: Of each question the F1 of the answer, 0 to 1.
        scores: Official scores by name; default: the means of ``exact`` and ``f1`` in percent.
        worst: Number of questions that are shown.

    Raises:
        ValueError: If there is no question, or not one item of each kind per question.
    """
    sizes = [len(part) for part in (questions, contexts, gold, predicted, exact, f1)]
    if not sizes[0] or len(set(sizes)) > 1:
        raise ValueError(
            "Expected one context, list of gold answers, prediction, exact match and F1 per "
            f"question, one at least; received {sizes[0]} questions and {sizes[1:]} of these."
        )
    questions, contexts = ([plain_text(text) for text in part] for part in (questions, contexts))
    exact, f1 = np.asarray(exact, np.float64), np.asarray(f1, np.float64)
    if scores is None:
        scores = {"exact_match": 100 * exact.mean(), "f1": 100 * f1.mean()}
    outcomes = [_outcome(*both) for both in zip(gold, predicted, exact > 0, f1, strict=True)]
    columns = {
        "exact match": lambda places: float(exact[places].mean()),
        "F1": lambda places: float(f1[places].mean()),
    }
    sections = [
        Scores("Scores", None, scores, {"exact_match": f"of {len(exact):,} questions"}),
        _kinds(outcomes),
        _errors(questions, contexts, gold, predicted, f1, outcomes, worst),
        _calibration(predicted, exact),
        _first_words(questions, exact, f1),
        length_table(contexts, columns, share="F1", title="By length of the context"),
        _answer_lengths(gold, columns),
    ]
    return [section for section in sections if section is not None]


def _outcome(gold, predicted, exact, f1):
    """A key of ``OUTCOMES``."""
    if exact:
        return "right"
    if not gold:
        return "needless answer"
    if not predicted["text"]:
        return "answer missed"
    return "partly right" if f1 > 0 else "wrong"


def _kinds(outcomes):
    counts = collections.Counter(outcomes)
    rows = [
        [kind, counts[kind], counts[kind] / len(outcomes), tag("span", meaning)]
        for kind, meaning in OUTCOMES.items()
        if counts[kind] or kind in ("right", "partly right", "wrong")
    ]
    columns = [
        Column("outcome"),
        Column("questions", "number"),
        Column("share", "share"),
        Column("that is", "wide"),
    ]
    return Table("Kinds of outcome", None, columns, rows, stacks=True)


def _calibration(predicted, exact):
    """Whether scores can be taken at their word, where they are probabilities."""
    scores = np.array([_sure(answer) for answer in predicted])
    if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
        return None
    intro = "Whether the probability of an answer is the chance that it is an exact match."
    return Figures("Calibration", intro, [reliability_figure(reliability(scores, exact > 0))])


def _sure(answer) -> float:
    """An answer's probability, or its score; NaN where it has neither."""
    score = answer.get("probability", answer.get("score"))
    return float("nan") if score is None else float(score)


def _first_words(questions, exact, f1):
    """A table by the word that questions begin with; None where few begin alike."""
    places = collections.defaultdict(list)
    for place, question in enumerate(questions):
        places["".join(question.lower().split()[:1])].append(place)
    frequent = sorted(places, key=lambda word: -len(places[word]))[:MOST_WORDS]
    frequent = [word for word in frequent if len(places[word]) >= FEWEST_QUESTIONS]
    if sum(len(places[word]) for word in frequent) < len(questions) / 2:
        return None
    rows = [
        [word, len(places[word]), float(exact[places[word]].mean()), float(f1[places[word]].mean())]
        for word in frequent
    ]
    columns = [Column("first word"), Column("questions", "number")]
    columns += [Column("exact match", "number"), Column("F1", "share")]
    return Table("By first word of the question", None, columns, rows)


def _answer_lengths(gold, columns):
    """A table by the length of the shortest gold answer; None without answers."""
    places = np.flatnonzero([bool(answers) for answers in gold])
    if not len(places):
        return None
    shortest = [min((answer["text"] for answer in gold[i]), key=len) for i in places]
    scores = {
        name: lambda rows, score=score: score(places[rows]) for name, score in columns.items()
    }
    return length_table(shortest, scores, share="F1", title="By length of the gold answer")


def _errors(questions, contexts, gold, predicted, f1, outcomes, worst):
    wrong = [i for i, outcome in enumerate(outcomes) if outcome != "right"]
    order = sorted(wrong, key=lambda i: (f1[i], -np.nan_to_num(_sure(predicted[i]))))[:worst]
    cards = [
        Card(
            joined([tag("b", outcomes[i]), tag("span", f"F1 {number(f1[i])}")]),
            joined(
                [
                    tag("p", tag("b", shown_text(questions[i]))),
                    _context(contexts[i], gold[i], predicted[i]),
                    _answers(gold[i], predicted[i]),
                ]
            ),
        )
        for i in order
    ]
    intro = "The lowest F1 first, and of the same F1 the surest answer."
    if len(wrong) > len(order):
        intro += f" {len(order):,} of {len(wrong):,} are shown."
    key = tag(
        "ul",
        tag("li", tag("mark", "words", class_="gold"), " gold answer"),
        tag("li", tag("mark", "words", class_="predicted"), " what the model answered"),
        tag("li", tag("mark", "words", class_="gold predicted"), " both"),
        class_="key",
    )
    nothing = "There is no error to show."
    return Cards("Worst errors", intro if cards else None, cards, nothing, key, wide=True)


def _context(context, gold, predicted):
    spans = sorted({(a["start"], a["start"] + len(a["text"])) for a in gold if _has_place(a)})
    # Annotators often agree but for a word: one note behind what they marked together.
    first = {end: start for start, end in reversed(spans)}
    marks = []
    for start, end in spans:
        inner = first[end] != start or any(s < end < e for s, e in spans)
        marks.append(Mark(start, end, "gold", None if inner else "gold"))
    if predicted["text"] and _has_place(predicted):
        end = predicted.get("end") or predicted["start"] + len(predicted["text"])
        marks.append(Mark(predicted["start"], end, "predicted", "predicted"))
    return shown_text(context, marks, longest=1200, around=300)


def _has_place(answer):
    return answer.get("start") is not None and answer["start"] >= 0


def _answers(gold, predicted) -> Html:
    """Gold answers and candidates, as a table."""
    texts = list(dict.fromkeys(answer["text"] for answer in gold))
    nan = float("nan")
    rows = [("gold", tag("bdi", text), nan) for text in texts] or [("gold", NO_ANSWER, nan)]
    candidates = list(predicted.get("n_best") or [predicted])[:MOST_CANDIDATES]
    for rank, candidate in enumerate(candidates, 1):
        text = shown_text(candidate["text"], longest=200) if candidate["text"] else NO_ANSWER
        rows.append((f"{rank}.", text, _sure(candidate)))
    body = [
        tag(
            "tr",
            tag("th", word, scope="row"),
            tag("td", text, class_="text"),
            tag("td", _score(score), class_="number"),
        )
        for word, text, score in rows
    ]
    return tag("table", tag("tbody", body), class_="answers")


def _score(score):
    if np.isnan(score):
        return None
    return percent(score) if 0 <= score <= 1 else number(score)
