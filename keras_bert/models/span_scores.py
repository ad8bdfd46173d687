"""The scores of a span labeler's answers, by name of a metric."""

from __future__ import annotations

from collections.abc import Sequence

from keras_bert.metrics.cmrc import cmrc_exact_match, cmrc_f1
from keras_bert.metrics.squad import (
    cmrc_scores,
    exact_match,
    squad2_scores,
    squad_scores,
    token_f1,
)

__all__ = ["METRICS", "answer_scores", "span_scores"]

#: Name of a metric → its function for questions that all have answers, and for others.
METRICS = {"squad": (squad_scores, squad2_scores), "cmrc": (cmrc_scores, cmrc_scores)}

#: Name of a metric → exact match and F1 of one answer.
_EACH = {"squad": (exact_match, token_f1), "cmrc": (cmrc_exact_match, cmrc_f1)}

#: What SQuAD 2.0 calls a score → what ``evaluate`` does.
NAMES = {
    "exact": "exact_match",
    "f1": "f1",
    "HasAns_exact": "has_answer_exact_match",
    "HasAns_f1": "has_answer_f1",
    "NoAns_exact": "no_answer_exact_match",
    "NoAns_f1": "no_answer_f1",
    "best_exact": "best_exact_match",
    "best_exact_thresh": "best_exact_match_threshold",
    "best_f1": "best_f1",
    "best_f1_thresh": "best_f1_threshold",
}


def span_scores(
    gold: Sequence[Sequence[str]], answers: Sequence[dict], metric: str = "squad"
) -> dict[str, float]:
    """Scores answers as the field does.

    Args:
        gold: Per question the texts of its gold answers; none where it has no answer.
        answers: Per question what ``BertSpanLabeler.predict`` says.
        metric: A name in ``METRICS``.

    Returns:
        ``exact_match`` and ``f1``, 0 to 100. Where questions have no answer, SQuAD 2.0's, and those
        of both kinds of questions; and what the best ``null_threshold`` would have given.

    Example:
        >>> span_scores([["Paris"]], [{"text": "in Paris"}])
        {'exact_match': 0.0, 'f1': 66.66666666666667}
    """
    all_answered, other = METRICS[metric]
    predictions = [answer["text"] for answer in answers]
    if all(gold) or other is all_answered:
        found = all_answered(gold, predictions)
        return {name: found[name] for name in ("exact_match", "f1")}
    # Thresholds are looked for among what each question would be answered without one.
    best = [_best_with_text(answer) for answer in answers]
    above = [a["no_answer_score"] - b["score"] for a, b in zip(answers, best, strict=True)]
    found = squad2_scores(gold, [answer["text"] for answer in best], above)
    found |= other(gold, predictions)
    return {name: found[official] for official, name in NAMES.items() if official in found}


def answer_scores(
    gold: Sequence[Sequence[str]], answers: Sequence[dict], metric: str = "squad"
) -> tuple[list[float], list[float]]:
    """Exact match and F1 of each answer.

    Args:
        gold: As ``span_scores`` takes it, like the rest.
        answers: See there.
        metric: See there.

    Returns:
        Two lists of numbers from 0 to 1, one per question; where a question has no answer both are
        1 for "".

    Example:
        >>> answer_scores([["Paris"], []], [{"text": "Paris"}, {"text": "Rome"}])
        ([1.0, 0.0], [1.0, 0.0])
    """
    scores = []
    for texts, answer in zip(gold, answers, strict=True):
        said = answer["text"]
        scores.append([score(said, texts) for score in _EACH[metric]] if texts else 2 * [not said])
    exact, f1 = zip(*scores, strict=True)
    return [float(score) for score in exact], [float(score) for score in f1]


def _best_with_text(answer):
    """The best of an answer's n best that is not ""; where there is none, the answer."""
    return next((each for each in answer["n_best"] if each["text"]), answer)
