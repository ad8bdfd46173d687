import gzip
import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text import Preprocessor, WordPieceTokenizer
from tests.text.conftest import FOLDER, SMALL, read_golden
from tests.text.fresh_process import from_saved_model

TEXTS = ["Where is the card?", "", "the card is lost"]
NAMES = ["input_word_ids", "input_mask", "input_type_ids"]
ROWS = [*NAMES, "starts", "ends", "input_segments"]


def lists(outputs):
    return {name: value.numpy().tolist() for name, value in outputs.items()}


@pytest.fixture
def preprocessor(small):
    return Preprocessor(small)


@pytest.fixture(scope="module")
def bucketed(small):
    return Preprocessor(small, pad_to=(4, 9, 16, 32))


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


@pytest.mark.parametrize(
    "words, length", [(1, 4), (2, 4), (3, 9), (7, 9), (8, 16), (14, 16), (99, 16)]
)
def test_buckets(bucketed, words, length):
    assert bucketed(["a", "a " * words])["input_mask"].shape == (2, length)
    assert bucketed.pad_to == [4, 9, 16]  # longer ones than seq_length say no more


def test_fixed_length(small):
    preprocessor = Preprocessor(small, pad_to=6)
    outputs = preprocessor(["a", "a b c a b c"], return_truncated=True)
    assert outputs["input_word_ids"].numpy().tolist() == [
        [2, 14, 3, 0, 0, 0],
        [2, 14, 15, 16, 14, 3],
    ]
    assert outputs["truncated"].numpy().tolist() == [0, 2] and preprocessor.seq_length == 6


def test_more_segments(small):
    texts = ["the card"], ["lost"], ["a b c a b c"]
    outputs = lists(Preprocessor(small, seq_length=11)(texts, return_truncated=True))
    assert outputs["input_word_ids"] == [[2, 5, 6, 3, 8, 3, 14, 15, 16, 14, 3]]
    assert outputs["input_type_ids"] == [[0] * 4 + [1] * 2 + [2] * 5]
    assert outputs["truncated"] == [2]
    one = Preprocessor(small)
    assert lists(one((["a"],))) == lists(one(["a"]))
    ids = [small.tokenize(batch) for batch in texts]
    assert lists(one.pack(*ids)) == lists(one(texts))


def test_which_segment_is_cut(small):
    texts = ["a b c a"], ["b c a b"]
    for truncation, wanted in (
        ("longest_first", [2, 14, 15, 16, 3, 15, 16, 14, 3]),
        ("only_first", [2, 14, 15, 3, 15, 16, 14, 15, 3]),
        ("only_last", [2, 14, 15, 16, 14, 3, 15, 16, 3]),
    ):
        outputs = Preprocessor(small, seq_length=9, truncation=truncation)(texts)
        assert outputs["input_word_ids"].numpy().tolist() == [wanted]


class TwoSeparators(WordPieceTokenizer):
    """Lays rows out as RoBERTa does."""

    separators_between = 2
    segment_types = False


def test_separators_and_types_are_the_tokenizers():
    preprocessor = Preprocessor(TwoSeparators(SMALL), seq_length=8)
    outputs = lists(preprocessor((["a", "a b c"], ["b", "b c"]), return_truncated=True))
    assert outputs["input_word_ids"] == [[2, 14, 3, 3, 15, 3, 0, 0], [2, 14, 15, 3, 3, 15, 16, 3]]
    assert not np.any(outputs["input_type_ids"]) and outputs["truncated"] == [0, 1]
    assert [preprocessor.special_token_count(n) for n in (1, 2, 3)] == [2, 4, 6]
    assert [Preprocessor(WordPieceTokenizer(SMALL)).special_token_count(n) for n in (1, 2)] == [
        2,
        3,
    ]


# --- offsets and windows -------------------------------------------------------------------------


def test_offsets(small):
    texts = ["Where á", "a"], ["the card", ""]
    outputs = lists(Preprocessor(small)(texts, return_offsets=True))
    assert outputs["input_word_ids"] == [[2, 9, 14, 3, 5, 6, 3], [2, 14, 3, 3, 0, 0, 0]]
    assert outputs["starts"] == [[0, 0, 6, 0, 0, 4, 0], [0] * 7]
    assert outputs["ends"] == [[0, 5, 8, 0, 3, 8, 0], [0, 1, 0, 0, 0, 0, 0]]
    assert outputs["input_segments"] == [[-1, 0, 0, -1, 1, 1, -1], [-1, 0, -1, -1, -1, -1, -1]]
    packed = Preprocessor(small).pack(
        *(small.tokenize_with_offsets(batch) for batch in texts), return_offsets=True
    )
    assert lists(packed) == outputs
    with pytest.raises(ValueError, match="return_offsets=True takes segments with offsets"):
        Preprocessor(small).pack(small.tokenize(texts[0]), return_offsets=True)


def windows_golden():
    with gzip.open(FOLDER / "windows.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("number", range(9))
def test_windows_of_hugging_face(tokenizers, number):
    golden = windows_golden()
    case, tokenizer = golden["cases"][number], tokenizers["uncased"]
    sides = [list(side) for side in zip(*golden["texts"], strict=True)]
    sides = sides[::-1] if case["turned"] else sides
    sides = sides if case["pairs"] else sides[:1]
    only_first = case["truncation"] == "only_first"
    preprocessor = Preprocessor(
        tokenizer,
        seq_length=case["seq_length"],
        stride=case["stride"],
        truncation="only_first" if only_first else "only_last",
    )
    outputs = lists(preprocessor(tuple(sides), return_truncated=True, return_offsets=True))
    lengths = np.sum(outputs["input_mask"], axis=1)
    windowed = 0 if only_first or not case["pairs"] else 1
    ids = tokenizer.tokenize(sides[windowed]).to_list()
    assert outputs["window_source"] == [window["source"] for window in case["windows"]]
    assert not any(outputs["truncated"])
    for row, (window, length) in enumerate(zip(case["windows"], lengths, strict=True)):
        source, start = window["source"], outputs["window_start"][row]
        found = {name: values[row][:length] for name, values in outputs.items() if name in ROWS}
        assert found["input_word_ids"] == window["ids"]
        assert found["input_segments"] == window["segments"]
        spans = zip(window["spans"], window["segments"], strict=True)
        assert [*zip(found["starts"], found["ends"], strict=True)] == [
            tuple(len(sides[max(segment, 0)][source][:place].encode()) for place in span)
            for span, segment in spans
        ]
        in_window = [
            i
            for i, s in zip(found["input_word_ids"], found["input_segments"], strict=True)
            if s == windowed
        ]
        assert in_window == ids[source][start : start + len(in_window)]
    assert set(outputs["window_start"]) != {0}


def test_one_text_gives_all_its_windows(small):
    outputs = lists(Preprocessor(small, seq_length=5, stride=1)("a b c a b"))
    assert outputs["input_word_ids"] == [[2, 14, 15, 16, 3], [2, 16, 14, 15, 3]]
    assert (outputs["window_source"], outputs["window_start"]) == ([0, 0], [0, 2])


def test_windows_lead_on_whatever_stands_beside(small):
    preprocessor = Preprocessor(small, seq_length=8, stride=2)
    texts = ["a b c a b c a", "a"], ["c a b c", "b"]
    outputs = lists(preprocessor(texts, return_truncated=True))
    assert outputs["window_start"] == [0, 1, 0] and outputs["truncated"] == [5, 5, 0]
    assert outputs["input_word_ids"][:2] == [
        [2, 14, 15, 3, 16, 14, 15, 3],
        [2, 14, 15, 3, 14, 15, 16, 3],
    ]
    with pytest.raises(ValueError, match="stride=2, and seq_length=5 has room for 2 ids of 2 segm"):
        Preprocessor(small, seq_length=5, stride=2)(texts)


def test_default_length(small):
    assert Preprocessor(small).seq_length == 16
    assert Preprocessor(WordPieceTokenizer(SMALL)).seq_length == 512


def test_no_windows_of_no_texts(small):
    outputs = Preprocessor(small, stride=3)([], return_offsets=True)
    assert {name: x.shape[0] for name, x in outputs.items()} == dict.fromkeys(outputs, 0)
    assert "window_source" in outputs


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
        ((), "empty tuple"),
        ((["a"], ["b"], ["c", None]), r"texts\[2\]\[1\] is None"),
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
        ({"stride": -1}, "stride=-1. Expected None, or an int of 0 or more"),
        ({"stride": 14}, "stride=14, and seq_length=16 has room for 14 ids of 1 segment. "),
        ({"pad_to": "shortest"}, "pad_to='shortest'"),
        ({"pad_to": 17}, "pad_to=17 is more than seq_length=16"),
        ({"pad_to": True}, "pad_to=True. Expected"),
        ({"pad_to": []}, r"pad_to=\[\]. Expected"),
        ({"pad_to": [8, "16"]}, r"pad_to=\[8, '16'\]. Expected"),
        ({"pad_to": [8, 15]}, r"pad_to=\[8, 15\]. Expected .* at least seq_length=16"),
        ({"pad_to": [16, 8, 32]}, "Expected lengths that rise"),
        ({"truncation": "only_second"}, "truncation='only_second'. Expected one of"),
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


def test_windows_in_tf_data_and_functional_models(small):
    preprocessor = Preprocessor(small, seq_length=8, stride=1, pad_to="max")
    first, second = ["a", "b", "c"], ["a b c a b c", "", "c b a"]
    wanted = lists(preprocessor((first, second), return_offsets=True))
    inputs = [keras.Input(shape=(), dtype="string") for _ in range(2)]
    model = keras.Model(inputs, preprocessor(tuple(inputs), return_offsets=True))
    assert lists(model([tf.constant(first), tf.constant(second)])) == wanted
    batches = tf.data.Dataset.from_tensor_slices((first, second)).batch(3)
    (outputs,) = batches.map(lambda a, b: preprocessor((a, b), return_offsets=True))
    assert lists(outputs) == wanted


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
    texts = keras.Input(shape=(), dtype="string")
    spec = Preprocessor(small, stride=2, pad_to=9)((text, texts, text), return_offsets=True)
    assert {name: x.shape for name, x in spec.items()} == {
        **dict.fromkeys(ROWS, (None, 9)),
        **dict.fromkeys(["window_source", "window_start"], (None,)),
    }
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


@pytest.mark.parametrize(
    "options",
    [
        {"pad_multiple": 4},
        {"pad_to": [4, 9], "truncation": "only_first", "stride": 2},
        {"pad_to": 7, "truncation": "only_last"},
    ],
)
def test_config_is_json(small, options):
    layer = Preprocessor(small, seq_length=9, name="p", **options)
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


@pytest.mark.slow
def test_saved_model_without_this_package(tokenizers, tmp_path):
    preprocessor = Preprocessor(tokenizers["zh"], seq_length=48)
    texts = [text for _, text, _ in read_golden("zh")][:100]

    def pairs(strings):
        return preprocessor((strings, strings[::-1]))

    found = from_saved_model(pairs, texts, tmp_path)
    assert found == lists(preprocessor((texts, texts[::-1])))


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
