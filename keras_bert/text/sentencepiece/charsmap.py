"""The character maps inside SentencePiece models, and ALBERT's preparation of text as a part of it.

A model brings its normalisation along as a "precompiled character map": strings of characters ->
what becomes of them, the longest match first. ALBERT prepares text before that: it makes straight
quotes of `` and '', decomposes (NFKD), drops accents and lower-cases. Both are maps of characters,
so one map can say both: `albert_charsmap`. The preparation then costs nothing, in any op that reads
such a map, and offsets lead from the ids to the text as it was given.

**The Unicode version is pinned to 14.0**, for the reasons given in `wordpiece/normalizer.py`: what
NFKD, category M and lower-casing are lies in `tables/compatibility14.npz` (made by `write_tables`
under Python 3.11, a few dozen kilobytes). Hugging Face's Rust tables for NFKD and marks are those
of Unicode 11: the marks that came later stay in its text, where they are unknown; here they are
dropped.
"""

from __future__ import annotations

import functools
import os
import struct
import sys
import unicodedata
from collections.abc import Mapping

import numpy as np

from keras_bert.text.double_array import (
    build_double_array,
    close_to_zero_bytes,
    double_array_items,
)
from keras_bert.text.unicode_tables import (
    WHITE_SPACE,
    check_unicode_version,
    read_arrays,
    table_path,
)
from keras_bert.text.utf8 import ANNOUNCED_BYTES

__all__ = ["albert_charsmap", "deleted_characters", "read_charsmap", "write_charsmap"]
__all__ += ["write_tables"]

_TABLES = "compatibility14"

# Hangul syllables, of two or three letters each: decomposed by rule, so the table need not.
_HANGUL = range(0xAC00, 0xD7A4)


@functools.lru_cache(maxsize=4)
def albert_charsmap(
    charsmap: bytes, lower_case: bool, strip_accents: bool, straight_quotes: bool
) -> bytes:
    """Puts ALBERT's preparation of text before a model's own map.

    Args:
        charsmap: the model's `precompiled_charsmap`; empty: characters stay as they are.
        lower_case: lower-case the text.
        strip_accents: decompose compatibility characters (NFKD) and drop marks (category M).
        straight_quotes: make a straight quote of `` and ''.

    Returns:
        A `precompiled_charsmap`.

    Raises:
        ValueError: `charsmap` is not one.

    Source: the normaliser of Hugging Face's `AlbertTokenizer`: quotes, NFKD, StripAccents,
    Lowercase, then the model's map character by character, so that letters of Hangul stay apart.
    Without NFKD, the model's map joins marks to letters as SentencePiece does.
    """
    prepared = _preparation(lower_case, strip_accents)
    own = read_charsmap(charsmap, single=strip_accents)

    def normalized(text: str) -> str:
        text = "".join(prepared.get(c, c) for c in text)
        if len(text) > 1 and text in own:
            return own[text]
        return "".join(own.get(c, c) for c in text).translate(_TO_BLANK)

    changed = [*prepared, *own, *map(chr, WHITE_SPACE)]
    table = {key: normalized(key) for key in changed}
    if straight_quotes:
        table["``"] = table["''"] = '"'
    return write_charsmap({key: text for key, text in table.items() if key != text})


# Hugging Face's ALBERT splits words at all of these.
_TO_BLANK = dict.fromkeys(WHITE_SPACE, " ")


@functools.lru_cache(maxsize=4)
def deleted_characters(charsmap: bytes) -> np.ndarray:
    """The characters that a map deletes: sorted code points, int32 (n,)."""
    table = read_charsmap(charsmap, single=True)
    return np.array(sorted(ord(key) for key, text in table.items() if not text), np.int32)


def read_charsmap(charsmap: bytes, single: bool = False) -> dict[str, str]:
    """Reads a `precompiled_charsmap`: strings of characters -> what becomes of them.

    Args:
        charsmap: the map; empty where characters stay as they are.
        single: read only what single characters become; the others are 40 times as many.

    Raises:
        ValueError: it is not one, or is damaged.

    Source: sentencepiece `normalizer.cc`, `DecodePrecompiledCharsMap`: the size of a double array
    in bytes, the array, and the results, each with a zero byte behind it.
    """
    if not charsmap:
        return {}
    size = struct.unpack("<I", charsmap[:4])[0] if len(charsmap) >= 4 else 0
    if not 0 < size <= len(charsmap) - 5 or size % 4:
        raise ValueError(
            f"The SentencePiece model's precompiled_charsmap of {len(charsmap)} bytes is damaged. "
            "Get the model again."
        )
    units, pool = np.frombuffer(charsmap, "<u4", size // 4, 4), charsmap[4 + size :]

    def ends(key: bytes) -> bool:
        return single and len(key) == ANNOUNCED_BYTES[key[0]]

    return {
        key.decode("utf-8"): pool[start : pool.index(b"\0", start)].decode("utf-8")
        for key, start in double_array_items(units, ends=ends)
    }


def write_charsmap(table: Mapping[str, str]) -> bytes:
    """Writes a `precompiled_charsmap`; the result depends on the table only, not on its order.

    A NUL cannot be a key and is left out.
    """
    pool, starts = bytearray(), {}
    for text in sorted(set(table.values())):
        starts[text] = len(pool)
        pool += text.encode("utf-8") + b"\0"
    items = {key.encode("utf-8"): starts[text] for key, text in table.items() if key != "\0"}
    units = close_to_zero_bytes(build_double_array(items)).astype("<u4").tobytes()
    return struct.pack("<I", len(units)) + units + bytes(pool)


def write_tables(path: str | os.PathLike | None = None) -> None:
    """Makes the file that lies in the package, or another.

    Raises:
        RuntimeError: this Python's Unicode is not the pinned one: use Python 3.11.
    """
    check_unicode_version()
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
    characters = [c for c in characters if ord(c) not in _HANGUL]
    arrays = {}
    for name, change in (("stripped", _strip), ("lowered", str.lower)):
        changed = {c: change(c) for c in characters if change(c) != c}
        arrays[f"{name}_from"] = np.array([ord(c) for c in changed], np.uint32)
        # No result holds a line feed.
        arrays[f"{name}_to"] = np.frombuffer("\n".join(changed.values()).encode(), np.uint8)
    np.savez_compressed(path or table_path(_TABLES), **arrays)


def _strip(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if unicodedata.category(c)[0] != "M")


def _preparation(lower_case: bool, strip_accents: bool) -> dict[str, str]:
    """What becomes of single characters before the model's own map."""
    lowered = _shipped("lowered") if lower_case else {}
    if not strip_accents:
        return lowered
    stripped = _shipped("stripped")
    stripped.update((chr(c), unicodedata.normalize("NFKD", chr(c))) for c in _HANGUL)
    both = {c: "".join(lowered.get(x, x) for x in text) for c, text in stripped.items()}
    return {**lowered, **both}


def _shipped(name: str) -> dict[str, str]:
    characters, texts = read_arrays(_TABLES, f"{name}_from", f"{name}_to")
    texts = texts.tobytes().decode("utf-8").split("\n")
    return dict(zip(map(chr, characters.tolist()), texts, strict=True))
