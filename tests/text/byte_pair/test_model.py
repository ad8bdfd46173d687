import itertools
import random

import pytest

from keras_bert.text.byte_pair import model as byte_pair_model
from tests.text.byte_pair.reference import ALPHABET, ReferenceBytePair


def test_alphabet_is_that_of_gpt2():
    assert [byte_pair_model.byte_character(byte) for byte in range(256)] == [
        ALPHABET[byte] for byte in range(256)
    ]


@pytest.mark.parametrize(
    ("token", "data"),
    [("Ġthe", b" the"), ("Ã©", "é".encode()), ("Ċ", b"\n"), ("  ", b"  "), ("国", "国".encode())],
)
def test_token_bytes(token, data):
    assert byte_pair_model.token_bytes(token) == data


def test_merges_file(tmp_path):
    path = tmp_path / "merges.txt"
    path.write_bytes("#version: 0.2\nĠ t\r\nh e\n# #\n\n".encode())
    assert byte_pair_model.read_merges(path) == ["Ġ t", "h e", "# #"]
    path.write_bytes(b"\xff\n")
    with pytest.raises(ValueError, match="is not UTF-8"):
        byte_pair_model.read_merges(path)
    with pytest.raises(FileNotFoundError, match=r"No merges at .*other.txt"):
        byte_pair_model.read_merges(tmp_path / "other.txt")


@pytest.mark.parametrize("merge", ["ab", "a b c", "a ", ("a",), ("a", 1)])
def test_what_is_no_merge(merge):
    with pytest.raises(ValueError, match="Merge 1 is"):
        byte_pair_model.check_merges(["a b", merge])


def test_merges_that_stand_twice():
    with pytest.raises(ValueError, match="'a b' stands twice"):
        byte_pair_model.check_merges(["a b", "c d", ("a", "b")])


def living(*merges):
    pairs = byte_pair_model.check_merges(merges)
    tokens = {*"abcd", *(left + right for left, right in pairs)}
    ranks = byte_pair_model.living_merges(tokens, pairs)
    return {token: rank for token, rank in ranks.items() if rank >= 0}


def test_merges_that_can_never_happen_are_dead():
    assert living("a b", "ab c") == {"ab": 0, "abc": 1}
    # abc comes to stand as ab, c: b and c never meet in it.
    assert living("a b", "b c", "a bc") == {"ab": 0, "bc": 1}
    assert living("a b", "b c", "ab c", "a bc") == {"ab": 0, "bc": 1, "abc": 2}
    # What takes something dead is dead.
    assert living("a b", "b c", "a bc", "abc d") == {"ab": 0, "bc": 1}
    # Of three equal letters the first two are joined.
    assert living("a a", "aa a") == {"aa": 0, "aaa": 1}
    assert living("a a", "a aa") == {"aa": 0}
    assert living("a a", "aa a", "aaa aa") == {"aa": 0, "aaa": 1}


def test_lists_that_were_not_learnt_are_refused():
    with pytest.raises(ValueError, match="Merge 0 takes the token 'ab', which only merge 1 makes"):
        living("ab c", "a b")
    with pytest.raises(ValueError, match="Merge 1, 'x y', needs the token 'y'"):
        byte_pair_model.living_merges({"a", "b", "ab", "x", "xy"}, [("a", "b"), ("x", "y")])


def test_joining_living_tokens_by_string_is_merging_by_pair():
    # What the module's docstring claims, on random lists, most of which nobody would learn.
    rng = random.Random(5)
    for _ in range(400):
        letters = "abc"[: rng.randint(1, 3)]
        known, pairs = list(letters), []
        for _ in range(rng.randint(1, 12)):
            pair = (rng.choice(known), rng.choice(known))
            if pair not in pairs and len("".join(pair)) < 9:
                pairs.append(pair)
                known.append("".join(pair))
        try:
            ranks = byte_pair_model.living_merges(known, pairs)
        except ValueError:
            continue
        reference = ReferenceBytePair(dict.fromkeys(known), [" ".join(pair) for pair in pairs])
        for _ in range(40):
            word = "".join(rng.choices(letters, k=rng.randint(1, 24)))
            assert joined_by_string(word, ranks) == reference.merged(word), (pairs, word)
        for token, rank in ranks.items():
            if rank >= 0:
                assert reference.merged(token) == [token]


def joined_by_string(word, ranks):
    """As SentencePiece does it."""
    parts = list(word)
    while True:
        made = [ranks.get(a + b, 99) for a, b in itertools.pairwise(parts)]
        if not made or min(made) == 99:
            return parts
        place = made.index(min(made))
        parts = [*parts[:place], parts[place] + parts[place + 1], *parts[place + 2 :]]


def test_whole_words():
    tokens = ["<s>", "a", "Ġa", "Ã", "ĀĀ", "Ā", "Ã©", "©", "a\u0120", "aĠb", "đ"]
    pairs = [("Ā", "Ā"), ("Ã", "©")]
    ranks = {t: 0 for t in tokens if t != "<s>"}
    ranks |= byte_pair_model.living_merges(tokens, pairs)
    words = byte_pair_model.whole_words(tokens, ranks)
    nothing = byte_pair_model.NO_WORD
    assert words == [
        f"{nothing}0", "a", " a", f"{nothing}3", f"{nothing}4", f"{nothing}5", "é", f"{nothing}7",
        f"{nothing}8", f"{nothing}9", f"{nothing}10",
    ]  # fmt: skip
