"""Reads tagged words in columns: CoNLL files, and what looks like them.

One word per line, with its tag in another column; a blank line ends a sentence. Columns are
separated by tabs where the file has any, else by blanks. Lines ``-DOCSTART- ...`` are no words, and
neither are comments: lines that begin with ``#`` and have not a row's columns, or whose tag no
other row has; in files whose first column counts the words (CoNLL-U, UNER), every line with ``#``.
There, rows ``3-4`` and ``5.1``, contractions and empty nodes, are left out, too.

Source: Tjong Kim Sang and De Meulder 2003, section 2; universaldependencies.org/format.html.
"""

import collections
import dataclasses
import os
import re

from keras_bert.data.examples import Examples, SourceError, counted, shown
from keras_bert.data.labels import text_problem
from keras_bert.data.tags import (
    OUTSIDE,
    SCHEMES,
    are_entity_tags,
    normal_tags,
    scheme_of,
    tag_names,
    tag_parts,
)
from keras_bert.data.text_files import opened

__all__ = ["TaggedExamples", "read_conll"]

#: Share of a column's values that are entity tags where it is a column of them.
_MOSTLY = 0.9

# Where CoNLL-U has its words and their parts of speech, from 0.
_CONLL_U_COLUMNS, _CONLL_U_TAG = 10, 3

_WORD_NUMBER = re.compile(r"\d+")
_NO_WORD_NUMBER = re.compile(r"\d+[-.]\d+")


@dataclasses.dataclass
class TaggedExamples(Examples):
    """The sentences of one file, each a list of words with a list of tags.

    Attributes:
        texts: the words of each sentence.
        labels: a tag per word; entities as IOB2, whatever scheme the file has. None where the file
            has no tags.
        rows: the line (from 1) where each sentence starts.
        skipped: ``(line, reason)`` of the broken row of each sentence left out.
        columns: ``"token"`` and ``"tag"`` with their numbers, from 1.
        path: the file.
        scheme: what scheme the file's tags are of, a name in ``keras_bert.data.tags.SCHEMES``.
        repaired: ``(line, tag)`` of each tag that broke the rules of its scheme, such as ``I-PER``
            behind ``O`` in IOB2: it was read as conlleval does, as the beginning of an entity.
    """

    scheme: str | None = None
    repaired: list[tuple[int, str]] = dataclasses.field(default_factory=list)

    @property
    def label_names(self) -> list[str]:
        """The labels of a model for these tags: ``"O"``, then ``B-`` and ``I-`` of every type."""
        return tag_names({tag for tags in self.labels or () for tag in tags})

    noun = "tag"

    def _names_in(self, label):
        return label

    def describe(self) -> str:
        """What was found, in one line: sentences, words, columns, scheme, types, what is broken."""
        words = sum(map(len, self.texts))
        parts = [f"{self.path}: {counted(len(self), 'sentence')}", counted(words, "word")]
        parts += [f"{role} in column {number}" for role, number in self.columns.items()]
        if self.labels is not None:
            names = self.label_names
            plain = self.scheme == "plain"
            parts[-1] += "" if plain else f" ({self.scheme})"
            types = {(tag_parts(name) or ("", name))[1] for name in names} - {""}
            parts.append(counted(len(types), "tag" if plain else "type"))
        if self.repaired:
            parts.append(f"{counted(len(self.repaired), 'tag')} against the scheme read as begun")
        if self.skipped:
            parts.append(f"{counted(len(self.skipped), 'sentence')} with a bad row skipped")
        return ", ".join(parts)


def read_conll(
    path: str | os.PathLike,
    token_column: int | None = None,
    tag_column: int | None = None,
    scheme: str | None = None,
    skip_bad_rows: bool = False,
    with_labels: bool | None = None,
) -> TaggedExamples:
    """Reads sentences of tagged words.

    The words are in the first column, or in the second where the first one counts them. The tags
    are in the last column of entity tags (``O``, ``B-PER``); without one in the last column, or in
    CoNLL-U's column of universal parts of speech. ``describe()`` says what was found. Entity tags
    of every scheme come back as IOB2.

    Args:
        path: the file, of any suffix.
        token_column: number, from 1, of the column of words; default: found.
        tag_column: the same of the tags.
        scheme: a name in ``keras_bert.data.tags.SCHEMES``; default: recognised. ``"plain"`` tags,
            such as parts of speech, are left as they are.
        skip_bad_rows: leave sentences with a broken row out and list them in ``skipped``.
        with_labels: True: a file of words alone is an error. False: tags are not read. None: they
            are read where the file has them.

    Returns:
        The sentences, in the order of the file.

    Raises:
        SourceError: the file is empty or has no such column, or a row is broken: it has fewer or
            more columns than the others, is not UTF-8, or its tag is not of the scheme.
        ValueError: the scheme is unknown.
        OSError: the file is missing, is a folder, or cannot be read.

    Example:
        >>> from keras_bert.data import read_conll
        >>> train = read_conll("train.conll")                             # doctest: +SKIP
        >>> print(train.describe())                                       # doctest: +SKIP
        train.conll: 3,394 sentences, 62,730 words, token in column 1, tag in column 2 (IOB2), ...
    """
    if scheme is not None and scheme not in SCHEMES:
        raise ValueError(f"scheme={scheme!r}. Expected None or one of {', '.join(SCHEMES)}.")
    path = os.fspath(path)
    with opened(path) as file:
        sentences = _sentences(file)
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        raise SourceError(path, None, "the file is empty")
    columns = _Columns(path, rows, token_column, tag_column, with_labels)
    sentences = [columns.words(sentence) for sentence in sentences]
    if columns.tag is not None and scheme is None:
        # A column of a few odd tags among many is one of entities with broken rows.
        read = [[word.tag for word in s if word.reason is None] for s in sentences]
        scheme = scheme_of(read)
    scheme = None if columns.tag is None else scheme
    examples = TaggedExamples(
        [], None if columns.tag is None else [], [], [], columns.found(), path, scheme
    )
    for sentence in sentences:
        if sentence:
            _collect(examples, sentence, skip_bad_rows)
    examples.require_some()
    return examples


@dataclasses.dataclass(frozen=True)
class _Word:
    """A row: its line, its word and tag, and why they cannot be used."""

    row: int
    text: str
    tag: str
    reason: str | None


def _sentences(file):
    """Sentences of (line, fields); whether a line with # is a comment is not known yet."""
    lines = [(row, line.rstrip("\r\n")) for row, line in enumerate(file, start=1)]
    tabs = any("\t" in line for _, line in lines if not line.startswith("#"))
    sentences = [[]]
    for row, line in lines:
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("-DOCSTART-"):
            sentences.append([])
            continue
        fields = line.split("\t") if tabs else re.split("[ \t]+", stripped)
        sentences[-1].append((row, fields))
    return [sentence for sentence in sentences if sentence]


class _Columns:
    """Which columns hold the words and the tags, and which rows are comments."""

    def __init__(self, path, rows, token, tag, with_labels):
        fields = [fields for _, fields in rows if not fields[0].startswith("#")]
        fields = fields or [fields for _, fields in rows]
        counts = collections.Counter(map(len, fields))
        self.width = max(counts, key=lambda width: (counts[width], width))
        fields = [row for row in fields if len(row) == self.width]
        self.numbered = token is None and _counts_words(fields)
        self.token = self._place(path, token) if token is not None else int(self.numbered)
        self.tag = None
        if with_labels is not False:
            self.tag = self._place(path, tag) if tag is not None else self._find_tag(fields)
        if self.tag is None and with_labels:
            raise SourceError(path, None, "the file has words alone; a column of tags is expected")
        if self.tag == self.token:
            raise SourceError(
                path, None, f"column {self.tag + 1} is given as the words' and as the tags'"
            )
        self.known = None if self.tag is None else {row[self.tag] for row in fields}

    def found(self):
        """The columns by role, numbered from 1."""
        places = {"token": self.token, "tag": self.tag}
        return {role: place + 1 for role, place in places.items() if place is not None}

    def words(self, sentence):
        """A sentence's rows without comments, as ``_Word``."""
        return [self._word(row, fields) for row, fields in sentence if not self._skips(fields)]

    def _skips(self, fields):
        if self.numbered:
            return fields[0].startswith("#") or bool(_NO_WORD_NUMBER.fullmatch(fields[0]))
        if not fields[0].startswith("#"):
            return False
        return len(fields) != self.width or (self.tag is not None and not self._is_known(fields))

    def _is_known(self, fields):
        return fields[self.tag] in self.known or tag_parts(fields[self.tag]) is not None

    def _word(self, row, fields):
        if len(fields) != self.width:
            found, most = counted(len(fields), "column"), counted(self.width, "column")
            reason = f"the row has {found}, {shown(' '.join(fields))}; most have {most}"
            return _Word(row, "", "", reason)
        text, tag = fields[self.token], "" if self.tag is None else fields[self.tag].strip()
        reason = text_problem("word", text)
        if reason is None and self.tag is not None:
            reason = text_problem("tag", tag) or (None if tag else "the tag is empty")
        return _Word(row, text, tag, reason)

    def _place(self, path, number):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"A column is {shown(number)}; expected its number, from 1, or None.")
        if not 1 <= number <= self.width:
            columns = counted(self.width, "column")
            raise SourceError(path, None, f"there is no column {number}; the file has {columns}")
        return number - 1

    def _find_tag(self, fields):
        candidates = [place for place in range(self.width) if place > self.token]
        of_entities = [place for place in candidates if _is_of_entities(fields, place)]
        marked = [p for p in of_entities if any(row[p] != OUTSIDE for row in fields)]
        if of_entities:
            return (marked or of_entities)[-1]
        if self.numbered and self.width == _CONLL_U_COLUMNS:
            return _CONLL_U_TAG
        return candidates[-1] if candidates else None


def _counts_words(fields):
    """Whether the first column is 1, 2, 3, ... in every sentence."""
    if len(fields[0]) < 2:
        return False
    expected = 1
    for row in fields:
        if _NO_WORD_NUMBER.fullmatch(row[0]):
            continue
        if not _WORD_NUMBER.fullmatch(row[0]) or int(row[0]) not in (expected, 1):
            return False
        expected = int(row[0]) + 1
    return True


def _is_of_entities(fields, place):
    tags = collections.Counter(row[place].strip() for row in fields)
    marks = sum(count for tag, count in tags.items() if tag_parts(tag) is not None)
    return marks >= _MOSTLY * len(fields) and are_entity_tags(tags)


def _collect(examples, sentence, skip_bad_rows):
    """Appends a sentence to ``examples``, or says what is wrong with it."""
    for word in sentence:
        reason = word.reason or _tag_problem(word, examples.scheme)
        if reason is None:
            continue
        if not skip_bad_rows:
            raise SourceError(examples.path, word.row, reason)
        examples.skipped.append((word.row, reason))
        return
    examples.texts.append([word.text for word in sentence])
    examples.rows.append(sentence[0].row)
    if examples.labels is None:
        return
    tags = [word.tag for word in sentence]
    if examples.scheme in ("IOB2", "IOBES", "BILOU", "IOE2"):
        right = normal_tags(tags, examples.scheme)
        pairs = zip(sentence, right, strict=True)
        examples.repaired += [(word.row, word.tag) for word, tag in pairs if word.tag != tag]
    examples.labels.append(tags if examples.scheme == "plain" else normal_tags(tags))


def _tag_problem(word, scheme):
    """Why a row's tag cannot be used, or None."""
    if scheme is None or scheme == "plain":
        return None
    letter, _ = tag_parts(word.tag) or (None, None)
    if letter is None or letter not in OUTSIDE + SCHEMES[scheme]:
        first = SCHEMES[scheme][0]
        return f'the tag is {shown(word.tag)}; expected "O" or one of {scheme}, such as "{first}-X"'
    if letter != OUTSIDE and not word.text.strip():
        return f"the word is empty and is tagged {shown(word.tag)}"
    return None
