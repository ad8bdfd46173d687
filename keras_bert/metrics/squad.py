"""Scores of extractive question answering: SQuAD 1.1, SQuAD 2.0 and CMRC 2018.

All are percentages, as the field reports them. Predictions and gold answers come by question: as
mappings from the question's id, or as lists of one order.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

from keras_bert.metrics.cmrc import cmrc_exact_match, cmrc_f1

__all__ = [
    "best_threshold",
    "cmrc_scores",
    "exact_match",
    "normalize_answer",
    "squad2_scores",
    "squad_scores",
    "token_f1",
]

Answers = Mapping[str, Sequence[str]] | Sequence[Sequence[str]]
Predictions = Mapping[str, str] | Sequence[str | None]

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """An answer as SQuAD compares it: lower case, no ASCII punctuation, no articles, one space.

    Source: ``normalize_answer`` of the official SQuAD 1.1 and 2.0 evaluation scripts.

    Example:
        >>> normalize_answer("The  Eiffel-Tower!")
        'eiffeltower'
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 where a prediction is one of the gold answers once both are normalised, else 0.0.

    Example:
        >>> exact_match("the Broncos", ["Denver Broncos", "Broncos"])
        1.0
    """
    prediction = normalize_answer(prediction)
    return float(any(prediction == normalize_answer(answer) for answer in answers))


def token_f1(prediction: str, answers: Sequence[str]) -> float:
    """Best F1 of a prediction's words against those of a gold answer, both normalised, 0 to 1.

    Words count as often as they occur. Without a common word it is 0, even where nothing is left of
    either text.

    Source: ``f1_score`` of the official SQuAD 1.1 evaluation script.

    Example:
        >>> token_f1("Denver", ["Denver Broncos"])
        0.6666666666666666
    """
    return max((_f1(prediction, answer) for answer in answers), default=0.0)


def _f1(prediction, answer):
    predicted, gold = normalize_answer(prediction).split(), normalize_answer(answer).split()
    common = sum((Counter(predicted) & Counter(gold)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def squad_scores(answers: Answers, predictions: Predictions) -> dict[str, float]:
    """Exact match and F1 of SQuAD 1.1.

    Args:
        answers: Per question the texts of its gold answers; the best of them counts.
        predictions: Per question one text. A question without one, or with None, scores 0;
            predictions of other questions count for nothing.

    Returns:
        ``exact_match`` and ``f1``, 0 to 100, and ``total``, the number of questions.

    Raises:
        ValueError: If there are no questions, or lists are not of one length.

    Source: the official ``evaluate-v1.1.py``.

    Example:
        >>> squad_scores({"q": ["Denver Broncos"]}, {"q": "the Denver Broncos"})
        {'exact_match': 100.0, 'f1': 100.0, 'total': 1}
    """
    return _mean_scores(answers, predictions, exact_match, token_f1)


def cmrc_scores(answers: Answers, predictions: Predictions) -> dict[str, float]:
    """Exact match and F1 of CMRC 2018, for Chinese.

    Arguments, result and errors: as ``squad_scores``. What is compared:
    ``keras_bert.metrics.cmrc``.

    Source: ``cmrc2018_evaluate.py`` of ymcui/cmrc2018, version 5.

    Example:
        >>> cmrc_scores({"q": ["《三国志》"]}, {"q": "三国志"})
        {'exact_match': 100.0, 'f1': 100.0, 'total': 1}
    """
    return _mean_scores(answers, predictions, cmrc_exact_match, cmrc_f1)


def squad2_scores(
    answers: Answers,
    predictions: Predictions,
    no_answer_scores: Mapping[str, float] | Sequence[float] | None = None,
    threshold: float | None = None,
) -> dict[str, float]:
    """Exact match and F1 of SQuAD 2.0, where questions may have no answer.

    The right answer to a question without gold answers is "". So it is for one whose gold answers
    are nothing but articles and punctuation, which SQuAD 2.0 leaves out; it still counts as one
    with an answer.

    Args:
        answers: Per question the texts of its gold answers; none at all: it has no answer.
        predictions: Per question one text, "" for no answer. A question without one, or with None,
            scores 0. (The official script fails on those.)
        no_answer_scores: Per question how sure the model is that there is no answer, on any scale,
            e.g. the null score less that of the best answer. Adds the best thresholds.
        threshold: A question whose ``no_answer_scores`` is above counts as predicted "".

    Returns:
        By the official names: ``exact``, ``f1`` (0 to 100) and ``total``; the same three with
        ``HasAns_`` and ``NoAns_`` before them, for the questions with and without answers, where
        there are any; with ``no_answer_scores`` also ``best_exact``, ``best_exact_thresh``,
        ``best_f1``, ``best_f1_thresh``: see ``best_threshold``.

    Raises:
        ValueError: If there are no questions, or lists are not of one length.

    Source: the official ``evaluate-v2.0.py``; section 4 of Rajpurkar et al. 2018 (arXiv:1806.03822)
    for the task.

    Example:
        >>> squad2_scores([["Paris"], []], ["Paris", "Rome"])["NoAns_f1"]
        0.0
    """
    answers, predictions = _by_question(answers, predictions)
    raw = _squad2_scores_each(answers, predictions)
    answered = {question for question, texts in answers.items() if texts}
    if no_answer_scores is not None:
        no_answer_scores = _mapping(no_answer_scores)
    refused = set()
    if threshold is not None:
        refused = {q for q in answers if no_answer_scores[q] > threshold}
    results = {}
    parts = {"": set(answers), "HasAns_": answered, "NoAns_": answers.keys() - answered}
    for prefix, part in parts.items():
        if not part:
            continue
        for name, scores in raw.items():
            total = sum(scores[q] for q in part - refused) + len(part & refused - answered)
            results[prefix + name] = 100 * total / len(part)
        results[f"{prefix}total"] = len(part)
    for name, scores in raw.items() if no_answer_scores is not None else ():
        best = best_threshold(answers, predictions, scores, no_answer_scores)
        results[f"best_{name}"], results[f"best_{name}_thresh"] = best
    return results


def _squad2_scores_each(answers, predictions):
    """Per name of a score and per question 0 to 1, as if there were no threshold."""
    raw = {"exact": {}, "f1": {}}
    for question, texts in answers.items():
        gold = [text for text in texts if normalize_answer(text)] or [""]
        prediction = predictions.get(question)
        raw["exact"][question] = 0.0 if prediction is None else exact_match(prediction, gold)
        raw["f1"][question] = 0.0 if prediction is None else _f1_or_agreement(prediction, gold)
    return raw


def best_threshold(
    answers: Mapping[str, Sequence[str]],
    predictions: Mapping[str, str],
    scores: Mapping[str, float],
    no_answer_scores: Mapping[str, float],
) -> tuple[float, float]:
    """The threshold for "no answer" that would have scored best, as SQuAD 2.0 looks for it.

    Questions are taken in the order of their no-answer score. Before the first, all count as
    answered with "", which is right for those without an answer; each one taken counts as answered
    with its prediction. The threshold is the no-answer score of the question after which the sum
    was highest, 0.0 where it never rose.

    Args:
        answers: As in ``squad2_scores``.
        predictions: Per question one text, before any threshold.
        scores: Per question the score of its prediction, 0 to 1.
        no_answer_scores: As in ``squad2_scores``.

    Returns:
        (best score, 0 to 100, and its threshold: "no answer" where the no-answer score is above).

    Source: ``find_best_thresh`` of the official ``evaluate-v2.0.py``.

    Example:
        >>> best_threshold({"a": ["x"], "b": []}, {"a": "x", "b": "y"}, {"a": 1.0, "b": 0.0},
        ...                {"a": -3.0, "b": 2.0})
        (100.0, -3.0)
    """
    predicted = {question for question in answers if predictions.get(question) is not None}
    total = best = sum(1.0 for question in predicted if not answers[question])
    threshold = 0.0
    for question in sorted(no_answer_scores, key=no_answer_scores.get):
        if question not in predicted:
            continue
        if answers[question]:
            total += scores[question]
        elif predictions[question]:
            total -= 1
        if total > best:
            best, threshold = total, no_answer_scores[question]
    return 100 * best / len(answers), threshold


def _f1_or_agreement(prediction, gold):
    """F1 of SQuAD 2.0: 1 where nothing is left of either text."""
    if not normalize_answer(prediction):
        return float("" in gold)
    return token_f1(prediction, gold)


def _mean_scores(answers, predictions, exact, f1):
    answers, predictions = _by_question(answers, predictions)
    pairs = [(predictions.get(question), texts) for question, texts in answers.items()]
    pairs = [(prediction, texts) for prediction, texts in pairs if prediction is not None]
    return {
        "exact_match": 100 * sum(exact(*pair) for pair in pairs) / len(answers),
        "f1": 100 * sum(f1(*pair) for pair in pairs) / len(answers),
        "total": len(answers),
    }


def _by_question(answers, predictions):
    """Both as mappings, checked."""
    if not len(answers):
        raise ValueError("There are no questions to score.")
    lists = not isinstance(answers, Mapping) or not isinstance(predictions, Mapping)
    if lists and len(answers) != len(predictions):
        raise ValueError(
            f"Received answers of {len(answers)} questions and {len(predictions)} predictions; "
            "lists must be of one length. Pass mappings from ids where some are missing."
        )
    return _mapping(answers), _mapping(predictions)


def _mapping(values):
    return values if isinstance(values, Mapping) else dict(enumerate(values))
