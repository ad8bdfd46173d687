"""``keras-bert predict``: answers texts with a trained or an exported model."""

import argparse
import contextlib
import json
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from keras_bert.cli import arguments
from keras_bert.cli.tasks import TASKS, is_data, read_data, task_of_model
from keras_bert.cli.trained_model import load_model, model_file, require_kind
from keras_bert.complete_file import complete_file
from keras_bert.data.examples import Text, counted
from keras_bert.data.sources import read_texts

_DESCRIPTION = """\
Answers texts: probability, label, text; or what else the model's task is.

Texts come from the command line, from a file (of the kinds that keras-bert train takes; any other
file and - for the standard input: one text per line), or as pairs from --pair, the question first
where the model answers questions. A model of multiple choice takes a prompt and its choices."""
_EXAMPLE = """\
Example:
  keras-bert predict --model runs/cards "My card has not arrived" "Is it free?" --top 3
  keras-bert predict --model runs/cards --input questions.txt --output answers.jsonl
  keras-bert predict --model runs/answers --pair "Who wrote it?" "Jane Austen wrote Emma."
  keras-bert predict --saved-model saved_models/cards "My card has not arrived" """.rstrip()
_WIDEST_TEXT = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``keras-bert predict``."""
    parser.description, parser.epilog = _DESCRIPTION, _EXAMPLE
    models = parser.add_mutually_exclusive_group(required=True)
    arguments.add_model(models, required=False)
    models.add_argument(
        "--saved-model",
        type=arguments.path,
        metavar="FOLDER",
        help="exported model: NAME (its last version) or NAME/1",
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text to answer")
    parser.add_argument(
        "--pair", nargs=2, action="append", metavar=("A", "B"), help="a pair; may be repeated"
    )
    parser.add_argument(
        "--input",
        type=arguments.path,
        metavar="FILE",
        help="read the texts from a file; - for stdin",
    )
    parser.add_argument(
        "--output", type=arguments.path, metavar="FILE", help="write JSON lines to a file"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument(
        "--top", type=arguments.positive_int, metavar="K", help="show the K most probable labels"
    )
    arguments.add_batch_size(parser)
    arguments.add_columns(parser, with_labels=False)


def run(args: argparse.Namespace) -> int:
    """Prints or writes the answers; returns the exit code."""
    given = (args.texts, args.pair, args.input is not None)
    if sum(map(bool, given)) != 1:
        raise argparse.ArgumentError(None, "give either TEXT..., or --pair A B, or --input FILE")
    if args.model:
        model_file(args.model)  # a wrong path is said at once, not after the texts were read
    answerer = _Exported(args) if args.saved_model else _Trained(args)
    texts, rows = _texts(args, answerer.task)
    with _written_to(args.output) as file:
        answers = answerer.ask(texts)
        if answerer.task == "classification":
            answers = [_best(answer, answerer.labels, args.top) for answer in answers]
            jsons = [_best_json(best) for best in answers]
        else:
            jsons = answers
        if args.json or args.output:
            lines = _json_lines(texts, rows, jsons)
        elif answerer.task == "classification":
            lines = _table(texts, answers)
        else:
            lines = _blocks(texts, answers, answerer.lines)
        file.writelines(f"{line}\n" for line in lines)
    if args.output:
        print(f"wrote {counted(len(answers), 'answer')} to {args.output}")
    return 0


class _Trained:
    """A ``.keras`` model that is asked."""

    def __init__(self, args):
        self._args = args
        self._model = load_model(args.model)
        self.task = task_of_model(self._model)
        self.labels = getattr(self._model, "labels", [])
        self.lines = TASKS[self.task].lines

    def ask(self, texts):
        """An answer per text."""
        require_kind(texts, self._model, self._args.input or "the command line")
        answers = self._model.predict(texts, batch_size=self._args.batch_size)
        return (
            [{"embedding": answer} for answer in answers]
            if self.task == "similarity"
            else (answers)
        )


class _Exported:
    """A SavedModel that is asked."""

    def __init__(self, args):
        from keras_bert.export import ask

        self._args, self._ask = args, ask
        self._exported = ask.load(args.saved_model)
        self.labels = self._exported.metadata.get("labels") or []
        outputs = self._exported.signatures["serving_default"].structured_outputs
        self.task = "classification" if "probabilities" in outputs and "label" in outputs else None

    def ask(self, texts):
        """An answer per text."""
        return self._ask.ask(self._exported, texts, self._args.batch_size)

    @staticmethod
    def lines(text, answer):
        """One line of JSON: what an export pads, only its reader can cut."""
        yield json.dumps(answer, ensure_ascii=False, default=_listed)


def _texts(args: argparse.Namespace, task: str | None) -> tuple[list[Text], list[int] | None]:
    """The texts, and where they come from a file their lines in it."""
    if args.texts:
        texts = [_argument(text) for text in args.texts]
        return [(texts[0], tuple(texts[1:]))] if task == "multiple-choice" else texts, None
    if args.pair:
        return [(_argument(first), _argument(second)) for first, second in args.pair], None
    if args.input == "-":
        return _lines_of_stdin(), None
    if is_data(args.input):
        kind = task if task in ("multiple-choice", "tagging", "question-answering") else None
        examples, _ = read_data(args, args.input, "data", kind, with_labels=False)
    else:
        examples = read_texts(args.input, args.skip_bad_rows)
    arguments.print_skipped(examples)
    return examples.texts, examples.rows


def _argument(text: str) -> str:
    """A text of the command line; bytes that are no UTF-8 arrive in it as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} is not valid UTF-8") from None
    return text


def _lines_of_stdin() -> list[str]:
    lines = (line.rstrip("\r\n") for line in sys.stdin)
    texts = [_argument(line) for line in lines if line.strip()]
    if not texts:
        raise ValueError("the standard input holds no text")
    return texts


@contextlib.contextmanager
def _written_to(path: str | None) -> Iterator[TextIO]:
    """The standard output, or a file that appears when it is complete."""
    if path is None:
        yield sys.stdout
        return
    with complete_file(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file


def _best(answer: Mapping, labels: Sequence[str], top: int | None) -> list[tuple[str, float]]:
    if top is None:
        return [(answer["label"], float(answer["probability"]))]
    probabilities = answer["probabilities"]
    if len(labels) != len(probabilities):
        raise ValueError("the exported model does not say its labels, which --top needs")
    order = sorted(range(len(labels)), key=lambda i: -probabilities[i])[:top]
    return [(labels[i], float(probabilities[i])) for i in order]


def _best_json(best) -> dict:
    record = {"label": best[0][0], "probability": best[0][1]}
    if len(best) > 1:
        record["top"] = [{"label": label, "probability": p} for label, p in best]
    return record


def _json_lines(texts: Sequence[Text], rows: Sequence[int] | None, answers) -> Iterator[str]:
    for i, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        record = {"row": rows[i]} if rows else {}
        record |= {"text": text[0], "text_pair": text[1]} if _is_pair(text) else {"text": text}
        # An answer's own text is the one that its places count in.
        record |= answer if isinstance(answer, Mapping) else {"answer": answer}
        yield json.dumps(record, ensure_ascii=False, default=_listed)


def _listed(value):
    return value.tolist()


def _blocks(texts: Sequence[Text], answers, lines_of) -> Iterator[str]:
    """Each text, and below it what the model says of it."""
    for text, answer in zip(texts, answers, strict=True):
        yield _shown(text)
        yield from (f"  {line}" for line in lines_of(text, answer))


def _table(texts: Sequence[Text], answers) -> Iterator[str]:
    """Probability, label and text in columns; further labels below the first one."""
    width = max(_width(label) for best in answers for label, _ in best)
    for text, best in zip(texts, answers, strict=True):
        shown = [_shown(text), *[""] * (len(best) - 1)]
        for (label, probability), beside in zip(best, shown, strict=True):
            space = " " * (width - _width(label))
            yield f"{probability:.3f}  {label}{space}   {beside}".rstrip()


def _shown(text: Text) -> str:
    """A text in one line that cannot move the terminal's cursor."""
    line = " ".join(" | ".join(_parts(text)).split())
    line = "".join(character if character.isprintable() else "\ufffd" for character in line)
    return line if len(line) <= _WIDEST_TEXT else f"{line[: _WIDEST_TEXT - 1]}…"


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _parts(text: Text) -> Iterator[str]:
    """The strings that a text is made of: itself, or those of a pair, words, a prompt's choices."""
    if isinstance(text, str):
        yield text
    else:
        for part in text:
            yield from _parts(part)


def _is_pair(text: Text) -> bool:
    return isinstance(text, tuple) and len(text) == 2
