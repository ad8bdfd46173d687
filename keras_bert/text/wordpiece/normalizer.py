"""BERT's text normalisation as a table for tf.text's FastBertNormalizer.

tf.text's own tables are not BERT's: they fold compatibility forms (`，` to `,`, `…` to `. . .`,
`ß` to `ss`) and turn control characters into spaces, so most Chinese sentences get other ids than
the model was trained on. The op itself only follows a table from code points to strings, and takes
one from outside. This module makes the table that says what google-research/bert's BasicTokenizer
does (`tokenization.py`): clean the text, set Chinese characters and punctuation apart, lower-case,
decompose (NFD) and drop accents (category Mn). What no table can say (which lower-case letter a
capital sigma has, that words of more than 200 characters are unknown) is in `tokenizer.py`.

**The Unicode version is pinned to 14.0**, the one of Python 3.11, the oldest Python this package
runs on: the reference asks Python's `unicodedata`, so its ids depend on the Python that runs it,
and ours must not, or a model would read text differently wherever it is served. Hence finished
tables lie in the package (`tables/unicode14.npz`, made by `write_tables` under Python 3.11, a few
dozen kilobytes; a test makes them again and compares) and nothing is built, cached or written on
a user's machine. Only tables that few ask for are derived from these: for
`tokenize_chinese_chars=False`, and without marks for capital sigmas.
"""

from __future__ import annotations

import functools
import os
import sys
import unicodedata
from collections.abc import Callable, Mapping

import numpy as np

from keras_bert.text.double_array import build_double_array, double_array_items
from keras_bert.text.unicode_tables import check_unicode_version, read_arrays, table_path

__all__ = [
    "CHINESE_RANGES",
    "SIGMA",
    "SIGMA_MARK",
    "STAND_IN",
    "UNMATCHABLE",
    "apart",
    "chinese_stand_ins",
    "make_table",
    "normalization",
    "normalizer_model",
    "open_flatbuffer",
    "read_table",
    "sigma_context",
    "write_tables",
]

# The characters that the reference's `_is_chinese_char` sets apart (adjacent ranges joined).
CHINESE_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

# A noncharacter that no vocabulary holds. It stands for characters that must neither match a piece
# nor split a word.
STAND_IN = "\ufdd0"

SIGMA = "\u03a3"
# Another one. As a word it stands for a capital sigma that nobody has looked at yet: whether it is
# final is for its neighbours to say, and a table knows none.
SIGMA_MARK = "\ufdd1"

# Tokens with one of these are never found in a text.
UNMATCHABLE = (STAND_IN, SIGMA_MARK)

# Punctuation that entered Unicode after 14.0. The reference (and we) see an unassigned character
# there, part of a word, unknown to every vocabulary; the ICU inside tf.text 2.20 (Unicode 16) would
# split at it.
_LATER_PUNCTUATION = frozenset(
    [
        *(0x1B4E, 0x1B4F, 0x1B7F, 0x10D6E, 0x113D4, 0x113D5, 0x113D7, 0x113D8),
        *(0x11BE1, 0x16D6D, 0x16D6E, 0x16D6F, 0x1E5FF),
        *range(0x11B00, 0x11B0A),
        *range(0x11F43, 0x11F50),
    ]
)

_TABLES = "unicode14"

# Value of a table entry: this bit, then (offset << 6 | bytes) of the replacement in the pool.
_REPLACED = 1 << 30
_LENGTH_BITS = 6


def normalizer_model(
    lower_case: bool = True,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool = True,
    mark_sigmas: bool = False,
) -> np.ndarray:
    """The `model_buffer` for `tf_text.FastBertNormalizer`.

    Args:
        lower_case: lower-case the text.
        strip_accents: decompose and drop accents; None means: as `lower_case`.
        tokenize_chinese_chars: Chinese characters are words of their own. tf.text's word splitter
            always sets them apart, so where they must not be, the table writes private-use
            characters instead (`chinese_stand_ins`), and the vocabulary has to do the same.
        mark_sigmas: where text is lower-cased, make of each capital sigma the word `SIGMA_MARK`
            and not `σ`, so that ids show that one was there.

    Returns:
        A read-only uint8 array, the flatbuffer.
    """
    lower_case = bool(lower_case)
    strip_accents = lower_case if strip_accents is None else bool(strip_accents)
    mark_sigmas = bool(mark_sigmas and lower_case)
    return _model(lower_case, strip_accents, bool(tokenize_chinese_chars), mark_sigmas)


@functools.lru_cache(maxsize=8)
def _model(
    lower_case: bool, strip_accents: bool, tokenize_chinese_chars: bool, mark_sigmas: bool
) -> np.ndarray:
    if tokenize_chinese_chars and mark_sigmas == lower_case:
        (model,) = read_arrays(_TABLES, _table_name(lower_case, strip_accents))
    else:
        table = normalization(lower_case, strip_accents)
        if not tokenize_chinese_chars:
            table = _without_chinese_words(table)
        model = _write_model(_with_marks(table) if mark_sigmas else table)
    model.setflags(write=False)
    return model


def normalization(lower_case: bool, strip_accents: bool) -> dict[int, str]:
    """What `make_table` gives, read from the package."""
    (model,) = read_arrays(_TABLES, _table_name(lower_case, strip_accents))
    table = read_table(model)
    return {**table, ord(SIGMA): SIGMA.lower()} if lower_case else table


def _with_marks(table: Mapping[int, str]) -> dict[int, str]:
    return {**table, ord(SIGMA): f" {SIGMA_MARK} "}


def sigma_context() -> tuple[np.ndarray, np.ndarray]:
    """The characters that decide whether a capital sigma is final, hence lower-cased to `ς`.

    Returns:
        (cased, ignorable): ranges of code points, int32 (n, 2), both ends included. A sigma is
        final when a cased character stands before it and none after it, ignorable ones aside.

    Source: Unicode's Final_Sigma (table 3-17) as CPython's `str.lower` applies it. Characters that
    the reference deletes before it lower-cases count as ignorable.
    """
    cased, ignorable = read_arrays(_TABLES, "cased", "ignorable")
    return cased, ignorable


def apart(character: str) -> bool:
    """Whether the reference sets this character apart as a word of its own."""
    return _is_punctuation(character) or _is_chinese(character)


def chinese_stand_ins() -> dict[int, int]:
    """Code points of Chinese characters -> the private-use ones (planes 15, 16) that stand in."""
    chinese = (c for first, last in CHINESE_RANGES for c in range(first, last + 1))
    private = (*range(0xF0000, 0xFFFFE), *range(0x100000, 0x10FFFE))
    return dict(zip(chinese, private, strict=False))


def make_table(lower_case: bool, strip_accents: bool) -> dict[int, str]:
    """The reference's rules: code point -> what becomes of it, where it does not stay as it is.

    Punctuation beyond ASCII and Chinese compatibility characters come with spaces around them, so
    that splitting does not depend on the Unicode version of the op that splits.

    Raises:
        RuntimeError: this Python's Unicode is not the pinned one.
    """
    check_unicode_version()
    table = {}
    for code_point in range(sys.maxunicode + 1):
        character = chr(code_point)
        # Unassigned, private and surrogate code points stay as they are.
        if unicodedata.category(character) in ("Cn", "Co", "Cs"):
            if code_point in _LATER_PUNCTUATION or character == SIGMA_MARK:
                table[code_point] = STAND_IN
            continue
        replacement = _normalized(character, lower_case, strip_accents)
        if replacement != character:
            table[code_point] = replacement
    return table


def read_table(model: np.ndarray) -> dict[int, str]:
    """Reads a model back into what `make_table` gives."""
    units, pool = _open_model(model)
    table = {0: ""}  # the op takes NUL's entry from a field of its own
    for key, value in double_array_items(units):
        try:
            character = key.decode("utf-8")
        except UnicodeDecodeError:
            continue
        start, length = (value & ~_REPLACED) >> _LENGTH_BITS, value & (1 << _LENGTH_BITS) - 1
        table[ord(character)] = pool[start : start + length].decode("utf-8")
    return table


def write_tables(path: str | os.PathLike | None = None) -> None:
    """Makes the file that lies in the package, or another. Needs Python 3.11.

    Raises:
        RuntimeError: this Python's Unicode is not the pinned one.
    """
    arrays = {}
    for lower_case in (False, True):
        for strip_accents in (False, True):
            table = make_table(lower_case, strip_accents)
            model = _write_model(_with_marks(table) if lower_case else table)
            arrays[_table_name(lower_case, strip_accents)] = model
    arrays["cased"], arrays["ignorable"] = _make_sigma_context()
    np.savez_compressed(path or table_path(_TABLES), **arrays)


def _table_name(lower_case: bool, strip_accents: bool) -> str:
    return f"lower{lower_case:d}_strip{strip_accents:d}"


# --- the reference's rules for one character -----------------------------------------------------


def _normalized(character: str, lower_case: bool, strip_accents: bool) -> str:
    if character in ("\0", "\ufffd") or _is_control(character):
        return ""
    # isspace() beside Zs: the reference splits with str.split, which knows U+2028 and U+2029 too.
    if character.isspace():
        return " "
    text = character.lower() if lower_case else character
    if strip_accents:
        decomposed = unicodedata.normalize("NFD", text)
        text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return "".join(f" {c} " if ord(c) > 127 and _is_punctuation(c) else c for c in text)


def _is_control(character: str) -> bool:
    return character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cf")


def _is_punctuation(character: str) -> bool:
    if character.isascii():  # every visible sign, also those Unicode calls symbols
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")


def _is_chinese(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in CHINESE_RANGES)


def _without_chinese_words(table: Mapping[int, str]) -> dict[int, str]:
    stand_ins = chinese_stand_ins()
    changed = {c: text.translate(stand_ins) for c, text in table.items()}
    for chinese, private in stand_ins.items():
        changed.setdefault(chinese, chr(private))
        # A private character of the text itself must not pass for the one it stands in for.
        changed[private] = STAND_IN
    return changed


def _make_sigma_context() -> tuple[np.ndarray, np.ndarray]:
    """Asks `str.lower` itself which characters it takes for cased and which for ignorable."""
    alone = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
    deleted = {c for c in alone if c in ("\0", "\ufffd") or _is_control(c)}
    makes_final = {c for c in alone if (c + SIGMA).lower()[-1] == "ς"}
    keeps_final = {c for c in alone if ("a" + c + SIGMA).lower()[-1] == "ς"}
    cased = makes_final - deleted
    ignorable = (keeps_final - makes_final | deleted) - set("\t\n\r")
    return _ranges(cased), _ranges(ignorable)


def _ranges(characters: set[str]) -> np.ndarray:
    code_points = np.array(sorted(map(ord, characters)), np.int32)
    breaks = np.flatnonzero(np.diff(code_points) > 1)
    starts = np.concatenate([code_points[:1], code_points[breaks + 1]])
    ends = np.concatenate([code_points[breaks], code_points[-1:]])
    return np.stack([starts, ends], axis=1)


# --- the op's container --------------------------------------------------------------------------


def _write_model(table: Mapping[int, str]) -> np.ndarray:
    """Writes tf.text's FastBertNormalizerModel flatbuffer.

    Source: tensorflow_text/core/kernels/fast_bert_normalizer_model.fbs.
    """
    import flatbuffers

    add_to_pool, pool = _string_pool()
    items = {chr(c).encode("utf-8"): add_to_pool(text) for c, text in table.items() if c != 0}
    items.update((key, _REPLACED) for key in _ill_formed_sequences())
    builder = flatbuffers.Builder(1 << 20)
    units_vector = builder.CreateNumpyVector(build_double_array(items))
    pool_vector = builder.CreateByteVector(bytes(pool))
    builder.StartObject(4)
    # Slot 0 (lower_case_nfd_strip_accents) is for tf.text's own tables; the op does not read it.
    builder.PrependUOffsetTRelativeSlot(1, units_vector, 0)
    builder.PrependInt32Slot(2, _REPLACED, 0)  # NUL is deleted
    builder.PrependUOffsetTRelativeSlot(3, pool_vector, 0)
    builder.Finish(builder.EndObject())
    return np.frombuffer(bytes(builder.Output()), np.uint8).copy()


def open_flatbuffer(model: np.ndarray):
    """The fields of a flatbuffer (uint8 array): a `flatbuffers.table.Table`."""
    import flatbuffers

    buffer = model.tobytes()
    root = flatbuffers.encode.Get(flatbuffers.packer.uoffset, buffer, 0)
    return flatbuffers.table.Table(buffer, root)


def _open_model(model: np.ndarray) -> tuple[np.ndarray, bytes]:
    from flatbuffers.number_types import Uint8Flags, Uint32Flags

    fields = open_flatbuffer(model)
    units = fields.GetVectorAsNumpy(Uint32Flags, fields.Offset(6))
    pool = fields.GetVectorAsNumpy(Uint8Flags, fields.Offset(10))
    return units, pool.tobytes()


def _string_pool() -> tuple[Callable[[str], int], bytearray]:
    pool, offsets = bytearray(), {b"": 0}

    def add(text: str) -> int:
        encoded = text.encode("utf-8")
        if encoded not in offsets:
            offsets[encoded] = len(pool)
            pool.extend(encoded)
        return _REPLACED | offsets[encoded] << _LENGTH_BITS | len(encoded)

    return add, pool


def _ill_formed_sequences() -> list[bytes]:
    """Every maximal part of an ill-formed UTF-8 sequence, which is what the op steps over.

    Mapped to nothing, they vanish as in Python's `decode("utf-8", "ignore")`.
    Source: the Unicode Standard, table 3-7 and "substitution of maximal subparts".
    """
    second_byte = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}
    parts = [bytes([b]) for b in range(0x80, 0x100)]
    for lead in range(0xE0, 0xF5):
        first, last = second_byte.get(lead, (0x80, 0xBF))
        two = [bytes([lead, b]) for b in range(first, last + 1)]
        parts += two
        if lead >= 0xF0:
            parts += [start + bytes([b]) for start in two for b in range(0x80, 0xC0)]
    return parts
