"""Rows on their way from a source to examples."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_bert.data.columns import Place, Places
from keras_bert.data.examples import Column

# (row, one value for each of the columns read or None, why it cannot be used or None)
Row = tuple[int, Any, str | None]


@dataclasses.dataclass(frozen=True)
class Feature:
    """What a source with types says of a column.

    Attributes:
        kind: what its values are as labels, see ``Examples.label_kind``; None: it does not say.
        classes: names of the classes whose numbers the values are.
    """

    kind: str | None = None
    classes: tuple[str, ...] | None = None


@dataclasses.dataclass
class Selection:
    """The columns of a source that are read, and its rows.

    Attributes:
        columns: as ``Examples.columns``.
        rows: iterates over the rows; their values are in the order of ``columns``, those of a
            role that is spread over several columns as one tuple.
        label: what the source says of its label column; None where it has no types.
        unit: as ``Examples.unit``.
    """

    columns: dict[str, Column | tuple[Column, ...]]
    rows: Iterator[Row]
    label: Feature | None = None
    unit: str = "line"


def named(places: Places, names: Sequence[Column]) -> dict[str, Column | tuple[Column, ...]]:
    """The columns at ``places``, by role."""
    return {
        role: tuple(names[place] for place in several)
        if isinstance(several, tuple)
        else names[several]
        for role, several in places.items()
    }


def picker(places: Places) -> Callable[[Sequence[Any]], tuple]:
    """The function from all cells of a row to its values by role."""
    several = list(places.values())
    if all(isinstance(place, int) for place in several):
        return lambda cells: tuple([cells[place] for place in several])

    def value(cells, place: Place):
        return tuple([cells[p] for p in place]) if isinstance(place, tuple) else cells[place]

    return lambda cells: tuple([value(cells, place) for place in several])
