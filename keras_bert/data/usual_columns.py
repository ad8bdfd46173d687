"""Names that columns usually have, in lower case: what is looked for where no name is given."""

import re
from collections.abc import Sequence

# (text, second text). The first line of which the source has every column is taken, so pairs
# stand above the single names they begin with.
TEXT_COLUMNS = (
    ("text", "text_pair"),
    ("text", "text_b"),
    ("text", "text2"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("sentence", "sentence2"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("#1 string", "#2 string"),
    ("anchor", "positive"),
    ("query", "positive"),
    ("query", "document"),
    ("query", "passage"),
    ("text", None),
    ("question", "sentence"),
    ("sentence", None),
    ("review", None),
    ("question", None),
    ("query", None),
    ("utterance", None),
    ("content", None),
    ("comment", None),
    ("comment_text", None),
    ("message", None),
    ("tweet", None),
    ("body", None),
    ("text_a", None),
    ("text1", None),
    ("sentence1", None),
)

# The text that an anchor is not like; looked for beside the pairs of these names.
NEGATIVE_COLUMNS = ("negative", "hard_negative", "neg")
ANCHORED_PAIRS = (("anchor", "positive"), ("query", "positive"))

# One name of a class.
LABEL_COLUMNS = (
    "label",
    "category",
    "intent",
    "class",
    "gold_label",
    "label_text",
    "sentiment",
    "target",
    "topic",
    "tag",
    "quality",
    "is_duplicate",
)
# Any number of names.
SEVERAL_LABELS_COLUMNS = ("labels", "tags", "categories", "topics", "genres", "emotions")
# A number: how alike, how good.
VALUE_COLUMNS = (
    "score",
    "similarity_score",
    "similarity",
    "relatedness_score",
    "rating",
    "stars",
    "value",
)
# Which choice is right.
RIGHT_CHOICE_COLUMNS = ("label", "answer", "answerkey", "answer_key", "correct", "gold", "target")

# (prompt, how each choice begins) of multiple choice: SWAG; HellaSwag; RACE; Social IQA; COPA;
# CODAH; PIQA; WinoGrande and others.
PROMPT_COLUMNS = (
    ("sent1", "sent2"),
    ("ctx_a", "ctx_b"),
    ("article", "question"),
    ("context", "question"),
    ("passage", "question"),
    ("premise", "question"),
    ("startphrase", None),
    ("ctx", None),
    ("prompt", None),
    ("goal", None),
    ("question", None),
    ("question_stem", None),
    ("premise", None),
    ("context", None),
    ("sentence", None),
    ("text", None),
)
# One column with a list of all choices, or columns ending0, ending1, …; answerA, answerB, ….
CHOICE_LIST_COLUMNS = ("choices", "endings", "options", "candidates", "question_choices")
_CHOICE = re.compile(
    r"(?P<stem>ending|choice|option|sol|solution|answer|candidate|alternative)"
    r"[ _-]?(?P<number>[0-9]|[a-j])"
)

# Numbers that count rows, which are 0 or 1 in small files, too.
_COUNTERS = re.compile(r"(.*[_ ])?(id|idx|index|guid|row|unnamed: 0)|")

# What stands in the place of a label that annotators did not agree on, by column.
NO_GOLD_LABEL = {"gold_label": "-"}


def choice_columns(names: Sequence[str]) -> tuple[int, ...]:
    """Places of the columns that hold one choice each, in the order of their numbers.

    Example:
        >>> choice_columns(["id", "ending1", "ending0", "label"])
        (2, 1)
    """
    families: dict[str, list[tuple[str, int]]] = {}
    for place, name in enumerate(names):
        found = _CHOICE.fullmatch(name.casefold())
        if found:
            families.setdefault(found["stem"], []).append((found["number"], place))
    several = [sorted(family) for family in families.values() if len(family) > 1]
    return tuple(place for _, place in several[0]) if several else ()


def is_counter(name: str) -> bool:
    """Whether a column of this name numbers the rows: ``idx``, ``pair_id``, or no name at all."""
    return _COUNTERS.fullmatch(name.casefold()) is not None
