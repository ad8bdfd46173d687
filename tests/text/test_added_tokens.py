import copy
import functools
import gzip
import json
import pickle

import keras
import pytest
import tensorflow as tf

from keras_bert.text import AddedToken, WordPieceTokenizer
from tests.text.conftest import FOLDER, SMALL, read_tokens


def read_cases():
    """Cases of the fixture: cased, policy, tokens, rows of (string, ids, spans in characters)."""
    with gzip.open(FOLDER / "added_tokens.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def in_bytes(text, spans):
    before = [0]
    for character in text:
        before.append(before[-1] + len(character.encode()))
    return [before[start] for start, _ in spans], [before[end] for _, end in spans]


@functools.cache
def tokenizer_of(number):
    case = read_cases()[number]
    return WordPieceTokenizer(
        read_tokens("uncased"),
        lower_case=not case["cased"],
        special_tokens_in_text=case["policy"],
        added_tokens=case["tokens"],
    )


@functools.cache
def with_tokens(*tokens, policy="text", **options):
    return WordPieceTokenizer(SMALL, added_tokens=tokens, special_tokens_in_text=policy, **options)


def pieces_of(tokenizer, text):
    return [tokenizer.vocabulary[i] for i in tokenizer.tokenize(text).numpy()]


# --- like Hugging Face ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(4))
def test_ids_and_spans_of_hugging_face(number):
    case, tokenizer = read_cases()[number], tokenizer_of(number)
    texts = [text for text, _, _ in case["rows"]]
    ids, starts, ends = (x.to_list() for x in tokenizer.tokenize_with_offsets(texts))
    assert len(texts) == 160
    for (text, wanted, spans), *found in zip(case["rows"], ids, starts, ends, strict=True):
        assert found[0] == wanted, (text, case["tokens"])
        wanted = in_bytes(text, spans)
        if any(c in text for c in "中\u0301"):
            # Normalised, these have other blanks beside them than in the text: a token that takes
            # blanks takes those, and Hugging Face counts them as the character. We do not.
            for start, end, wanted_start, wanted_end in zip(*found[1:], *wanted, strict=True):
                assert wanted_start <= start < end <= wanted_end, (text, case["tokens"])
        else:
            assert (*found[1:],) == wanted, (text, case["tokens"])


def test_one_by_one_is_as_in_a_batch():
    tokenizer = tokenizer_of(0)
    for text, ids, _ in read_cases()[0]["rows"]:
        assert tokenizer.tokenize(text).numpy().tolist() == ids


# --- the policy ----------------------------------------------------------------------------------


def test_special_tokens_are_text_unless_asked():
    text = "a [MASK] [SEP]b"
    assert with_tokens().mask_id not in with_tokens().tokenize(text).numpy()
    assert pieces_of(with_tokens(policy="special"), text) == ["a", "[MASK]", "[SEP]", "b"]
    tokens = AddedToken("<user>", special=True), AddedToken("<b>")
    assert "<user>" not in pieces_of(with_tokens(*tokens), "<user> <b>")
    assert pieces_of(with_tokens(*tokens), "a <b>") == ["a", "<b>"]
    assert pieces_of(with_tokens(*tokens, policy="special"), "<user><b>") == ["<user>", "<b>"]


def test_mask_that_takes_blanks():
    tokenizer = with_tokens(AddedToken("[MASK]", lstrip=True, special=True), policy="special")
    ids, starts, ends = tokenizer.tokenize_with_offsets("a  [MASK] b")
    assert ids.numpy().tolist() == [14, 4, 15]
    assert (starts.numpy().tolist(), ends.numpy().tolist()) == ([0, 1, 10], [1, 9, 11])


def test_added_token_is_no_piece():
    # "##a" continues words, "card" does not begin one for having been added.
    tokenizer = WordPieceTokenizer(
        [t for t in SMALL if t != "card"], added_tokens=[AddedToken("card", single_word=True)]
    )
    assert pieces_of(tokenizer, "card carda") == ["card", "[UNK]"]


def test_ids_follow_the_vocabulary():
    tokenizer = with_tokens("the", "<x>", AddedToken("lost", special=True), "<y>")
    assert tokenizer.vocabulary == [*SMALL, "<x>", "<y>"]
    assert tokenizer.model_vocabulary == SMALL and tokenizer.vocabulary_size == len(SMALL) + 2
    assert pieces_of(tokenizer, "the<y><x>the") == ["the", "<y>", "<x>", "the"]
    # A special token of the tokenizer may be among the added ones.
    assert with_tokens("<mask>", mask_token="<mask>").mask_id == len(SMALL)


# --- odd texts -----------------------------------------------------------------------------------


def test_bytes_that_are_no_text():
    # The very bytes that mark tokens inside, and tokens beside them.
    tokenizer = with_tokens("<x>")
    text = b"a\xff\xff<x>\xfe \xffb\xff"
    ids, starts, ends = (x.numpy().tolist() for x in tokenizer.tokenize_with_offsets(text))
    assert ids == [14, len(SMALL), 15]
    assert [text[s:e] for s, e in zip(starts, ends, strict=True)] == [b"a", b"<x>", b"b"]
    assert tokenizer.tokenize([b"a\0<x>", b"\xff", b""]).to_list() == [[14, len(SMALL)], [], []]


def test_contents_that_look_like_patterns():
    tokens = [".*", "a|b", "(", "\\C", "[a", "^$", "a b", "\n", "ab\0"]
    tokenizer = with_tokens(*(AddedToken(t, normalized=False) for t in tokens))
    for token in tokens:
        assert pieces_of(tokenizer, f"the {token} the") == ["the", token, "the"]
    assert pieces_of(tokenizer, "c") == ["c"]


def test_content_of_which_normalisation_leaves_nothing():
    tokenizer = with_tokens("\u0301", "<x>")
    assert pieces_of(tokenizer, "a\u0301 <x>") == ["a", "<x>"]


def test_first_of_equal_contents_is_found():
    tokens = [
        AddedToken("Abc"),
        AddedToken("ABC"),
        AddedToken("áBC", normalized=True, special=True),
    ]
    assert pieces_of(with_tokens(*tokens), "aBc") == ["Abc"]
    assert pieces_of(with_tokens(*tokens, policy="special"), "aBc") == ["áBC"]


def test_chinese_left_in_words():
    tokenizer = with_tokens("中国", tokenize_chinese_chars=False)
    assert pieces_of(tokenizer, "a中国 中") == ["a", "中国", "中"]


def test_many_tokens_and_long_texts():
    # Linear in text and tokens: each of these would take minutes otherwise.
    tokenizer = with_tokens(*(f"<{i}>" for i in range(3000)), AddedToken("<r>", False, True))
    ids = tokenizer.tokenize(["a<2999><17>" * 50_000, "a"])
    assert ids.row_lengths().numpy().tolist() == [150_000, 1]
    assert ids[0][:3].numpy().tolist() == [14, len(SMALL) + 2999, len(SMALL) + 17]
    _, starts, ends = tokenizer.tokenize_with_offsets("<r>" + " " * 500_000 + "<1>")
    assert (starts.numpy().tolist(), ends.numpy().tolist()) == ([0, 500_003], [500_003, 500_006])


@pytest.mark.parametrize("empty", [[], tf.zeros([0], tf.string)])
def test_empty_batch(empty):
    tokenizer = with_tokens("<x>")
    assert tokenizer.tokenize(empty).to_list() == []
    assert [x.to_list() for x in tokenizer.tokenize_with_offsets(empty)] == [[], [], []]


# --- hooks ---------------------------------------------------------------------------------------


def test_parts_know_whether_they_open_their_text():
    seen = []

    class Watched(WordPieceTokenizer):
        def _ids_of_parts(self, parts, opens):
            tf.py_function(
                lambda *x: seen.append([y.numpy().tolist() for y in x]), [parts, opens], []
            )
            return super()._ids_of_parts(parts, opens)

    Watched(SMALL, added_tokens=["<x>"]).tokenize(["a<x>b", "<x>c", "the"])
    assert seen == [[[b"a", b"b", b"", b"c", b"the"], [True, False, True, False, True]]]


# --- the interface -------------------------------------------------------------------------------


def test_normalized_unless_special():
    assert AddedToken("a").normalized and not AddedToken("a", special=True).normalized
    assert AddedToken("a", normalized=True, special=True).normalized


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: AddedToken(""), ValueError, "An added token is empty"),
        (lambda: AddedToken(3), TypeError, r"is 3 \(int\). Expected str"),
        (lambda: with_tokens("a", AddedToken("a")), ValueError, r"given twice: \['a'\]"),
        (lambda: WordPieceTokenizer(SMALL, added_tokens="ab"), TypeError, "Expected a list"),
        (lambda: with_tokens(policy="hf"), ValueError, "special_tokens_in_text='hf'. Expected"),
    ],
)
def test_wrong_tokens_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_special_tokens_as_usual_need_not_be_given():
    usual = WordPieceTokenizer(SMALL, added_tokens=[AddedToken("[SEP]", special=True)])
    assert usual.get_config() == WordPieceTokenizer(SMALL).get_config()
    takes_blanks = AddedToken("[SEP]", lstrip=True, special=True)
    assert WordPieceTokenizer(SMALL, added_tokens=[takes_blanks]).added_tokens == [takes_blanks]
    # Not of the vocabulary, so it is given for its id.
    mask = AddedToken("[MASK]", special=True)
    without = [token for token in SMALL if token != "[MASK]"]
    assert WordPieceTokenizer(without, added_tokens=[mask]).mask_id == len(without)


def test_config_round_trip():
    tokenizer = with_tokens("<x>", AddedToken("<y>\n", rstrip=True, special=True), policy="special")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(tokenizer)))
    for again in (
        keras.saving.deserialize_keras_object(config),
        copy.deepcopy(tokenizer),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert again.get_config() == tokenizer.get_config()
        assert again.added_tokens == tokenizer.added_tokens
        assert again.vocabulary == tokenizer.vocabulary
    assert pieces_of(again, "a <y>\n <x>") == ["a", "<y>\n", "<x>"]


def test_in_tf_data_and_saved_models(tmp_path):
    tokenizer = with_tokens("<x>", AddedToken("Abc", rstrip=True, single_word=True))
    texts = ["a<x> lost", "áBC a", "b", "c"]
    wanted = tokenizer.tokenize(texts).to_list()
    batches = tf.data.Dataset.from_tensor_slices(texts).batch(2).map(tokenizer.tokenize)
    assert [row for batch in batches for row in batch.to_list()] == wanted

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def ids(self, strings):
            return tokenizer.tokenize(strings)

    tf.saved_model.save(Module(), str(tmp_path))
    assert tf.saved_model.load(str(tmp_path)).ids(tf.constant(texts)).to_list() == wanted
