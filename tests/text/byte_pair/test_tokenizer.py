import copy
import gzip
import json
import lzma
import pickle
import random
import sys
import unicodedata
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.text import BytePairTokenizer, Preprocessor
from keras_bert.text.unicode_tables import table_path
from tests.text import fuzz
from tests.text.byte_pair.reference import ALPHABET, ReferenceBytePair, tokens_of
from tests.text.fresh_process import from_saved_model

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "byte_pair"
CLASSES = np.load(table_path("unicode16"))

VARIANTS = {
    "plain": {},
    "prefix": {"add_prefix_space": True},
    "untrimmed": {"add_prefix_space": True, "trim_offsets": False},
    "nfc": {"normalization": "NFC"},
}


def read_lines():
    lines = lzma.open(FOLDER / "merges.txt.xz").read().decode("utf-8").split("\n")
    return [line for line in lines[1:] if line]


MERGES = read_lines()
TOKENS = tokens_of(MERGES)
WORDS = [token.replace("Ġ", " ") for token in TOKENS if token.isalpha()]
# The first merges of a list are a list by themselves.
SMALL_MERGES = MERGES[:300]
SMALL = tokens_of(SMALL_MERGES)


def read_golden(variant):
    with gzip.open(FOLDER / "golden.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(row["s"], row[variant]) for row in rows if variant in row]


@pytest.fixture(scope="module")
def tokenizers():
    """Variant -> tokenizer with GPT-2's merges."""
    return {name: BytePairTokenizer(TOKENS, MERGES, **o) for name, o in VARIANTS.items()}


@pytest.fixture(scope="module")
def small():
    return BytePairTokenizer(SMALL, SMALL_MERGES, model_max_length=16)


def encoded(tokenizer, texts, batch=500):
    """[ids, starts, ends] of each text."""
    data = [text if isinstance(text, bytes) else text.encode() for text in texts]
    # A batch with NUL or U+0011 goes another way than one without.
    order = sorted(range(len(data)), key=lambda i: b"\0" in data[i] or b"\x11" in data[i])
    found = [None] * len(data)
    for first in range(0, len(data), batch):
        places = order[first : first + batch]
        chosen = tf.constant([data[i] for i in places])
        rows = [x.to_list() for x in tokenizer.tokenize_with_offsets(chosen)]
        assert tokenizer.tokenize(chosen).to_list() == rows[0]
        for i, *row in zip(places, *rows, strict=True):
            found[i] = row
    return found


def assert_like_reference(tokenizer, reference, texts):
    wrong = []
    for text, found in zip(texts, encoded(tokenizer, texts), strict=True):
        wanted = [list(column) for column in zip(*reference(text), strict=True)] or [[], [], []]
        if found != wanted:
            wrong.append((text, found, wanted))
    assert not wrong, f"{len(wrong)} of {len(texts)} differ: {wrong[:3]}"


def code_points(name):
    return {code for first, last in CLASSES[name] for code in range(first, last + 1)}


def of_known_characters(texts):
    """Leaves out what this Python's Unicode sees otherwise than the pinned one."""
    letters, numbers = code_points("letters"), code_points("numbers")

    def known(c):
        kind = unicodedata.category(c)[0]
        return (kind == "L", kind == "N") == (ord(c) in letters, ord(c) in numbers)

    return [text for text in texts if all(map(known, text))]


# --- against the oracles -------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["plain", "prefix", "untrimmed"])
def test_golden(tokenizers, variant):
    rows = read_golden(variant)
    assert len(rows) > 300
    found = encoded(tokenizers[variant], [text for text, _ in rows])
    wrong = [(text, f, w) for (text, w), f in zip(rows, found, strict=True) if f != w]
    assert not wrong


def test_golden_one_by_one(tokenizers):
    # In a batch of its own a text without NUL takes the short way.
    for text, wanted in read_golden("plain")[::10]:
        found = [x.numpy().tolist() for x in tokenizers["plain"].tokenize_with_offsets(text)]
        assert found == wanted


def test_golden_composed(tokenizers):
    rows = read_golden("nfc")
    for (text, wanted), found in zip(
        rows, encoded(tokenizers["nfc"], [text for text, _ in rows]), strict=True
    ):
        assert found[0] == wanted[0]
        if unicodedata.is_normalized("NFC", text):
            assert found == wanted
        # Hugging Face's span of a composed character is its first part only; ours is all of it.
        assert all(f <= w for f, w in zip(found[1], wanted[1], strict=True))
        assert all(f >= w for f, w in zip(found[2], wanted[2], strict=True))


def test_oracle_agrees_with_golden():
    for variant in ("plain", "prefix", "untrimmed"):
        reference = ReferenceBytePair(TOKENS, MERGES, **VARIANTS[variant])
        for text, wanted in read_golden(variant):
            assert list(reference(text)) == list(zip(*wanted, strict=True)), text


@pytest.mark.parametrize("variant", ["plain", "prefix"])
def test_fuzz(tokenizers, variant):
    texts = [*fuzz.strings(variant, 1500, WORDS), *fuzz.split_trouble(variant, 1500, WORDS)]
    texts = of_known_characters(texts)
    assert len(texts) > 2500
    reference = ReferenceBytePair(TOKENS, MERGES, **VARIANTS[variant])
    assert_like_reference(tokenizers[variant], reference, texts)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "untrimmed"])
def test_fuzz_at_length(tokenizers, variant):
    reference = ReferenceBytePair(TOKENS, MERGES, **VARIANTS[variant])
    for seed in range(5):
        texts = [
            *fuzz.strings(f"long {seed}", 10_000, WORDS),
            *fuzz.split_trouble(f"long {seed}", 10_000, WORDS),
        ]
        assert_like_reference(tokenizers[variant], reference, of_known_characters(texts))


def test_every_character_is_of_its_kind(tokenizers):
    # One text per character, so that a wrong kind shows as a wrong split.
    letters, numbers = code_points("letters"), code_points("numbers")
    for codes in (letters, numbers):
        name = "L" if codes is letters else "N"
        python = {c for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == name}
        if unicodedata.unidata_version <= "16":
            assert python <= codes
        # What Python does not know is younger than its Unicode.
        assert {unicodedata.category(chr(c)) for c in codes - python} <= {"Cn"}
    reference = ReferenceBytePair(TOKENS, MERGES)
    texts = [f"a{chr(c)}a {chr(c)}1{chr(c)}{chr(c)}!" for c in range(0x80, 0x3100)]
    assert_like_reference(tokenizers["plain"], reference, of_known_characters(texts))


def test_ill_formed_bytes_are_dropped_first(tokenizers):
    rng = random.Random(7)
    bad = [b"\xff", b"\x80", b"\xe4\xb8", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
    texts = [b"\xff", b"\xff\xff a", b"a\xff", b"a \xff b", b"\xf0\x9f\x98\xf0\x9f\x98\x80"]
    for text in [*fuzz.strings("ill", 300, WORDS), *fuzz.split_trouble("ill", 300, WORDS)]:
        data = text.encode()
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(data))
            data = data[:place] + rng.choice(bad) + data[place:]
        texts.append(data)
    cleaned = [text.decode("utf-8", "ignore").encode() for text in texts]
    for variant in ("plain", "untrimmed", "nfc"):
        tokenizer = tokenizers[variant]
        for data, clean, found, wanted in zip(
            texts, cleaned, encoded(tokenizer, texts), encoded(tokenizer, cleaned), strict=True
        ):
            assert found[0] == wanted[0]
            for start, end, clean_start, clean_end in zip(*found[1:], *wanted[1:], strict=True):
                span = data[start:end].decode("utf-8", "ignore").encode()
                assert 0 <= start <= end <= len(data) and span == clean[clean_start:clean_end]


def test_control_characters(tokenizers):
    # The op that looks words up uses two of them for itself; in a batch of its own each shows.
    reference = ReferenceBytePair(TOKENS, MERGES)
    for code in [*range(0x20), 0x7F]:
        c = chr(code)
        assert_like_reference(tokenizers["plain"], reference, [c])
        assert_like_reference(tokenizers["plain"], reference, [f"a{c} the{c}the!{c}{c} {c}"])


def test_spans_of_what_was_composed(tokenizers):
    text = "e\u0301 \u1100\u1161\u11a8x \u212bb q\u0323\u0307 a\u0307\u0323"
    data = text.encode()
    _, starts, ends = tokenizers["nfc"].tokenize_with_offsets(text)
    spans = {data[s:e].decode() for s, e in zip(starts.numpy(), ends.numpy(), strict=True)}
    wanted = ["e\u0301", "\u1100\u1161\u11a8", "x", "\u212b", "b", "q", "\u0323", "\u0307"]
    assert spans - {""} == {*wanted, "a\u0307\u0323"}


# --- the interface -------------------------------------------------------------------------------


def test_shapes_and_types(small):
    batch = small.tokenize(["the", ""])
    assert isinstance(batch, tf.RaggedTensor) and batch.dtype == tf.int32
    assert batch.to_list() == [[SMALL.index("t"), SMALL.index("he")], []]
    alone = small.tokenize(" the")
    assert isinstance(alone, tf.Tensor) and alone.dtype == tf.int32
    assert alone.numpy().tolist() == [SMALL.index("Ġthe")]
    for x in small.tokenize_with_offsets(tf.constant(["the"])):
        assert isinstance(x, tf.RaggedTensor) and x.dtype == tf.int32


@pytest.mark.parametrize("options", VARIANTS.values(), ids=str)
def test_nothing_to_tokenize(options):
    tokenizer = BytePairTokenizer(SMALL, SMALL_MERGES, **options)
    assert tokenizer.tokenize([]).to_list() == []
    assert [x.to_list() for x in tokenizer.tokenize_with_offsets([])] == [[], [], []]
    texts = ["", b"\xff", b"\x80\x80"]
    assert [x.to_list() for x in tokenizer.tokenize_with_offsets(texts)] == [[[]] * 3] * 3


def test_properties(small):
    assert small.vocabulary == SMALL and small.vocabulary_size == len(SMALL)
    assert (small.cls_id, small.pad_id, small.sep_id, small.unk_id) == (0, 1, 2, 3)
    assert small.mask_id == len(SMALL) - 1 and small.model_max_length == 16
    assert small.separators_between == 2 and small.segment_types is False
    assert kb.BytePairTokenizer is BytePairTokenizer


def test_special_tokens_in_text_are_text(small):
    found = small.tokenize("<s></s><mask>").numpy().tolist()
    assert not {0, 1, 2, 3, small.mask_id} & set(found)


@pytest.mark.parametrize("text", ["Hello world", " two  spaces\n", "né中\U0001f600", "", "a\0b"])
def test_detokenize(small, tokenizers, text):
    for tokenizer in (small, tokenizers["plain"]):
        ids = tokenizer.tokenize([text, "x"])
        assert tokenizer.detokenize(ids).numpy().tolist() == [text.encode(), b"x"]
        assert tokenizer.detokenize(ids[0]).numpy() == text.encode()


def test_detokenize_in_a_function(small):
    function = tf.function(
        small.detokenize, input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    ids = small.tokenize(["the thing", ""]).to_tensor(small.pad_id)
    assert function(ids).numpy().tolist() == [b"the thing", b""]
    assert small.detokenize([]).numpy() == b""


def test_detokenize_special_tokens_and_parts(small):
    ids = [[0, SMALL.index("a"), 2, 1, 1]]  # <s> a </s> <pad> <pad>
    assert small.detokenize(ids).numpy().tolist() == [b"a"]
    named = small.detokenize(ids, skip_special_tokens=False)
    assert named.numpy().tolist() == [b"<s>a</s><pad><pad>"]
    emoji = small.tokenize("\U0001f600").numpy()
    assert small.detokenize(emoji[:1]).numpy().decode() == "\ufffd"


def test_added_tokens_have_ids(small):
    tokenizer = BytePairTokenizer([*SMALL, "<|user|>", "  "], SMALL_MERGES)
    assert tokenizer.vocabulary_size == len(SMALL) + 2
    text = "x <|user|>  y"  # not among `added_tokens`: text
    assert tokenizer.tokenize(text).numpy().tolist() == small.tokenize(text).numpy().tolist()
    assert tokenizer.detokenize([len(SMALL), len(SMALL) + 1]).numpy() == b"<|user|>  "


def test_added_tokens_are_found(small):
    tokenizer = BytePairTokenizer(SMALL, SMALL_MERGES, added_tokens=["café", "  "])
    size = len(SMALL)
    ids, starts, ends = (x.numpy().tolist() for x in tokenizer.tokenize_with_offsets("xcafé  x"))
    (x,) = small.tokenize("x").numpy().tolist()
    assert (ids, starts, ends) == ([x, size, size + 1, x], [0, 1, 6, 8], [1, 6, 8, 9])
    assert tokenizer.detokenize(ids).numpy().decode() == "xcafé  x"


def test_mask_takes_the_blank_before_it(small):
    tokenizer = BytePairTokenizer(SMALL, SMALL_MERGES, special_tokens_in_text="special")
    ids = tokenizer.tokenize("x <mask>x").numpy().tolist()
    (x,) = small.tokenize("x").numpy().tolist()
    assert ids == [x, tokenizer.mask_id, x]


def test_explain(tokenizers):
    rows = tokenizers["plain"].explain("The card \U0001f600s")
    assert [row.source for row in rows[:2]] == ["The", "card"]
    assert [row.flags for row in rows[:2]] == [(), ()]
    assert {row.source for row in rows[2:-1]} == {"\U0001f600"}
    assert all("changed" not in row.flags for row in rows)
    assert "continuation" in rows[-1].flags


def test_bytes_without_a_token_are_unknown():
    absent = {ALPHABET[ord("z")], ALPHABET[0x98], ALPHABET[0], "q"}
    merges = [m for m in SMALL_MERGES if not absent & set(m)]
    tokens = [t for t in tokens_of(merges) if t not in absent]
    reference = ReferenceBytePair(tokens, merges)
    texts = ["zazzle", "the zzz", "\U0001f600z", "z", "a\0b", " quiz z"]
    tokenizer = BytePairTokenizer(tokens, merges)
    assert_like_reference(tokenizer, reference, texts)
    assert tokenizer.tokenize("zz").numpy().tolist() == [tokenizer.unk_id] * 2


def test_files_dicts_and_pairs(tmp_path, small):
    (tmp_path / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(SMALL)}))
    text = "#version: 0.2\n" + "\n".join(SMALL_MERGES) + "\n"
    (tmp_path / "merges.txt").write_text(text, encoding="utf-8")
    for made in (
        BytePairTokenizer(tmp_path / "vocab.json", str(tmp_path / "merges.txt")),
        BytePairTokenizer(
            dict(zip(reversed(SMALL), reversed(range(len(SMALL))), strict=True)),
            [m.split(" ") for m in SMALL_MERGES],
        ),
    ):
        assert made.get_config() == {**small.get_config(), "model_max_length": None}


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lacks cls_token='<s>'"):
        BytePairTokenizer(SMALL[1:], SMALL_MERGES)
    with pytest.raises(ValueError, match="are not 0 to 1"):
        BytePairTokenizer({"a": 0, "b": 2}, [])
    with pytest.raises(ValueError, match=r"normalization='NFD'\. Expected \"NFC\" or None"):
        BytePairTokenizer(SMALL, SMALL_MERGES, normalization="NFD")
    with pytest.raises(FileNotFoundError, match=r"No vocabulary file at .*vocab.json"):
        BytePairTokenizer(tmp_path / "vocab.json", SMALL_MERGES)
    for content, message in (("{", "is not JSON"), ('{"a": "b"}', "no JSON object of tokens")):
        (tmp_path / "vocab.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            BytePairTokenizer(tmp_path / "vocab.json", SMALL_MERGES)


@pytest.mark.parametrize("merges", [SMALL_MERGES, []])
def test_config_round_trip(merges):
    tokenizer = BytePairTokenizer(
        [*SMALL[:-1], "x y", "<mask>"], merges, True, False, "NFC", model_max_length=9,
        separators_between=1, segment_types=True,
    )  # fmt: skip
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(tokenizer)))
    for again in (
        keras.saving.deserialize_keras_object(config),
        copy.deepcopy(tokenizer),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert again.get_config() == tokenizer.get_config()
        assert (again.separators_between, again.segment_types) == (1, True)
        assert again.tokenize(["the x"]).to_list() == tokenizer.tokenize(["the x"]).to_list()


def test_keras_file(small, tmp_path):
    inputs = keras.Input(shape=(), dtype="string")
    model = keras.Model(inputs, Preprocessor(small, seq_length=12)(inputs)["input_word_ids"])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    texts = tf.constant(["the thing", "né"])
    np.testing.assert_array_equal(again(texts), model(texts))


def test_in_tf_data_and_functions(small):
    texts = ["the thing is", "", "né\0"]
    wanted = small.tokenize(texts).to_list()

    batches = tf.data.Dataset.from_tensor_slices(texts).batch(2)
    batches = batches.map(small.tokenize, num_parallel_calls=2)
    assert [row for batch in batches for row in batch.to_list()] == wanted

    one_by_one = tf.data.Dataset.from_tensor_slices(texts).map(small.tokenize)
    assert [row.numpy().tolist() for row in one_by_one] == wanted


def test_tokenizers_do_not_share_what_they_run_on(small):
    # The op that merges keeps its model under a name.
    merges = MERGES[:200]
    other = BytePairTokenizer([*tokens_of(merges)], merges)
    text = tf.constant(["some other thing in the world, isn't it"])

    @tf.function
    def both(strings):
        return small.tokenize(strings), other.tokenize(strings), small.tokenize(strings)

    wanted = small.tokenize(text).to_list(), other.tokenize(text).to_list()
    assert wanted[0] != wanted[1]
    for _ in range(2):
        found = [x.to_list() for x in both(text)]
        assert found == [wanted[0], wanted[1], wanted[0]]
        assert (small.tokenize(text).to_list(), other.tokenize(text).to_list()) == wanted


@pytest.mark.slow
def test_saved_model_without_this_package(tokenizers, tmp_path):
    texts = [text.encode() for text, _ in read_golden("plain")][:300]

    def both(strings):
        ids = tokenizers["plain"].tokenize(strings)
        return ids, *tokenizers["nfc"].tokenize_with_offsets(strings)

    found = from_saved_model(both, texts, tmp_path)
    assert found == [x.to_list() for x in both(tf.constant(texts))]


def test_large_inputs(small):
    # Linear, or nearly so: each of these would take minutes otherwise.
    letters = small.tokenize("a" * 1_000_000)
    assert small.detokenize(letters).numpy() == b"a" * 1_000_000
    assert small.tokenize(" a" * 300_000).shape == (300_000,)
    assert small.tokenize("\n" * 1_000_000).shape[0] > 0
    accents = small.tokenize("a" + "\u0301" * 300_000)
    assert small.detokenize(accents).numpy().decode() == "a" + "\u0301" * 300_000
    _, starts, ends = small.tokenize_with_offsets("é " * 100_000)
    assert starts[-2] == 3 * 99_999 and ends[-1] == 300_000
