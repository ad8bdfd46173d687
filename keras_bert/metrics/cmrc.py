"""What CMRC 2018 compares: Chinese character by character, other scripts word by word.

Source: ``cmrc2018_evaluate.py`` of ymcui/cmrc2018, version 5; Cui et al. 2019 (arXiv:1810.07366).
"""

import difflib
import re
from collections.abc import Sequence

__all__ = ["cmrc_exact_match", "cmrc_f1", "mixed_segmentation", "without_punctuation"]

#: Marks that are dropped before anything is compared. Not all: brackets, quotes, full stops and
#: commas in ASCII, and the ellipsis, count like letters.
PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")

#: Characters that are words of their own.
_CHINESE = re.compile("[\u4e00-\u9fa5]")

#: In turn over what stands between Chinese characters: where words of other scripts end, after the
#: Penn Treebank. Only for what can be left there, since ``PUNCTUATION`` is gone.
_WORD_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"([«‘„])", r" \1 "),
        (r'^"', " `` "),
        (r"([ (\[{<])(?:\"|'')", r"\1 `` "),
        (r"(?<!\w)'(?!(?:re|ve|ll|[mtsdn])\b)(?=\w)", "' "),
        (r"(?<=[^.])\.(?=[\])}>\"'» ]*$)", " . "),
        (r",(\D)", r" , \1"),
        (r",$", " , "),
        (r"(\.\.+|[;@#$%&?!\]\[(){}<>\u2012-\u2015])", r" \1 "),
        (r"(?<=[^'])'(?= )", " ' "),
        (r"(»)", r" \1 "),
        (r"''|\"", " '' "),
        (r"(?<=[^' ])('[smd]?)(?=\s|$)", r" \1"),
        (r"(?<=[^' ])('ll|'re|'ve|n't)(?=\s|$)", r" \1"),
        (r"\b(can)(not)\b|\b(d)('ye)\b|\b(gim|lem)(me)\b", r" \1\3\5 \2\4\6 "),
        (r"\b(gon)(na)\b|\b(got)(ta)\b|\b(more)('n)\b", r" \1\3\5 \2\4\6 "),
        (r"\b(wan)(na)(?=\s|$)", r" \1 \2 "),
        (r"((?<=\s)|^)('t)(is|was)\b", r" \2 \3 "),
    )
)


def cmrc_exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 where a prediction is a gold answer but for case and punctuation, else 0.0.

    A question without gold answers is right with "".

    Example:
        >>> cmrc_exact_match("光荣和ω-force", ["光荣和ω－Force"])
        1.0
    """
    prediction = without_punctuation(prediction)
    return float(any(prediction == without_punctuation(answer) for answer in answers or [""]))


def cmrc_f1(prediction: str, answers: Sequence[str]) -> float:
    """Best F1 of a prediction against a gold answer, 0 to 1.

    What both share is the longest run of words that they have in common, in one piece, where SQuAD
    counts single words. A question without gold answers scores 1.0 with "".

    Example:
        >>> cmrc_f1("任天堂游戏", ["任天堂的游戏"])
        0.5454545454545454
    """
    if not answers:
        return cmrc_exact_match(prediction, answers)
    return max(_f1(mixed_segmentation(prediction), mixed_segmentation(gold)) for gold in answers)


def _f1(predicted, gold):
    matcher = difflib.SequenceMatcher(None, predicted, gold, autojunk=False)
    common = matcher.find_longest_match(0, len(predicted), 0, len(gold)).size
    return 2 * common / (len(predicted) + len(gold)) if common else 0.0


def without_punctuation(text: str) -> str:
    """A text in lower case without the marks in ``PUNCTUATION``."""
    return "".join(c for c in text.lower().strip() if c not in PUNCTUATION)


def mixed_segmentation(text: str) -> list[str]:
    """Splits a text into Chinese characters and words of other scripts, without punctuation.

    The official script splits the latter by NLTK's ``word_tokenize``. So does this, but for what
    takes NLTK's model of where sentences end: a full stop within such a stretch stays with its
    word; one at the end is a word of its own.

    Example:
        >>> mixed_segmentation("2010年，it can't be (1.5%)")
        ['2010', '年', 'it', 'ca', "n't", 'be', '(', '1.5', '%', ')']
    """
    words = []
    stretch = ""
    for character in without_punctuation(text):
        if _CHINESE.match(character):
            words += [*_words(stretch), character]
            stretch = ""
        else:
            stretch += character
    return words + _words(stretch)


def _words(stretch):
    for pattern, replacement in _WORD_RULES:
        stretch = pattern.sub(replacement, stretch)
    return stretch.split()
