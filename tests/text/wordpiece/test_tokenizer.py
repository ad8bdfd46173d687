import copy
import json
import pickle
import random
import unicodedata

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.text import WordPieceTokenizer
from keras_bert.text.unicode_tables import UNICODE_VERSION
from tests.text import fuzz
from tests.text.conftest import SMALL, VOCABULARIES, read_golden, read_tokens
from tests.text.fresh_process import from_saved_model
from tests.text.litert import ids_in_litert
from tests.text.wordpiece.reference import ReferenceWordPiece

FUZZ_STRINGS = 20_000
FUZZ_BATCH = 250


def assert_like_reference(tokenizer, reference, strings, batch=FUZZ_BATCH):
    """Ids, and spans, of all strings; the first few differences are shown."""
    wrong = []
    for first in range(0, len(strings), batch):
        texts = strings[first : first + batch]
        encoded = tf.constant([text.encode() for text in texts])
        rows = [x.to_list() for x in tokenizer.tokenize_with_offsets(encoded)]
        assert tokenizer.tokenize(encoded).to_list() == rows[0]
        for text, *found in zip(texts, *rows, strict=True):
            wanted = reference(text)
            found = list(zip(*found, strict=True))
            if found != wanted:
                wrong.append((text, found, wanted))
    assert not wrong, f"{len(wrong)} of {len(strings)} differ: {wrong[:3]}"


def of_pinned_unicode(strings):
    """Leaves out what a Python with a later Unicode than the tables' sees otherwise."""
    if unicodedata.unidata_version == UNICODE_VERSION:
        return strings
    return [
        s for s in strings if all(ord(c) < 0x3000 and unicodedata.category(c) != "Cn" for c in s)
    ]


# --- against the reference -----------------------------------------------------------------------


@pytest.mark.parametrize("name", VOCABULARIES)
def test_golden_ids(tokenizers, name):
    rows = list(read_golden(name))
    assert len(rows) == 2098
    found = tokenizers[name].tokenize([text for _, text, _ in rows]).to_list()
    wrong = [
        (g, s.decode(), ids, f) for (g, s, ids), f in zip(rows, found, strict=True) if ids != f
    ]
    assert not wrong


@pytest.mark.parametrize("name", VOCABULARIES)
def test_golden_ids_one_by_one(tokenizers, name):
    # In a batch of its own a plain string takes the short way.
    for _, text, ids in list(read_golden(name))[:300]:
        assert tokenizers[name].tokenize(text).numpy().tolist() == ids


@pytest.mark.parametrize("name", VOCABULARIES)
def test_oracle_agrees_with_golden_ids(name):
    reference = ReferenceWordPiece(read_tokens(name), VOCABULARIES[name])
    for _, text, ids in read_golden(name):
        assert [piece[0] for piece in reference(text.decode("utf-8", "ignore"))] == ids


@pytest.mark.parametrize("name", VOCABULARIES)
def test_fuzz(tokenizers, name):
    tokens = read_tokens(name)
    strings = of_pinned_unicode(fuzz.strings(f"{name} 1", FUZZ_STRINGS, tokens))
    reference = ReferenceWordPiece(tokens, VOCABULARIES[name])
    assert_like_reference(tokenizers[name], reference, strings)


@pytest.mark.slow
@pytest.mark.parametrize("name", VOCABULARIES)
def test_fuzz_at_length(tokenizers, name):
    tokens = read_tokens(name)
    reference = ReferenceWordPiece(tokens, VOCABULARIES[name])
    for seed in range(20):
        strings = of_pinned_unicode(fuzz.strings(f"{name} long {seed}", 50_000, tokens))
        assert_like_reference(tokenizers[name], reference, strings, batch=1000)


def character_vocabulary():
    """Every likely character, alone and as a continuation: no [UNK] hides a fault."""
    codes = [*range(0x21, 0x3400), *range(0x4E00, 0x5000), *range(0xA000, 0xB000)]
    codes += [*range(0xF900, 0xFB00), *range(0xFF00, 0xFFF0), *range(0x1F300, 0x1F700)]
    texts = [chr(c) for c in codes] + [
        unicodedata.normalize("NFD", chr(c)) for c in range(0xAC00, 0xD7A4, 7)
    ]
    kept = dict.fromkeys(c for t in texts for c in t if unicodedata.category(c) != "Cn")
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *kept, *(f"##{c}" for c in kept)]


@pytest.mark.parametrize(
    "options",
    [
        (True, None, True),
        (False, None, True),
        (True, False, True),
        (False, True, True),
        (True, None, False),
    ],
    ids=str,
)
def test_fuzz_with_every_character_known(options):
    tokens = character_vocabulary()
    strings = of_pinned_unicode(fuzz.strings(str(options), 4000, tokens))
    # Spacing marks in a row: the limit named in the module.
    strings = [s for s in strings if sum(unicodedata.category(c) == "Mc" for c in s) < 2]
    assert_like_reference(
        WordPieceTokenizer(tokens, *options), ReferenceWordPiece(tokens, *options), strings
    )


@pytest.mark.parametrize("name", VOCABULARIES)
def test_words_about_the_longest(tokenizers, name):
    letters = [
        "a",
        "ab",
        "aé",
        "é",
        "กขค",
        "가",
        "각힣",
        "İi",
        "한a",
        "\U00010400",
        "aΣ",
        "ab\u0301",
    ]
    strings = list(fuzz.long_words(f"{name} 2", 600, letters))
    reference = ReferenceWordPiece(read_tokens(name), VOCABULARIES[name])
    assert_like_reference(tokenizers[name], reference, strings[:100], batch=1)
    assert_like_reference(tokenizers[name], reference, strings)


def test_long_words_where_chinese_is_no_word(small):
    options = {"lower_case": True, "tokenize_chinese_chars": False}
    tokens = [*SMALL, "##国", "中国"]
    strings = [
        "中国",
        "a中b国",
        "中" * 200,
        "中" + "国" * 199,
        "中" + "国" * 200,
        "中" * 201 + " a",
    ]
    assert_like_reference(
        WordPieceTokenizer(tokens, **options), ReferenceWordPiece(tokens, **options), strings
    )


@pytest.mark.parametrize(
    "pieces",
    [
        ["a", "##a"],
        ["a", "##aaaa", "##a", "é" * 70, "##" + "é" * 90, "##é"],
        # No run of continuations is needed to be too long.
        ["a", "##a", "a" * 150, "##" + "a" * 120],
        ["a", "##a", "b" * 201, "b" * 200, "b", "##b"],
        ["a"],
    ],
    ids=["short", "longer", "long", "too long", "none"],
)
def test_long_words_of_pieces_of_any_length(pieces):
    tokens = [*SMALL, *pieces]
    tokenizer = WordPieceTokenizer(tokens, strip_accents=False)
    reference = ReferenceWordPiece(tokens, True, False)
    strings = [word * n for word in ("a", "é", "b") for n in (1, 70, 150, 199, 200, 201, 202, 270)]
    strings += [f"a {s} the {t}, a" for s in strings for t in ("card", "a" * 201, "aΣ", "Σ" * 201)]
    assert_like_reference(tokenizer, reference, strings[::3], batch=1)
    assert_like_reference(tokenizer, reference, strings)


def test_a_text_with_the_mark_for_sigmas():
    tokens = [*SMALL, "\ufdd1", "a\ufdd1", "##\ufdd1"]
    tokenizer = WordPieceTokenizer(tokens)
    texts = ["\ufdd1", "a\ufdd1", "the \ufdd1Σ"]
    assert tokenizer.tokenize(texts).to_list() == [[1], [1], [5, 1]]


def test_odd_vocabularies():
    odd = "#|##|##.|.a|a.b|a b|a\u3000b||b|##b|b|\x02|\ufdd0|##\ufdd0|###|##中|中国|中".split("|")
    texts = "#|##|###|a##|a.b|.a|a b|a\u3000b|b|ab|abb|a.|a中|a#b||中国|中".split("|")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", *odd]
    assert_like_reference(
        WordPieceTokenizer(tokens), ReferenceWordPiece(tokens, True), texts, batch=1
    )


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ill_formed_bytes_are_dropped_first(tokenizers, name):
    rng = random.Random(7)
    bad = [
        b"\xff",
        b"\x80",
        b"\xe4\xb8",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf0\x9f",
        b"\xf4\x90\x80\x80",
    ]
    tokens = read_tokens(name)
    strings = []
    for text in [*fuzz.strings("ill-formed", 1500, tokens), "ΕΛΣ", "a" * 201, "한" * 67]:
        data = text.encode()
        for _ in range(rng.randint(1, 3)):
            place = rng.randint(0, len(data))
            data = data[:place] + rng.choice(bad) + data[place:]
        strings.append(data)
    strings += [b"\xce\x95\xce\x9b\x91\xce\xa3", b"a" * 150 + b"\xff" + b"a" * 60]
    cleaned = [s.decode("utf-8", "ignore").encode() for s in strings]
    tokenize = tokenizers[name].tokenize
    assert tokenize(strings).to_list() == tokenize(cleaned).to_list()
    # The span of a piece holds, among what is dropped, what the piece was made of.
    _ids, starts, ends = (x.to_list() for x in tokenizers[name].tokenize_with_offsets(strings))
    _, clean_starts, clean_ends = (
        x.to_list() for x in tokenizers[name].tokenize_with_offsets(cleaned)
    )
    for data, clean, *spans in zip(
        strings, cleaned, starts, ends, clean_starts, clean_ends, strict=True
    ):
        for start, end, clean_start, clean_end in zip(*spans, strict=True):
            assert (
                data[start:end].decode("utf-8", "ignore").encode() == clean[clean_start:clean_end]
            )


def test_sigma_context_is_that_of_str_lower():
    # Final, and not, with every character in between that matters.
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ς", "##ς", "σ", "##σ", "α", "##α"]
    reference, tokenizer = ReferenceWordPiece(tokens, True), WordPieceTokenizer(tokens)
    rng = random.Random(3)
    strings = [
        "ΑΣ",
        "Σ",
        "ΑΣΑ",
        "ΣΣ",
        "Α'Σ",
        "ΑΣ'",
        "ΑΣ'Α",
        "ΑΣ.Α",
        "Α Σ",
        "Α\0Σ",
        "ΑΣ\0Α",
        "ΑΣ\tΑ",
        "Α中Σ",
        "ΑΣ ΑΣ",
    ]
    strings += [
        "".join(rng.choices("ΑΣΣ .'\u0301\u00ad\u200b\n中", k=rng.randint(2, 9)))
        for _ in range(3000)
    ]
    assert_like_reference(tokenizer, reference, strings)


# --- spans ---------------------------------------------------------------------------------------

SPANS = [("bytes", "tight"), ("characters", "tight"), ("bytes", "loose"), ("characters", "loose")]


def assert_spans_like_reference(tokenizer, reference, strings, unit, ends):
    wrong = []
    for first in range(0, len(strings), 500):
        texts = strings[first : first + 500]
        encoded = tf.constant([text.encode() for text in texts])
        rows = [x.to_list() for x in tokenizer.tokenize_with_offsets(encoded, unit, ends)]
        for text, *found in zip(texts, *rows, strict=True):
            found = list(zip(*found, strict=True))
            wanted = reference(text, unit, ends)
            if found != wanted:
                wrong.append((text, found, wanted))
    assert not wrong, f"{len(wrong)} of {len(strings)} differ: {wrong[:3]}"


@pytest.mark.parametrize(("unit", "ends"), SPANS[1:])
@pytest.mark.parametrize("name", VOCABULARIES)
def test_spans(tokenizers, name, unit, ends):
    # Tight spans in bytes are compared wherever ids are.
    tokens = read_tokens(name)
    golden = [text.decode("utf-8", "ignore") for _, text, _ in read_golden(name)]
    strings = [*golden, *fuzz.strings(f"{name} {unit} {ends}", 3000, tokens)]
    reference = ReferenceWordPiece(tokens, VOCABULARIES[name])
    assert_spans_like_reference(tokenizers[name], reference, of_pinned_unicode(strings), unit, ends)


@pytest.mark.parametrize(("unit", "ends"), SPANS)
@pytest.mark.parametrize("name", VOCABULARIES)
def test_what_a_span_holds_normalises_to_its_piece(tokenizers, name, unit, ends):
    tokenizer = tokenizers[name]
    strings = fuzz.strings(f"{name} pieces", 1500, read_tokens(name))
    strings += [text.decode("utf-8", "ignore") for _, text, _ in read_golden(name)]
    rows = [x.to_list() for x in tokenizer.tokenize_with_offsets(strings, unit, ends)]
    cut, wanted = [], []
    for text, *spans in zip(strings, *rows, strict=True):
        original = text.encode() if unit == "bytes" else text
        for pieces, start, end in sharing_a_character(zip(*spans, strict=True)):
            # A sigma that is cut out may be final or not, other than in its word.
            if tokenizer.unk_id not in pieces and "Σ" not in text:
                cut.append(original[start:end])
                wanted.append("".join(tokenizer.vocabulary[i].removeprefix("##") for i in pieces))
    assert len(cut) > 5000
    normalized = tokenizer._normalizer.normalize(tf.constant(cut)).numpy().tolist()
    found = [text.decode().replace(" ", "") for text in normalized]
    assert [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]] == []


def sharing_a_character(pieces):
    """Joins pieces that come from one character, such as the letters of a Korean syllable."""
    groups = []
    for index, start, end in pieces:
        if groups and start < groups[-1][2]:
            ids, first, last = groups.pop()
            groups.append(([*ids, index], first, max(last, end)))
        else:
            groups.append(([index], start, end))
    return groups


@pytest.mark.parametrize(
    ("unit", "ends", "starts_and_ends"),
    [
        ("bytes", "tight", [(0, 2), (8, 14), (14, 17)]),
        ("bytes", "loose", [(0, 7), (8, 14), (14, 20)]),
        ("characters", "tight", [(0, 2), (5, 7), (7, 8)]),
        ("characters", "loose", [(0, 4), (5, 7), (7, 9)]),
    ],
)
def test_spans_by_hand(unit, ends, starts_and_ends):
    tokens = [*SMALL, "ab", "中国", "##ह"]
    tokenizer = WordPieceTokenizer(tokens, tokenize_chinese_chars=False)
    _, *spans = tokenizer.tokenize_with_offsets("ab\u0301\u200b 中国ह\u094d", unit, ends)
    assert list(zip(*(x.numpy() for x in spans), strict=True)) == starts_and_ends


@pytest.mark.parametrize("name", VOCABULARIES)
def test_characters_and_loose_ends_in_ill_formed_bytes(tokenizers, name):
    rng = random.Random(11)
    bad = [b"\xff", b"\x80", b"\xe4\xb8", b"\xed\xa0\x80", b"\xf0\x9f", b"\xf4\x90\x80\x80"]
    strings = []
    for text in of_pinned_unicode([*fuzz.strings("ill", 1000, read_tokens(name)), "ab", ""]):
        data = text.encode()
        for _ in range(rng.randint(0, 3)):
            place = rng.randint(0, len(data))
            data = data[:place] + rng.choice(bad) + data[place:]
        strings.append(data)
    reference = ReferenceWordPiece(read_tokens(name), VOCABULARIES[name])
    for ends in ("tight", "loose"):
        rows = tokenizers[name].tokenize_with_offsets(strings, "characters", ends)
        for data, *spans in zip(strings, *(x.to_list() for x in rows), strict=True):
            wanted = reference(data.decode("utf-8", "ignore"), "characters", ends)
            assert list(zip(*spans, strict=True)) == wanted, data
    rows = tokenizers[name].tokenize_with_offsets(strings, "bytes", "loose")
    for data, ids, starts, ends in zip(strings, *(x.to_list() for x in rows), strict=True):
        assert all(0 <= a < b <= len(data) for a, b in zip(starts, ends, strict=True))
        cut = [data[a:b].decode("utf-8", "ignore") for a, b in zip(starts, ends, strict=True)]
        text = data.decode("utf-8", "ignore")
        wanted = reference(text, "characters", "loose")
        assert (ids, cut) == ([i for i, _, _ in wanted], [text[a:b] for _, a, b in wanted])


def test_wrong_options_of_spans(small):
    with pytest.raises(ValueError, match=r"unit='byte'\. Expected one of \('bytes', 'char"):
        small.tokenize_with_offsets("a", unit="byte")
    with pytest.raises(ValueError, match=r"ends='wide'\. Expected one of \('tight', 'loose'\)"):
        small.tokenize_with_offsets("a", ends="wide")


# --- the interface -------------------------------------------------------------------------------


def test_shapes_and_types(small):
    batch = small.tokenize(["the card", ""])
    assert isinstance(batch, tf.RaggedTensor) and batch.dtype == tf.int32
    assert batch.to_list() == [[5, 6], []]
    alone = small.tokenize("the card")
    assert isinstance(alone, tf.Tensor) and alone.dtype == tf.int32 and alone.shape == (2,)
    for x in small.tokenize_with_offsets(tf.constant(["the"])):
        assert isinstance(x, tf.RaggedTensor) and x.dtype == tf.int32
    for x in small.tokenize_with_offsets("the"):
        assert x.dtype == tf.int32 and x.shape == (1,)


def test_offsets_of_the_docstring():
    tokenizer = WordPieceTokenizer([*SMALL, "ou"])
    _, starts, ends = tokenizer.tokenize_with_offsets(["Où?"])
    assert (starts.to_list(), ends.to_list()) == ([[0, 3]], [[3, 4]])


@pytest.mark.parametrize("empty", [[], np.array([], object), tf.zeros([0], tf.string)])
def test_empty_batch(small, empty):
    assert small.tokenize(empty).to_list() == []
    assert [x.to_list() for x in small.tokenize_with_offsets(empty)] == [[], [], []]


def test_strings_without_pieces(small):
    texts = ["", " ", "\n\0\u200b", b"\xff"]
    assert small.tokenize(texts).to_list() == [[]] * 4
    assert [x.to_list() for x in small.tokenize_with_offsets(texts)] == [[[]] * 4] * 3


def test_special_tokens_in_text_are_text(small):
    assert 3 not in small.tokenize("[SEP]").numpy()


def test_properties(small):
    assert small.vocabulary == SMALL and small.vocabulary_size == len(SMALL)
    assert (small.pad_id, small.unk_id, small.cls_id, small.sep_id, small.mask_id) == (
        0,
        1,
        2,
        3,
        4,
    )
    assert small.lower_case and small.model_max_length == 16
    assert WordPieceTokenizer(SMALL, mask_token="<mask>").mask_id is None
    assert repr(small) == (
        f"WordPieceTokenizer(vocabulary_size={len(SMALL)}, lower_case=True, strip_accents=None, "
        "tokenize_chinese_chars=True, backend='tensorflow', model_max_length=16)"
    )


def test_last_of_equal_tokens_wins():
    tokenizer = WordPieceTokenizer([*SMALL, "card", "[CLS]"])
    assert tokenizer.tokenize("card").numpy().tolist() == [len(SMALL)]
    assert tokenizer.cls_id == len(SMALL) + 1


def test_vocabulary_file(tmp_path, small):
    (tmp_path / "vocab.txt").write_text("\n".join(SMALL) + "\n", encoding="utf-8")
    for path in (tmp_path / "vocab.txt", str(tmp_path / "vocab.txt")):
        assert WordPieceTokenizer(path).vocabulary == SMALL


def test_wrong_vocabularies_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"lacks unk_token='\[UNK\]', sep_token='\[SEP\]'"):
        WordPieceTokenizer(["[PAD]", "[CLS]", "a"])
    with pytest.raises(FileNotFoundError, match="No vocabulary file"):
        WordPieceTokenizer(tmp_path / "vocab.txt")


def test_wrong_input_is_refused(small):
    with pytest.raises(TypeError, match="received a tensor of int32"):
        small.tokenize([1, 2])
    with pytest.raises(ValueError, match=r"Received shape \(1, 1\)"):
        small.tokenize([["a"]])


@pytest.mark.parametrize(
    "tokenizer", [WordPieceTokenizer([*SMALL, "", "B"], False, True, False, model_max_length=9)]
)
def test_config_round_trip(tokenizer):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(tokenizer)))
    assert isinstance(config["config"]["vocabulary"], str)
    for again in (
        keras.saving.deserialize_keras_object(config),
        copy.deepcopy(tokenizer),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert again.get_config() == tokenizer.get_config()
        assert (
            again.tokenize("the B").numpy().tolist() == tokenizer.tokenize("the B").numpy().tolist()
        )


def test_in_tf_data_and_functions(small):
    texts = ["the card is lost", "where", "", "ΟΣ"]
    wanted = small.tokenize(texts).to_list()

    batches = tf.data.Dataset.from_tensor_slices(texts).batch(3).map(small.tokenize)
    assert [row for batch in batches for row in batch.to_list()] == wanted

    one_by_one = tf.data.Dataset.from_tensor_slices(texts).map(small.tokenize)
    assert [row.numpy().tolist() for row in one_by_one] == wanted

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def function(strings):
        return small.tokenize_with_offsets(strings)

    assert function(tf.constant(texts))[0].to_list() == wanted


def test_made_inside_a_graph():
    made = []

    @tf.function
    def function(strings):
        made.append(WordPieceTokenizer([*SMALL, "graph"]))
        return made[0].tokenize(strings)

    assert function(tf.constant(["graph"])).to_list() == [[len(SMALL)]]
    assert made[0].tokenize("graph").numpy().tolist() == [len(SMALL)]


def test_saved_model_without_this_package(tokenizers, tmp_path):
    tokenizer = tokenizers["uncased"]
    golden = [text for _, text, _ in read_golden("uncased")][:200]
    odd = ["ΟΔΟΣ".encode(), "é".encode() * 200, b"a" * 201, b"\xff"]
    texts = [b"The card is lost.", *golden, *odd]

    def ids_and_spans(strings):
        # All of them, and a batch without anything odd.
        batches = strings, strings[:1]
        return [tokenizer.tokenize(b) for b in batches] + [
            x for b in batches for x in tokenizer.tokenize_with_offsets(b)
        ]

    found = from_saved_model(ids_and_spans, texts, tmp_path)
    assert found == [x.to_list() for x in ids_and_spans(tf.constant(texts))]


# --- without guards ------------------------------------------------------------------------------


def test_without_guards_only_sigmas_and_long_words_differ(tokenizers):
    tokenizer = WordPieceTokenizer(read_tokens("uncased"), guards=False)
    strings = fuzz.strings("guards", 3000, read_tokens("uncased"))
    plain = [s for s in strings if "Σ" not in s]
    assert len(plain) > 1500
    for unit, ends in SPANS:
        found = tokenizer.tokenize_with_offsets(plain, unit, ends)
        wanted = tokenizers["uncased"].tokenize_with_offsets(plain, unit, ends)
        assert [x.to_list() for x in found] == [x.to_list() for x in wanted]
    assert tokenizer.tokenize("ΟΣ").numpy().tolist() == tokenizer.tokenize("οσ").numpy().tolist()
    assert tokenizer.tokenize("a" * 201).shape[0] > 1
    assert tokenizer.tokenize("a" * 801).numpy().tolist() == [tokenizer.unk_id]
    ill_formed = [b"\xffth\xf0\x9fe", b"\xed\xa0\x80 a\xc0\xaf"]
    assert (
        tokenizer.tokenize(ill_formed).to_list()
        == tokenizers["uncased"].tokenize(ill_formed).to_list()
    )


def test_config_holds_guards(small):
    assert small.get_config()["guards"] is True
    again = WordPieceTokenizer.from_config({**small.get_config(), "guards": False})
    assert again.guards is False and copy.deepcopy(again).guards is False


def test_in_litert(tmp_path):
    tokenizer = WordPieceTokenizer(read_tokens("uncased"), guards=False)
    # All but what the guards are for: words that may be of 201 to 800 bytes, and sigmas.
    rows = [
        (text, ids)
        for _, text, ids in read_golden("uncased")
        if "Σ".encode() not in text and max(map(len, text.split()), default=0) <= 200
    ]
    assert len(rows) > 1500
    found = ids_in_litert(tokenizer, [text for text, _ in rows], tmp_path)
    assert found == [ids for _, ids in rows]


def test_large_inputs(small):
    # Linear, not quadratic: each of these would take minutes otherwise.
    assert small.tokenize("a " * 500_000).shape == (500_000,)
    assert small.tokenize("a" * 1_000_000).numpy().tolist() == [small.unk_id]
    assert small.tokenize("a" + "\u0301" * 500_000).numpy().tolist() == [
        small.vocabulary.index("a")
    ]
    _ids, starts, ends = small.tokenize_with_offsets("é " * 300_000)
    assert starts[-1] == 3 * 299_999 and ends[-1] == 3 * 299_999 + 2
    assert small.tokenize("Ο" * 100 + "Σ " * 100_000).shape[0] > 100_000
