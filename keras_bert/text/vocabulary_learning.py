"""Learning a WordPiece vocabulary from a corpus.

    files, texts --normalise, count--> words --Hugging Face's WordPieceTrainer--> vocabulary

Words are made by this package's own normaliser, so what is learned is what the tokenizer will see.
The trainer joins the most frequent pair of neighbouring pieces, again and again (byte-pair
encoding's algorithm, with WordPiece's `##`). By itself it numbers characters in the order of a
hash table, and these numbers decide ties, so that no two runs give the same vocabulary. Here every
character has its number before the trainer starts: equal corpora give equal files.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from keras_bert.text.wordpiece.in_python import MAX_WORD_CHARACTERS, PythonWordPiece, WordSplitter
from keras_bert.text.wordpiece.normalizer import UNMATCHABLE

__all__ = ["SPECIAL_TOKENS", "Coverage", "Progress", "count_words", "coverage", "learn"]
__all__ += ["learn_vocabulary", "require_trainer"]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

#: Is told a stage's name, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

# Parts of a text between blanks that are counted as they are, and normalised once in the end.
# Longer ones (Chinese sentences) are mostly different from each other.
_LONGEST_KEPT = 40
_LINES_PER_REPORT = 1_000
_WORDS_PER_BLOCK = 10_000


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How a vocabulary does on the words it was learned from.

    Attributes:
        words: how many words there are.
        unknown: share of them that become `[UNK]`.
        pieces_per_word: pieces that a word becomes on average.
    """

    words: int
    unknown: float
    pieces_per_word: float


def learn_vocabulary(
    sources: Iterable[str | os.PathLike],
    size: int = 30_000,
    *,
    lower_case: bool = True,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool = True,
    min_frequency: int = 2,
    unused: int = 0,
    alphabet: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Learns a WordPiece vocabulary.

    Args:
        sources: the corpus: each a text (`str`), or a file (`pathlib.Path`) of UTF-8 text, `.gz`
            if its name ends so. The order makes no difference.
        size: tokens wanted; fewer come out where the corpus does not hold that many.
        lower_case: lower-case the text; this and the next two as for the `WordPieceTokenizer` that
            will use the vocabulary.
        strip_accents: decompose characters and drop accents; None means: as `lower_case`.
        tokenize_chinese_chars: make each Chinese character a word.
        min_frequency: pieces are joined only where they stand together this many times.
        unused: how many `[unused0]`, `[unused1]`, ... to put in, to be given a meaning later.
        alphabet: keep only this many characters, the most frequent ones; None: all.
        progress: is told a stage's name, how much of it is done, and how much there is.

    Returns:
        The tokens: `[PAD] [UNK] [CLS] [SEP] [MASK]`, unused ones, characters, then pieces as they
        were learned, the most frequent first. Equal corpora give equal lists.

    Raises:
        ImportError: the extra `vocab` is not installed.
        ValueError: there is no word in the corpus, or `size` leaves no room for its characters.
        OSError: a file cannot be read.

    Example:
        >>> tokens = learn_vocabulary([Path("corpus.txt")], size=8000)
        >>> tokenizer = WordPieceTokenizer(tokens)
    """
    require_trainer()  # before the work of counting
    splitter = WordSplitter(
        lower_case, lower_case if strip_accents is None else strip_accents, tokenize_chinese_chars
    )
    counts = count_words(sources, splitter, progress)
    return learn(counts, size, min_frequency, unused, alphabet, progress)


def count_words(
    sources: Iterable[str | os.PathLike],
    splitter: WordSplitter,
    progress: Progress | None = None,
) -> Counter[str]:
    """Counts the normalised words of texts and files; see `learn_vocabulary`.

    Words that no vocabulary can spell are left out: those of more than 200 characters, and those
    with a character that the tokenizer knows for none.
    """
    chunks, counts = Counter(), Counter()
    for text in _texts(list(sources), progress):
        for chunk in splitter.chunks(text):
            if len(chunk) <= _LONGEST_KEPT:
                chunks[chunk] += 1
            else:
                counts.update(splitter.words(chunk))
    for chunk, count in chunks.items():
        for word in splitter.words(chunk):
            counts[word] += count
    never = set(UNMATCHABLE)
    for word in list(counts):
        if len(word) > MAX_WORD_CHARACTERS or not never.isdisjoint(word):
            del counts[word]
    return counts


def learn(
    counts: Mapping[str, int],
    size: int,
    min_frequency: int = 2,
    unused: int = 0,
    alphabet: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Learns a vocabulary from counted words; see `learn_vocabulary`.

    Args:
        counts: normalised words and how often they occur, as `count_words` gives them.
        size: tokens wanted.
        min_frequency: pieces are joined only where they stand together this many times.
        unused: how many `[unused0]`, `[unused1]`, ... to put in.
        alphabet: keep only this many characters; None: all.
        progress: as for `learn_vocabulary`.
    """
    if not counts:
        raise ValueError("The corpus holds no words to learn a vocabulary from.")
    tokenizers = require_trainer()
    kept = _most_frequent_characters(counts, alphabet)
    words = sorted(
        (word for word in counts if kept.issuperset(word)), key=lambda w: (-counts[w], w)
    )
    given = [*SPECIAL_TOKENS, *(f"[unused{i}]" for i in range(unused))]
    given += sorted(kept)
    given += [f"##{c}" for c in sorted({c for word in words for c in word[1:]})]
    if len(given) > size:
        raise ValueError(
            f"size={size} is too small: special tokens and the {len(kept):,} characters of the "
            f"corpus take {len(given):,} tokens. Ask for more tokens, or for fewer characters "
            "(alphabet)."
        )
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        # Numbers all of these before anything that depends on the order of a hash table.
        special_tokens=given,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.train_from_iterator(_blocks(words, counts, progress), trainer)
    ids = tokenizer.get_vocab(with_added_tokens=False)
    return sorted(ids, key=ids.get)


def coverage(
    vocabulary: Sequence[str], counts: Mapping[str, int], unk_token: str = "[UNK]"
) -> Coverage:
    """How well a vocabulary spells counted words.

    Args:
        vocabulary: the tokens.
        counts: normalised words and how often they occur, as `count_words` gives them.
        unk_token: stands for a word that cannot be spelled.
    """
    unknown = vocabulary.index(unk_token)
    wordpiece = PythonWordPiece(vocabulary, unknown, WordSplitter(False, False, False))
    words = pieces = missed = 0
    for word, count in counts.items():
        spelled = wordpiece.spell(word)
        words += count
        pieces += count * len(spelled)
        missed += count * (spelled[0][0] == unknown)
    return Coverage(words, missed / max(words, 1), pieces / max(words, 1))


def require_trainer():
    """Imports the trainer's package and returns it.

    Raises:
        ImportError: the extra `vocab` is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise ImportError(
            "Learning a vocabulary takes Hugging Face's tokenizers: "
            "pip install 'keras-bert-garden[vocab]'."
        ) from None
    return tokenizers


def _most_frequent_characters(counts: Mapping[str, int], most: int | None) -> set[str]:
    characters = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    ordered = sorted(characters, key=lambda c: (-characters[c], c))
    return set(ordered[:most])


def _blocks(
    words: list[str], counts: Mapping[str, int], progress: Progress | None
) -> Iterator[str]:
    """All words as often as they occur, in texts of a bounded length."""
    stream = itertools.chain.from_iterable(itertools.repeat(w, counts[w]) for w in words)
    total, done = sum(counts[word] for word in words), 0
    while block := list(itertools.islice(stream, _WORDS_PER_BLOCK)):
        yield " ".join(block)
        done += len(block)
        if progress:
            progress("learning", done, total)


def _texts(sources: list[str | os.PathLike], progress: Progress | None) -> Iterator[str | bytes]:
    total = sum(len(s) if isinstance(s, str) else Path(s).stat().st_size for s in sources)
    done = 0
    for source in sources:
        if isinstance(source, str):
            yield source
            done += len(source)
        else:
            for line, place in _lines(Path(source)):
                yield line
                if progress and place is not None:
                    progress("reading", done + place, total)
            done += Path(source).stat().st_size
        if progress:
            progress("reading", done, total)


def _lines(path: Path) -> Iterator[tuple[bytes, int | None]]:
    """The lines of a file, now and then with the number of its bytes that were read."""
    with path.open("rb") as raw:
        file = gzip.open(raw) if path.suffix == ".gz" else raw
        for number, line in enumerate(file, start=1):
            yield line, None if number % _LINES_PER_REPORT else raw.tell()
