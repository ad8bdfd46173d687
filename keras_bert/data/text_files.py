"""Opens text files so that whatever is wrong with their bytes can be told by the line."""

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO

from keras_bert.data.examples import SourceError


@contextlib.contextmanager
def opened(path: str) -> Iterator[TextIO]:
    """Opens a UTF-8 file; bytes that are no UTF-8 arrive as surrogates, so their row is known.

    Raises:
        SourceError: the file is UTF-16.
        OSError: it is missing, is a folder, or cannot be read.
    """
    require_file(path)
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise SourceError(path, None, "the file is UTF-16; save it as UTF-8")
    # newline="" leaves the line ends inside quoted fields as they are.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield file


def require_file(path: str) -> None:
    """Raises an OSError that says what is wrong where ``path`` is no file."""
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; a data file is expected")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} does not exist; a data file is expected")
