"""Writes files that are either complete or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_destination", "complete_file"]


def check_destination(path: str | os.PathLike) -> Path:
    """Returns the path of a file that can be there; to be asked before hours of work.

    Raises:
        OSError: If ``path`` is a folder, or its folder does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}")
    return path


@contextlib.contextmanager
def complete_file(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path to write to and moves it over ``path`` once that has worked.

    An existing ``path`` stays as it is until the very end, whatever goes wrong meanwhile.

    Args:
        path: The file to be written. The temporary file lies in the same folder, has the same
            suffix and is removed on failure.

    Raises:
        OSError: If ``path`` is a folder, or its folder does not exist.

    Example:
        >>> with complete_file(Path("numbers.txt")) as temporary:          # doctest: +SKIP
        ...     temporary.write_text("1 2 3")
    """
    path = check_destination(path)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
