"""Reading WordPiece vocabularies (`vocab.txt`: one token per line, the line number is the id)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["check_vocabulary", "looks_cased", "read_vocabulary"]


def read_vocabulary(path: str | os.PathLike) -> list[str]:
    """Reads a `vocab.txt` exactly as BERT's reference does.

    Lines end where Python's text mode says they end (`\\n`, `\\r\\n`, `\\r`; not U+2028, which the
    Chinese vocabulary holds as a token), and each is stripped, so that a line of U+2028 alone
    becomes an empty token: it keeps its id and matches nothing.

    Args:
        path: the file.

    Returns:
        The tokens; a token's index is its id. A token that stands twice is returned twice, and
        its *last* index is its id, as in the reference's dict.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, or not UTF-8 (the line is named).

    Source: google-research/bert `tokenization.py`, `load_vocab`.

    Example:
        >>> read_vocabulary("uncased_L-12_H-768_A-12/vocab.txt")[101]
        '[CLS]'
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No vocabulary file at {str(path)!r}. Expected a text file with one token per line, "
            "usually called vocab.txt."
        )
    try:
        with path.open(encoding="utf-8") as lines:
            tokens = [line.strip() for line in lines]
    except UnicodeDecodeError:
        raise ValueError(
            f"{str(path)!r} is not UTF-8: line {_first_undecodable_line(path)} cannot be decoded. "
            "A vocabulary is a UTF-8 text file with one token per line."
        ) from None
    if not any(tokens):
        raise ValueError(f"{str(path)!r} is empty. Expected one token per line.")
    return tokens


def check_vocabulary(tokens: Iterable[str]) -> list[str]:
    """Returns `tokens` as a list, or says which of them cannot be a vocabulary's token.

    Args:
        tokens: the tokens in the order of their ids.

    Raises:
        TypeError: an entry is not a `str`.
        ValueError: there are none, or one holds a line feed (a vocabulary is stored by lines) or
            half of a surrogate pair (which UTF-8 cannot hold).
    """
    tokens = list(tokens)
    if not tokens:
        raise ValueError("The vocabulary is empty. Expected a list of tokens, at least [UNK].")
    for index, token in enumerate(tokens):
        if not isinstance(token, str):
            raise TypeError(
                f"Token {index} of the vocabulary is {token!r} ({type(token).__name__}). "
                "Expected str."
            )
    joined = "\n".join(tokens)
    if joined.count("\n") != len(tokens) - 1:
        index = next(i for i, token in enumerate(tokens) if "\n" in token)
        raise ValueError(f"Token {index} of the vocabulary, {tokens[index]!r}, holds a line feed.")
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError as error:
        index = joined.count("\n", 0, error.start)
        raise ValueError(
            f"Token {index} of the vocabulary, {tokens[index]!r}, cannot be written as UTF-8."
        ) from None
    return tokens


def looks_cased(tokens: Sequence[str]) -> bool:
    """Whether a vocabulary holds words with capitals, which lower-cased text can never give.

    This settles the case of a model that comes without a word about it. Marks such as `[CLS]` or
    `<S>` do not count: only pieces that are letters throughout do.
    """
    pieces = (token.removeprefix("##") for token in tokens)
    return any(piece != piece.lower() and piece.isalpha() for piece in pieces)


def _first_undecodable_line(path: Path) -> int:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return number
    raise AssertionError("unreachable: some line was undecodable")
