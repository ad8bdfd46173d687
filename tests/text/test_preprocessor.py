import json
import random
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text import Preprocessor, WordPieceTokenizer
from tests.text.conftest import SMALL, read_golden

TEXTS = ["Where is the card?", "", "the card is lost"]
NAMES = ["input_word_ids", "input_mask", "input_type_ids"]


def lists(outputs):
    return {name: value.numpy().tolist() for name, value in outputs.items()}


@pytest.fixture
def preprocessor(small):
    return Preprocessor(small)


# --- what comes out ------------------------------------------------------------------------------


def test_texts(preprocessor):
    outputs = preprocessor(TEXTS)
    assert list(outputs) == NAMES
    assert all(x.dtype == tf.int32 for x in outputs.values())
    word = SMALL.index
    ids = [word("where"), word("is"), word("the"), word("card"), word("?")]
    assert outputs["input_word_ids"].numpy().tolist() == [
        [2, *ids, 3],
        [2, 3, 0, 0, 0, 0, 0],
        [2, word("the"), word("card"), word("is"), word("lost"), 3, 0],
    ]
    assert outputs["input_mask"].numpy().tolist() == [[1] * 7, [1, 1, 0, 0, 0, 0, 0], [1] * 6 + [0]]
    assert not outputs["input_type_ids"].numpy().any()


def test_pairs(preprocessor):
    outputs = lists(preprocessor((["the card", ""], ["lost", "a b"])))
    assert outputs["input_word_ids"] == [[2, 5, 6, 3, 8, 3], [2, 3, 14, 15, 3, 0]]
    assert outputs["input_type_ids"] == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 0]]
    assert outputs["input_mask"] == [[1] * 6, [1] * 5 + [0]]


@pytest.mark.parametrize(
    "as_what",
    [
        list,
        lambda texts: [text.encode() for text in texts],
        lambda texts: [texts[0], *(text.encode() for text in texts[1:])],
        np.array,
        lambda texts: np.array(texts, object),
        lambda texts: np.array([text.encode() for text in texts]),
        tf.constant,
        tf.Variable,
    ],
    ids=["str", "bytes", "mixed", "numpy U", "numpy object", "numpy S", "tensor", "variable"],
)
def test_every_kind_of_batch(preprocessor, as_what):
    assert lists(preprocessor(as_what(TEXTS))) == lists(preprocessor(TEXTS))
    pair = (as_what(TEXTS), as_what(TEXTS[::-1]))
    assert lists(preprocessor(pair)) == lists(preprocessor((TEXTS, TEXTS[::-1])))


@pytest.mark.parametrize(
    "alone", ["the card", b"the card", np.str_("the card"), tf.constant("the card")]
)
def test_one_text_gives_rows_without_a_batch(preprocessor, alone):
    assert lists(preprocessor(alone))["input_word_ids"] == [2, 5, 6, 3]
    assert lists(preprocessor((alone, alone)))["input_type_ids"] == [0, 0, 0, 0, 1, 1, 1]


def test_list_of_two_tensors_is_a_pair(preprocessor):
    pair = [tf.constant(["a"]), tf.constant(["b"])]
    assert lists(preprocessor(pair)) == lists(preprocessor((["a"], ["b"])))


def test_truncation_reports_itself(small):
    preprocessor = Preprocessor(small, seq_length=6)
    outputs = lists(preprocessor(["a b c a b c", "a"], return_truncated=True))
    assert outputs["truncated"] == [2, 0]
    assert outputs["input_word_ids"] == [[2, 14, 15, 16, 14, 3], [2, 14, 3, 0, 0, 0]]
    outputs = lists(preprocessor((["a b c", "a"], ["b c", "c"]), return_truncated=True))
    assert outputs["truncated"] == [2, 0]
    assert outputs["input_word_ids"] == [[2, 14, 15, 3, 15, 3], [2, 14, 3, 16, 3, 0]]


def test_padding(small):
    texts = ["a b c", "a"]
    assert Preprocessor(small)(texts)["input_mask"].shape == (2, 5)
    assert Preprocessor(small, pad_multiple=8)(texts)["input_mask"].shape == (2, 8)
    assert Preprocessor(small, seq_length=6, pad_multiple=8)(texts)["input_mask"].shape == (2, 6)
    assert Preprocessor(small, pad_to="max")(texts)["input_mask"].shape == (2, 16)


def test_default_length(small):
    assert Preprocessor(small).seq_length == 16
    assert Preprocessor(WordPieceTokenizer(SMALL)).seq_length == 512


@pytest.mark.parametrize("empty", [[], np.array([], object), tf.zeros([0], tf.string)])
def test_empty_batch(preprocessor, empty):
    assert {x.shape for x in preprocessor(empty).values()} == {(0, 2)}
    assert {x.shape for x in preprocessor((empty, empty)).values()} == {(0, 3)}
    assert preprocessor(empty, return_truncated=True)["truncated"].shape == (0,)


def test_odd_texts(preprocessor):
    texts = ["", b"\xff\xfe", "a\0b", "x" * 300, "a " * 500_000, "\ud800a", " \n"]
    outputs = lists(preprocessor(texts, return_truncated=True))
    assert outputs["input_word_ids"][:4] == [
        [2, 3] + [0] * 14,
        [2, 3] + [0] * 14,
        [2, 14, 18, 3] + [0] * 12,  # the zero byte goes, "ab" stays: a ##b
        [2, 1, 3] + [0] * 13,
    ]
    assert outputs["input_word_ids"][4] == [2] + [14] * 14 + [3]
    assert outputs["truncated"][4] == 500_000 - 14
    assert outputs["input_word_ids"][5:] == [[2, 14, 3] + [0] * 13, [2, 3] + [0] * 14]


def test_packing_what_is_tokenized_already(small):
    preprocessor = Preprocessor(small, seq_length=7)
    ids, ids_b = small.tokenize(TEXTS), small.tokenize(TEXTS[::-1])
    for got, wanted in (
        (preprocessor.pack(ids), preprocessor(TEXTS)),
        (preprocessor.pack(ids, ids_b), preprocessor((TEXTS, TEXTS[::-1]))),
        (preprocessor.pack(ids, return_truncated=True), preprocessor(TEXTS, return_truncated=True)),
    ):
        assert lists(got) == lists(wanted)
    rows = tf.data.Dataset.from_tensor_slices(ids).ragged_batch(2).map(preprocessor.pack)
    assert [x["input_word_ids"].shape for x in rows] == [(2, 7), (1, 6)]


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts, message",
    [
        (None, r"texts is None \(NoneType\)"),
        (3, r"texts is 3 \(int\)"),
        (["a", None], r"texts\[1\] is None \(NoneType\). Expected str or bytes"),
        (["a", 3.5], r"texts\[1\] is 3.5 \(float\)"),
        ((["a"], ["b", None]), r"texts\[1\]\[1\] is None"),
        ((["a"], None), r"texts\[1\] is None"),
        ([["a", "b"]], r"texts\[0\] is \['a', 'b'\] \(list\).*tuple of two lists"),
        ([("a", "b")], r"tuple of two lists"),
        ((["a"], ["b"], ["c"]), "tuple of 3"),
        ({"text": ["a"]}, r"\(dict\)"),
        (np.array([1, 2]), r"texts\[0\] is 1 \(int\)"),
        (np.array(["a", float("nan")], object), r"texts\[1\] is nan \(float\)"),
        (np.array([["a"]]), r"array of shape \(1, 1\)"),
        (tf.constant([1]), "tensor of int32"),
        (tf.constant([["a"]]), r"string tensor of shape \(1, 1\)"),
    ],
    ids=str,
)
def test_what_is_no_text_is_named(preprocessor, texts, message):
    with pytest.raises(TypeError, match=message):
        preprocessor(texts)


def test_pairs_of_unequal_batches(preprocessor):
    with pytest.raises(ValueError, match=r"one length. Received shapes \(2,\) and \(1,\)"):
        preprocessor((["a", "b"], ["c"]))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seq_length": 1}, "seq_length=1. Expected an int of 2 or more"),
        ({"seq_length": "9"}, "seq_length='9'"),
        ({"seq_length": True}, "seq_length=True"),
        ({"stride": 4}, "stride=4: windows are not supported yet"),
        ({"pad_to": "shortest"}, "pad_to='shortest'"),
        ({"pad_multiple": 0}, "pad_multiple=0"),
    ],
)
def test_options_out_of_range(small, options, message):
    with pytest.raises(ValueError, match=message):
        Preprocessor(small, **options)


def test_no_room_for_a_pair(small):
    with pytest.raises(ValueError, match="no room for the 3 special tokens"):
        Preprocessor(small, seq_length=2)((["a"], ["b"]))


# --- where it works ------------------------------------------------------------------------------


def test_tf_data(preprocessor):
    batches = tf.data.Dataset.from_tensor_slices(TEXTS).batch(2).map(preprocessor)
    shapes = [x["input_word_ids"].shape for x in batches]
    assert shapes == [(2, 7), (1, 6)]
    pairs = tf.data.Dataset.from_tensor_slices((TEXTS, TEXTS)).batch(3)
    (outputs,) = pairs.map(lambda a, b: preprocessor((a, b)))
    assert lists(outputs) == lists(preprocessor((TEXTS, TEXTS)))
    assert list(batches.element_spec) == NAMES


def test_functional_model(preprocessor):
    texts = keras.Input(shape=(), dtype="string")
    outputs = preprocessor(texts)
    assert {name: x.shape for name, x in outputs.items()} == dict.fromkeys(NAMES, (None, None))
    assert all(x.dtype == "int32" for x in outputs.values())
    model = keras.Model(texts, outputs)
    assert lists(model(tf.constant(TEXTS))) == lists(preprocessor(TEXTS))
    found = model.predict(tf.constant(TEXTS), verbose=0)
    np.testing.assert_array_equal(found["input_mask"], preprocessor(TEXTS)["input_mask"])


def test_symbolic_shapes(small):
    text = keras.Input(shape=(), dtype="string")
    spec = Preprocessor(small, pad_to="max")(text, return_truncated=True)
    assert spec["input_word_ids"].shape == (None, 16) and spec["truncated"].shape == (None,)
    with pytest.raises(TypeError, match=r"keras.Input\(shape=\(\), dtype=\"string\"\)"):
        Preprocessor(small)(keras.Input(shape=(3,), dtype="string"))


@pytest.mark.parametrize("pairs", [False, True])
def test_keras_file(small, tmp_path, pairs):
    preprocessor = Preprocessor(small, seq_length=9, pad_to="max", name="ids")
    first, second = (keras.Input(shape=(), dtype="string", name=n) for n in ("first", "second"))
    inputs = (first, second) if pairs else first
    outputs = preprocessor(inputs, return_truncated=True)
    embedded = keras.layers.Embedding(len(SMALL), 4)(outputs["input_word_ids"])
    model = keras.Model(inputs, {"embedded": embedded, **outputs})
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    texts = tf.constant(TEXTS)
    inputs = (texts, texts[::-1]) if pairs else texts
    for name, value in model(inputs).items():
        np.testing.assert_array_equal(again(inputs)[name], value)
    layer = again.get_layer("ids")
    assert (layer.seq_length, layer.pad_to, layer.name) == (9, "max", "ids")
    assert layer.tokenizer.get_config() == small.get_config()


def test_config_is_json(small):
    layer = Preprocessor(small, seq_length=9, pad_multiple=4, name="p")
    config = json.loads(json.dumps(layer.get_config()))
    again = Preprocessor.from_config(config)
    assert again.get_config() == layer.get_config()
    assert lists(again(TEXTS)) == lists(layer(TEXTS))


def test_under_mixed_precision(small):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert lists(Preprocessor(small)(TEXTS)) == lists(Preprocessor(small, dtype="int32")(TEXTS))
    finally:
        keras.config.set_dtype_policy("float32")


def test_saved_model_without_this_package(tokenizers, tmp_path):
    preprocessor = Preprocessor(tokenizers["zh"], seq_length=48)

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.preprocessor = preprocessor

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
        def pairs(self, first, second):
            return self.preprocessor((first, second))

    tf.saved_model.save(Module(), str(tmp_path / "model"))
    texts = [text for _, text, _ in read_golden("zh")][:100]
    (tmp_path / "texts.json").write_text(json.dumps([t.hex() for t in texts]))
    script = """
        import json, sys
        import tensorflow as tf, tensorflow_text
        model = tf.saved_model.load("model")
        texts = [bytes.fromhex(t) for t in json.load(open("texts.json"))]
        found = model.pairs(tf.constant(texts), tf.constant(texts[::-1]))
        assert not any(m.split(".")[0] == "keras_bert" for m in sys.modules)
        print(json.dumps({name: value.numpy().tolist() for name, value in found.items()}))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == lists(preprocessor((texts, texts[::-1])))


def test_order_of_rows_does_not_matter(tokenizers):
    # One odd text sends its whole batch the long way; the others' ids must not notice.
    rng = random.Random(0)
    rows = [(text, ids) for _, text, ids in read_golden("mcased")]
    rng.shuffle(rows)
    preprocessor = Preprocessor(tokenizers["mcased"])
    for first in range(0, 320, 32):
        texts, ids = zip(*rows[first : first + 32], strict=True)
        packed = preprocessor(list(texts))
        for row, mask, wanted in zip(
            packed["input_word_ids"], packed["input_mask"], ids, strict=True
        ):
            assert row.numpy()[mask.numpy() == 1][1:-1].tolist() == wanted[:510]
