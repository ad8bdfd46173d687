import pytest
import tensorflow as tf

from keras_bert.text.wordpiece.stock import stock_tokenizer
from tests.text.conftest import read_golden


def test_stock_is_tf_texts(tokenizers):
    stock = stock_tokenizer(tokenizers["uncased"])
    found = stock(tf.constant(["½ cup", "the card"])).to_list()
    ours = tokenizers["uncased"].tokenize(["½ cup", "the card"]).to_list()
    assert found[1] == ours[1]
    assert found[0] != ours[0]
    assert [tokenizers["uncased"].vocabulary[i] for i in found[0]] == ["1", "##⁄", "##2", "cup"]


def test_also_with_vocabularies_that_it_refuses_itself(tokenizers):
    # Empty and repeated tokens.
    texts = [text for _, text, _ in read_golden("zh")]
    found = stock_tokenizer(tokenizers["zh"])(tf.constant(texts)).to_list()
    wanted = [ids for _, _, ids in read_golden("zh")]
    same = sum(a == b for a, b in zip(found, wanted, strict=True))
    assert 0.2 * len(texts) < same < len(texts)


def test_other_kinds_are_refused():
    with pytest.raises(TypeError, match="compare a str with"):
        stock_tokenizer("vocab.txt")
