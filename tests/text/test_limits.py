"""Texts that nobody should send: no crash, and the ids that the rules give.

Their time and memory are measured by benchmarks/tokenizer_limits.py.
"""

import numpy as np
import pytest

from keras_bert.text import WordPieceTokenizer
from tests.text.conftest import SMALL

UNK, A = SMALL.index("[UNK]"), SMALL.index("a")
SENTENCE = "The unaffable card is lost, 中国. "
SENTENCE_IDS = [5, 11, 12, 13, 6, 7, 8, 22, 26, 27, 21]

slow = pytest.mark.slow


@pytest.fixture(scope="module", params=["tensorflow", "python"])
def tokenizer(request):
    return WordPieceTokenizer(SMALL, backend=request.param)


def sizes(small, large):
    return pytest.mark.parametrize("size", [small, pytest.param(large, marks=slow)])


@sizes(200_000, 100_000_000)
def test_one_long_text(tokenizer, size):
    count = size // len(SENTENCE.encode())
    ids = tokenizer.tokenize(SENTENCE * count).numpy().reshape(count, -1)
    assert (ids == SENTENCE_IDS).all()


@pytest.mark.parametrize("count", [20, pytest.param(1_000, marks=slow)])
def test_many_long_texts(tokenizer, count):
    repeated = 100_000 // len(SENTENCE.encode())
    rows = tokenizer.tokenize([SENTENCE * repeated] * count)
    assert (rows.row_lengths().numpy() == repeated * len(SENTENCE_IDS)).all()
    assert (rows.values.numpy().reshape(-1, len(SENTENCE_IDS)) == SENTENCE_IDS).all()


@sizes(300_000, 10_000_000)
def test_one_long_word(tokenizer, size):
    ids, starts, ends = tokenizer.tokenize_with_offsets("a" * size)
    assert (ids.numpy().tolist(), starts.numpy().tolist()) == ([UNK], [0])
    assert ends.numpy().tolist() == [size]
    assert tokenizer.tokenize("a" * size + " a").numpy().tolist() == [UNK, A]


@sizes(100_000, 1_000_000)
@pytest.mark.parametrize("mark", ["\u0301", "\u200b", "\u00ad", "\0", "\U000e0100"])
def test_a_run_of_what_is_dropped(tokenizer, size, mark):
    text = f"a{mark * size} a"
    width = len(mark.encode())
    for ends, end in (("tight", 1), ("loose", 1 + size * width)):
        found = tokenizer.tokenize_with_offsets(text, ends=ends)
        ids, starts, stops = (x.numpy().tolist() for x in found)
        assert (ids, starts) == ([A, A], [0, size * width + 2])
        assert stops == [end, size * width + 3]


@sizes(20_000, 1_000_000)
def test_sigmas(tokenizer, size):
    # Whether the sigma is final depends on the letter in front of the marks.
    far = f"Ο{chr(0x301) * size}Σ"
    ids = tokenizer.tokenize([far, far + chr(0x301) * size + "Ο"]).to_list()
    spelled = [[tokenizer.vocabulary[i] for i in row] for row in ids]
    assert spelled == [["ο", "##ς"], ["ο", "##σ", "##ο"]]
    assert tokenizer.tokenize("ΟΣ " * size).numpy().reshape(size, 2).tolist() == [ids[0]] * size


@sizes(100_000, 10_000_000)
def test_ill_formed_bytes(tokenizer, size):
    assert tokenizer.tokenize(b"\xff" * size).shape == (0,)
    _, starts, ends = tokenizer.tokenize_with_offsets(b"\xe4" * size + b"a", "characters", "loose")
    assert (starts.numpy().tolist(), ends.numpy().tolist()) == ([0], [1])


@sizes(100_000, 10_000_000)
def test_signs_and_blanks(tokenizer, size):
    assert (tokenizer.tokenize("." * size).numpy() == np.full(size, 21)).all()
    assert tokenizer.tokenize(" \t\n\u3000" * (size // 4)).shape == (0,)


@sizes(50_000, 1_000_000)
def test_many_short_texts(tokenizer, size):
    rows = tokenizer.tokenize(["a", ""] * (size // 2))
    assert rows.row_lengths().numpy().tolist() == [1, 0] * (size // 2)
    assert (rows.values.numpy() == A).all()
