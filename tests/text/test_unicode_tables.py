"""The tables of characters in the package."""

from pathlib import Path

import numpy as np
import pytest

from keras_bert.text import unicode_tables


@pytest.mark.parametrize("name", ["unicode14", "unicode16", "compatibility14"])
def test_tables_are_there_and_small(name):
    path = unicode_tables.table_path(name)
    assert path.stat().st_size < 300_000
    with np.load(path) as table:
        names = list(table)
        arrays = unicode_tables.read_arrays(name, *names)
        assert len(names) == len(arrays) >= 2
        for array, expected in zip(arrays, names, strict=True):
            np.testing.assert_array_equal(array, table[expected])


def test_a_missing_table_is_explained(monkeypatch, tmp_path):
    monkeypatch.setattr(unicode_tables, "_FOLDER", Path(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"unicode14\.npz.*installation .* is incomplete"):
        unicode_tables.read_arrays("unicode14", "cased")
