import gzip
import hashlib
import random
import sys

import pytest

from keras_bert.text import WordPieceTokenizer, vocabulary_learning
from keras_bert.text.vocabulary_learning import (
    SPECIAL_TOKENS,
    count_words,
    coverage,
    learn,
    learn_vocabulary,
)
from keras_bert.text.wordpiece.in_python import WordSplitter
from tests.text.fresh_process import last_line

UNCASED = WordSplitter(True, True, True)
TEXTS = [
    "The café's menu: Crème brûlée, 我的菜单。",
    "the menus of cafés; THE MENU",
    "ΜΕΝΟΎ ΟΔΌΣ the the them theme themes",
]


def corpus(seed, lines=400):
    """Words of made-up syllables, frequent ones first, with many ties."""
    rng = random.Random(seed)
    syllables = [a + b for a in "bdfklmnprstvz" for b in "aeiouäé"]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(600)]
    weights = [1 / (i + 5) for i in range(len(words))]
    return [" ".join(rng.choices(words, weights, k=12)) + "." for _ in range(lines)]


def test_words_are_counted_as_the_tokenizer_sees_them():
    counts = count_words(TEXTS, UNCASED)
    assert counts["menu"] == 2 and counts["menus"] == 1
    assert counts["the"] == 5
    assert counts["creme"] == counts["brulee"] == counts["我"] == 1
    assert counts["οδος"] == 1
    assert "The" not in counts and " " not in "".join(counts)


def test_long_parts_are_counted_too():
    sentence = "我的菜单和我的钱" * 4
    assert count_words([f"{sentence} 我", sentence], UNCASED)["我"] == 17
    assert count_words(["a" * 200 + " " + "b" * 201], UNCASED) == {"a" * 200: 1}


def test_what_no_vocabulary_can_spell_is_left_out():
    assert count_words(["ab\ufdd1 \ufdd0 c\ufffdd"], UNCASED) == {"cd": 1}


def test_files(tmp_path):
    (tmp_path / "a.txt").write_bytes("the MENU\r\ncaf\u00e9\n".encode() + b"x\xff\n")
    with gzip.open(tmp_path / "b.txt.gz", "wb") as file:
        file.write(b"the other\n" * 2500)
    told = []
    files = [tmp_path / "a.txt", tmp_path / "b.txt.gz"]
    counts = count_words(files, UNCASED, lambda *report: told.append(report))
    assert counts == {"the": 2501, "menu": 1, "cafe": 1, "x": 1, "other": 2500}
    total = sum(file.stat().st_size for file in files)
    assert told[-1] == ("reading", total, total)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    with pytest.raises(FileNotFoundError):
        count_words([tmp_path / "c.txt"], UNCASED)


# --- with the trainer ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def trainer(request):
    """Tests that need the trainer's package say so by learning."""
    if "learn" in request.node.name:
        pytest.importorskip("tokenizers")


def test_what_is_learned():
    tokens = learn_vocabulary(TEXTS, size=90, unused=2, min_frequency=2)
    assert tuple(tokens[:5]) == SPECIAL_TOKENS
    assert tokens[5:7] == ["[unused0]", "[unused1]"]
    letters = [t for t in tokens[7:] if len(t) == 1]
    assert letters == sorted(set("".join(count_words(TEXTS, UNCASED))))
    assert tokens[7 : 7 + len(letters)] == letters
    assert "the" in tokens and "menu" in tokens
    assert "##我" not in tokens  # a word of its own never continues one
    assert len(set(tokens)) == len(tokens) <= 90
    tokenizer = WordPieceTokenizer(tokens)
    for text in TEXTS:
        assert tokenizer.unk_id not in tokenizer.tokenize(text).numpy()


def test_learned_sizes():
    assert len(learn_vocabulary(corpus(1), size=500)) == 500
    few = learn_vocabulary(["a b ab"], size=500)
    assert few == [*SPECIAL_TOKENS, "a", "b", "##b"]
    assert learn_vocabulary(["a b ab"], 500, min_frequency=1) == [*few, "ab"]


def test_learned_with_case_and_accents():
    tokens = learn_vocabulary(TEXTS, 120, lower_case=False, min_frequency=1)
    assert "Crème" in tokens and "THE" in tokens
    tokens = learn_vocabulary(TEXTS, 120, strip_accents=False, min_frequency=1)
    assert "crème" in tokens and "THE" not in tokens
    tokens = learn_vocabulary(["我的 我的"], 50, tokenize_chinese_chars=False)
    assert "我的" in tokens


def test_learning_with_fewer_characters():
    counts = count_words([*TEXTS, "é" * 3], UNCASED)
    tokens = learn(counts, 200, alphabet=10)
    assert sum(len(token) == 1 for token in tokens) == 10
    assert "e" in tokens and "我" not in tokens
    with pytest.raises(ValueError, match=r"size=20 is too small: .* take \d+ tokens"):
        learn(counts, 20)


def test_learning_from_nothing():
    with pytest.raises(ValueError, match="no words"):
        learn_vocabulary([" ", "\u200b"])


def test_learning_says_how_far_it_is():
    told = []
    learn({"ab": 25_000, "b": 3}, 20, progress=lambda *report: told.append(report))
    assert told[-1] == ("learning", 25_003, 25_003) and len(told) == 3


@pytest.mark.slow
def test_learning_is_the_same_in_every_process_and_order():
    # Many ties, which the trainer by itself settles in another way each time.
    lines = corpus(3)
    tokens = learn_vocabulary(lines, size=900)
    for _ in range(3):
        assert learn_vocabulary(lines[::-1], size=900) == tokens
    script = """
        import hashlib
        from keras_bert.text.vocabulary_learning import learn_vocabulary
        from tests.text.test_vocabulary_learning import corpus
        tokens = learn_vocabulary(corpus(3), size=900)
        print(hashlib.sha256("\\n".join(tokens).encode()).hexdigest())
    """
    found = last_line(script, PYTHONHASHSEED="5", RAYON_NUM_THREADS="2")
    assert found == hashlib.sha256("\n".join(tokens).encode()).hexdigest()


def test_coverage():
    tokens = [*SPECIAL_TOKENS, "a", "##b"]
    found = coverage(tokens, {"a": 2, "ab": 1, "c": 1})
    assert (found.words, found.unknown, found.pieces_per_word) == (4, 0.25, 1.25)


def test_without_the_trainer(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-bert-garden\[vocab\]'"):
        vocabulary_learning.learn_vocabulary(TEXTS)
