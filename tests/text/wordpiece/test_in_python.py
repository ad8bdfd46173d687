"""The Python backend gives what the graph gives."""

import copy
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text import AddedToken, Preprocessor, WordPieceTokenizer
from keras_bert.text.wordpiece import in_python as in_python_module
from tests.text import fuzz
from tests.text.conftest import SMALL, VOCABULARIES, read_golden, read_tokens
from tests.text.fresh_process import last_line
from tests.text.wordpiece.test_tokenizer import character_vocabulary

# In all vocabularies together.
FUZZ_STRINGS = 20_001


@pytest.fixture(scope="module")
def in_python():
    """Name of a vocabulary -> its tokenizer in Python."""
    return {
        name: WordPieceTokenizer(read_tokens(name), lower_case=lower_case, backend="python")
        for name, lower_case in VOCABULARIES.items()
    }


def assert_same(graph, python, strings, chunk=500):
    """Ids, and spans of every kind, of all strings; the first differences are shown."""
    wrong = []
    for first in range(0, len(strings), chunk):
        texts = tf.constant(strings[first : first + chunk])
        for ends in ("tight", "loose"):
            wanted = [x.to_list() for x in graph.tokenize_with_offsets(texts, ends=ends)]
            found = [x.to_list() for x in python.tokenize_with_offsets(texts, ends=ends)]
            for text, *rows in zip(texts.numpy(), *wanted, *found, strict=True):
                if rows[:3] != rows[3:]:
                    wrong.append((text, ends, rows))
        assert python.tokenize(texts).to_list() == found[0]
    assert not wrong, f"{len(wrong)} of {len(strings)} differ: {wrong[:3]}"


@pytest.mark.parametrize("name", VOCABULARIES)
def test_golden_ids(tokenizers, in_python, name):
    rows = list(read_golden(name))
    texts = [text for _, text, _ in rows]
    assert in_python[name].tokenize(texts).to_list() == [ids for _, _, ids in rows]
    assert_same(tokenizers[name], in_python[name], texts)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_fuzz(tokenizers, in_python, name):
    strings = fuzz.strings(f"python {name}", FUZZ_STRINGS // 3, read_tokens(name))
    assert_same(tokenizers[name], in_python[name], strings)


@pytest.mark.slow
@pytest.mark.parametrize("name", VOCABULARIES)
def test_fuzz_at_length(tokenizers, in_python, name):
    for seed in range(5):
        strings = fuzz.strings(f"python {name} long {seed}", 40_000, read_tokens(name))
        assert_same(tokenizers[name], in_python[name], strings, chunk=1000)


@pytest.mark.parametrize(
    "options",
    [(True, None, True), (False, None, True), (True, False, True), (False, True, False)],
    ids=str,
)
def test_every_character_known(options):
    tokens = character_vocabulary()
    python = WordPieceTokenizer(tokens, *options, backend="python")
    strings = fuzz.strings(str(options), 800, tokens)
    assert_same(WordPieceTokenizer(tokens, *options), python, strings)


@pytest.mark.parametrize("guards", [True, False])
@pytest.mark.parametrize("name", VOCABULARIES)
def test_long_words_and_sigmas(tokenizers, name, guards):
    options = {"lower_case": VOCABULARIES[name], "guards": guards}
    graph = WordPieceTokenizer(read_tokens(name), **options)
    python = WordPieceTokenizer(read_tokens(name), **options, backend="python")
    letters = ["a", "aé", "กขค", "가", "İi", "\U00010400", "aΣ", "ab\u0301", "中"]
    strings = list(fuzz.long_words(name, 200, letters))
    rng = random.Random(5)
    strings += ["".join(rng.choices("ΑΣΣβ .'\u0301\u00ad\0中1", k=6)) for _ in range(300)]
    strings += ["a" * n for n in (799, 800, 801)] + ["é" * 401, "가" * 90]
    assert_same(graph, python, strings)


def test_ill_formed_bytes(tokenizers, in_python):
    rng = random.Random(7)
    bad = [b"\xff", b"\x80", b"\xe4\xb8", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
    strings = [b"\xce\x95\xce\x9b\x91\xce\xa3", b"a" * 150 + b"\xff" + b"a" * 60, b"\xff", b"a\xff"]
    for text in fuzz.strings("ill-formed", 600, read_tokens("uncased")):
        data = text.encode()
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(data))
            data = data[:place] + rng.choice(bad) + data[place:]
        strings.append(data)
    graph, python = tokenizers["uncased"], in_python["uncased"]
    assert_same(graph, python, strings)
    for unit in ("bytes", "characters"):
        rows = [t.tokenize_with_offsets(strings, unit, "loose") for t in (graph, python)]
        assert [x.to_list() for x in rows[0]] == [x.to_list() for x in rows[1]]


def test_odd_vocabulary():
    odd = "#|##|##.|.a|a.b|a b|a\u3000b||b|##b|b|\x02|\ufdd0|##\ufdd0|###|##中|中国|中|\U000f0000"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", *odd.split("|")]
    texts = "#|##|###|a##|a.b|.a|a b|a\u3000b|b|ab|abb|a.|a中|a#b||中国|中|\ufdd0|\U000f0000"
    for chinese_words in (True, False):
        options = {"tokenize_chinese_chars": chinese_words}
        if not chinese_words:  # stands in for a Chinese character in the graph
            tokens = tokens[:-1]
        python = WordPieceTokenizer(tokens, **options, backend="python")
        assert_same(WordPieceTokenizer(tokens, **options), python, texts.split("|"), chunk=1)


@pytest.mark.parametrize("empty", [[], np.array([], object), ["", " ", "\0"]])
def test_nothing_to_find(empty):
    python = WordPieceTokenizer(SMALL, backend="python")
    assert python.tokenize(empty).to_list() == [[]] * len(empty)
    assert [x.to_list() for x in python.tokenize_with_offsets(empty)] == [[[]] * len(empty)] * 3


def test_in_tf_data_and_layers(small):
    python = WordPieceTokenizer(SMALL, backend="python")
    texts = ["the card is lost", "where", "", "ΟΣ"]
    wanted = small.tokenize(texts).to_list()
    batches = tf.data.Dataset.from_tensor_slices(texts).batch(3)
    assert [row for batch in batches.map(python.tokenize) for row in batch.to_list()] == wanted
    layer, other = Preprocessor(python, seq_length=8), Preprocessor(small, seq_length=8)
    for one, two in zip(batches.map(layer), batches.map(other), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])
    alone = python.tokenize("the card")
    assert isinstance(alone, tf.Tensor) and alone.dtype == tf.int32 and alone.shape == (2,)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(in_python_module, "_MOST_REMEMBERED", 50)
    python = WordPieceTokenizer(SMALL, backend="python")
    texts = [f"a{number} {'b' * 100}{number}" for number in range(500)]
    python.tokenize(texts)
    remembered = python._python._remembered
    assert 0 < len(remembered) <= 50
    assert max(map(len, remembered)) <= 40


def test_saved_only_if_asked_for(small):
    assert small.backend == "tensorflow" and small.in_graph
    assert "backend" not in small.get_config()
    python = WordPieceTokenizer(SMALL, backend="python")
    config = keras.saving.serialize_keras_object(python)
    assert config["config"]["backend"] == "python"
    for again in (copy.deepcopy(python), keras.saving.deserialize_keras_object(config)):
        assert again.backend == "python" and not again.in_graph
    with pytest.raises(ValueError, match=r"backend='rust'\. Expected one of"):
        WordPieceTokenizer(SMALL, backend="rust")


@pytest.mark.slow
def test_without_tensorflow_text(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(SMALL), encoding="utf-8")
    script = f"""
        import sys
        sys.modules["tensorflow_text"] = None
        import keras_bert as kb
        vocabulary = {str(tmp_path / "vocab.txt")!r}
        tokenizer = kb.WordPieceTokenizer(vocabulary)
        try:
            kb.WordPieceTokenizer(vocabulary, backend="tensorflow")
        except ImportError as error:
            print(tokenizer.backend, tokenizer.tokenize("the card").numpy().tolist(), error)
    """
    found = last_line(script)
    assert found.startswith("python [5, 6] ")
    assert 'take backend="python"' in found


# --- words without a vocabulary ------------------------------------------------------------------


def test_words():
    splitter = in_python_module.WordSplitter(True, True, True)
    text = "Où est-il? 我的ΟΔΟΣ\u3000x\u200by \xad"
    found = [splitter.words(chunk) for chunk in splitter.chunks(text)]
    assert found == [["ou"], ["est", "-", "il", "?"], ["我", "的", "οδος", "xy"], []]
    cased = in_python_module.WordSplitter(False, False, False)
    assert [cased.words(c) for c in cased.chunks("Ü 我的.".encode() + b"\xff")] == [
        ["Ü"],
        ["我的", "."],
    ]


@pytest.mark.slow
def test_added_tokens_in_python():
    options = {
        "added_tokens": ["Straße", AddedToken("lost", single_word=True, lstrip=True)],
        "special_tokens_in_text": "special",
    }
    graph = WordPieceTokenizer(SMALL, backend="tensorflow", **options)
    python = WordPieceTokenizer(SMALL, backend="python", **options)
    texts = ["the STRASSE straße,card", "STRAßE\tlostlost  LOST [MASK]"]
    texts += ["\xa0Stra\u0301ße Σ", "é", ""]
    texts = [*(text.encode() for text in texts), b"the\xff stra\xc3\x9fe"]
    for ends in ("tight", "loose"):
        wanted, found = (t.tokenize_with_offsets(texts, ends=ends) for t in (graph, python))
        assert [x.to_list() for x in found] == [x.to_list() for x in wanted]
    assert len(SMALL) in graph.tokenize(texts).to_list()[1]
    assert python.tokenize(texts).to_list() == graph.tokenize(texts).to_list()
