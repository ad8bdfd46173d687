"""``keras-bert tokenize``: shows what a tokenizer makes of texts."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from keras_bert.cli import arguments
from keras_bert.cli.trained_model import MODEL_NAME, load_model

_DESCRIPTION = """\
Shows the pieces and ids of texts, without [CLS] and [SEP].

A TEXT that is the name of a file stands for its lines (blank ones left out), and - for those of the
standard input. Bytes that are not UTF-8 are dropped, as the model's tokenizer drops them."""
_EXAMPLE = """\
Example:
  keras-bert tokenize "Where is my card?" --tokenizer MiniLM_FOLDER
  keras-bert tokenize questions.txt --tokenizer vocab.txt --json > pieces.jsonl
  keras-bert tokenize "Überraschung…" --tokenizer runs/cards --explain
  keras-bert tokenize questions.txt --tokenizer MiniLM_FOLDER --compare tf_text"""
_FILES = (".txt", ".csv", ".tsv", ".jsonl")
_BATCH = 1_000
_WIDEST_TEXT = 80


class _Line(NamedTuple):
    text: bytes
    # "questions.txt:3", or "" for a text of the command line.
    place: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert tokenize``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="a text, a file, or -")
    parser.add_argument(
        "--tokenizer",
        required=True,
        type=arguments.path,
        metavar="PATH",
        help="a pretrained or trained model's folder, a .keras file, or a vocab.txt",
    )
    case = parser.add_mutually_exclusive_group()
    case.add_argument(
        "--cased",
        dest="lower_case",
        action="store_false",
        help="with a vocab.txt: keep capitals and accents (what the vocabulary looks like)",
    )
    case.add_argument(
        "--uncased", dest="lower_case", action="store_true", help="with a vocab.txt: lower-case"
    )
    parser.set_defaults(lower_case=None)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON lines")
    shown.add_argument("--explain", action="store_true", help="print a table for each text")
    shown.add_argument(
        "--compare",
        choices=["tf_text"],
        help="print only texts that tensorflow_text.FastBertTokenizer reads otherwise",
    )
    parser.add_argument(
        "--offsets",
        action="store_true",
        help="also where each piece stands: in characters, with --json in bytes too",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the pieces; returns the exit code."""
    if args.offsets and (args.explain or args.compare):
        raise argparse.ArgumentError(None, "--offsets goes with --json or alone")
    _require_files(args.texts)
    tokenizer = _load(args.tokenizer, args.lower_case)
    lines = _lines(args.texts)
    if args.compare:
        return _compare(tokenizer, lines)
    if args.explain:
        tables = (f"{_heading(line)}{tokenizer.explain(line.text)}" for line in lines)
    elif args.json:
        tables = _json_lines(tokenizer, lines, args.offsets)
    else:
        tables = _tables(tokenizer, lines, args.offsets)
    between = "" if args.json else "\n"
    for number, table in enumerate(tables):
        print(f"{between if number else ''}{table}")
    return 0


def _require_files(texts: Iterable[str]) -> None:
    """A file that is missing is more likely than a text that looks like a file's name."""
    for text in texts:
        is_name = Path(text).suffix.lower() in _FILES and not any(map(str.isspace, text))
        if is_name and not _is_file(text):
            raise FileNotFoundError(f"there is no file {text}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return False


def _load(path: str, lower_case: bool | None):
    """The tokenizer at ``path``."""
    import keras_bert as kb
    from keras_bert.text.vocabulary import looks_cased, read_vocabulary

    found = Path(path)
    is_model = found.suffix == ".keras" or (found / MODEL_NAME).is_file()
    if found.is_file() and not is_model:
        tokens = read_vocabulary(found)
        lower_case = not looks_cased(tokens) if lower_case is None else lower_case
        return kb.WordPieceTokenizer(tokens, lower_case=lower_case)
    if lower_case is not None:
        raise ValueError("--cased and --uncased are for a vocab.txt; a model says that itself")
    if is_model:
        return load_model(path).preprocessor.tokenizer
    return kb.Tokenizer.from_pretrained(path)


def _lines(texts: Iterable[str]) -> Iterator[_Line]:
    for text in texts:
        if text == "-":
            lines = (line.encode("utf-8", "surrogateescape") for line in sys.stdin)
            yield from _numbered("-", lines)
        elif _is_file(text):
            with open(text, "rb") as file:
                yield from _numbered(text, file)
        else:
            yield _Line(text.encode("utf-8", "surrogateescape"), "")


def _numbered(name: str, lines: Iterable[bytes]) -> Iterator[_Line]:
    for number, line in enumerate(lines, start=1):
        line = line.rstrip(b"\r\n")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _Line(line, f"{name}:{number}")


def _batches(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    lines = iter(lines)
    while batch := list(itertools.islice(lines, _BATCH)):
        yield batch


def _tables(tokenizer, lines: Iterable[_Line], with_offsets: bool) -> Iterator[str]:
    """Pieces above their ids, in columns."""
    for line, ids, spans in _tokenized(tokenizer, lines, ["characters"] if with_offsets else []):
        rows = [_pieces(tokenizer, ids), [str(index) for index in ids]]
        rows += [[f"{start}-{end}" for start, end in span] for span in spans]
        yield _heading(line) + _columns(rows)


def _json_lines(tokenizer, lines: Iterable[_Line], with_offsets: bool) -> Iterator[str]:
    units = ["characters", "bytes"] if with_offsets else []
    for line, ids, spans in _tokenized(tokenizer, lines, units):
        record = {"text": line.text.decode("utf-8", "ignore")}
        if line.place:
            record = {"line": line.place, **record}
        record |= {"pieces": [tokenizer.vocabulary[index] for index in ids], "ids": ids}
        record |= dict(zip(("offsets", "byte_offsets"), spans, strict=False))
        yield json.dumps(record, ensure_ascii=False)


def _tokenized(tokenizer, lines: Iterable[_Line], units: list[str]) -> Iterator[tuple]:
    """Each line with its ids, and for each unit its spans as pairs."""
    for batch in _batches(lines):
        texts = [line.text for line in batch]
        rows = tokenizer.tokenize(texts).to_list()
        spans = []
        for unit in units:
            _, starts, ends = (x.to_list() for x in tokenizer.tokenize_with_offsets(texts, unit))
            pairs = zip(starts, ends, strict=True)
            spans.append([list(zip(*pair, strict=True)) for pair in pairs])
        for i, (line, ids) in enumerate(zip(batch, rows, strict=True)):
            yield line, ids, [unit[i] for unit in spans]


def _compare(tokenizer, lines: Iterable[_Line]) -> int:
    """Prints the texts that tf.text gives other ids for, and how many they are."""
    import tensorflow as tf

    from keras_bert.text.wordpiece.stock import stock_tokenizer

    stock = stock_tokenizer(tokenizer)
    count = differing = 0
    for batch in _batches(lines):
        texts = [line.text for line in batch]
        ours, theirs = tokenizer.tokenize(texts).to_list(), stock(tf.constant(texts)).to_list()
        for line, our, their in zip(batch, ours, theirs, strict=True):
            count += 1
            if our != their:
                differing += 1
                print(f"{line.place}  {_shown(line.text)}".lstrip())
                for name, ids in (("keras_bert", our), ("tf_text", their)):
                    print(f"  {name:<12}{' '.join(_pieces(tokenizer, ids))}  {ids}")
    share = differing / count if count else 0
    print(f"{differing:,} of {count:,} texts differ ({share:.2%})")
    return 0


def _pieces(tokenizer, ids: Iterable[int]) -> list[str]:
    from keras_bert.text.explanation import visible

    return [visible(tokenizer.vocabulary[index]) for index in ids]


def _columns(rows: list[list[str]]) -> str:
    from keras_bert.text.explanation import display_width

    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]

    def padded(row: list[str]) -> str:
        pairs = zip(row, widths, strict=True)
        return " ".join(cell + " " * (width - display_width(cell)) for cell, width in pairs)

    return "\n".join(padded(row).rstrip() for row in rows).rstrip("\n")


def _heading(line: _Line) -> str:
    return f"{line.place}\n" if line.place else ""


def _shown(text: bytes) -> str:
    from keras_bert.text.explanation import visible

    line = visible(text.decode("utf-8", "replace"))
    return line if len(line) <= _WIDEST_TEXT else f"{line[: _WIDEST_TEXT - 1]}…"
