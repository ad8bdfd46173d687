"""Words of plain text, and texts of words."""

import pytest
import tensorflow as tf

from keras_bert.text.words import join_words, split_words


def words(text):
    encoded = text if isinstance(text, bytes) else text.encode()
    starts, ends = split_words(tf.constant([encoded]))
    spans = zip(starts[0].numpy(), ends[0].numpy(), strict=True)
    return [encoded[start:end].decode("utf-8", "replace") for start, end in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I saw Anna.", "I|saw|Anna|."),
        ("don't (U.S.-born) #x_1 $5", "don|'|t|(|U|.|S|.|-|born|)|#|x|_|1|$|5"),
        ("Zürich’s cafe\u0301!", "Zürich|’|s|cafe\u0301|!"),
        ("2004年提出了，ＡＢ", "2004|年|提|出|了|，|ＡＢ"),
        ("東京タワーへ", "東|京|タ|ワ|ー|へ"),
        ("한국어 문장", "한국어|문장"),
        ("กรุงเทพ", "ก|รุ|ง|เ|ท|พ"),
        ("Anna😀😀 👍🏽👨‍👩‍👧 I♥NY €5", "Anna|😀😀|👍🏽👨‍👩‍👧|I|♥|NY|€|5"),
        ("a\u200bb\u3000c\td\ne\u00a0f", "a|b|c|d|e|f"),
        ("a\x01b\u00adc", "a\x01b\u00adc"),
        ("\u0301 \u200d\x01", ""),
        ("", ""),
        (" \n ", ""),
        (b"ab\xffc d\xe4", "ab\ufffdc|d\ufffd"),
    ],
)
def test_split(text, expected):
    assert words(text) == [word for word in expected.split("|") if word]


def test_a_batch_is_its_texts():
    texts = ["one two", "", "，x", " ", "three"]
    starts, ends = split_words(tf.constant(texts))
    for row, text in enumerate(texts):
        alone = split_words(tf.constant([text]))
        assert starts[row].numpy().tolist() == alone[0][0].numpy().tolist()
        assert ends[row].numpy().tolist() == alone[1][0].numpy().tolist()
    starts, _ = split_words(tf.constant([], tf.string))
    assert starts.shape[0] == 0 and starts.values.shape == (0,)


def test_split_in_a_graph():
    function = tf.function(split_words, input_signature=[tf.TensorSpec([None], tf.string)])
    starts, ends = function(tf.constant(["I saw 中国!"]))
    assert starts.to_list() == [[0, 2, 6, 9, 12]] and ends.to_list() == [[1, 5, 9, 12, 13]]


def test_every_tokenizer_gives_every_word_a_piece(tokenizers, spieces):
    """Whatever the family, spans of pieces and of words belong together."""
    text = "Zürich’s café, e\u0301te 中国！😀😀 ½ x\u200by I♥NY 東京タワーへ  U.S.-born กรุงเทพ"
    starts, ends = (x[0].numpy() for x in split_words(tf.constant([text])))
    for name, tokenizer in {**tokenizers, **spieces}.items():
        _, first, last = (x[0].numpy() for x in tokenizer.tokenize_with_offsets([text]))
        assert (sorted(last) == last).all(), name
        for start, end in zip(starts, ends, strict=True):
            assert ((first < end) & (last > start)).any(), (name, text.encode()[start:end])


@pytest.mark.parametrize(
    ("parts", "joiner", "text"),
    [
        (["Anna", "lives", "here", "."], None, "Anna lives here ."),
        (["自从", "2004", "年", "，", "GitHub"], None, "自从2004年，GitHub"),
        (["한국어", "문장"], None, "한국어 문장"),
        (["中", "国"], " ", "中 国"),
        (["a", "b"], "", "ab"),
        (["a", "", "b"], None, "a  b"),
        (["", "中", "", "x"], None, " 中 x"),
        (["a b", "\n"], None, "a b \n"),
        ([], None, ""),
    ],
)
def test_join(parts, joiner, text):
    joined, spans = join_words(parts, joiner)
    assert [joined[start:end] for start, end in spans] == parts
    assert joined == text
