"""Sources whose columns have types: Parquet, Arrow, data sets in memory or prepared by others."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_bert.data.columns import Places, named_columns
from keras_bert.data.rows import Feature, Row, Selection, named, picker
from keras_bert.data.wanted import Wanted, as_tuple

#: Some rows of some columns: lists of equal length, by column.
Batch = Mapping[str, Sequence[Any]]
# Rows looked at to find columns that hold 0 and 1 alone.
_PEEKED_ROWS = 1_000


def typed_selection(
    path: str,
    names: Sequence[str],
    features: Mapping[str, Feature],
    batches: Callable[[list[str]], Iterable[Batch]],
    wanted: Wanted,
    unit: str,
) -> Selection:
    """The wanted columns of a source that has them column by column.

    Args:
        path: the source, for messages.
        names: its columns.
        features: what is known of their types.
        batches: gives the rows of the columns named, a batch at a time.
        wanted: what the caller asks for.
        unit: ``"index"``: rows are counted from 0; ``"row"``: from 1.

    Raises:
        SourceError: there is no such column.
    """
    names = list(names)
    peeked: list[Sequence[Any]] = []
    if wanted.label_kind == "labels" and wanted.label is None:
        cells = (row for batch in batches(names) for row in zip(*_lists(batch, names), strict=True))
        peeked = list(itertools.islice(cells, _PEEKED_ROWS))
    places = named_columns(path, names, wanted, peeked)
    columns = named(places, names)
    needed = [name for several in columns.values() for name in as_tuple(several)]
    rows = _rows(batches(needed), needed, places, 0 if unit == "index" else 1)
    label = columns.get("label")
    feature = features.get(label, Feature()) if isinstance(label, str) else None
    return Selection(columns, rows, feature, unit)


def declared_features(features: Mapping[str, Any]) -> dict[str, Feature]:
    """What Hugging Face ``datasets`` declares of columns, in the form of ``Features.to_dict()``.

    Example:
        >>> declared_features({"label": {"names": ["no", "yes"], "_type": "ClassLabel"}})
        {'label': Feature(kind='class', classes=('no', 'yes'))}
    """
    return {name: _declared(feature) for name, feature in features.items()}


def _declared(feature: Any) -> Feature:
    if isinstance(feature, list) and len(feature) == 1:  # how older versions write a list
        return Feature("labels", _declared(feature[0]).classes)
    if not isinstance(feature, Mapping):
        return Feature()
    if feature.get("_type") == "ClassLabel":
        return Feature("class", tuple(feature.get("names") or ()) or None)
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return Feature("labels", _declared(feature.get("feature")).classes)
    return Feature("value" if str(feature.get("dtype")).startswith("float") else None)


def _rows(batches: Iterable[Batch], needed, places: Places, first: int) -> Iterator[Row]:
    # The cells of a row are those that are needed, in the order of their roles.
    numbers = itertools.count()
    here: Places = {
        role: tuple(next(numbers) for _ in several) if isinstance(several, tuple) else next(numbers)
        for role, several in places.items()
    }
    pick = picker(here)
    number = itertools.count(first)
    for batch in batches:
        for cells in zip(*_lists(batch, needed), strict=True):
            yield next(number), pick(cells), None


def _lists(batch: Batch, names: Sequence[str]) -> list[Sequence[Any]]:
    return [batch[name] for name in names]
