"""Parallel files: line n of each of them is of example n."""

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence

from keras_bert.data.collecting import collect
from keras_bert.data.examples import Examples, SourceError, shown
from keras_bert.data.rows import Selection
from keras_bert.data.text_files import opened
from keras_bert.data.wanted import ROLES, Wanted

#: The roles of files that are only listed, by how many there are.
_ROLES = {1: ("text",), 3: ("text", "text_pair", "label")}


def read_parallel(
    paths: Mapping[str, str | os.PathLike] | Sequence[str | os.PathLike],
    skip_bad_rows: bool = False,
    label_kind: str | None = "class",
    label_separator: str | None = None,
) -> Examples:
    """Reads texts, second texts and labels from a file each.

    Args:
        paths: the file of each role: ``{"text": "s1.dev", "text_pair": "s2.dev", "label":
            "labels.dev"}``, with ``"negative"`` for triplets; or a list of three files: texts,
            second texts, labels.
        skip_bad_rows: leave rows that cannot be used out and list them in ``Examples.skipped``.
        label_kind: as ``read_examples`` takes it.
        label_separator: as ``read_examples`` takes it.

    Returns:
        The examples; ``columns`` holds the files' names. A blank line is an empty text.

    Raises:
        SourceError: the files are not of one length, or a row is broken.
        OSError: a file is missing, is a folder, or cannot be read.
        ValueError: a role is unknown, or the roles of the files are not clear.

    Example:
        >>> dev = read_parallel(["s1.dev", "s2.dev", "labels.dev"])        # doctest: +SKIP
        >>> dev.texts[0], dev.labels[0]                                    # doctest: +SKIP
        (('Two women are embracing.', 'The sisters are hugging.'), 'neutral')
    """
    by_role = _by_role(paths)
    name = " + ".join(os.path.basename(path) for path in by_role.values())
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(opened(path)) for path in by_role.values()]
        lines = itertools.zip_longest(*files)
        rows = (
            (number, tuple(cell.rstrip("\r\n") for cell in cells), None)
            for number, cells in enumerate(_of_one_length(name, lines, by_role), start=1)
        )
        columns = {role: os.path.basename(path) for role, path in by_role.items()}
        wanted = Wanted(label_kind=label_kind, label_separator=label_separator)
        return collect(name, Selection(columns, rows), wanted, skip_bad_rows)


def _by_role(paths) -> dict[str, str]:
    if isinstance(paths, str | os.PathLike):
        raise TypeError(f"paths is {shown(paths)}, one path; expected a list or dict of them")
    if not isinstance(paths, Mapping):
        roles = _ROLES.get(len(paths))
        if roles is None:
            raise ValueError(
                f"paths holds {len(paths)} files; say what they are: "
                '{"text": ..., "text_pair": ..., "label": ...}'
            )
        paths = dict(zip(roles, paths, strict=True))
    known = [role for role in ROLES if role != "choices"]
    unknown = [role for role in paths if role not in known]
    if unknown or "text" not in paths:
        raise ValueError(f"paths has the roles {list(paths)}; expected 'text' and more of {known}")
    return {role: os.fspath(paths[role]) for role in known if role in paths}


def _of_one_length(name: str, lines, by_role):
    for number, cells in enumerate(lines, start=1):
        if None in cells:
            ended = list(by_role.values())[cells.index(None)]
            reason = f"{ended} ends before this line; parallel files have a line for each example"
            raise SourceError(name, number, reason)
        yield cells
