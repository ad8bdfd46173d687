"""Byte-pair merges: reading them, and what tf.text's ops need to know of them.

A byte-pair vocabulary spells each byte with one printable character (`byte_character`), so `" the"`
is the token `Ġthe`. Words start as single bytes; then the adjacent pair that stands first in the
list of merges is joined, leftmost first, until no pair is in the list (Sennrich et al. 2016; the
bytes are GPT-2's, Radford et al. 2019).

tf.text's SentencePiece op runs the same algorithm, but it joins *any* two neighbours whose string
is a token, not only the pair that was learnt. `living_merges` leaves that no difference. Call a
merge (A, B) -> AB alive when the word AB by itself comes to stand as A, B before it. As long as
nothing is joined across its two ends, a part of a word goes through the same steps as that part by
itself. So wherever a merge that is not alive could be joined, its two parts never meet: it can be
left out. And wherever the string of a living one stands between two edges, it stands as A, B and
not as other halves: joining by string is joining by pair. This takes that parts are made before
the wholes, as they are in every list that was learnt from text; other lists are refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from keras_bert.text.sentencepiece import model as sentencepiece

__all__ = [
    "NO_WORD",
    "absent_bytes",
    "byte_character",
    "check_merges",
    "living_merges",
    "merging_model",
    "read_merges",
    "token_bytes",
    "whole_words",
]


def _byte_characters() -> tuple[str, ...]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


_BYTE_CHARACTERS = _byte_characters()
_BYTES = {character: byte for byte, character in enumerate(_BYTE_CHARACTERS)}


def byte_character(byte: int) -> str:
    """The character that stands for a byte: a printable one itself, for the others from U+0100 on.

    Source: openai/gpt-2 `encoder.py`, `bytes_to_unicode`.

    Example:
        >>> byte_character(ord("a")), byte_character(ord(" "))
        ('a', 'Ġ')
    """
    return _BYTE_CHARACTERS[byte]


def token_bytes(token: str) -> bytes:
    """The bytes of text that a token stands for.

    A token with a character that stands for no byte (an added token such as two spaces) is text
    as it is.

    Example:
        >>> token_bytes("Ġthe")
        b' the'
    """
    if all(character in _BYTES for character in token):
        return bytes(_BYTES[character] for character in token)
    return token.encode("utf-8")


def read_merges(path: str | os.PathLike) -> list[str]:
    """Reads a `merges.txt` (`vocab.bpe`): two tokens to a line, the most important merge first.

    Args:
        path: the file. Lines that start with `#version` are no merges.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No merges at {str(path)!r}. Expected a text file with two tokens per line, usually "
            "called merges.txt."
        )
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is not UTF-8: {error}. Get the file again.") from None
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [line for line in lines if line and not line.startswith("#version")]


def check_merges(merges: Iterable[str | Sequence[str]]) -> list[tuple[str, str]]:
    """Returns merges as pairs of tokens, or says which is none.

    Args:
        merges: `"left right"` or `(left, right)` each.

    Raises:
        ValueError: one is not two tokens, or stands twice.
    """
    pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]
    for rank, pair in enumerate(pairs):
        if len(pair) != 2 or not all(isinstance(t, str) and t for t in pair):
            raise ValueError(f"Merge {rank} is {merges[rank]!r}. Expected two tokens: 'Ġt he'.")
    if len(set(pairs)) < len(pairs):
        seen = set()
        pair = next(p for p in pairs if p in seen or seen.add(p))
        raise ValueError(f"The merge {' '.join(pair)!r} stands twice. Expected distinct merges.")
    return pairs


def living_merges(vocabulary: Iterable[str], merges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The tokens that merging can make, and the rank of the merge that makes each.

    Args:
        vocabulary: the tokens.
        merges: pairs of tokens, the most important first.

    Returns:
        token -> rank; the tokens of single bytes have rank -1.

    Raises:
        ValueError: a merge takes or makes what is no token, or takes what only a later one makes.
    """
    known = set(vocabulary)
    ranks = {character: -1 for character in _BYTE_CHARACTERS if character in known}
    halves: dict[str, tuple[str, str]] = {}
    pair_ranks: dict[tuple[str, str], int] = {}
    missed: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        left, right = pair
        token = left + right
        if not (left in known and right in known and token in known):
            lacking = next(t for t in (left, right, token) if t not in known)
            raise ValueError(
                f"Merge {rank}, {' '.join(pair)!r}, needs the token {lacking!r}, which the "
                "vocabulary lacks. Do the vocabulary and the merges belong together?"
            )
        absent = [half for half in pair if half not in ranks]
        if absent:
            missed.update((half, rank) for half in absent if half not in missed)
            continue
        if token in ranks or _is_crossed(left, right, ranks, halves, pair_ranks):
            continue
        if token in missed:
            raise ValueError(
                f"Merge {missed[token]} takes the token {token!r}, which only merge {rank} makes. "
                "Expected merges in the order in which they were learnt, parts before wholes."
            )
        ranks[token], halves[token], pair_ranks[pair] = rank, pair, rank
    return ranks


def _is_crossed(left, right, ranks, halves, pair_ranks) -> bool:
    """Whether, in the word left + right, something is joined across the middle too early.

    Before the middle stand, one after the other, the last part of `left`, the token that swallows
    it, and so on up to `left`; behind it likewise the first parts of `right`. Is there a merge of
    two of them that comes while both are there?
    """
    swallowed_left = math.inf
    while True:
        behind, swallowed_right = right, math.inf
        while True:
            rank = pair_ranks.get((left, behind))
            # Of merges of one rank the leftmost comes first: here, that is before one of `behind`
            # with what follows, and after one of `left` with what precedes it.
            if rank is not None and rank < swallowed_left and rank <= swallowed_right:
                return True
            if behind not in halves:
                break
            swallowed_right = ranks[behind]
            behind = halves[behind][0]
        if left not in halves:
            return False
        swallowed_left = ranks[left]
        left = halves[left][1]


def merging_model(vocabulary: Sequence[str], ranks: Mapping[str, int]) -> bytes:
    """A SentencePiece model that merges, for strings whose characters U+0000 to U+00FF are bytes.

    Args:
        vocabulary: the tokens in the order of their ids.
        ranks: what `living_merges` gives.

    Returns:
        A serialized `ModelProto`. Its piece ids are the tokens' ids; bytes that the vocabulary
        lacks have ids behind it.
    """
    model = sentencepiece.model_proto()

    def add(piece: str, kind: int, score: float = 0.0) -> None:
        model.pieces.add(piece=piece, score=score, type=kind)

    for index, token in enumerate(vocabulary):
        if token in ranks:
            text = token_bytes(token).decode("latin-1")
            add(text, sentencepiece.NORMAL, -float(ranks[token]))
        else:
            # Never found in text, which holds no character beyond U+00FF.
            add(f"\u0100{index}", sentencepiece.CONTROL)
    for byte in absent_bytes(ranks):
        add(chr(byte), sentencepiece.NORMAL)
    add("\u0100", sentencepiece.UNKNOWN)
    trainer = model.trainer_spec
    trainer.model_type = sentencepiece.BPE
    trainer.vocab_size = len(model.pieces)
    trainer.unk_id, trainer.unk_piece = len(model.pieces) - 1, "\u0100"
    trainer.bos_id = trainer.eos_id = trainer.pad_id = -1
    rules = model.normalizer_spec
    rules.name = "identity"
    rules.add_dummy_prefix = rules.remove_extra_whitespaces = rules.escape_whitespaces = False
    return model.SerializeToString()


def absent_bytes(ranks: Mapping[str, int]) -> list[int]:
    """The bytes that no token stands for."""
    return [byte for byte, character in enumerate(_BYTE_CHARACTERS) if character not in ranks]


def whole_words(vocabulary: Sequence[str], ranks: Mapping[str, int]) -> list[str]:
    """For each id the word that becomes this one token, or `NO_WORD` and the id.

    A living token by itself is merged into itself, so such words need no merging. Left out are
    tokens that are no UTF-8 and those with NUL or U+0011, which the op that looks words up cannot
    hold.
    """
    words = []
    for index, token in enumerate(vocabulary):
        word = None
        if token in ranks:
            try:
                word = token_bytes(token).decode("utf-8")
            except UnicodeDecodeError:
                pass
        if word is None or word.startswith(NO_WORD) or "\0" in word or "\x11" in word:
            word = f"{NO_WORD}{index}"
        words.append(word)
    return words


#: Splitting text into words cuts between a letter and a space: none starts like this.
NO_WORD = "a "
