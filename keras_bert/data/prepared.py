"""Data sets that TensorFlow Datasets prepared: folders of TFRecords with a note of their features.

They are read without ``tensorflow_datasets``, which is needed to download and prepare one.

Source: tensorflow_datasets 4.9, ``core/features`` (``features.json``) and ``core/splits.py``
(``dataset_info.json``).
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keras_bert.data.collecting import collect
from keras_bert.data.examples import Examples, SourceError, listed
from keras_bert.data.rows import Feature
from keras_bert.data.splits import choose_split
from keras_bert.data.typed_columns import Batch, typed_selection
from keras_bert.data.wanted import Wanted

_BATCH_ROWS = 1_024
_FILES = ("features.json", "dataset_info.json")


class _Column(NamedTuple):
    """How a feature is stored: what TFRecords call its type, and whether it is a list."""

    dtype: str
    is_list: bool = False


def is_prepared(folder: str | os.PathLike) -> bool:
    """Whether a folder is one version of a data set that TensorFlow Datasets prepared."""
    return all((Path(folder) / name).is_file() for name in _FILES)


def find_prepared(name: str, data_dir: str | os.PathLike | None = None) -> Path | None:
    """The folder of a data set, where it has been prepared.

    Args:
        name: as TensorFlow Datasets writes it: ``imdb_reviews``, ``glue/cola``,
            ``glue/cola:2.0.0``.
        data_dir: where data sets are; default: ``$TFDS_DATA_DIR`` or ``~/tensorflow_datasets``.

    Returns:
        The folder of the version asked for, or of the newest; None where there is none.

    Raises:
        SourceError: the data set has several configurations and none is named.
    """
    name, _, version = name.partition(":")
    folder = default_data_dir(data_dir) / name
    if not version and is_prepared(folder):
        return folder
    versions = _versions(folder)
    configs = [path for path in _folders(folder) if _versions(path)]
    if not versions and configs:
        if len(configs) > 1:
            names = listed(f"{name}/{path.name}" for path in configs)
            raise SourceError(name, None, f"there are several configurations: name one of {names}")
        versions = _versions(configs[0])
    if version:
        versions = [path for path in versions if path.name == version]
    return max(versions, key=_version_number, default=None)


def default_data_dir(data_dir: str | os.PathLike | None = None) -> Path:
    """Where data sets are: as said, or where TensorFlow Datasets keeps them."""
    found = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(found).expanduser()


def prepare(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """Downloads and prepares a data set by ``tensorflow_datasets``; returns its folder.

    Without a network it gives up after ten trials, which take it some minutes.

    Raises:
        SourceError: that is not installed, does not know the name, or cannot download the data.
    """
    folder = default_data_dir(data_dir)
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise SourceError(
            name,
            None,
            f"there is no such file, and no such data set is prepared under {folder}. To download "
            "it: pip install 'keras-bert-garden[tfds]'",
        ) from error
    try:
        builder = tfds.builder(name, data_dir=folder)
        builder.download_and_prepare()
    except Exception as error:  # whatever is raised by other people's scripts and their downloads
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SourceError(
            name,
            None,
            f"it is not prepared under {folder}, and tensorflow_datasets could not prepare it: "
            f"{type(error).__name__}: {reason[:200]}",
        ) from error
    return Path(builder.data_dir)


def read_prepared(
    folder: str | os.PathLike,
    split: str | None,
    wanted: Wanted,
    skip_bad_rows: bool = False,
    path: str | None = None,
) -> Examples:
    """Reads a split of a data set that TensorFlow Datasets prepared.

    Args:
        folder: one version of it.
        split: name of the split; None where there is only one.
        wanted: what the caller asks for.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.
        path: what messages call it; default: the folder.

    Returns:
        The examples in the order in which they are stored. Numbers of classes have become names.

    Raises:
        SourceError: there is no such split or column, the data are stored in another format than
            TFRecords, or a row is broken.
    """
    folder = Path(folder)
    path = path or os.fspath(folder)
    info = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    splits = {part["name"]: part for part in info.get("splits", [])}
    split = choose_split(path, split, splits)
    path = f"{path} ({split})"
    if info.get("fileFormat", "tfrecord") != "tfrecord":
        reason = f"the data are stored as {info['fileFormat']}; prepare them as tfrecord"
        raise SourceError(path, None, reason)
    noted = json.loads((folder / "features.json").read_text("utf-8"))
    columns, features = _columns(noted, folder)
    shards = _shards(folder, info, splits[split])
    missing = [shard for shard in shards if not os.path.exists(shard)]
    if missing:
        raise SourceError(path, None, f"{missing[0]} is missing; prepare the data set again")

    def batches(names: list[str]) -> Iterator[Batch]:
        yield from _batches(path, shards, {name: columns[name] for name in names})

    selection = typed_selection(path, list(columns), features, batches, wanted, unit="row")
    return collect(path, selection, wanted, skip_bad_rows)


def _columns(noted: dict, folder: Path) -> tuple[dict[str, _Column], dict[str, Feature]]:
    """The features that can be columns, and what their types say."""
    columns, features = {}, {}
    for name, feature in _flat(noted):
        is_list = "sequence" in feature
        inner = feature["sequence"]["feature"] if is_list else feature
        dtype = _dtype(inner)
        if dtype is None:
            continue
        columns[name] = _Column(dtype, is_list)
        classes = None
        if "classLabel" in inner:
            names = folder / f"{name.replace('/', '-')}.labels.txt"
            if names.is_file():
                classes = tuple(names.read_text("utf-8").splitlines())
        kind = "class" if "classLabel" in inner else "value" if dtype == "float32" else None
        features[name] = Feature("labels" if is_list else kind, classes)
    return columns, features


def _flat(noted: dict, above: str = "") -> Iterator[tuple[str, dict]]:
    """Features by name; those of a dict within are called ``outer/inner``."""
    for name, feature in noted.get("featuresDict", {}).get("features", {}).items():
        if "featuresDict" in feature:
            yield from _flat(feature, f"{above}{name}/")
        else:
            yield f"{above}{name}", feature


def _dtype(feature: dict) -> str | None:
    """What TFRecords store a scalar feature as; None for anything else."""
    if "text" in feature:
        return "string"
    if "classLabel" in feature:
        return "int64"
    tensor = feature.get("tensor", {})
    if tensor.get("shape", {}).get("dimensions") or tensor.get("encoding", "none") != "none":
        return None
    dtype = str(tensor.get("dtype", ""))
    if dtype.startswith("float"):
        return "float32"
    if dtype.startswith(("int", "uint", "bool")):
        return "int64"
    return "string" if dtype in ("string", "object") else None


def _shards(folder: Path, info: dict, split: dict) -> list[str]:
    count = len(split.get("shardLengths", []))
    template = split.get("filepathTemplate") or "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    words = {"DATASET": info["name"], "SPLIT": split["name"], "FILEFORMAT": "tfrecord"}
    paths = []
    for shard in range(count):
        words |= {"SHARD_INDEX": f"{shard:05d}", "NUM_SHARDS": f"{count:05d}"}
        words["SHARD_X_OF_Y"] = "{SHARD_INDEX}-of-{NUM_SHARDS}".format(**words)
        paths.append(os.fspath(folder / template.format(**words)))
    return paths


def _batches(path: str, shards: list[str], columns: dict[str, _Column]) -> Iterator[Batch]:
    import tensorflow as tf  # reading any other file needs none

    spec = {
        name: tf.io.RaggedFeature(column.dtype, row_splits_dtype=tf.int64)
        if column.is_list
        else tf.io.FixedLenFeature((), column.dtype)
        for name, column in columns.items()
    }
    rows = tf.data.TFRecordDataset(shards).batch(_BATCH_ROWS)
    try:
        for batch in rows.map(lambda examples: tf.io.parse_example(examples, spec)):
            yield {name: _plain(batch[name]) for name in columns}
    except tf.errors.OpError as error:
        # Between them TensorFlow tells which of its operations it was.
        reason = re.sub(r"^\{\{.*?\}\} | \[Op:.*", "", error.message.splitlines()[0])
        raise SourceError(path, None, f"the TFRecords cannot be read: {reason}") from error


def _plain(tensor: Any) -> list:
    values = tensor.to_list() if hasattr(tensor, "to_list") else tensor.numpy().tolist()
    return [_as_text(value) for value in values]


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _versions(folder: Path) -> list[Path]:
    return [path for path in _folders(folder) if is_prepared(path)]


def _version_number(folder: Path) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in folder.name.split(".")]
