import sys

import pytest
import tensorflow as tf

from keras_bert.text.offsets import in_characters, original_spans, split_by_offsets


@pytest.mark.parametrize(
    ("text", "span", "characters"),
    [
        (b"abc", (0, 3), (0, 3)),
        (b"", (0, 0), (0, 0)),
        ("aé中😀".encode(), (1, 3), (1, 2)),
        ("aé中😀".encode(), (3, 10), (2, 4)),
        # Byte-level pieces may cut a character: all of it is theirs.
        ("a中b".encode(), (1, 2), (1, 2)),
        ("a中b".encode(), (2, 3), (1, 2)),
        ("a中b".encode(), (3, 5), (1, 3)),
        # What is no character takes no place.
        (b"a\xff\xe4\xb8b", (4, 5), (1, 2)),
        (b"a\xffb", (1, 2), (1, 1)),
        (b"\xed\xa0\x80z", (3, 4), (0, 1)),
    ],
)
def test_bytes_to_characters(text, span, characters):
    # The same in a batch of its own, and between others.
    for before in (0, 2):
        strings = [b"\xe4\xb8\xad?"] * before + [text, b"x"]
        rows = [[]] * before + [[span], []]
        ragged = [tf.ragged.constant([[s[i] for s in r] for r in rows], tf.int32) for i in (0, 1)]
        found = [x.to_list()[before] for x in in_characters(tf.constant(strings), *ragged)]
        assert found == [[characters[0]], [characters[1]]]


def test_no_pieces():
    none = tf.ragged.constant([[], []], tf.int32)
    found = in_characters(tf.constant(["", "é"]), none, none)
    assert [x.to_list() for x in found] == [[[], []]] * 2


@pytest.mark.parametrize(("loose", "end"), [(False, 3), (True, 7)])
def test_original_spans(loose, end):
    # "é", replaced by "e"; a deleted character of four bytes, then "z".
    strings = tf.constant(["xé".encode() + "\U000e0001".encode() + b"z"])
    origins = tf.ragged.constant([[0, 1, 7, 8]], tf.int64)
    spans = tf.ragged.constant([[1]], tf.int32), tf.ragged.constant([[2]], tf.int32)
    starts, ends = original_spans(strings, origins, *spans, loose)
    assert (starts.to_list(), ends.to_list()) == ([[1]], [[end]])
    assert starts.dtype == ends.dtype == tf.int32


def test_parts_are_cut_out_without_tf_text(monkeypatch):
    strings = tf.constant(["", "añb", "xyz"])
    starts = tf.ragged.constant([[0], [0, 1, 4], [1]], dtype=tf.int32)
    ends = tf.ragged.constant([[0], [1, 3, 4], [3]], dtype=tf.int32)
    wanted = [[b""], [b"a", "ñ".encode(), b""], [b"yz"]]
    assert split_by_offsets(strings, starts, ends).to_list() == wanted
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    assert split_by_offsets(strings, starts, ends).to_list() == wanted
