"""``keras-bert vocab``: learns a WordPiece vocabulary from a corpus."""

import argparse
import sys
from pathlib import Path

from keras_bert.cli import arguments
from keras_bert.complete_file import complete_file

_DESCRIPTION = """\
Learns a WordPiece vocabulary from text files (UTF-8, also .gz) and writes it as vocab.txt.

Text is normalised as the tokenizer will do it: give the same case options to both. Equal files give
an equal vocabulary, in whatever order they are named. Needs the extra "vocab"."""
_EXAMPLE = """\
Example:
  keras-bert vocab corpus.txt --size 30000 --output vocab.txt
  keras-bert vocab wiki/*.txt.gz --size 50000 --cased --unused 100 --output vocab.txt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert vocab``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument(
        "corpus", nargs="+", type=arguments.path, metavar="CORPUS", help="text files, or .gz"
    )
    parser.add_argument(
        "--output", required=True, type=arguments.path, metavar="FILE", help="vocab.txt to write"
    )
    parser.add_argument(
        "--size", type=arguments.positive_int, default=30_000, metavar="N", help="tokens (30000)"
    )
    parser.add_argument(
        "--min-frequency",
        type=arguments.positive_int,
        default=2,
        metavar="N",
        help="join pieces that stand together N times or more (2)",
    )
    parser.add_argument(
        "--unused",
        type=arguments.positive_int,
        default=0,
        metavar="N",
        help="put in N tokens [unused0] ... to be given a meaning later (0)",
    )
    parser.add_argument(
        "--alphabet",
        type=arguments.positive_int,
        metavar="N",
        help="keep the N most frequent characters (all)",
    )
    parser.add_argument("--cased", action="store_true", help="keep capitals")
    accents = parser.add_mutually_exclusive_group()
    accents.add_argument(
        "--strip-accents",
        action="store_true",
        default=None,
        help="drop accents (dropped unless --cased)",
    )
    accents.add_argument(
        "--keep-accents", dest="strip_accents", action="store_false", help="keep accents"
    )
    parser.add_argument(
        "--no-chinese-words",
        action="store_true",
        help="let words hold several Chinese characters",
    )


def run(args: argparse.Namespace) -> int:
    """Learns and writes the vocabulary; returns the exit code."""
    from keras_bert.text import vocabulary_learning as learning
    from keras_bert.text.wordpiece.in_python import WordSplitter

    files = [Path(path) for path in args.corpus]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
    learning.require_trainer()
    strip_accents = not args.cased if args.strip_accents is None else args.strip_accents
    splitter = WordSplitter(not args.cased, strip_accents, not args.no_chinese_words)
    progress = _Progress() if sys.stderr.isatty() else None
    with complete_file(Path(args.output)) as temporary:
        counts = learning.count_words(files, splitter, progress)
        tokens = learning.learn(
            counts, args.size, args.min_frequency, args.unused, args.alphabet, progress
        )
        temporary.write_text("".join(f"{t}\n" for t in tokens), encoding="utf-8", newline="\n")
    found = learning.coverage(tokens, counts)
    print(f"wrote {len(tokens):,} tokens to {args.output}")
    if len(tokens) < args.size:
        print(f"the corpus holds no more with --min-frequency {args.min_frequency}")
    print(
        f"{found.words:,} words, {len(counts):,} different; {found.pieces_per_word:.3f} pieces per "
        f"word, {found.unknown:.3%} of the words unknown"
    )
    return 0


class _Progress:
    """One line on a terminal, rewritten when a per cent more is done."""

    def __init__(self):
        self._shown = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if (stage, percent) != self._shown:
            self._shown = stage, percent
            bar = "#" * (percent // 4)
            end = "\n" if percent >= 100 else ""
            print(f"\r{stage:<9}[{bar:<25}] {percent:3} %", end=end, file=sys.stderr, flush=True)
