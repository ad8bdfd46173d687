"""The tasks of GLUE, from the folders of its own archive: what is text and label in which file.

The labels of a task have the same names wherever it is read from: those that TensorFlow Datasets
and the ``nyu-mll/glue`` data set give their numbers.

Source: Wang et al. 2018 (arXiv:1804.07461); https://gluebenchmark.com/tasks.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from keras_bert.data.examples import Column, Examples, SourceError, listed
from keras_bert.data.sources import read_file
from keras_bert.data.splits import choose_split
from keras_bert.data.wanted import Wanted

_FILES = {"train": ("train.tsv",), "validation": ("dev.tsv",), "test": ("test.tsv",)}
_MATCHED = {
    "train": ("train.tsv",),
    "validation": ("dev_matched.tsv",),
    "test": ("test_matched.tsv",),
}
_MISMATCHED = {
    "train": ("train.tsv",),
    "validation": ("dev_mismatched.tsv",),
    "test": ("test_mismatched.tsv",),
}
_MNLI = {
    "train": ("train.tsv",),
    "validation_matched": ("dev_matched.tsv",),
    "validation_mismatched": ("dev_mismatched.tsv",),
    "test_matched": ("test_matched.tsv",),
    "test_mismatched": ("test_mismatched.tsv",),
}
_PARAPHRASES = {
    "train": ("train.tsv", "msr_paraphrase_train.txt"),
    "validation": ("dev.tsv",),
    "test": ("test.tsv", "msr_paraphrase_test.txt"),
}
_DIAGNOSTIC = {"test": ("diagnostic.tsv", "test.tsv")}
_SENTENCES = ("sentence1", "sentence2")
_INFERENCE = ("entailment", "neutral", "contradiction")
_ENTAILMENT = ("entailment", "not_entailment")


@dataclasses.dataclass(frozen=True)
class GlueFiles:
    """One task.

    Attributes:
        folders: what its folder is called.
        texts: its text columns.
        label: its label column.
        labels: names of its labels, by their numbers; none where they are numbers on a scale.
        files: the files of each split; the first that is there is read.
        without_header: columns, by role, of the files that have no header line.
    """

    folders: tuple[str, ...]
    texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: _FILES)
    without_header: Mapping[str, Column] | None = None

    @property
    def label_kind(self) -> str:
        """``"class"``, or ``"value"`` for numbers on a scale."""
        return "class" if self.labels else "value"


#: The tasks by name.
GLUE = {
    "cola": GlueFiles(
        ("CoLA",),
        ("sentence",),
        "label",
        ("unacceptable", "acceptable"),
        without_header={"text": 4, "label": 2},
    ),
    "sst2": GlueFiles(("SST-2",), ("sentence",), "label", ("negative", "positive")),
    "mrpc": GlueFiles(
        ("MRPC",),
        ("#1 String", "#2 String"),
        "Quality",
        ("not_equivalent", "equivalent"),
        _PARAPHRASES,
    ),
    "qqp": GlueFiles(
        ("QQP",), ("question1", "question2"), "is_duplicate", ("not_duplicate", "duplicate")
    ),
    "stsb": GlueFiles(("STS-B",), _SENTENCES, "score", ()),
    "mnli": GlueFiles(("MNLI",), _SENTENCES, "gold_label", _INFERENCE, _MNLI),
    "mnli_matched": GlueFiles(("MNLI",), _SENTENCES, "gold_label", _INFERENCE, _MATCHED),
    "mnli_mismatched": GlueFiles(("MNLI",), _SENTENCES, "gold_label", _INFERENCE, _MISMATCHED),
    "qnli": GlueFiles(("QNLI",), ("question", "sentence"), "label", _ENTAILMENT),
    "rte": GlueFiles(("RTE",), _SENTENCES, "label", _ENTAILMENT),
    "wnli": GlueFiles(("WNLI",), _SENTENCES, "label", ("not_entailment", "entailment")),
    "ax": GlueFiles(("diagnostic", "AX"), _SENTENCES, "label", _INFERENCE, _DIAGNOSTIC),
}

# Other spellings, beside capitals, hyphens and underscores.
_OTHER_NAMES = {
    "sst": "sst2",
    "sts": "stsb",
    "mnlim": "mnli_matched",
    "mnlimm": "mnli_mismatched",
    "mnlimatched": "mnli_matched",
    "mnlimismatched": "mnli_mismatched",
    "diagnostic": "ax",
}


def glue_name(name: str) -> str | None:
    """The name of a task in any of its spellings, or None where GLUE has none of that name.

    Example:
        >>> glue_name("SST-2"), glue_name("glue/mnli_mismatched"), glue_name("imdb")
        ('sst2', 'mnli_mismatched', None)
    """
    plain = name.casefold().removeprefix("glue/")
    for mark in "-_ ":
        plain = plain.replace(mark, "")
    plain = _OTHER_NAMES.get(plain, plain)
    return plain if plain in GLUE else None


def find_glue(task: str, data_dir: str | os.PathLike) -> Path | None:
    """The folder of a task under the folder of GLUE's archive, or None where it is not there."""
    wanted = {folder.casefold() for folder in (*GLUE[task].folders, task)}
    data_dir = Path(data_dir)
    for place in (data_dir, data_dir / "GLUE", data_dir / "glue_data"):
        for folder in sorted(place.iterdir()) if place.is_dir() else []:
            if folder.name.casefold() in wanted and is_glue(task, folder):
                return folder
    return None


def is_glue(task: str, folder: str | os.PathLike) -> bool:
    """Whether a folder has files of a task as GLUE's archive has them."""
    return bool(_files_of(task, Path(folder)))


def read_glue(
    task: str,
    folder: str | os.PathLike,
    split: str | None = None,
    skip_bad_rows: bool = False,
    with_labels: bool | None = None,
) -> Examples:
    """Reads a split of a task from its folder in GLUE's archive.

    Args:
        task: a name in ``GLUE``.
        folder: the task's folder, such as ``glue_data/CoLA``.
        split: ``"train"``, ``"validation"``, ``"test"``, or for MNLI ``"validation_matched"`` and
            so on; ``"validation"`` means matched.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``;
            some copies of QQP have such.
        with_labels: as ``read_examples`` takes it.

    Returns:
        The examples, their labels by name; ``labels`` is None for the test data, which have none.

    Raises:
        SourceError: there is no such split, or a file is not what the task's are.
    """
    folder, about = Path(folder), GLUE[task]
    files = _files_of(task, folder)
    path = os.fspath(files[choose_split(os.fspath(folder), split, files)])
    names = _header(path)
    kind = about.label_kind
    if names is None and about.without_header is not None:
        wanted = Wanted(**about.without_header, with_labels=with_labels, label_kind=kind)
    elif not {column.casefold() for column in about.texts} <= (names or set()):
        raise _other_columns(path, about, names)
    else:
        columns = dict(zip(("text", "text_pair"), about.texts, strict=False))
        has_label = about.label.casefold() in names
        if with_labels and not has_label:
            raise SourceError(path, None, f"there is no label column {about.label!r}; test data?")
        label = about.label if has_label and with_labels is not False else None
        wanted = Wanted(**columns, label=label, with_labels=label is not None, label_kind=kind)
    examples = read_file(path, ".tsv", wanted, skip_bad_rows)
    return _with_names(examples, about, skip_bad_rows)


def _files_of(task: str, folder: Path) -> dict[str, Path]:
    """The file of each split that is there."""
    found = {}
    for split, names in GLUE[task].files.items():
        there = [folder / name for name in names if (folder / name).is_file()]
        if there:
            found[split] = there[0]
    return found


def _header(path: str) -> set[str] | None:
    """The cells of the first line in lower case; None where it is the first row already."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        cells = file.readline().rstrip("\r\n").split("\t")
    names = {cell.strip().casefold() for cell in cells}
    known = {"sentence", "index", "sentence1", "question1", "question", "quality", "#1 string"}
    return names if names & known else None


def _other_columns(path: str, about: GlueFiles, names) -> SourceError:
    found = f"the columns are {listed(sorted(names))}" if names else "there is no header line"
    return SourceError(path, 1, f"{found}; {about.folders[0]} has {listed(about.texts)}")


def _with_names(examples: Examples, about: GlueFiles, skip_bad_rows: bool) -> Examples:
    """The examples with names of labels in place of their numbers."""
    if examples.labels is None or not about.labels:
        return examples
    names = {str(number): name for number, name in enumerate(about.labels)}
    named = dataclasses.replace(
        examples, labels=[names.get(label, label) for label in examples.labels]
    )
    named = named.with_known_labels(about.labels, skip_bad_rows)
    return dataclasses.replace(named, classes=list(about.labels))
