"""Tags of words: what scheme they are of, the entities they mean, and the same in another scheme.

==========  ======================================================================================
``IOB1``    ``I-PER`` inside an entity; ``B-PER`` only where it touches another one of its type
``IOB2``    ``B-PER`` for the first word of every entity, ``I-PER`` for the others
``IOE1``    as ``IOB1``, with ``E-PER`` for the last word
``IOE2``    as ``IOB2``, with ``E-PER`` for the last word
``IOBES``   ``B-``, ``I-`` and ``E-`` for first, inner and last words, ``S-`` for single ones
``BILOU``   the same with ``L-`` for last and ``U-`` for single ones
``plain``   a name per word, such as a part of speech; no entities
==========  ======================================================================================

Source: Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999 ("Representing Text Chunks");
Ratinov and Roth 2009, section 4.1.
"""

import re
from collections.abc import Iterable, Sequence

__all__ = [
    "OUTSIDE",
    "SCHEMES",
    "are_entity_tags",
    "normal_tags",
    "scheme_of",
    "spans_of_tags",
    "tag_names",
    "tag_parts",
    "tags_of_spans",
]

OUTSIDE = "O"

#: Scheme → the letters that it has beside O.
SCHEMES = {
    "IOB1": "BI",
    "IOB2": "BI",
    "IOE1": "IE",
    "IOE2": "IE",
    "IOBES": "BIES",
    "BILOU": "BILU",
    "plain": "",
}

#: Scheme → its letters for the first, an inner, the last and the only word of an entity.
_WRITTEN = {"IOB2": "BIIB", "IOE2": "IIEE", "IOBES": "BIES", "BILOU": "BILU"}

_TAG = re.compile(r"([BIESLU])(?:-(.+))?")

# Letters that begin an entity always, and such behind which the next word begins one.
_BEGINS, _CLOSES = frozenset("BSU"), frozenset("ESLU")


def tag_parts(tag: str) -> tuple[str, str] | None:
    """A tag's letter and type; None where it is neither ``"O"`` nor one such as ``"B-PER"``.

    A letter alone is of the type ``"_"``, as seqeval calls it.

    Example:
        >>> tag_parts("B-PER"), tag_parts("O"), tag_parts("NOUN")
        (('B', 'PER'), ('O', ''), None)
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    match = _TAG.fullmatch(tag)
    return match and (match[1], match[2] or "_")


def are_entity_tags(tags: Iterable[str]) -> bool:
    """Whether tags mark entities, rather than name something of each word.

    They do if most of those that are not ``"O"`` have a letter and a type; or if there are no
    others than ``"O"``.
    """
    tags = set(tags) - {OUTSIDE}
    marks = sum(tag_parts(tag) is not None for tag in tags)
    return 2 * marks > len(tags) or not tags


def scheme_of(rows: Iterable[Sequence[str]]) -> str:
    """The scheme that rows of tags are written in: a name in ``SCHEMES``.

    IOB1 differs from IOB2 by what begins entities: ``I-`` that continue nothing are IOB1, unless
    there is a ``B-`` where IOB1 has none. ``I-`` and ``O`` alone are IOB1.

    Example:
        >>> scheme_of([["I-PER", "I-PER", "O"], ["I-LOC", "B-LOC"]])
        'IOB1'
    """
    rows = list(rows)
    tags = {tag for row in rows for tag in row}
    if not are_entity_tags(tags):
        return "plain"
    letters = {parts[0] for parts in map(tag_parts, tags) if parts}
    if letters & set("LU"):
        return "BILOU"
    if letters & set("ES"):
        if letters & set("BS"):
            return "IOBES"
        return "IOE2" if all(_marks_every(row, ends=True) for row in rows) else "IOE1"
    if all(_marks_every(row, ends=False) for row in rows) or any(map(_has_needless_b, rows)):
        return "IOB2"
    return "IOB1"


def spans_of_tags(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The entities that tags of any scheme mean: ``(type, start, end)`` in words, end excluded.

    A tag that continues nothing begins an entity, as conlleval reads it. Tags that mark no entity
    are outside.

    Example:
        >>> spans_of_tags(["I-PER", "E-PER", "O", "U-LOC"])
        [('PER', 0, 2), ('LOC', 3, 4)]
    """
    spans: list[tuple[str, int, int]] = []
    open_type, closed = None, True
    for place, tag in enumerate(tags):
        letter, kind = tag_parts(tag) or (OUTSIDE, "")
        if letter == OUTSIDE:
            open_type = None
            continue
        if letter in _BEGINS or closed or kind != open_type:
            spans.append((kind, place, place + 1))
        else:
            spans[-1] = (kind, spans[-1][1], place + 1)
        open_type, closed = kind, letter in _CLOSES
    return spans


def tags_of_spans(
    spans: Iterable[tuple[str, int, int]], words: int, scheme: str = "IOB2"
) -> list[str]:
    """Writes entities, which do not overlap, as one tag per word.

    Args:
        spans: ``(type, start, end)`` in words, end excluded.
        words: How many words there are.
        scheme: ``"IOB2"``, ``"IOE2"``, ``"IOBES"`` or ``"BILOU"``.

    Example:
        >>> tags_of_spans([("PER", 0, 2), ("LOC", 3, 4)], 4, "IOBES")
        ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    first, inner, last, single = _WRITTEN[scheme]
    tags = [OUTSIDE] * words
    for kind, start, end in spans:
        letters = first + inner * (end - start - 2) + last if end - start > 1 else single
        for place, letter in enumerate(letters, start):
            tags[place] = letter if kind == "_" else f"{letter}-{kind}"
    return tags


def normal_tags(tags: Sequence[str], scheme: str = "IOB2") -> list[str]:
    """The same entities in another scheme; what broke the rules of its own follows the new one's.

    Example:
        >>> normal_tags(["I-PER", "I-PER", "O", "S-LOC"])
        ['B-PER', 'I-PER', 'O', 'B-LOC']
    """
    return tags_of_spans(spans_of_tags(tags), len(tags), scheme)


def tag_names(tags: Iterable[str]) -> list[str]:
    """The labels of a model that is to tag as ``tags`` do: ``"O"`` first, then by type or name.

    A type that is there has both ``B-`` and ``I-``, for longer entities than were seen; tags of
    other schemes are taken as the IOB2 that they are converted to.

    Example:
        >>> tag_names(["O", "B-PER", "S-LOC"])
        ['O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER']
    """
    tags = set(tags)
    if not are_entity_tags(tags):
        return [OUTSIDE] * (OUTSIDE in tags) + sorted(tags - {OUTSIDE})
    types = sorted({parts[1] for parts in map(tag_parts, tags) if parts} - {""})
    return [OUTSIDE, *(tag for kind in types for tag in tags_of_spans([(kind, 0, 2)], 2))]


def _marks_every(tags, ends):
    """Whether the first word of every entity has B, or the last one E."""
    return all(tags[end - 1 if ends else start][0] in "BE" for _, start, end in spans_of_tags(tags))


def _has_needless_b(tags):
    """Whether there is a B where no entity of its type stands before it, where IOB1 has I."""
    parts = [tag_parts(tag) or (OUTSIDE, "") for tag in tags]
    before = [(OUTSIDE, ""), *parts]
    return any(h[0] == "B" and h[1] != b[1] for b, h in zip(before, parts, strict=False))
