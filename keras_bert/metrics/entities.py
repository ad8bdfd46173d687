"""Scores of named entities, as ``seqeval`` and ``conlleval`` count them.

An entity is right where its type, its first and its last word are. Which words a row of tags calls
an entity can be read in two ways. *Leniently*, as the CoNLL shared tasks' ``conlleval`` does: a tag
that continues nothing begins an entity. *Strictly*, by the rules of one scheme: what breaks them is
no entity at all.

Plain functions over lists of tags; nothing here knows models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["SCHEMES", "entities_of", "entity_scores", "span_scores", "token_accuracy"]

Span = tuple[str, int, int]

#: Scheme → its letters, and where an entity starts, goes on and ends. A rule holds the letter
#: before, the letter here (``.``: any of them) and how the types compare: the same (``=``), others
#: (``!``), no matter (``*``). Source: ``seqeval/scheme.py`` 1.2.2.
SCHEMES = {
    "IOB1": ("IOB", "OI* II! BI* IB= BB=", "BI= II=", "II! IO* IB* BO* BI! BB="),
    "IOB2": ("IOB", ".B*", "BI= II=", "IO* II! IB* BO* BI! BB*"),
    "IOE1": ("IOE", "OI* II! EI* EE=", "II= IE=", "II! IO* IE! EI= EE="),
    "IOE2": ("IOE", "OI* OE* EI* EE* II! IE!", "IE= II=", "E.*"),
    "IOBES": ("IOBES", ".B* .S*", "BI= BE= II= IE=", "S.* E.*"),
    "BILOU": ("BILOU", ".B* .U*", "BI= BL= II= IL=", "U.* L.*"),
}

#: Letters before and here between which the lenient reading starts or ends an entity, whatever the
#: types are; otherwise it does where the type changes.
_LENIENT_STARTS = frozenset({"EE", "EI", "SE", "SI", "OE", "OI"})
_LENIENT_ENDS = frozenset({"BB", "BS", "BO", "IB", "IS", "IO"})

_AVERAGES = ("micro", "macro", "weighted")


def entities_of(tags: Sequence[str], scheme: str | None = None) -> list[Span]:
    """Reads the entities out of one row of tags.

    Args:
        tags: ``"O"``, or a letter, ``-`` and a type, such as ``"B-PER"``.
        scheme: None reads leniently; a name in ``SCHEMES`` strictly.

    Returns:
        ``(type, start, end)`` of each, in words, ``end`` excluded; a tag that is a letter alone
        is of the type ``"_"``.

    Raises:
        ValueError: The scheme is unknown, a tag is empty, or its letter is not the scheme's.

    Source: ``get_entities`` and ``Tokens`` in seqeval 1.2.2; ``conlleval`` of CoNLL-2000.

    Example:
        >>> entities_of(["B-PER", "I-PER", "O", "I-LOC"])
        [('PER', 0, 2), ('LOC', 3, 4)]
        >>> entities_of(["B-PER", "I-PER", "O", "I-LOC"], scheme="IOB2")
        [('PER', 0, 2)]
    """
    if scheme is None:
        return _lenient(tags)
    return list(_strict(tags, _rules_of(scheme)))


def entity_scores(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str | None = None
) -> dict:
    """Precision, recall and F1 of entities, over all and per type, and the accuracy of tags.

    Args:
        true: The right tags, one row per text.
        predicted: As many rows of as many tags.
        scheme: None counts leniently, as ``conlleval`` and seqeval's default; a name in
            ``SCHEMES`` strictly, as seqeval's ``mode="strict"``.

    Returns:
        ``{"micro": {...}, "macro": {...}, "weighted": {...}, "types": {type: {...}},
        "accuracy": float}``. Each ``{...}`` holds ``precision``, ``recall``, ``f1`` (0 where there
        is nothing to divide by) and ``support``, the number of right entities.

    Raises:
        ValueError: The rows do not match, or as ``entities_of``.

    Source: seqeval 1.2.2, ``classification_report``; Tjong Kim Sang and De Meulder 2003, section 3.

    Example:
        >>> scores = entity_scores([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]])
        >>> scores["micro"]["recall"], scores["types"]["LOC"]["support"]
        (0.5, 1)
    """
    _check_rows(true, predicted)
    spans = [_spans_of_rows(rows, scheme) for rows in (true, predicted)]
    return {**span_scores(*spans), "accuracy": token_accuracy(true, predicted)}


def span_scores(true: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]]) -> dict:
    """``entity_scores`` of spans in whatever unit, without the accuracy.

    Args:
        true: ``(type, start, end)`` of the right entities, one collection per text.
        predicted: The same of what was found.

    Example:
        >>> span_scores([[("PER", 0, 4)]], [[("PER", 0, 4), ("LOC", 9, 12)]])["micro"]["precision"]
        0.5
    """
    true, predicted = _by_type(true), _by_type(predicted)
    types = sorted(true.keys() | predicted.keys())
    none: set = set()
    counts = {}
    for kind in types:
        right, found = true.get(kind, none), predicted.get(kind, none)
        counts[kind] = len(right & found), len(found), len(right)
    per_type = {kind: _scores(*count) for kind, count in counts.items()}
    averages = {
        "micro": _scores(*map(sum, zip(*counts.values(), strict=True))) if counts else _scores(),
        "macro": _average(per_type.values(), lambda scores: 1),
        "weighted": _average(per_type.values(), lambda scores: scores["support"]),
    }
    return {**{name: averages[name] for name in _AVERAGES}, "types": per_type}


def token_accuracy(true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """The share of words whose tag is right; 0 where there is no word.

    Raises:
        ValueError: The rows do not match.

    Example:
        >>> token_accuracy([["DET", "NOUN"]], [["DET", "VERB"]])
        0.5
    """
    _check_rows(true, predicted)
    words = sum(map(len, true))
    pairs = zip(true, predicted, strict=True)
    right = sum(a == b for row in pairs for a, b in zip(*row, strict=True))
    return right / words if words else 0.0


def _check_rows(true, predicted):
    if len(true) != len(predicted):
        raise ValueError(f"Received {len(true)} rows of right tags and {len(predicted)} predicted.")
    for row, (one, other) in enumerate(zip(true, predicted, strict=True)):
        if len(one) != len(other):
            raise ValueError(
                f"Row {row} has {len(one)} right tags and {len(other)} predicted ones; expected "
                "one of each per word."
            )


def _spans_of_rows(rows, scheme):
    spans = []
    for row, tags in enumerate(rows):
        try:
            spans.append(entities_of(tags, scheme))
        except ValueError as error:
            raise ValueError(f"Row {row}: {error}") from None
    return spans


def _lenient(tags):
    """What ``conlleval`` reads."""
    spans, start = [], 0
    before, type_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        if not tag:
            raise ValueError(f'tag {place} is {tag!r}. Expected "O", or one such as "B-PER".')
        here, kind = tag[0], tag[1:].split("-", maxsplit=1)[-1] or "_"
        moved, step = kind != type_before, before + here
        if before in "ES" or step in _LENIENT_ENDS or (moved and before not in "O."):
            spans.append((type_before, start, place))
        if here in "BS" or step in _LENIENT_STARTS or (moved and here not in "O."):
            start = place
        before, type_before = here, kind
    return spans


def _rules_of(scheme):
    if scheme not in SCHEMES:
        raise ValueError(f"scheme={scheme!r}. Expected None or one of {', '.join(SCHEMES)}.")
    letters, *rules = SCHEMES[scheme]
    return letters, *({step for rule in r.split() for step in _steps(rule, letters)} for r in rules)


def _steps(rule, letters):
    """A rule as (letter before, letter here, whether the types are the same)."""
    before, here = (letters if letter == "." else letter for letter in rule[:2])
    same = {"=": [True], "!": [False], "*": [True, False]}[rule[2]]
    return [(a, b, c) for a in before for b in here for c in same]


def _strict(tags, rules):
    letters, starts, insides, ends = rules
    parts = [_part(place, tag, letters) for place, tag in enumerate(tags)]
    parts.append(("O", "_"))
    before, place = ("O", "_"), 0
    while place < len(parts):
        first = place
        if _step(before, parts[place]) in starts:
            place += 1
            while place < len(parts) and _step(parts[place - 1], parts[place]) in insides:
                place += 1
            if _step(parts[place - 1], parts[place]) in ends:
                yield parts[first][1], first, place
        else:
            place += 1
        before = parts[place - 1]


def _part(place, tag, letters):
    if not tag or tag[0] not in letters:
        raise ValueError(f"tag {place} is {tag!r}. Its first letter is none of {letters}.")
    return tag[0], tag[1:].strip("-") or "_"


def _step(before, here):
    return before[0], here[0], before[1] == here[1]


def _by_type(rows):
    found: dict[str, set] = {}
    for row, spans in enumerate(rows):
        for kind, start, end in spans:
            found.setdefault(kind, set()).add((row, start, end))
    return found


def _scores(hits=0, found=0, support=0):
    precision = hits / found if found else 0.0
    recall = hits / support if support else 0.0
    total = precision + recall
    f1 = 2 * precision * recall / total if total else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def _average(rows, weigh):
    rows = list(rows)
    total = sum(map(weigh, rows))
    mean = {
        name: sum(weigh(row) * row[name] for row in rows) / total if total else 0.0
        for name in ("precision", "recall", "f1")
    }
    return {**mean, "support": sum(row["support"] for row in rows)}
