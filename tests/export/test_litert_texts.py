"""Texts inside a LiteRT graph: ids, spans, words and characters, against the tokenizer's own."""

import itertools
import random

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.export import ask_litert
from keras_bert.export.litert import conversion, texts
from keras_bert.export.litert.text_bytes import TextBytes
from keras_bert.text import AddedToken, BytePairTokenizer, Preprocessor, WordPieceTokenizer
from keras_bert.text.byte_pair.model import byte_character
from keras_bert.text.offsets import in_characters, split_by_offsets
from keras_bert.text.words import split_words
from tests.text import fuzz
from tests.text.conftest import SMALL, read_golden, read_tokens

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT's interpreter")

SIGMA = "Σ".encode()


def runner(function):
    """What runs a function of texts, converted."""
    spec = [tf.TensorSpec((None,), tf.string, "text")]
    traced = tf.function(function, spec, autograph=False).get_concrete_function()
    content = conversion.convert({"texts": traced}, [])
    interpreter = litert.InterpreterWithCustomOps(
        model_content=content, custom_op_registerers=ask_litert._text_kernels()
    )
    run = interpreter.get_signature_runner("texts")
    return lambda strings: run(text=np.array(strings, object))


def parts_of(tokenizer, in_litert):
    """A function of strings → everything that is known of them, as flat tensors."""

    def parts(text):
        found = {"ids": tokenizer.tokenize(text)}
        for ends in ("tight", "loose"):
            _, starts, behind = tokenizer.tokenize_with_offsets(text, ends=ends)
            found |= {f"{ends}_starts": starts, f"{ends}_ends": behind}
        of_texts = TextBytes.of(text) if in_litert else None
        words = of_texts.words() if in_litert else split_words(text)
        found |= {"words": words[0], "word_ends": words[1]}
        characters = of_texts.in_characters(*words) if in_litert else in_characters(text, *words)
        found |= {"first": characters[0], "behind": characters[1]}
        found["cut"] = of_texts.cut(*words) if in_litert else split_by_offsets(text, *words)
        flat = {}
        for name, ragged in found.items():
            flat[name] = ragged.values
            flat[f"{name}_splits"] = tf.cast(ragged.row_splits, tf.int32)
        return flat

    return parts


def rows_of(flat):
    """The same as lists, a row for each text."""
    flat = {name: x.numpy() if hasattr(x, "numpy") else x for name, x in flat.items()}
    rows = {}
    for name in (name for name in flat if not name.endswith("_splits")):
        values, splits = flat[name].tolist(), flat[f"{name}_splits"].tolist()
        rows[name] = [values[a:b] for a, b in itertools.pairwise(splits)]
    return rows


def ill_formed(strings):
    """The same strings with bytes taken out, put in and changed."""
    rng = random.Random(7)
    for string in strings:
        data = bytearray(string)
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(data))
            data[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 3))
        yield bytes(data)


def strings(count, tokens):
    """Golden and random strings, ill-formed ones and long words; none with a capital sigma."""
    golden = [text for _, text, _ in read_golden("uncased")]
    found = golden[:: max(1, len(golden) // count)]
    found += [text.encode() for text in fuzz.strings("litert", count, tokens)]
    found += list(ill_formed(found[-count // 2 :]))
    found += [b"a" * 200, b"a" * 201, b"a" * 801, "한".encode() * 67, "é".encode() * 201 + b" b"]
    found += [
        b"",
        b"\x00",
        b"\xff",
        b"\xf0\x9f",
        b"\xed\xa0\x80 a b\xc0\xaf c",
        "中".encode() * 300,
    ]
    return [text for text in found if SIGMA not in text]


def check(tokenizer, texts_, batch):
    lite = texts.litert_tokenizer(tokenizer)
    run = runner(parts_of(lite, in_litert=True))
    wanted = tf.function(
        parts_of(tokenizer, in_litert=False),
        [tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    for first in range(0, len(texts_), batch):
        some = texts_[first : first + batch]
        ours, found = rows_of(wanted(tf.constant(some))), rows_of(run(some))
        for name, rows in ours.items():
            for text, row, other in zip(some, rows, found[name], strict=True):
                assert row == other, (name, text)


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(read_tokens("uncased"))


def test_strings_of_every_class(tokenizer):
    check(tokenizer, strings(400, read_tokens("uncased")), 50)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"lower_case": False}, {"strip_accents": False}])
def test_every_golden_string(options):
    tokens = read_tokens("mcased")
    check(WordPieceTokenizer(tokens, **options), strings(3000, tokens), 50)


def test_of_capital_sigmas_the_final_ones_differ():
    tokenizer = WordPieceTokenizer(SMALL)
    lite = texts.litert_tokenizer(tokenizer)
    inside, final = "Σοσ Σ", "οΣ"
    assert lite.tokenize(inside).numpy().tolist() == tokenizer.tokenize(inside).numpy().tolist()
    assert lite.tokenize(final).numpy().tolist() != tokenizer.tokenize(final).numpy().tolist()
    assert "capital sigma" in texts.differences(tokenizer)[0]
    assert texts.may_differ(tokenizer, final.encode())
    assert not texts.may_differ(tokenizer, b"\xff os")
    cased = WordPieceTokenizer(SMALL, lower_case=False)
    assert texts.differences(cased) == [] and not texts.may_differ(cased, final.encode())


def test_what_no_kernel_is_for():
    def why(tokenizer):
        return texts.why_no_strings(tokenizer, conversion.find_missing)

    assert why(WordPieceTokenizer(SMALL)) is None
    assert "StaticRegex" in why(WordPieceTokenizer(SMALL, added_tokens=[AddedToken("covid")]))
    bytes_ = [byte_character(i) for i in range(256)]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert "Regex" in why(BytePairTokenizer([*special, *bytes_], []))
    assert "a Python function" in why(WordPieceTokenizer(SMALL, backend="python"))


def test_preprocessors_keep_their_options():
    options = {"seq_length": 12, "stride": 3, "pad_multiple": 4, "truncation": "only_first"}
    preprocessor = Preprocessor(WordPieceTokenizer(SMALL), **options)
    lite = texts.litert_preprocessor(preprocessor)
    assert {name: getattr(lite, name) for name in options} == options
    assert lite.pad_to == "longest" and not lite.tokenizer.guards
    assert preprocessor.tokenizer.guards
