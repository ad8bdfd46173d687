"""What all kinds of tokenizers inherit, shown with WordPiece."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text import WordPieceTokenizer
from tests.text.conftest import SMALL, VOCABULARIES, read_golden

# [CLS] the un ##aff ##able card ? [SEP] [PAD]
ROW = [2, 5, 11, 12, 13, 6, 20, 3, 0]


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (ROW, "the unaffable card ?"),
        (tuple(ROW), "the unaffable card ?"),
        (np.array(ROW), "the unaffable card ?"),
        (tf.constant(ROW), "the unaffable card ?"),
        (list(tf.constant(ROW).numpy()), "the unaffable card ?"),
        ([ROW, [6, 1]], ["the unaffable card ?", "card [UNK]"]),
        ([np.array(ROW), []], ["the unaffable card ?", ""]),
        (np.array([ROW, ROW]), ["the unaffable card ?"] * 2),
        (tf.ragged.constant([[6], [], [12, 13]]), ["card", "", "##affable"]),
        ([], ""),
        (np.zeros([0], np.int64), ""),
        (np.zeros([0, 4], np.int64), []),
        (tf.RaggedTensor.from_row_splits([], tf.constant([0], tf.int64)), []),
    ],
)
def test_detokenize(small, ids, text):
    found = small.detokenize(ids).numpy()
    assert (found.decode() if isinstance(text, str) else [t.decode() for t in found]) == text


def test_detokenize_in_a_graph(small):
    function = tf.function(
        small.detokenize, input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    assert function([ROW]).numpy().tolist() == [b"the unaffable card ?"]


def test_detokenize_with_special_tokens(small):
    text = b"[CLS] the unaffable card ? [SEP] [PAD]"
    assert small.detokenize(ROW, skip_special_tokens=False).numpy() == text
    assert small.detokenize([4, 1]).numpy() == b"[UNK]"


def test_detokenize_refuses(small):
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"not in \[0, {len(SMALL)}\)"):
        small.detokenize([len(SMALL)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="-1 is not in"):
        small.detokenize([[-1]])
    with pytest.raises(TypeError, match="Received float32"):
        small.detokenize([1.5])
    with pytest.raises(TypeError, match=r"int32 of shape \(1, 1, 1\)"):
        small.detokenize(np.zeros([1, 1, 1], np.int32))
    with pytest.raises(TypeError, match=r"int32 of shape \(\)"):
        small.detokenize(3)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_what_was_detokenized_gives_the_same_ids(tokenizers, name):
    tokenizer = tokenizers[name]
    rows = [ids for _, _, ids in read_golden(name) if tokenizer.unk_id not in ids]
    assert len(rows) > 500
    again = tokenizer.tokenize(tokenizer.detokenize(rows)).to_list()
    differ = [pair for pair in zip(again, rows, strict=True) if pair[0] != pair[1]]
    assert differ == []


def test_explain(small):
    pieces = small.explain("The\u200b unaffable 中é?")
    assert [(p.piece, p.id) for p in pieces[:3]] == [("the", 5), ("un", 11), ("##aff", 12)]
    assert [p.source for p in pieces] == ["The", "un", "aff", "able", "中", "é", "?"]
    assert [p.flags for p in pieces] == [
        ("changed",),
        (),
        ("continuation",),
        ("continuation",),
        (),
        ("unknown",),
        (),
    ]
    last = pieces[-1]
    assert (last.start, last.end, last.start_byte, last.end_byte) == (17, 18, 22, 23)
    assert str(pieces).splitlines()[-1] == "?       20       17–18  22–23  ?"


def test_explain_ill_formed_bytes(small):
    explained = small.explain(b"\xffthe\xff card")
    assert explained.text == "the card"
    assert [(p.source, p.start, p.start_byte) for p in explained] == [("the", 0, 1), ("card", 4, 6)]


def test_explain_takes_one_text(small):
    with pytest.raises(TypeError, match="Expected one text, str or bytes. Received list"):
        small.explain(["a", "b"])


def test_explain_in_python(small):
    text = "The unaffable 中é? ß x"
    assert WordPieceTokenizer(SMALL, backend="python").explain(text) == small.explain(text)
