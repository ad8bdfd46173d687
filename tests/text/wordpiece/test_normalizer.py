import sys
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text import unicode_tables
from keras_bert.text.double_array import double_array_items
from keras_bert.text.unicode_tables import UNICODE_VERSION, table_path
from keras_bert.text.wordpiece import normalizer
from tests.text.wordpiece.reference import ReferenceWordPiece, is_chinese, is_punctuation

OPTIONS = [(False, False), (False, True), (True, False), (True, True)]
pinned_python = pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE_VERSION,
    reason="the tables are made of the Unicode version of Python 3.11",
)


def worth_a_look():
    """All assigned code points but most of the large uniform blocks, and a sample of the rest."""
    uniform = [*normalizer.CHINESE_RANGES[:2], *normalizer.CHINESE_RANGES[3:5], (0xAC00, 0xD7A3)]
    uniform += [(0x17000, 0x18CFF), (0x30000, 0x3134F)]
    sample = {c for c in range(sys.maxunicode + 1) if c % 97 == 0 and not 0xD800 <= c <= 0xDFFF}
    edges = {c for ends in uniform for end in ends for c in range(end - 2, end + 3)}
    assigned = {
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")
        and not any(first <= code <= last for first, last in uniform)
    }
    return sorted(sample | edges | assigned)


def normalize(strings, *options):
    import tensorflow_text as tf_text

    op = tf_text.FastBertNormalizer(model_buffer=tf.constant(normalizer.normalizer_model(*options)))
    return op.normalize(tf.constant(strings)).numpy().tolist()


@pinned_python
@pytest.mark.parametrize("options", OPTIONS)
def test_shipped_table_is_what_the_rules_give(options):
    assert normalizer.read_table(normalizer.normalizer_model(*options)) == normalizer.make_table(
        *options
    )


@pinned_python
def test_shipped_file_can_be_made_again(tmp_path):
    normalizer.write_tables(tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as again, np.load(table_path("unicode14")) as shipped:
        assert sorted(again) == sorted(shipped)
        for name in shipped:
            np.testing.assert_array_equal(again[name], shipped[name], err_msg=name)


def test_other_unicode_versions_make_no_tables(monkeypatch):
    monkeypatch.setattr(unicode_tables, "UNICODE_VERSION", "1.1.5")
    with pytest.raises(RuntimeError, match=r"Unicode 1\.1\.5"):
        normalizer.make_table(True, True)


def test_tables_are_small():
    assert table_path("unicode14").stat().st_size < 300_000


@pinned_python
@pytest.mark.parametrize("options", OPTIONS)
def test_every_code_point_becomes_what_the_reference_makes_of_it(options):
    reference = ReferenceWordPiece(["[UNK]"], *options)
    table = normalizer.read_table(normalizer.normalizer_model(*options))
    later = normalizer._LATER_PUNCTUATION
    wrong = []
    for code in worth_a_look():
        if code in later:
            continue
        # Between two letters it shows whether a word ends at it. Chinese characters and ASCII
        # punctuation are left to the op behind the table, which sets them apart itself.
        words = ["".join(c for c, _ in word) for word in reference.words(f"a{chr(code)}b")]
        replacement = table.get(code, chr(code))
        ours = "".join(
            f" {c} " if is_chinese(c) or (c.isascii() and is_punctuation(c)) else c
            for c in f"a{replacement}b"
        )
        if ours.split() != words:
            wrong.append((hex(code), replacement, words))
    assert not wrong


def test_the_op_follows_the_table():
    table = normalizer.read_table(normalizer.normalizer_model(True))
    codes = worth_a_look()
    strings = [f"a{chr(c)}b".encode() for c in codes]
    wanted = [f"a{table.get(c, chr(c))}b".encode() for c in codes]
    assert normalize(strings, True) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("options", [(True, True), (True, False), (True, None, False)], ids=str)
def test_with_marks_only_sigmas_differ(options):
    plain = normalizer.read_table(normalizer.normalizer_model(*options))
    marked = normalizer.read_table(normalizer.normalizer_model(*options, mark_sigmas=True))
    assert plain.pop(ord("Σ")) == "σ"
    assert marked.pop(ord("Σ")).split() == [normalizer.SIGMA_MARK]
    assert marked == plain
    # What a text itself has of the mark is none.
    assert plain[ord(normalizer.SIGMA_MARK)] == normalizer.STAND_IN


def test_cased_text_has_no_marks():
    marked = normalizer.normalizer_model(False, mark_sigmas=True)
    assert marked is normalizer.normalizer_model(False)
    assert ord("Σ") not in normalizer.read_table(marked)


def test_ill_formed_bytes_vanish():
    strings = [
        b"a\xffb",
        b"a\xe4\xb8b",
        b"\xc0\xafx",
        b"a\xed\xa0\x80b",
        b"\xf0\x9f\x98",
        b"\xf5\x80",
    ]
    wanted = [s.decode("utf-8", "ignore").encode() for s in strings]
    assert normalize(strings, True) == normalize(strings, False) == wanted


def test_ill_formed_sequences_are_all_of_one_value():
    units, _ = normalizer._open_model(normalizer.normalizer_model(False))
    keys = [key for key, _ in double_array_items(units)]
    ill_formed = []
    for key in keys:
        try:
            key.decode()
        except UnicodeDecodeError:
            ill_formed.append(key)
    assert sorted(ill_formed) == sorted(normalizer._ill_formed_sequences())


def test_chinese_characters_can_stay_in_words():
    kept, apart = "中文 国", "豈"
    stand_ins = normalizer.chinese_stand_ins()
    got = normalize([kept, apart, "\U000f0000"], True, None, False)
    assert got[0].decode() == kept.translate(stand_ins)
    assert got[1].decode() == unicodedata.normalize("NFD", apart).translate(stand_ins)
    assert got[2].decode() == normalizer.STAND_IN
    assert len(set(stand_ins.values())) == len(stand_ins) == 81_520


def test_model_is_shared_and_read_only():
    model = normalizer.normalizer_model(True)
    assert normalizer.normalizer_model(True) is model
    with pytest.raises(ValueError, match="read-only"):
        model[0] = 0
