"""One door for labelled data: a file, a folder, the name of a data set, or a table in memory."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_bert.data.arrow_files import shards_selection
from keras_bert.data.collecting import collect
from keras_bert.data.examples import Column, Examples, SourceError, listed
from keras_bert.data.glue import find_glue, glue_name, is_glue, read_glue
from keras_bert.data.objects import is_dataset_of_splits, is_table, read_table
from keras_bert.data.parallel import read_parallel
from keras_bert.data.prepared import find_prepared, is_prepared, prepare, read_prepared
from keras_bert.data.sources import SUFFIXES, read_file, read_texts
from keras_bert.data.splits import choose_split, files_of_splits, parse_split
from keras_bert.data.text_files import opened
from keras_bert.data.wanted import Wanted

# Halves of a task that TensorFlow Datasets has in one data set, and their splits there.
_HALVES = {
    f"mnli_{half}": (f"validation_{half}", f"test_{half}") for half in ("matched", "mismatched")
}
_PARALLEL = {"text": "s1", "text_pair": "s2", "label": "labels"}
# Readers of what is no table of texts: (module, function), by suffix.
_TAGGED = ("keras_bert.data.conll", "read_conll")
_OTHER_READERS = {
    suffix: _TAGGED for suffix in (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes")
}
#: Suffixes of all files that are more than lines of text.
DATA_SUFFIXES = (*SUFFIXES, *_OTHER_READERS)
_QUESTIONS = ("keras_bert.data.squad", "read_squad")


def read_dataset(
    source: Any,
    split: str | None = None,
    *,
    text_column: Column | None = None,
    text_pair_column: Column | None = None,
    label_column: Column | Sequence[Column] | None = None,
    negative_column: Column | None = None,
    choices_column: Column | Sequence[Column] | None = None,
    label_kind: str | None = None,
    label_separator: str | None = None,
    with_labels: bool | None = None,
    skip_bad_rows: bool = False,
    data_dir: str | os.PathLike | None = None,
) -> Examples:
    """Reads labelled data, whatever they come as.

    =====================  =========================================================================
    a file                 as ``read_examples``; ``.txt`` with tabs, or with one text per line;
                           CoNLL (``.conll``, ``.iob2``, …) and SQuAD's ``.json`` as
                           ``read_conll`` and ``read_squad``
    a folder               of GLUE's archive (``glue_data/CoLA``); as TensorFlow Datasets prepared
                           it; as ``datasets`` saved it; or with a file for each split
                           (``train.csv``, ``dev.csv``, ``train-00000-of-00002.parquet``)
    a name                 ``"glue/cola"``, ``"imdb_reviews"``: of a data set that TensorFlow
                           Datasets prepared or, where it is installed, downloads; GLUE's tasks out
                           of the folder of GLUE's archive, too
    a table in memory      ``datasets.Dataset`` or a ``DatasetDict`` with ``split``, a pandas
                           ``DataFrame``, a ``pyarrow.Table``, a dict of columns
    =====================  =========================================================================

    Args:
        source: one of these.
        split: ``"train"``, ``"validation"``, …, or a part: ``"train[:100]"``, ``"train[10%:]"``.
            ``"dev"`` and ``"validation"`` stand for each other.
        text_column: as ``read_examples`` takes it; so do the arguments below.
        text_pair_column: the second texts of pairs.
        label_column: the labels.
        negative_column: the third texts of triplets.
        choices_column: the choices of multiple choice.
        label_kind: what labels are; None: found by the columns' names, types and values.
        label_separator: what stands between several labels in one cell.
        with_labels: whether labels must be there (True) or are not wanted (False).
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.
        data_dir: where data sets with a name are: a folder of TensorFlow Datasets (default:
            ``$TFDS_DATA_DIR`` or ``~/tensorflow_datasets``) or of GLUE's archive.

    Returns:
        The examples; ``describe()`` says what was found.

    Raises:
        SourceError: there is no such column, split or data set, or a row is broken.
        OSError: a file cannot be read.
        ImportError: pyarrow is needed and is not there.
        TypeError: ``source`` is none of these.

    Example:
        >>> read_dataset({"text": ["Good", "Bad"], "score": [4.5, 1]}).describe()
        "columns: 2 rows, text in column 'text', label in column 'score', numbers from 1 to 4.5"
    """
    wanted = Wanted(
        text_column,
        text_pair_column,
        label_column,
        with_labels,
        negative_column,
        choices_column,
        label_kind,
        label_separator,
    )
    part = parse_split(split)
    if isinstance(source, str | os.PathLike):
        examples = _read_path(os.fspath(source), part.name, wanted, skip_bad_rows, data_dir)
    elif isinstance(source, Examples):
        examples = source
    elif is_dataset_of_splits(source) and part.name is not None:
        name = choose_split(type(source).__name__, part.name, source)
        examples = read_table(source[name], wanted, skip_bad_rows)
    elif is_table(source):
        examples = read_table(source, wanted, skip_bad_rows)
    else:
        raise TypeError(
            f"Received {type(source).__name__}; expected a file, a folder, the name of a data set, "
            "a datasets.Dataset, a DataFrame or a dict of columns. A tf.data.Dataset goes to fit, "
            "evaluate and predict as it is."
        )
    return part.part_of(examples)


def _read_path(path: str, split, wanted: Wanted, skip_bad_rows: bool, data_dir) -> Examples:
    if os.path.isdir(path):
        return _read_folder(Path(path), split, wanted, skip_bad_rows)
    suffix = Path(path).suffix.lower()
    if os.path.exists(path) or suffix in (*SUFFIXES, *_OTHER_READERS, ".txt"):
        return _read_one_file(path, suffix, wanted, skip_bad_rows)
    if os.path.isabs(path) or path.startswith((".", "~")):
        raise FileNotFoundError(f"{path} does not exist; a file or folder of data is expected")
    return _read_name(path, split, wanted, skip_bad_rows, data_dir)


def _read_one_file(path: str, suffix: str, wanted: Wanted, skip_bad_rows: bool) -> Examples:
    other = _QUESTIONS if _holds_questions(path, suffix) else _OTHER_READERS.get(suffix)
    if other:
        module, function = other
        return getattr(importlib.import_module(module), function)(path, skip_bad_rows=skip_bad_rows)
    if suffix == ".txt":
        with opened(path) as file:
            is_table_of_tabs = "\t" in file.readline()
        if not (is_table_of_tabs or wanted.given or wanted.with_labels):
            return read_texts(path, skip_bad_rows)
        suffix = ".tsv"
    return read_file(path, suffix, wanted, skip_bad_rows)


def _holds_questions(path: str, suffix: str) -> bool:
    """Whether a JSON file has the layout of SQuAD: articles with paragraphs."""
    if suffix != ".json":
        return False
    with opened(path) as file:
        return '"paragraphs"' in file.read(1_000_000)


def _read_folder(folder: Path, split, wanted: Wanted, skip_bad_rows: bool) -> Examples:
    task = glue_name(folder.name)
    if task and is_glue(task, folder) and not wanted.given:
        return read_glue(task, folder, split, skip_bad_rows, wanted.with_labels)
    prepared = folder if is_prepared(folder) else find_prepared(folder.name, folder.parent)
    if prepared:
        return read_prepared(prepared, split, wanted, skip_bad_rows)
    if (folder / "dataset_dict.json").is_file():  # datasets.DatasetDict.save_to_disk
        splits = sorted(path.name for path in folder.iterdir() if path.is_dir())
        return _read_folder(
            folder / choose_split(os.fspath(folder), split, splits), None, wanted, skip_bad_rows
        )
    return _read_files(folder, split, wanted, skip_bad_rows)


def _read_files(folder: Path, split, wanted: Wanted, skip_bad_rows: bool) -> Examples:
    path = os.fspath(folder)
    splits = files_of_splits(folder, SUFFIXES)
    if not splits:
        parallel = _parallel_files(folder)
        if parallel:
            files = parallel[choose_split(path, split, parallel)]
            return read_parallel(files, skip_bad_rows, wanted.label_kind, wanted.label_separator)
        raise SourceError(path, None, f"the folder has no data files ({', '.join(SUFFIXES)})")
    # A folder whose files name no split is all of one.
    files = splits[""] if list(splits) == [""] else splits[choose_split(path, split, splits)]
    if len(files) == 1:
        return read_file(os.fspath(files[0]), files[0].suffix, wanted, skip_bad_rows)
    if {file.suffix.lower() for file in files} <= {".parquet", ".arrow"}:
        selection = shards_selection(path, [os.fspath(file) for file in files], wanted)
        return collect(path, selection, wanted, skip_bad_rows)
    names = listed(file.name for file in files)
    raise SourceError(path, None, f"several files would be one split: {names}; give one of them")


def _parallel_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Files s1.dev, s2.dev and labels.dev, as those of SNLI and of InferSent's tasks, by split."""
    splits = {}
    for first in sorted(folder.glob("s1.*")):
        split = first.suffix[1:]
        files = {role: folder / f"{name}.{split}" for role, name in _PARALLEL.items()}
        if all(path.is_file() for path in files.values()):
            splits[split] = files
    return splits


def _read_name(name: str, split, wanted: Wanted, skip_bad_rows: bool, data_dir) -> Examples:
    task = glue_name(name) if name.casefold().startswith("glue/") else None
    if task and data_dir is not None and not wanted.given:
        folder = find_glue(task, data_dir)
        if folder:
            return read_glue(task, folder, split, skip_bad_rows, wanted.with_labels)
    name = f"glue/{task}" if task else name
    prepared = find_prepared(name, data_dir)
    if prepared is None and task in _HALVES:
        # One configuration holds both halves of MNLI, others each one of them.
        prepared = find_prepared("glue/mnli", data_dir)
        if prepared and split and split not in ("train", *_HALVES[task]):
            split = f"{split}_{task.removeprefix('mnli_')}"
    return read_prepared(
        prepared or prepare(name, data_dir), split, wanted, skip_bad_rows, path=name
    )
