"""The tables of characters that lie in the package, and the Unicode version they are made of.

`tables/unicode14.npz` (BERT's normalisation) and `tables/compatibility14.npz` (ALBERT's) are of the
version pinned here, `tables/unicode16.npz` (GPT-2's words) of the one its name says. Why they are
pinned is said where each is used.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import numpy as np

__all__ = ["UNICODE_VERSION", "WHITE_SPACE", "check_unicode_version", "read_arrays", "table_path"]

UNICODE_VERSION = "14.0.0"

# The code points that are Unicode's White_Space, in every version since 6.3.
WHITE_SPACE = (*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))
WHITE_SPACE += (0x2028, 0x2029, 0x202F, 0x205F, 0x3000)

_FOLDER = Path(__file__).with_name("tables")


def table_path(name: str) -> Path:
    """Where the file of a table lies: `unicode14` -> `.../tables/unicode14.npz`."""
    return _FOLDER / f"{name}.npz"


def read_arrays(name: str, *arrays: str) -> list[np.ndarray]:
    """Some arrays of a table, read anew.

    Args:
        name: the table, as for `table_path`.
        *arrays: names of arrays in it.

    Raises:
        FileNotFoundError: the package was installed without its data files.
    """
    path = table_path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: the installation of keras_bert is incomplete (it was packaged "
            "without its data files). Install it again."
        )
    with np.load(path, allow_pickle=False) as table:
        return [table[array] for array in arrays]


def check_unicode_version() -> None:
    """Lets only a Python make tables whose `unicodedata` is of the pinned version.

    Raises:
        RuntimeError: this one's is not.
    """
    if unicodedata.unidata_version != UNICODE_VERSION:
        raise RuntimeError(
            f"The tables are made of Unicode {UNICODE_VERSION}; this Python "
            f"{sys.version.split()[0]} has {unicodedata.unidata_version}. Use Python 3.11."
        )
