import lzma
import sys
import unicodedata

import numpy as np
import pytest

from keras_bert.text.sentencepiece import charsmap
from keras_bert.text.sentencepiece.charsmap import albert_charsmap, read_charsmap, write_charsmap
from keras_bert.text.sentencepiece.model import parse_model
from keras_bert.text.unicode_tables import table_path
from tests.text.conftest import FOLDER


@pytest.fixture(scope="module")
def nmt_nfkc():
    """The map that ALBERT's and XLM-R's models have."""
    content = lzma.open(FOLDER / "sentencepiece" / "albert.model.xz").read()
    return parse_model(content).normalizer_spec.precompiled_charsmap


def test_written_and_read():
    table = {"a": "b", "ab": "", "é": "e", "\U00020000": "xyz", "``": '"', "abc": "b"}
    written = write_charsmap(table)
    assert read_charsmap(written) == table
    assert write_charsmap(dict(reversed(table.items()))) == written
    assert read_charsmap(written, single=True) == {"a": "b", "é": "e", "\U00020000": "xyz"}
    assert read_charsmap(b"") == {}


def test_nul_is_no_key():
    assert read_charsmap(write_charsmap({"\0": "x", "a": "b"})) == {"a": "b"}


@pytest.mark.parametrize("content", [b"abc", b"\0\0\0\0xy", b"\0\4\0\0" + bytes(1024)])
def test_damaged_maps_are_refused(content):
    with pytest.raises(ValueError, match="is damaged"):
        read_charsmap(content)


def test_single_characters_of_a_real_map(nmt_nfkc):
    single = read_charsmap(nmt_nfkc, single=True)
    assert len(single) == 5009
    assert single["ﬁ"] == "fi" and single["\u3000"] == " " and single["\x01"] == ""
    assert all(len(key) == 1 for key in single)


def test_deleted_characters(nmt_nfkc):
    controls = [*range(1, 9), 11, *range(14, 32), 127, 143, 159]
    assert charsmap.deleted_characters(nmt_nfkc).tolist() == controls
    prepared = albert_charsmap(nmt_nfkc, True, True, True)
    assert {0x301, 0x93F, 1} <= set(charsmap.deleted_characters(prepared).tolist())


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="made of Python 3.11's Unicode")
def test_albert_prepares_each_character(nmt_nfkc):
    own = read_charsmap(nmt_nfkc, single=True)
    found = read_charsmap(albert_charsmap(nmt_nfkc, True, True, True))
    assert found.pop("``") == found.pop("''") == '"'
    for code_point in [*range(1, 0xD800), *range(0xE000, 0x20000), 0xE0100]:
        character = chr(code_point)
        text = unicodedata.normalize("NFKD", character)
        text = "".join(c for c in text if unicodedata.category(c)[0] != "M")
        text = "".join(own.get(c, c) for x in text for c in x.lower())
        assert found.get(character, character) == text.replace("\x85", " "), hex(code_point)


def test_albert_with_accents_joins_marks():
    own = {"e\u0301": "é", "E\u0301": "É", "\u212b": "Å", "\u210c": "H", "``": "x"}
    found = read_charsmap(albert_charsmap(write_charsmap(own), True, False, False))
    assert found["E\u0301"] == found["e\u0301"] == found["É"] == "é"
    assert found["\u212b"] == "å"  # lower-cased before the model's own map
    assert found["\u210c"] == "H" and found["``"] == "x" and "\u0301" not in found
    assert read_charsmap(albert_charsmap(write_charsmap(own), True, False, True))["``"] == '"'


def test_without_a_map_of_its_own():
    found = read_charsmap(albert_charsmap(b"", True, False, True))
    assert found["A"] == "a" and found["\t"] == " " and "ﬁ" not in found


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="made of Python 3.11's Unicode")
def test_shipped_tables_are_those_of_the_rules(tmp_path):
    charsmap.write_tables(tmp_path / "again.npz")
    with (
        np.load(tmp_path / "again.npz") as again,
        np.load(table_path("compatibility14")) as shipped,
    ):
        assert sorted(again) == sorted(shipped)
        for name in shipped:
            np.testing.assert_array_equal(again[name], shipped[name])
