"""Which columns hold the texts and the label: as asked for, or by usual names."""

from collections.abc import Collection, Sequence
from typing import Any

from keras_bert.data.examples import Column, SourceError, counted, listed, shown
from keras_bert.data.usual_columns import (
    ANCHORED_PAIRS,
    CHOICE_LIST_COLUMNS,
    LABEL_COLUMNS,
    NEGATIVE_COLUMNS,
    PROMPT_COLUMNS,
    RIGHT_CHOICE_COLUMNS,
    SEVERAL_LABELS_COLUMNS,
    TEXT_COLUMNS,
    VALUE_COLUMNS,
    choice_columns,
    is_counter,
)
from keras_bert.data.wanted import AS_GIVEN, ROLES, Wanted, as_tuple

# Index into a row, or several of them where a role is spread over columns.
Place = int | tuple[int, ...]
Places = dict[str, Place]

# Names of label columns, by the kind of label asked for.
_USUAL_LABELS = {
    "class": LABEL_COLUMNS,
    "value": (*VALUE_COLUMNS, *LABEL_COLUMNS),
    "labels": (*SEVERAL_LABELS_COLUMNS, *LABEL_COLUMNS),
    "choice": RIGHT_CHOICE_COLUMNS,
    AS_GIVEN: (*LABEL_COLUMNS, *SEVERAL_LABELS_COLUMNS, *VALUE_COLUMNS),
    None: (*LABEL_COLUMNS, *SEVERAL_LABELS_COLUMNS, *VALUE_COLUMNS),
}
_ZERO_OR_ONE = ("0", "1", 0, 1)


def named_columns(
    path: str, names: Sequence[str], wanted: Wanted, peeked: Sequence[Sequence[Any]] = ()
) -> Places:
    """Places in ``names`` of the columns that are wanted.

    Args:
        path: the source, for messages.
        names: its columns.
        wanted: what the caller asks for.
        peeked: some of its rows: where several labels per row are asked for and no column has a
            usual name, the columns in which all of them have 0 or 1 are the labels.

    Returns:
        Index into ``names`` per role: ``"text"``, and where there are any ``"text_pair"``,
        ``"negative"``, ``"choices"`` and ``"label"``, in this order; a tuple where a role is
        spread over several columns.

    Raises:
        SourceError: a column is missing, is there twice, or would have two roles.
    """
    places = {role: _places_of(path, names, columns) for role, columns in wanted.given.items()}
    usual = {name.casefold(): place for place, name in reversed(list(enumerate(names)))}
    if "choices" in places or wanted.label_kind in ("choice", None):
        places = _usual_choices(path, names, usual, places, wanted)
    if "text" not in places:
        places = _usual_texts(usual, places) | places
        if "text" not in places:
            usual_names = [text for text, pair in TEXT_COLUMNS if pair is None]
            raise SourceError(path, None, _missing("text", usual_names, names))
    if "label" not in places and wanted.with_labels is not False:
        found = _usual_label(names, usual, places, wanted, peeked)
        if found is not None:
            places["label"] = found
        elif wanted.with_labels:
            looked_for = _USUAL_LABELS["choice" if "choices" in places else wanted.label_kind]
            raise SourceError(path, None, _missing("label", looked_for, names))
    _require_different(path, places, names)
    for place in _each(places):
        if names.count(names[place]) > 1:
            raise SourceError(path, None, f"more than one column is called {shown(names[place])}")
    return _in_order(places)


def numbered_columns(path: str, first: Sequence[str], wanted: Wanted) -> Places | None:
    """Places of columns given by number, or None where none is.

    Args:
        path: the file, for messages.
        first: the cells of its first row. Where every column given is one of them, they are names.
        wanted: what the caller asks for.

    Returns:
        Index into a row per role, as ``named_columns``.

    Raises:
        SourceError: a number is out of range, numbers and names are mixed, or the first row is
            a header after all.
    """
    given = wanted.given_columns
    numbers = [column for column in given if _is_number(column)]
    if not numbers or all(column in first for column in given):
        return None
    if len(numbers) < len(given):
        mixed = listed(given)
        raise SourceError(path, None, f"give every column by name or every one by number: {mixed}")
    places: Places = {
        role: tuple(int(column) - 1 for column in columns)
        if isinstance(columns, tuple)
        else int(columns) - 1
        for role, columns in wanted.given.items()
    }
    for place in _each(places):
        if not 0 <= place < len(first):
            width = counted(len(first), "column")
            reason = f"there is no column {place + 1}: the row has {width}, counted from 1"
            raise SourceError(path, 1, reason)
    if "text" not in places:
        raise SourceError(path, None, "the number of the text column is missing")
    if "label" not in places and wanted.with_labels:
        raise SourceError(path, None, "the number of the label column is missing")
    _require_different(path, places, range(1, len(first) + 1))
    _require_no_header(path, first, places)
    return _in_order(places)


def columns_without_header(
    first: Sequence[str], following: Sequence[Sequence[str]], wanted: Wanted
) -> Places | None:
    """Places of text, second text and label in a table that seems to have no header.

    The label of two columns is taken to be the second; of three, the third. A header's last cell
    names a column, so no row has it as its label: a first row whose label occurs again in
    ``following`` is a row. Nor is the name a number where everything below is one.

    Args:
        first: the cells of the first row.
        following: rows below it.
        wanted: what the caller asks for; a file in which columns were named has a header.

    Returns:
        The places, or None where there may be a header.
    """
    width = len(first)
    if wanted.given or width not in (2, 3) or not first[-1].strip():
        return None
    if wanted.label_kind not in (None, AS_GIVEN, "class", "value"):
        return None
    last = [cells[-1] for cells in following if len(cells) == width]
    # "text,2" over "good film,1" may be a name; asked for classes, only a third column is none.
    may_be_numbers = width == 3 or wanted.label_kind != "class"
    numbers = may_be_numbers and all(map(_reads_as_number, [first[-1], *last]))
    if first[-1] not in last and not numbers:
        return None
    texts: Places = {"text": 0} if width == 2 else {"text": 0, "text_pair": 1}
    return texts if wanted.with_labels is False else {**texts, "label": width - 1}


def _usual_texts(usual: dict[str, int], places: Places) -> Places:
    """Places of the first line of TEXT_COLUMNS that is there and free, or nothing.

    Beside an anchor and what it is like, what it is not like.
    """
    taken = set(_each(places))
    free = {name: place for name, place in usual.items() if place not in taken}
    for text, pair in TEXT_COLUMNS:
        if text in free and (pair is None or "text_pair" in places):
            return {"text": free[text]}
        if text in free and pair in free:
            found: Places = {"text": free[text], "text_pair": free[pair]}
            if (text, pair) in ANCHORED_PAIRS:
                negatives = [free[name] for name in NEGATIVE_COLUMNS if name in free]
                found |= {"negative": negatives[0]} if negatives else {}
            return found
    return {}


def _usual_choices(path, names, usual, places: Places, wanted: Wanted) -> Places:
    """``places``, with prompt and choices where they are there; they must be where asked for."""
    asked = wanted.label_kind == "choice" or "choices" in places
    taken = set(_each(places))
    free = {name: place for name, place in usual.items() if place not in taken}
    choices = places.get("choices", choice_columns(names))
    for name in CHOICE_LIST_COLUMNS:
        if choices == () and name in free:
            choices = free[name]
    if choices == ():
        if asked:
            raise SourceError(path, None, _missing("choices", ("ending0", "choices"), names))
        return places
    prompt: Places = {}
    if "text" not in places:
        for text, start in PROMPT_COLUMNS:
            if text in free and (start is None or start in free):
                prompt = {"text": free[text]} | ({"text_pair": free[start]} if start else {})
                break
        else:
            if not asked:
                return places
            raise SourceError(
                path, None, _missing("text", [text for text, _ in PROMPT_COLUMNS], names)
            )
    return {**prompt, **places, "choices": choices}


def _usual_label(names, usual, places: Places, wanted: Wanted, peeked) -> Place | None:
    kind = "choice" if "choices" in places else wanted.label_kind
    taken = set(_each(places))
    for name in _USUAL_LABELS[kind]:
        if name in usual and usual[name] not in taken:
            return usual[name]
    if kind != "labels" or not peeked:
        return None
    flags = tuple(
        place
        for place, name in enumerate(names)
        if place not in taken
        and not is_counter(name)
        and all(len(cells) != len(names) or cells[place] in _ZERO_OR_ONE for cells in peeked)
    )
    return flags if len(flags) > 1 else None


def _places_of(path: str, names: Sequence[str], columns) -> Place:
    if isinstance(columns, tuple):
        return tuple(_place_of(path, names, column) for column in columns)
    return _place_of(path, names, columns)


def _place_of(path: str, names: Sequence[str], column: Column) -> int:
    if column in names:
        return names.index(column)
    alike = [place for place, name in enumerate(names) if name.casefold() == str(column).casefold()]
    if len(alike) == 1:
        return alike[0]
    raise SourceError(
        path, None, f"there is no column {shown(column)}; the columns are {listed(names)}"
    )


def _is_number(column: Column) -> bool:
    return isinstance(column, int) or (column.isascii() and column.isdigit())


def _reads_as_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _each(places: Places) -> list[int]:
    return [place for role in places.values() for place in as_tuple(role)]


def _require_different(path: str, places: Places, names: Sequence[Column]) -> None:
    roles: dict[int, str] = {}
    for role, several in places.items():
        for place in as_tuple(several):
            if place in roles:
                both = f"{roles[place]} and {role}".replace("_", " ")
                raise SourceError(path, None, f"column {shown(names[place])} is given as {both}")
            roles[place] = role


def _require_no_header(path: str, first: Sequence[str], places: Places) -> None:
    text = first[places["text"]].strip().casefold()
    label = places.get("label")
    is_label = label is None or (
        isinstance(label, int) and first[label].strip().casefold() in LABEL_COLUMNS
    )
    if text in dict(TEXT_COLUMNS) and is_label:
        raise SourceError(
            path,
            1,
            f"this is a header line ({listed(first)}), and column numbers are for files without "
            "one; give the columns by name",
        )


def _in_order(places: Places) -> Places:
    return {role: places[role] for role in ROLES if role in places}


def _missing(role: str, looked_for: Collection[str], names: Sequence[str]) -> str:
    reason = (
        f"no {role} column found among {listed(names)} (looked for "
        f"{', '.join(list(looked_for)[:5])}, …). Name it: {role}_column= in Python, "
        f"--{role}-column on the command line; where the file has no header line that is a "
        "number, 1 for the first column"
    )
    mark = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and mark:
        reason += f". Its fields seem to be separated by {mark!r}; .csv has commas, .tsv has tabs"
    return reason
